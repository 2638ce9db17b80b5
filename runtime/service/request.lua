--- A call on a service, as an author writes it, made into what is done on which hosts. Pure.
local command = require "runtime.shell.command"
local errors = require "runtime.errors"
local seconds_of = require "runtime.seconds"
local request = {}

local kinds = {
  systemd = require "runtime.service.systemd",
  docker = require "runtime.service.docker",
  compose = require "runtime.service.compose",
  process = require "runtime.service.process",
}

--- Seconds that a change may take, until the service is as it should be.
local TIMEOUT = 120
--- Seconds that it must stay up after it came up.
local SETTLE = 1

local function misuse(verb, message)
  error(errors.wrap(("service:%s: %s"):format(verb, message)), 0)
end

--- The hosts it is done on: names, or one nil for this machine.
local function hosts_of(verb, name, settings, wanted, members)
  local hosts = settings.host and members(settings.host) or { false }
  if wanted == nil then
    return hosts
  end
  for _, host in ipairs(hosts) do
    if host == wanted then
      return { host }
    end
  end
  misuse(verb, ("'%s' does not run on '%s'"):format(name, tostring(wanted)))
end

--- A command of the environment or of a kind, as the shell room runs it.
---@param given string|string[] words, or a text for bash
---@param host string|false
---@return opsrun.Command
function request.command(settings, given, host, more)
  local argv, script = given, nil
  if type(given) == "string" then
    argv, script = { "bash", "-o", "pipefail", "-c", given }, given
  end
  local line = script or command.join(argv)
  local codes = {}
  for _, code in ipairs(more.codes or { 0 }) do
    codes[code] = true
  end
  return {
    argv = argv,
    script = script,
    line = line,
    summary = (host and host .. ": " or "") .. line,
    codes = codes,
    host = host or nil,
    user = settings.user,
    cwd = more.cwd,
    timeout = more.timeout,
  }
end

--- What is done, in words: "restart app (systemd unit app.service) on web1, web2".
local function summary_of(verb, name, kind, settings, hosts, count)
  local where = hosts[1] and (" on " .. table.concat(hosts, ", ")) or ""
  local what = verb == "status" and "status of " .. name or verb == "scale" and ("scale %s to %d"):format(name, count)
    or verb .. " " .. name
  return ("%s (%s)%s"):format(what, kind.called(settings), where)
end

---@class opsrun.ServiceRequest
---@field name string
---@field verb string
---@field kind opsrun.ServiceKind
---@field settings table
---@field hosts (string|false)[]  false: this machine
---@field steps table[]?          of a change: {argv=, cwd=} each
---@field count integer?          of scale
---@field timeout number          seconds
---@field settle number           seconds

--- Checks a call. An operation that this kind of service does not have skips the step, aloud.
---@param verb string
---@param args table {name=, [1]= count of scale, opts = {…}}
---@param settings table of service_settings.read
---@param members fun(name: string): string[] the hosts behind a name
---@return opsrun.ServiceRequest, table body
function request.build(verb, args, settings, members)
  local opts, name, kind = args.opts or {}, args.name, kinds[settings.kind]
  local count = verb == "scale" and math.tointeger(args[1]) or nil
  if verb == "scale" and (not count or count < 0) then
    misuse(verb, ("expected how many, got %s"):format(tostring(args[1])))
  end
  local hosts = hosts_of(verb, name, settings, opts.host, members)
  local steps = verb ~= "status" and kind.change(settings, verb, count) or nil
  if verb ~= "status" and not steps then
    error(errors.skip { message = ("'%s' is a %s, which has no '%s'"):format(name, kind.called(settings), verb) }, 0)
  end
  local built = {
    name = name,
    verb = verb,
    kind = kind,
    settings = settings,
    hosts = hosts,
    steps = steps,
    count = count,
    timeout = seconds_of(opts.timeout or settings.timeout or TIMEOUT, ("service:%s: timeout"):format(verb)),
    settle = seconds_of(opts.settle or SETTLE, ("service:%s: settle"):format(verb)),
  }
  built.summary = summary_of(verb, name, kind, settings, hosts, count)
  local named = hosts[1] and table.move(hosts, 1, #hosts, 1, {}) or nil
  return built, { service = name, verb = verb, count = count, hosts = named, settings = settings }
end

--- Is it what the change was to make it?
function request.is_reached(built, before, now)
  if built.verb == "restart" then
    return now.state == "active" and (now.identity == nil or now.identity ~= before.identity)
  elseif built.verb == "start" then
    return now.state == "active"
  elseif built.verb == "scale" then
    return now.running == built.count and (built.count == 0 or now.state == "active")
  end
  return now.state == "inactive" or now.state == "failed" or now.state == "missing"
end

local rank = { active = 1, inactive = 2, unknown = 3, changing = 4, missing = 5, failed = 6 }

--- What a playbook gets: the worst of its hosts, and each host's own facts.
function request.result(rows)
  local whole = { hosts = rows, running = 0 }
  for _, row in ipairs(rows) do
    if not whole.state or rank[row.state] > rank[whole.state] then
      whole.state, whole.detail, whole.pid = row.state, row.detail, row.pid
    end
    whole.running = whole.running + (row.running or (row.state == "active" and 1 or 0))
  end
  rows.columns = { "host", "state", "detail", "pid" }
  return whole
end

return request
