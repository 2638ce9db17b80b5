--- opsrun doctor: is this installation whole, and does an environment answer? Connects for real, changes
--- nothing. A line a fact; what is wrong says what to try.
local codes = require "runtime.codes"
local environments = require "runtime.environment"
local errors = require "runtime.errors"
local files = require "runtime.playbook_files"
local ssh = require "runtime.shell.ssh"
local table_text = require "runtime.table_text"
local text = require "runtime.text"

local marks = { ok = "ok", warning = "warning", failed = "FAILED" }
local styles = { ok = "green", warning = "yellow", failed = "red" }

local function open_printer(host)
  local printer = { failed = 0 }

  function printer.line(state, what, detail, hint)
    printer.failed = printer.failed + (state == "failed" and 1 or 0)
    local width = host.term.shows "out" and math.max(40, host.term.width()) or nil
    local lines = table_text.wrap(detail, width and width - 35)
    host.term.out("  " .. text.pad(marks[state], 9), styles[state])
    host.term.out(text.pad(what, 22) .. "  " .. table.concat(lines, "\n" .. (" "):rep(35)) .. "\n")
    if hint and state ~= "ok" then
      host.term.out(table_text.hang((" "):rep(11), hint, width) .. "\n", "dim")
    end
  end

  function printer.heading(title)
    host.term.out(title .. "\n", "bold")
  end

  return printer
end

--- What belongs beside the executable.
local beside = {
  "opsrun-sql.so", "opsrun-http.so", "opsrun-redis.so", "opsrun-smtp.so", "opsrun-pgquery.so", "opsrun-supervisor",
}

--- Client modules lie beside the executable or in ../lib/opsrun.
local function find_beside(host, name)
  local room = (host.system.executable() or ""):match "^(.*)/[^/]*$" or "."
  for _, directory in ipairs { room, room .. "/../lib/opsrun", room .. "/../libexec/opsrun" } do
    if host.files.stat(directory .. "/" .. name) then
      return directory .. "/" .. name
    end
  end
  return nil
end

local function check_installation(host, printer)
  printer.heading "Installation"
  printer.line("ok", "version", ("opsrun %s, %s"):format(host.system.version, _VERSION))
  for _, name in ipairs(beside) do
    local path = find_beside(host, name)
    printer.line(path and "ok" or "failed", name, path or "not found", "it belongs beside the opsrun executable")
  end
  local works, why = host.process.jail_status()
  printer.line(
    works and "ok" or "warning",
    "jail for shell.read",
    works and "works: commands that read are proved" or ("does not work: %s"):format(tostring(why)),
    "a dry run refuses such commands, a live run says 'not proved'; is bubblewrap installed?"
  )
end

local function check_places(services, printer)
  local host = services.host
  printer.heading "Places"
  local home = host.store.home()
  printer.line(home and "ok" or "failed", "journals", tostring(home or "no directory"), "set OPSRUN_HOME to a directory of yours")
  local libraries = files.libraries(host)
  for _, library in ipairs(libraries) do
    printer.line("ok", "playbooks", library.shown == library.path and library.path or ("%s (%s)"):format(library.path, library.shown))
  end
  if #libraries == 0 then
    printer.line("warning", "playbooks", "none found", "set OPSRUN_PATH, or change to a directory with playbooks/")
  end
  local names = environments.names(services)
  printer.line(
    #names > 0 and "ok" or "warning",
    "environments",
    #names > 0 and table.concat(names, ", ") or "none found",
    "write environments/NAME.lua: return { label = \"NAME\" }"
  )
end

--- One real connection or request; returns a detail text. Raises what goes wrong.
local probes = {}

function probes.sql(host, environment, name)
  local config = environment.connection("sql", name)
  local conn, err = host.sql.connect { url = config.url, application_name = "opsrun/doctor", timeout = 10 }
  if not conn then
    error(errors.from_host(err, "read"), 0)
  end
  local version = conn:version()
  conn:close()
  local place = host.sql.place(config.url)
  return ("PostgreSQL %d.%d at %s:%s"):format(version // 10000, version % 10000, tostring(place.host), tostring(place.port))
end

function probes.http(host, environment, name)
  local config = environment.connection("http", name)
  local answer, err = host.http.request {
    method = "HEAD",
    url = config.base,
    ca = config.ca,
    timeout = 10,
    kind = "read",
    label = name,
  }
  if not answer then
    error(errors.from_host(err, "read"), 0)
  end
  return ("answers with status %d"):format(answer.status)
end

function probes.redis(host, environment, name)
  local config = environment.connection("redis", name)
  local conn, err = host.redis.connect {
    url = config.url,
    user = config.user,
    password = config.password,
    ca = config.ca,
    name = "opsrun-doctor",
    timeout = 10,
  }
  if not conn then
    error(errors.from_host(err, "read"), 0)
  end
  local replies, failures = conn:run({ { "INFO", "server" } }, 10)
  conn:close()
  if not replies or failures then
    error(errors.from_host(replies and failures[1] or failures, "read"), 0)
  end
  local place = host.redis.place(config.url)
  return ("Redis %s at %s%s"):format(
    replies[1]:match "redis_version:([%w%.]+)" or "?",
    place.host,
    place.port ~= "" and (":" .. place.port) or ""
  )
end

local function check_connection(host, environment, printer, kind, name)
  local began = host.clock.monotonic()
  local ok, detail = pcall(probes[kind], host, environment, name)
  local took = ("%.0f ms"):format((host.clock.monotonic() - began) * 1000)
  local what = (kind == "hosts" and "host" or kind) .. " " .. name
  if ok then
    printer.line("ok", what, ("%s, %s"):format(detail, took))
  else
    local err = errors.wrap(detail)
    if err.kind == "script" then
      error(err, 0)
    end
    printer.line("failed", what, err.message, err.hint)
  end
end

--- Every host: connects as a run would, and asks who we are there.
local function check_hosts(services, environment, printer)
  local ok, hosts = pcall(environment.hosts)
  if not ok then
    local err = errors.wrap(hosts)
    printer.line("failed", "hosts", err.message, err.hint)
    return
  end
  local connections = ssh.new { host = services.host, environment = environment }
  probes.hosts = function(_, _, name)
    local request = { argv = { "sh", "-c", "id -un; uname -n" }, summary = "id", timeout = 10 }
    local answer, err = connections:command(connections:connect(name), request, "read")
    if not answer then
      error(errors.from_host(err, "read"), 0)
    elseif answer.code ~= 0 then
      error(errors.effect {
        message = ("host '%s' lets us in, and runs no command: exit code %d"):format(name, answer.code),
        code = tostring(answer.code),
        outcome = "failed",
        hint = answer.stderr:match "[^\r\n]+",
      }, 0)
    end
    local user, node = answer.stdout:match "(%S+)%s+(%S+)%s*$"
    return ("lets us in as %s on %s"):format(user or "?", node or "?")
  end
  for _, name in ipairs(text.keys(hosts.hosts)) do
    check_connection(services.host, environment, printer, "hosts", name)
  end
  connections:close()
end

--- Every secret the environment names, also those of channels, mails and parameters: at night it is too late. Variables
--- that are no secrets and not set are told in one line: many belong to what is used rarely.
local function check_secrets(environment, printer)
  local unset, last = {}, nil
  local list = environment.secrets()
  for i, entry in ipairs(list) do
    last = entry.source == "env" and entry.is_there == nil and i or last
  end
  for i, entry in ipairs(list) do
    local places = "for " .. table.concat(entry.places, ", ")
    if entry.source == "setting" then
      unset[#unset + 1] = not entry.is_there and entry.name or nil
    elseif entry.is_there ~= nil then
      printer.line("ok", entry.name, entry.why and ("%s: %s"):format(places, entry.why) or places)
    else
      local hint = entry.source == "env" and "export them before opsrun starts; a secret is never given on the command line"
      local why = entry.source == "env" and "not set" or entry.why
      printer.line("failed", entry.name, ("%s: %s"):format(places, why), (not hint or i == last) and (hint or entry.hint))
    end
  end
  if #unset > 0 then
    printer.line("warning", "env, not set", table.concat(unset, ", "), "no secrets; export those whose parameters or services you use")
  end
end

local function check_environment(services, environment, printer)
  local host = services.host
  printer.heading(("Environment %s"):format(environment.name))
  printer.line("ok", "file", environment.path .. (environment.protected and " (protected)" or ""))
  for _, row in ipairs(environment.rules and environment.rules.lines() or {}) do
    printer.line("ok", "rule: " .. row[1], row[2])
  end
  check_secrets(environment, printer)
  for _, kind in ipairs { "sql", "http", "redis" } do
    for _, name in ipairs(environment.names(kind)) do
      check_connection(host, environment, printer, kind, name)
    end
  end
  check_hosts(services, environment, printer)
  for _, kind in ipairs { "logs", "notify", "services" } do
    local names = environment.names(kind)
    if #names > 0 then
      printer.line("ok", kind, table.concat(names, ", ") .. " (named, not tried)")
    end
  end
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  table_text.open(host.term.display_width, host.term.shown)
  local printer = open_printer(host)
  check_installation(host, printer)
  check_places(services, printer)
  local environment = environments.load_if_any(services, services.options.flags.environment)
  if environment then
    check_environment(services, environment, printer)
  else
    host.term.out "\nWith -e ENV the connections of an environment are tried too.\n"
  end
  if printer.failed > 0 then
    host.term.out(("\n%s\n"):format(text.plural(printer.failed, "problem")), "red")
    return codes.precondition
  end
  return codes.done
end
