--- What an author asks of logs, and what the environment says of them, as a request for the host. Pure.
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local seconds_of = require "runtime.seconds"
local text = require "runtime.text"
local units = require "runtime.units"
local request = {}

local default_top, most_series = 10, 20000

--- Names that a result has beside those of the queries.
local taken = { "bytes", "files", "from", "lines", "skipped", "to", "undated", "unread" }
local options = { "timeout", "window" }
local fields = {
  "above", "below", "equals", "field", "group", "ignore_case", "invert", "match", "per", "regex", "shape", "tail", "top",
}
local formats = {
  auto = "auto", json = "json", nginx = "nginx", apache = "nginx", plain = "plain", syslog = "plain", postgres = "plain",
  redis = "plain", logfmt = "plain",
}

local function misuse(message)
  error(errors.wrap("logs:scan: " .. message), 0)
end

local function expect(name, key, value, kind)
  if value ~= nil and type(value) ~= kind then
    misuse(("'%s': %s: expected %s, got %s"):format(name, key, text.article(kind), type(value)))
  end
  return value
end

local function number(name, key, value)
  if units.is_duration(value) then
    return value.seconds
  elseif units.is_size(value) then
    return value.bytes
  end
  return expect(name, key, value, "number")
end

local function whole(name, key, value, most)
  if value == nil then
    return nil
  end
  local count = type(value) == "number" and math.tointeger(value)
  if not count or count < 1 or count > most then
    misuse(("'%s': %s: expected 1 to %d, got %s"):format(name, key, most, tostring(value)))
  end
  return count
end

local function literals(name, match)
  local list = type(match) == "table" and match or { match }
  for i, item in ipairs(list) do
    if type(item) ~= "string" or item == "" then
      misuse(("'%s': match: expected a text, or a list of them, got %s"):format(name, item == "" and "''" or type(item)))
    end
    list[i] = item
  end
  return #list > 0 and list or nil
end

local function group_of(name, group, regex)
  if math.type(group) == "integer" then
    if not regex or group < 0 or group > 20 then
      misuse(("'%s': group: %d is a capture of regex, which %s"):format(name, group, regex and "has no such one" or "is not given"))
    end
    return ("#%d"):format(group)
  end
  return expect(name, "group", group, "string")
end

local function query_of(name, spec, span)
  for key in ordered.pairs(spec) do
    if not text.has(fields, key) then
      misuse(("'%s': unknown field '%s' (%s)"):format(name, tostring(key), text.suggest(tostring(key), fields, "it takes")))
    end
  end
  local query = {
    name = name,
    literals = literals(name, spec.match),
    regex = expect(name, "regex", spec.regex, "string"),
    field = expect(name, "field", spec.field, "string"),
    equals = spec.equals ~= nil and tostring(spec.equals) or nil,
    above = number(name, "above", spec.above),
    below = number(name, "below", spec.below),
    group = group_of(name, spec.group, spec.regex),
    ignore_case = spec.ignore_case and true or nil,
    invert = spec.invert and true or nil,
    shape = spec.shape and true or nil,
    tail = whole(name, "tail", spec.tail, 10000),
    per = spec.per ~= nil and seconds_of(spec.per, ("logs:scan: '%s': per"):format(name)) or nil,
  }
  query.top = query.group and (whole(name, "top", spec.top, 10000) or default_top) or nil
  if not query.field and (query.equals or query.above or query.below) then
    misuse(("'%s': equals, above and below are about a field: which one?"):format(name))
  elseif query.per and not (span and query.per > 0 and span / query.per <= most_series) then
    misuse(("'%s': per: %s"):format(name, span and ("the window has more than %d of them"):format(most_series) or "needs a window"))
  end
  return query
end

--- The queries of a call, in the order of their names, and its options.
---@param call table what the author wrote
---@param span number? seconds of the window
function request.queries(call, span)
  local queries = {}
  for name, spec in ordered.pairs(call) do
    if not text.has(options, name) then
      if type(name) ~= "string" or type(spec) ~= "table" or getmetatable(spec) ~= nil then
        misuse(("'%s': expected name = { match = … }, got %s"):format(tostring(name), type(spec)))
      elseif text.has(taken, name) then
        misuse(("'%s' is a field of every result: choose another name"):format(name))
      end
      queries[#queries + 1] = query_of(name, spec, span)
    end
  end
  if #queries == 0 then
    misuse("nothing is asked: give it name = { match = … }")
  elseif #queries > 64 then
    misuse("more than 64 names")
  end
  return queries
end

--- What the environment says: { paths = {…}, format =, time = }.
function request.source(name, config)
  local function problem(message)
    error(errors.precondition { message = ("logs '%s' of the environment: %s"):format(name, message) }, 0)
  end
  for key in ordered.pairs(config) do
    if not text.has({ "format", "paths", "time" }, key) then
      problem(("unknown field '%s' (it takes: paths, format, time)"):format(tostring(key)))
    end
  end
  local paths = type(config.paths) == "string" and { config.paths } or config.paths
  if type(paths) ~= "table" or #paths == 0 then
    problem 'paths: expected a list such as { "/var/log/app/*.log*" }'
  end
  for _, path in ipairs(paths) do
    if type(path) ~= "string" or path:sub(1, 1) ~= "/" or path:find "%z" then
      problem(("paths: '%s' is no absolute path"):format(tostring(path)))
    end
  end
  local format = formats[config.format or "auto"]
  if not format then
    problem(("format: '%s' is none of json, nginx, apache, syslog, plain, auto"):format(tostring(config.format)))
  elseif config.time ~= nil and type(config.time) ~= "string" then
    problem "time: expected the name of the JSON field that holds a line's time"
  end
  return { paths = paths, format = format, time_field = config.time }
end

--- From when on local time of the zone is how far east of UTC, between two times: {{since, offset}, …}.
---@param clock table the host's
function request.zones(clock, zone, from, to)
  local function offset(at)
    local f = assert(clock.fields(at, zone))
    return f.offset
  end
  from, to = math.floor(from) - 172800, math.ceil(to) + 172800
  local step = math.max(604800, (to - from) // 600)
  local zones, before = { { from, offset(from) } }, from
  while before < to and #zones < 400 do
    local after = math.min(before + step, to)
    if offset(after) ~= zones[#zones][2] then
      local low, high = before, after
      while high - low > 1 do
        local middle = (low + high) // 2
        if offset(middle) == zones[#zones][2] then
          low = middle
        else
          high = middle
        end
      end
      zones[#zones + 1] = { high, offset(high) }
    end
    before = after
  end
  return zones
end

return request
