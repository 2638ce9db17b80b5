--- A call on a service, as an author writes it, made into what is done on which hosts. Pure.
local command = require "runtime.shell.command"
local errors = require "runtime.errors"
local releases = require "runtime.service.releases"
local seconds_of = require "runtime.seconds"
local request = {}

local kinds = {
  systemd = require "runtime.service.systemd",
  docker = require "runtime.service.docker",
  compose = require "runtime.service.compose",
  process = require "runtime.service.process",
  vercel = require "runtime.service.vercel",
  netlify = require "runtime.service.netlify",
}

--- Seconds that a change may take, until the service is as it should be.
local TIMEOUT = 120
--- Seconds that it must stay up after it came up.
local SETTLE = 1
--- So many releases are listed.
local LIMIT, MOST = 20, 1000

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
local function summary_of(verb, name, kind, settings, hosts, wanted)
  local where = hosts[1] and (" on " .. table.concat(hosts, ", ")) or ""
  local what = (verb == "status" or verb == "releases") and ("%s of %s"):format(verb, name)
    or verb == "scale" and ("scale %s to %d"):format(name, wanted)
    or verb == "release" and ("release %s of %s"):format(wanted, name)
    or verb .. " " .. name
  return ("%s (%s)%s"):format(what, kind.called(settings), where)
end

--- What a change is told beside its verb: how many, which release.
local function wanted_of(verb, given)
  if verb == "scale" then
    local count = math.tointeger(given)
    return count and count >= 0 and count or misuse(verb, ("expected how many, got %s"):format(tostring(given)))
  elseif verb == "release" then
    return releases.is_id(given) and given
      or misuse(verb, ("expected a release, as :releases() lists them, got '%s'"):format(tostring(given)))
  end
  return nil
end

local function limit_of(opts)
  local limit = opts.limit or LIMIT
  if math.type(limit) ~= "integer" or limit < 1 or limit > MOST then
    misuse("releases", ("option 'limit': expected a number from 1 to %d"):format(MOST))
  end
  return limit
end

--- The commands of a change, nil when this kind of service does not have it.
local function steps_of(kind, settings, verb, wanted)
  if verb == "release" and settings.releases then
    local steps, restart = releases.steps(settings, wanted), kind.change(settings, "restart")
    return restart and table.move(restart, 1, #restart, #steps + 1, steps)
  end
  return kind.change(settings, verb, wanted)
end

---@class opsrun.ServiceRequest
---@field name string
---@field verb string
---@field kind opsrun.ServiceKind|opsrun.ServiceProvider
---@field settings table
---@field hosts (string|false)[]  false: this machine, or a provider
---@field steps table[]?          of a change by commands: {argv=, cwd=} each
---@field wanted integer|string|nil  of scale how many, of release which
---@field limit integer?          of releases
---@field timeout number          seconds
---@field settle number           seconds

--- Checks a call. An operation that this kind of service does not have skips the step, aloud.
---@param verb string
---@param args table {name=, [1]= count of scale or release, opts = {…}}
---@param settings table of service_settings.read
---@param members fun(name: string): string[] the hosts behind a name
---@return opsrun.ServiceRequest, table body
function request.build(verb, args, settings, members)
  local opts, name, kind = args.opts or {}, args.name, kinds[settings.kind]
  local wanted = wanted_of(verb, args[1])
  local hosts = hosts_of(verb, name, settings, opts.host, members)
  local reads = verb == "status" or verb == "releases"
  local steps = not reads and kind.over ~= "http" and steps_of(kind, settings, verb, wanted) or nil
  if not reads and not steps and not (kind.verbs and kind.verbs[verb]) then
    error(errors.skip { message = ("'%s' is a %s, which has no '%s'"):format(name, kind.called(settings), verb) }, 0)
  end
  local built = {
    name = name,
    verb = verb,
    kind = kind,
    settings = settings,
    hosts = hosts,
    steps = steps,
    wanted = wanted,
    limit = verb == "releases" and limit_of(opts) or nil,
    timeout = seconds_of(opts.timeout or settings.timeout or kind.timeout or TIMEOUT, ("service:%s: timeout"):format(verb)),
    settle = seconds_of(opts.settle or SETTLE, ("service:%s: settle"):format(verb)),
  }
  built.summary = summary_of(verb, name, kind, settings, hosts, wanted)
  local named = hosts[1] and table.move(hosts, 1, #hosts, 1, {}) or nil
  return built, { service = name, verb = verb, wanted = wanted, hosts = named, settings = settings }
end

local function is_down(facts)
  return facts.state == "inactive" or facts.state == "failed"
end

--- The commands of a change of a service that is so: what is down already is not stopped.
---@param before table facts
---@return table[] steps
function request.steps_from(built, before)
  local steps = {}
  for _, step in ipairs(built.steps) do
    if not (step.of_running and is_down(before)) then
      steps[#steps + 1] = step
    end
  end
  return steps
end

--- Is it what the change was to make it? A provider's new deployment counts when it is ours.
function request.is_reached(built, before, now)
  local anew = now.identity == nil or now.identity ~= before.identity
  if built.verb == "restart" then
    return now.state == "active" and anew and (built.kind.over ~= "http" or now.begun ~= nil)
  elseif built.verb == "start" then
    return now.state == "active"
  elseif built.verb == "scale" then
    return now.running == built.wanted and (built.wanted == 0 or now.state == "active")
  elseif built.verb == "release" then
    -- behind a link the one that runs may still be the old one
    return now.state == "active" and now.release == built.wanted and (anew or built.kind.over == "http")
  end
  return is_down(now) or now.state == "missing"
end

--- Does what is seen now, which is as it should be, show that the change was made? That a service runs does not say
--- whether it was started before or after a restart was asked for, or a release was put in place: another identity does,
--- and that it was down before.
function request.shows(built, before, now)
  if built.verb == "release" then
    return now.identity ~= nil
  elseif built.verb == "restart" and built.kind.over ~= "http" then
    return is_down(before) or before.identity ~= nil and now.identity ~= nil
  end
  return true
end

--- How far a change is that nobody saw the end of. "half": a restart that left it down; nil: what is seen does not say.
---@return "reached"|"untouched"|"moving"|"half"|nil
function request.seen(built, before, now)
  if request.is_reached(built, before, now) then
    return request.shows(built, before, now) and "reached" or nil
  elseif now.state == "changing" then
    return "moving"
  end
  if built.kind.over == "http" and built.verb == "restart" then
    return not now.begun and "untouched" or nil -- ours carries a key: whatever else was deployed is not ours
  end
  local same = now.state == before.state and now.identity == before.identity and now.release == before.release
  if same and not now.begun then
    return "untouched"
  end
  return built.verb == "restart" and is_down(now) and "half" or nil
end

local rank = { active = 1, inactive = 2, unknown = 3, changing = 4, missing = 5, failed = 6 }

--- What a playbook gets: the worst of its hosts, and each host's own facts.
function request.result(rows)
  local whole = { hosts = rows, running = 0 }
  for _, row in ipairs(rows) do
    if not whole.state or rank[row.state] > rank[whole.state] then
      whole.state, whole.detail, whole.pid, whole.release, whole.held = row.state, row.detail, row.pid, row.release, row.held
    end
    whole.running = whole.running + (row.running or (row.state == "active" and 1 or 0))
  end
  rows.columns = { "host", "state", "detail", "pid" }
  return whole
end

return request
