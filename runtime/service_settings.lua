--- The section `services` of an environment: what a service is called where it runs. Pure.
---   services = { app = { systemd = "app.service", host = "web", user = "root" } }
local errors = require "runtime.errors"
local host_settings = require "runtime.host_settings"
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local service_settings = {}

--- What runs a service: the field that says so, and the fields that go with it. A provider is one more row here and
--- one more module in runtime/service/.
service_settings.kinds = {
  systemd = { "systemd" },
  docker = { "docker" },
  compose = { "compose", "dir", "file", "project" },
  process = { "pid_file", "restart", "start", "status", "stop" },
}
local kind_names = { "compose", "docker", "process", "systemd" }
local common = { "host", "timeout", "user" }
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
      .. '{ compose = "app", dir = "/srv/app" } or { start = …, stop = …, status = … }')
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

--- One service with its `kind`, checked.
---@param place string for messages
---@param config table as the environment wrote it
---@param hosts table? of host_settings.read: `host` must be among them
---@return table settings
function service_settings.read(place, config, hosts)
  local kind = kind_of(place, config)
  local known = table.move(service_settings.kinds[kind], 1, #service_settings.kinds[kind], #common + 1, { table.unpack(common) })
  for field, value in ordered.pairs(config) do
    if not text.has(known, field) then
      problem(place, ("unknown field '%s'"):format(tostring(field)), text.suggest(tostring(field), known, "known"))
    end
    check_value(place, field, value)
  end
  if kind == "process" and not (config.status or config.pid_file) then
    problem(place, "nothing says whether it runs", 'status = { "…" }, a command that ends with 0 while it does, or pid_file = "…"')
  elseif kind == "compose" and not (config.compose and config.dir) then
    problem(place, "a service of compose has a name and a directory: compose = \"app\", dir = \"/srv/app\"")
  end
  if hosts and config.host and not is_deferred(config.host) and not host_settings.members(hosts, config.host) then
    local names = host_settings.names(hosts)
    problem(place, ("there is no host '%s'"):format(config.host), text.suggest(config.host, names, "hosts"))
  end
  local settings = { kind = kind }
  for field, value in pairs(config) do
    settings[field] = value
  end
  return settings
end

return service_settings
