--- The types of parameters: how a value from -p, the environment or the header is read, and shown.
local text = require "runtime.text"
local times = require "runtime.times"
local units = require "runtime.units"
local types = {}

types.names = {
  "boolean", "choice", "duration", "hosts", "http", "integer", "list", "logs", "number", "path", "percent",
  "redis", "route", "secret", "size", "sql", "string", "time", "url", "window",
}

--- Types whose value is the name of a connection in the environment.
types.is_connection = { sql = true, redis = true, http = true, hosts = true, logs = true }

types.examples = {
  boolean = "true or false",
  duration = "for example 500ms, 5s, 10m, 1h30m or 7d",
  integer = "for example 42",
  number = "for example 0.5",
  percent = "for example 80",
  size = "for example 512mb, 4kb or 2gb",
  time = "for example '2026-11-21 03:00'",
  window = "for example yesterday, 'last 24h' or 2026-11-01..2026-11-08",
  route = "for example /api/health or /v1/jobs?state=failed: what comes behind a connection's base",
  url = "for example https://api.example.com/health",
  secret = "for example env:ADMIN_TOKEN or file:/etc/opsrun/token",
}

local function quoted(value)
  return type(value) == "string" and ("'%s'"):format(value) or type(value) == "table" and "a table" or tostring(value)
end

local function no(value, what)
  return nil, ("%s is no %s"):format(quoted(value), what)
end

local booleans = { ["true"] = true, yes = true, on = true, ["1"] = true, ["false"] = false, no = false, off = false, ["0"] = false }

local readers = {}

function readers.string(value)
  if type(value) ~= "string" then
    return no(value, "string")
  end
  return value
end

function readers.integer(value)
  if type(value) == "string" then
    value = value:find "^%s*[+-]?%d+%s*$" and tonumber(value) or value
  end
  local whole = type(value) == "number" and math.tointeger(value)
  if not whole then
    return no(value, "integer")
  end
  return whole
end

function readers.number(value)
  local number = value
  if type(value) == "string" then
    number = value:find "^%s*[+-]?[%d.]+[eE]?[+-]?%d*%s*$" and tonumber(value)
  end
  if type(number) ~= "number" or number ~= number or number == math.huge or number == -math.huge then
    return no(value, "number")
  end
  return number
end

function readers.boolean(value)
  if type(value) == "string" then
    local known = booleans[value:lower()]
    if known == nil then
      return no(value, "boolean")
    end
    return known
  elseif type(value) ~= "boolean" then
    return no(value, "boolean")
  end
  return value
end

function readers.percent(value)
  local percent = units.percent(value)
  if not percent then
    return no(value, "percent (0 to 100)")
  end
  return percent
end

function readers.duration(value)
  local duration = units.duration(value)
  if not duration then
    return no(value, "duration")
  end
  return duration
end

function readers.size(value)
  local size = units.size(value)
  if not size then
    return no(value, "size")
  end
  return size
end

function readers.time(value, _, context)
  local time = type(value) == "string" and times.time(context.clock, context.zone, value)
  if not time then
    return no(value, "time")
  end
  return time
end

function readers.window(value, _, context)
  local window = type(value) == "string" and times.window(context.clock, context.zone, value)
  if not window then
    return no(value, "window of time")
  end
  return window
end

function readers.choice(value, spec)
  local names = {}
  for _, option in ipairs(spec.of) do
    if option == value or tostring(option) == value then
      return option
    end
    names[#names + 1] = tostring(option)
  end
  return nil, ("%s is none of %s"):format(quoted(value), table.concat(names, ", "))
end

function readers.list(value, spec, context)
  if type(value) == "string" then
    local items = {}
    for item in (value .. ","):gmatch "([^,]*)," do
      if item ~= "" then
        items[#items + 1] = item
      end
    end
    value = items
  elseif type(value) ~= "table" then
    return no(value, "list")
  end
  local list = {}
  for key in pairs(value) do
    if math.type(key) ~= "integer" then
      return nil, "a list has no names, only items"
    end
  end
  for i, item in ipairs(value) do
    local parsed, why = types.parse({ type = spec.of or "string" }, item, context)
    if parsed == nil then
      return nil, ("item %d: %s"):format(i, why)
    end
    list[i] = parsed
  end
  return list
end

function readers.path(value)
  if type(value) ~= "string" or value == "" or value:find "%z" then
    return no(value, "path")
  end
  return value
end

--- What is asked for below the base of an http connection. No `path`: those may be changed as files.
function readers.route(value)
  if type(value) ~= "string" or not value:find "^/" or value:find "^//" or value:find "[%s%c\\#]" then
    return no(value, "route")
  end
  return value
end

function readers.url(value)
  if type(value) ~= "string" or not value:find "^%a[%w+.-]*://[^/%s]+[^%s%c]*$" then
    return no(value, "url")
  end
  return value
end

--- A secret object of the environment, or, from -p, where to find one. Never the secret itself: the
--- command line is seen by every process of the machine.
function readers.secret(value, _, context)
  if type(value) == "string" then
    local source, name = value:match "^(%a+):(.+)$"
    if source ~= "env" and source ~= "file" then
      return nil, "a secret's value is not given here, only where it is: env:NAME or file:PATH"
    elseif not context.secret then
      return { source = source, name = name }
    end
    local secret, err = context.secret[source](name)
    if not secret then
      return nil, ("the secret %s:%s cannot be read: %s"):format(source, name, tostring(err.message or err))
    end
    return secret
  elseif context.read_secret then
    return context.read_secret(value)
  end
  return nil, "expected secret.env, secret.file, secret.command or secret.prompt of the environment"
end

for kind in pairs(types.is_connection) do
  readers[kind] = function(value)
    if type(value) ~= "string" or value == "" then
      return no(value, ("name of %s connection"):format(text.article(kind)))
    end
    return value
  end
end

--- The value of `raw` for a declaration {type, of}; nil and why when it is none. A boolean's value may be
--- false, so compare with nil.
---@param spec {type: string, of: any}
---@param raw any
---@param context {clock: table, zone: string, secret: table?, read_secret: function?}
function types.parse(spec, raw, context)
  return readers[spec.type](raw, spec, context)
end

--- A value as plain data that may be written down.
function types.shown(value)
  local kind = type(value)
  if kind == "table" and getmetatable(value) == nil then
    local list = {}
    for i, item in ipairs(value) do
      list[i] = types.shown(item)
    end
    return list
  elseif kind == "table" or kind == "userdata" then
    return tostring(value)
  end
  return value
end

--- The type of a parameter in words: "list of duration", "one of gold, silver".
---@param spec {type: string, of: any}
function types.described(spec)
  if spec.type == "choice" then
    local options = {}
    for i, option in ipairs(spec.of) do
      options[i] = tostring(option)
    end
    return "one of " .. table.concat(options, ", ")
  end
  return spec.type == "list" and ("list of " .. (spec.of or "string")) or spec.type
end

return types
