--- Durations and sizes as values: arithmetic in seconds and bytes, comparison with numbers and each
--- other, `tostring` as a person writes them. Also windows of time, percent. Pure.
--- Comparing with == needs two of a kind: Lua never asks a metatable about `duration == 5`.
local closed = require "runtime.closed"
local units = {}

---@class opsrun.Duration
---@field seconds number
---@class opsrun.Size
---@field bytes integer

local durations = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { "ms", 0.001 } }
local sizes = { { "tb", 1 << 40 }, { "gb", 1 << 30 }, { "mb", 1 << 20 }, { "kb", 1 << 10 }, { "b", 1 } }

local duration_mt, size_mt = {}, {}

local function index_of(list)
  local map = {}
  for _, unit in ipairs(list) do
    map[unit[1]] = unit[2]
  end
  return map
end
local duration_units, size_units = index_of(durations), index_of(sizes)
duration_units.w = 604800
for _, pair in ipairs { { "t", "tb" }, { "g", "gb" }, { "m", "mb" }, { "k", "kb" } } do
  size_units[pair[1]] = size_units[pair[2]]
  size_units[pair[1] .. "ib"] = size_units[pair[2]]
end

--- "1h30m" -> 5400; every part is a number and a unit, largest first. nil when it is no such text.
local function parse(text, known, strictly_falling)
  local rest, total, before = text:lower(), 0, math.huge
  if rest == "" then
    return nil
  end
  while rest ~= "" do
    local number, unit, after = rest:match "^(%d+%.?%d*)%s?(%a+)%s?(.*)$"
    local factor = number and known[unit]
    if not factor or (strictly_falling and factor >= before) then
      return nil
    end
    total = total + (math.tointeger(tonumber(number)) or tonumber(number)) * factor
    before = factor
    if not strictly_falling and after ~= "" then
      return nil
    end
    rest = after
  end
  return total
end

--- A whole float as an integer, so that texts and JSON have no ".0".
local function neat(number)
  return math.tointeger(number) or number
end

local function make_duration(seconds)
  return closed.make({ seconds = neat(seconds) }, duration_mt)
end

local function make_size(bytes)
  return closed.make({ bytes = neat(bytes) }, size_mt)
end

--- A duration from text ("5m", "1h30m", "500ms", "7d"), seconds, or a duration; nil when it is none.
---@return opsrun.Duration?
function units.duration(value)
  if units.is_duration(value) then
    return value
  elseif type(value) == "number" then
    return value >= 0 and value < math.huge and make_duration(value) or nil
  elseif type(value) == "string" then
    local seconds = value == "0" and 0 or parse(value, duration_units, true)
    return seconds and seconds < math.huge and make_duration(seconds) or nil
  end
  return nil
end

--- A duration of so many seconds; of a difference, it may be negative.
---@param seconds number
---@return opsrun.Duration
function units.span(seconds)
  return make_duration(seconds)
end

--- A size from text ("512mb", "4kb", 1024-based), bytes, or a size; nil when it is none.
---@return opsrun.Size?
function units.size(value)
  if units.is_size(value) then
    return value
  elseif type(value) == "number" then
    return value >= 0 and value < 2 ^ 62 and make_size(value) or nil
  elseif type(value) == "string" then
    local bytes = value:find "^%d+$" and tonumber(value) or parse(value, size_units, false)
    return bytes and bytes < 2 ^ 62 and make_size(math.floor(bytes)) or nil
  end
  return nil
end

function units.is_duration(value)
  local fields = type(value) == "table" and closed.fields(value)
  return fields and fields.seconds ~= nil or false
end

function units.is_size(value)
  local fields = type(value) == "table" and closed.fields(value)
  return fields and fields.bytes ~= nil or false
end

--- "1h30m", "500ms", "1.5ms", "0s": exact, in the largest units that are whole.
function units.duration_text(seconds)
  if seconds == 0 then
    return "0s"
  elseif seconds < 0 then
    return "-" .. units.duration_text(-seconds)
  end
  local milliseconds = neat(math.floor(seconds * 1000 + 0.5))
  if math.abs(seconds * 1000 - milliseconds) > 1e-6 * math.max(1, milliseconds) or milliseconds == 0 then
    return ("%.14gs"):format(seconds)
  end
  local parts = {}
  for _, unit in ipairs(durations) do
    local each = neat(math.floor(unit[2] * 1000 + 0.5))
    local count = milliseconds // each
    if count > 0 then
      parts[#parts + 1] = ("%d%s"):format(count, unit[1])
      milliseconds = milliseconds % each
    end
  end
  return table.concat(parts)
end

--- "512mb", "1536kb": exact, in the largest unit that is whole.
function units.size_text(bytes)
  if bytes < 0 then
    return "-" .. units.size_text(-bytes)
  elseif bytes == 0 then
    return "0b"
  end
  for _, unit in ipairs(sizes) do
    if bytes % unit[2] == 0 then
      return ("%d%s"):format(bytes // unit[2], unit[1])
    end
  end
  return ("%.14gb"):format(bytes)
end

--- The number behind an operand, or nil; `other` types are refused in words.
local function number_of(value, is_own, field)
  if is_own(value) then
    return value[field]
  end
  return tonumber(value)
end

local function define(mt, name, is_own, field, make, render, parse_text)
  local function both(a, b, verb)
    local x, y = number_of(a, is_own, field), number_of(b, is_own, field)
    -- "5m" compared with a text that reads as one of the kind: p.idle < "10m"
    x = x or (type(a) == "string" and parse_text(a) or {})[field]
    y = y or (type(b) == "string" and parse_text(b) or {})[field]
    if x == nil or y == nil then
      local other = x == nil and a or b
      error(("cannot %s a %s and %s"):format(verb, name, type(other) == "table" and tostring(getmetatable(other)) or type(other)), 3)
    end
    return x, y
  end
  mt.__add = function(a, b)
    local x, y = both(a, b, "add")
    return make(x + y)
  end
  mt.__sub = function(a, b)
    local x, y = both(a, b, "subtract")
    return make(x - y)
  end
  mt.__mul = function(a, b)
    if is_own(a) and is_own(b) then
      error(("cannot multiply a %s by a %s"):format(name, name), 2)
    end
    local x, y = both(a, b, "multiply")
    return make(x * y)
  end
  mt.__div = function(a, b)
    local x, y = both(a, b, "divide")
    if is_own(a) and is_own(b) then
      return x / y
    elseif is_own(b) then
      error(("cannot divide a number by a %s"):format(name), 2)
    end
    return make(x / y)
  end
  mt.__unm = function(a)
    return make(-a[field])
  end
  mt.__eq = function(a, b)
    return is_own(a) and is_own(b) and a[field] == b[field]
  end
  mt.__lt = function(a, b)
    local x, y = both(a, b, "compare")
    return x < y
  end
  mt.__le = function(a, b)
    local x, y = both(a, b, "compare")
    return x <= y
  end
  mt.__tostring = function(value)
    return render(value[field])
  end
  mt.__json = mt.__tostring
  mt.__concat = function(a, b)
    return tostring(a) .. tostring(b)
  end
  mt.__index, mt.__newindex = closed.index(), closed.newindex(name)
  mt.__name = name
  mt.__metatable = name
end

define(duration_mt, "duration", units.is_duration, "seconds", make_duration, units.duration_text, units.duration)
define(size_mt, "size", units.is_size, "bytes", make_size, units.size_text, units.size)

--- A percent from "80", "80%", "80 %" or a number: between 0 and 100; nil otherwise.
---@return number?
function units.percent(value)
  if type(value) == "string" then
    value = tonumber((value:match "^(%d+%.?%d*)%s?%%?$"))
  end
  if type(value) ~= "number" or value < 0 or value > 100 then
    return nil
  end
  return neat(value)
end

return units
