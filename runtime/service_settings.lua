--- The section `services` of an environment: what a service is called where it runs. Pure.
---   services = { app = { systemd = "app.service", host = "web", user = "root" } }
local errors = require "runtime.errors"
local host_settings = require "runtime.host_settings"
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local service_settings = {}

--- What runs a service: the fields that say so. A provider is one more row here, and one in `more`, and one more
--- module in runtime/service/.
service_settings.kinds = {
  systemd = { "systemd" },
  docker = { "docker" },
  compose = { "compose", "dir", "file", "project" },
  process = { "pid_file", "restart", "start", "status", "stop" },
  vercel = { "vercel" },
  netlify = { "netlify" },
}
local kind_names = { "compose", "docker", "netlify", "process", "systemd", "vercel" }
--- Fields that go with them: of a service that runs on machines, of one that a provider runs.
local on_machines = { "host", "user", "timeout" }
local more = {
  systemd = { "current", "releases", table.unpack(on_machines) },
  process = { "current", "releases", table.unpack(on_machines) },
  compose = { "image", "tag", table.unpack(on_machines) },
  docker = on_machines,
  vercel = { "domain", "http", "team", "timeout" },
  netlify = { "http", "timeout" },
}
--- Fields that may be a list of words or a text for bash.
local commands = { restart = true, start = true, status = true, stop = true }

local function problem(place, message, hint)
  error(errors.precondition { message = ("%s: %s"):format(place, message), hint = hint }, 0)
end

--- env "NAME", read later.
local function is_deferred(value)
  return type(value) == "table" and getmetatable(value) == "secret"
end

local function is_command(value)
  if type(value) == "string" then
    return value:find "%S" ~= nil
  elseif type(value) ~= "table" or #value == 0 then
    return false
  end
  for _, word in ipairs(value) do
    if type(word) ~= "string" then
      return false
    end
  end
  return true
end

--- Which kind of service it is, by its fields.
local function kind_of(place, config)
  local found
  for _, kind in ipairs(kind_names) do
    for _, field in ipairs(service_settings.kinds[kind]) do
      if config[field] ~= nil then
        if found and found ~= kind then
          problem(place, ("'%s' and '%s' do not go together: a service runs in one way"):format(found, kind))
        end
        found = kind
      end
    end
  end
  return found
    or problem(place, "nothing says what runs it", 'for example { systemd = "app.service" }, { docker = "app" }, '
      .. '{ compose = "app", dir = "/srv/app" }, { vercel = "prj_…", http = "vercel" } or { start = …, stop = …, status = … }')
end

local function check_value(place, field, value)
  if is_deferred(value) then
    return
  elseif commands[field] then
    if not is_command(value) then
      problem(place, ("%s: expected a command: a list of words, or a text for bash"):format(field))
    end
  elseif field ~= "timeout" and (type(value) ~= "string" or not value:find "^[^%-%c][^%c]*$") then
    problem(place, ("%s: expected a name"):format(field))
  end
end

--- What one kind wants beside its own field.
local function check_kind(place, kind, config)
  if kind == "process" and not (config.status or config.pid_file) then
    problem(place, "nothing says whether it runs", 'status = { "…" }, a command that ends with 0 while it does, or pid_file = "…"')
  elseif kind == "compose" and not (config.compose and config.dir) then
    problem(place, "a service of compose has a name and a directory: compose = \"app\", dir = \"/srv/app\"")
  elseif (kind == "vercel" or kind == "netlify") and not config.http then
    problem(place, ("no http connection to %s is named"):format(kind),
      ('%s = "…", http = "%s", and http = { %s = { base = …, bearer = secret.env "…" } } beside services'):format(kind, kind, kind))
  elseif (config.releases == nil) ~= (config.current == nil) then
    problem(place, "'releases' and 'current' go together: a directory that holds releases, and the link that names one of them")
  end
  for _, field in ipairs { "releases", "current" } do
    local path = config[field]
    if type(path) == "string" and not path:find "^/.*[^/]$" then
      problem(place, ("%s: expected an absolute path, without a slash at its end"):format(field))
    end
  end
end

--- Does something of that name stand in another section of the environment?
local function check_named(place, what, wanted, known)
  if not text.has(known, wanted) then
    problem(place, ("there is no %s '%s'"):format(what, wanted), text.suggest(wanted, known, "known"))
  end
end

--- One service with its `kind`, checked.
---@param place string for messages
---@param config table as the environment wrote it
---@param hosts table? of host_settings.read: `host` must be among them
---@param connections table? the environment's section http: `http` must be in it
---@return table settings
function service_settings.read(place, config, hosts, connections)
  local kind = kind_of(place, config)
  local own = service_settings.kinds[kind]
  local known = table.move(own, 1, #own, #more[kind] + 1, { table.unpack(more[kind]) })
  for field, value in ordered.pairs(config) do
    if not text.has(known, field) then
      problem(place, ("unknown field '%s'"):format(tostring(field)), text.suggest(tostring(field), known, "known"))
    end
    check_value(place, field, value)
  end
  check_kind(place, kind, config)
  if hosts and config.host and not is_deferred(config.host) and not host_settings.members(hosts, config.host) then
    local names = host_settings.names(hosts)
    problem(place, ("there is no host '%s'"):format(config.host), text.suggest(config.host, names, "hosts"))
  end
  if connections and config.http and not is_deferred(config.http) then
    check_named(place, "http connection", config.http, text.keys(connections))
  end
  local settings = { kind = kind }
  for field, value in pairs(config) do
    settings[field] = value
  end
  return settings
end

return service_settings
