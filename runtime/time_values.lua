--- What a time and a window of time are to a playbook: fields in the zone, arithmetic in seconds and by the
--- calendar, comparison, texts. A time is a moment that knows its zone; it does not change.
local civil = require "runtime.civil"
local closed = require "runtime.closed"
local time_text = require "runtime.time_text"
local units = require "runtime.units"
local values = {}

---@class opsrun.Clock
---@field wall fun(): number
---@field fields fun(seconds: number, zone: string): table?, string?

---@class opsrun.Time
---@field epoch number seconds since 1970
---@field zone string
---@field year integer as the zone's clocks show it; so month day hour min sec yday offset (seconds east of UTC)
---@field wday integer 1 is Monday
---@field weekday string "Mon"
---@field date string "2026-11-21"

---@class opsrun.Window
---@field from opsrun.Time the first moment in it
---@field to opsrun.Time the first moment behind it
---@field label string as it was written

local function is(value, name)
  return type(value) == "table" and closed.fields(value) ~= nil and getmetatable(value) == name
end

function values.is_time(value)
  return is(value, "time")
end

function values.is_window(value)
  return is(value, "window")
end

--- Whole seconds as integers, so that texts and JSON have no ".0".
local function neat(number)
  return math.tointeger(number) or number
end

local function both_texts(a, b)
  return tostring(a) .. tostring(b)
end

local function kind_of(value)
  local mt = type(value) == "table" and getmetatable(value)
  return type(mt) == "string" and mt or type(value)
end

--- A span of seconds: a number, a duration, "5m".
local function span_of(value, verb)
  local duration = type(value) ~= "number" and units.duration(value)
  if type(value) == "number" then
    return value
  elseif not duration then
    error(("cannot %s a time and a %s"):format(verb, kind_of(value)), 3)
  end
  return duration.seconds
end

local calendar_units = { "years", "months", "weeks", "days" }
local clock_units = { hours = 3600, minutes = 60, seconds = 1 }

local function check_amounts(amounts)
  if type(amounts) ~= "table" then
    error("add: expected a table such as { days = 1 }, got " .. kind_of(amounts), 3)
  end
  for name, amount in next, amounts do
    local known = clock_units[name] ~= nil
    for _, unit in ipairs(calendar_units) do
      known = known or unit == name
    end
    if not known then
      error(("add: '%s' is none of years, months, weeks, days, hours, minutes, seconds"):format(tostring(name)), 3)
    elseif math.type(amount) ~= "integer" then
      error(("add: %s: expected a whole number, got %s"):format(name, tostring(amount)), 3)
    end
  end
end

--- The same time of day so many years, months, weeks and days later, as a calendar counts; a day that the
--- month does not have becomes its last. Then hours and the rest, as they pass.
local function moved(clock, time, amounts)
  local days, seconds = civil.shown(clock, time.zone, time.epoch)
  if not days then
    error("add: the time lies beyond the years that can be written", 3)
  end
  local year, month, day = civil.date(days)
  local count = month - 1 + (amounts.months or 0) + 12 * (amounts.years or 0)
  year, month = year + count // 12, count % 12 + 1
  day = math.min(day, civil.month_length(year, month)) + (amounts.days or 0) + 7 * (amounts.weeks or 0)
  local moved_days = civil.days(year, month, day)
  -- within the day it stays the moment it is: of a time shown twice the second does not become the first
  local epoch = moved_days == days and time.epoch or civil.epoch(clock, time.zone, moved_days, seconds)
  if not epoch then
    error("add: the time lies beyond the years that can be written", 3)
  end
  for unit, factor in next, clock_units do
    epoch = epoch + (amounts[unit] or 0) * factor
  end
  return epoch
end

--- What a playbook can call of a time: t:format(…), t:add {…}.
local function methods_of(clock, make)
  local methods = {}

  --- The time by a form of strftime, "%a %d %B %H:%M".
  function methods.format(self, form)
    if not values.is_time(self) or type(form) ~= "string" then
      error('format: expected t:format("%Y-%m-%d %H:%M")', 2)
    end
    local f, why = clock.fields(self.epoch, self.zone)
    local text
    if f then
      text, why = time_text.format(f, self.epoch, form)
    end
    return text or error("format: " .. why, 2)
  end

  --- The time moved by { years=, months=, weeks=, days=, hours=, minutes=, seconds= }.
  function methods.add(self, amounts)
    check_amounts(amounts)
    return make(moved(clock, self, amounts), self.zone)
  end

  return methods
end

--- A field of a time, as its zone's clocks show it; nil: it has none of that name.
local function field_of(clock, epoch, zone, key)
  local f = type(key) == "string" and clock.fields(epoch, zone)
  if not f then
    return nil
  elseif key == "date" then
    return ("%04d-%02d-%02d"):format(f.year, f.month, f.day)
  elseif key == "wday" or key == "weekday" then
    local number = civil.weekday(civil.days(f.year, f.month, f.day))
    return key == "wday" and number or civil.weekdays[number]
  end
  return f[key]
end

--- Adds < <= == to the metatable of times.
local function compare(clock, mt)
  --- One side as a moment: a time, seconds since 1970, a text in the other's zone.
  local function moment(value, other)
    if values.is_time(value) then
      return value.epoch
    elseif type(value) == "number" then
      return value
    end
    local epoch = type(value) == "string" and time_text.epoch(clock, other.zone, value)
    if not epoch then
      error(("cannot compare a time and a %s"):format(kind_of(value)), 3)
    end
    return epoch
  end
  mt.__eq = function(a, b)
    return values.is_time(a) and values.is_time(b) and a.epoch == b.epoch
  end
  mt.__lt = function(a, b)
    return moment(a, b) < moment(b, a)
  end
  mt.__le = function(a, b)
    return moment(a, b) <= moment(b, a)
  end
end

--- The metatable of one clock's times.
local function time_metatable(clock)
  local mt = {}
  local function make(epoch, zone)
    return closed.make({ epoch = neat(epoch), zone = zone }, mt)
  end
  local methods = methods_of(clock, make)
  compare(clock, mt)
  mt.__index = closed.index(function(_, key, fields)
    return methods[key] or field_of(clock, fields.epoch, fields.zone, key)
  end)
  mt.__add = function(a, b)
    local time, span = a, b
    if not values.is_time(a) then
      time, span = b, a
    end
    return make(time.epoch + span_of(span, "add"), time.zone)
  end
  mt.__sub = function(a, b)
    if values.is_time(a) and values.is_time(b) then
      return units.span(a.epoch - b.epoch)
    elseif values.is_time(b) then
      error(("cannot subtract a time from a %s"):format(kind_of(a)), 2)
    end
    return make(a.epoch - span_of(b, "subtract"), a.zone)
  end
  mt.__tostring = function(time)
    return values.text(clock, time.zone, time.epoch)
  end
  mt.__json, mt.__concat, mt.__newindex = mt.__tostring, both_texts, closed.newindex "time"
  mt.__name, mt.__metatable = "time", "time"
  return mt
end

local window_metatable = {
  __eq = function(a, b)
    return values.is_window(a) and values.is_window(b) and a.from == b.from and a.to == b.to
  end,
  __tostring = function(w)
    return w.label
  end,
  __json = function(w)
    return w.label
  end,
  __concat = both_texts,
  __index = closed.index(),
  __newindex = closed.newindex "window",
  __name = "window",
  __metatable = "window",
}

local time_metatables = setmetatable({}, { __mode = "k" })

--- A time from its moment.
---@param clock opsrun.Clock
---@param zone string
---@param epoch number
---@return opsrun.Time
function values.at(clock, zone, epoch)
  time_metatables[clock] = time_metatables[clock] or time_metatable(clock)
  return closed.make({ epoch = neat(epoch), zone = zone }, time_metatables[clock])
end

--- A window from its two moments.
---@param label string
---@return opsrun.Window
function values.between(clock, zone, from, to, label)
  local window = { from = values.at(clock, zone, from), to = values.at(clock, zone, to), label = label }
  return closed.make(window, window_metatable)
end

--- "2026-11-21 03:12:07" in the zone; without what is zero at its end: a whole minute, midnight.
function values.text(clock, zone, epoch)
  local f = clock.fields(epoch, zone)
  return f and time_text.short(f) or ("@%d"):format(math.floor(epoch))
end

return values
