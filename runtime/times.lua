--- Times and windows of time as parameters say them: "2026-11-21 03:00", "yesterday", "last 24h",
--- "2026-11-01..2026-11-08". A window is half-open: from <= t < to. Needs a clock, handed in.
local units = require "runtime.units"
local times = {}

---@class opsrun.Clock
---@field wall fun(): number
---@field fields fun(seconds: number, zone: string): table?, string?
---@field epoch fun(fields: table, zone: string): number?, string?

local time_mt, window_mt = {}, {}

local function make_time(clock, zone, epoch)
  return setmetatable({ epoch = epoch, zone = zone, text = times.text(clock, zone, epoch) }, time_mt)
end

--- "2026-11-21 03:12:07" in the zone.
function times.text(clock, zone, epoch)
  local f = clock.fields(epoch, zone)
  if not f then
    return ("@%d"):format(math.floor(epoch))
  end
  local day = ("%04d-%02d-%02d"):format(f.year, f.month, f.day)
  if f.hour == 0 and f.min == 0 and f.sec == 0 then
    return day
  end
  return ("%s %02d:%02d%s"):format(day, f.hour, f.min, f.sec ~= 0 and (":%02d"):format(math.floor(f.sec)) or "")
end

local function is(value, name)
  return type(value) == "table" and getmetatable(value) == name
end

function times.is_time(value)
  return is(value, "time")
end

function times.is_window(value)
  return is(value, "window")
end

local function epoch_of(value)
  return type(value) == "number" and value or value.epoch
end

time_mt.__eq = function(a, b)
  return a.epoch == b.epoch
end
time_mt.__lt = function(a, b)
  return epoch_of(a) < epoch_of(b)
end
time_mt.__le = function(a, b)
  return epoch_of(a) <= epoch_of(b)
end
time_mt.__sub = function(a, b)
  if times.is_time(b) then
    return units.duration(math.abs(a.epoch - b.epoch))
  end
  local span = type(b) == "number" and b or b.seconds
  return setmetatable({ epoch = a.epoch - span, zone = a.zone, text = ("@%d"):format(math.floor(a.epoch - span)) }, time_mt)
end
time_mt.__tostring = function(t)
  return t.text
end
time_mt.__json = time_mt.__tostring
time_mt.__concat = function(a, b)
  return tostring(a) .. tostring(b)
end
time_mt.__metatable = "time"
window_mt.__tostring = function(w)
  return w.label
end
window_mt.__json = window_mt.__tostring
window_mt.__concat = time_mt.__concat
window_mt.__metatable = "window"

--- Midnight `days` after the day that `epoch` lies in; the calendar of the zone decides how long days are.
local function midnight(clock, zone, epoch, days)
  local f = assert(clock.fields(epoch, zone))
  return assert(clock.epoch({ year = f.year, month = f.month, day = f.day + days, hour = 0, min = 0, sec = 0 }, zone))
end

local function first_of_month(clock, zone, epoch, months)
  local f = assert(clock.fields(epoch, zone))
  return assert(clock.epoch({ year = f.year, month = f.month + months, day = 1, hour = 0, min = 0, sec = 0 }, zone))
end

local function is_day(year, month, day)
  local lengths = { 31, year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
  return month >= 1 and month <= 12 and day >= 1 and day <= lengths[month]
end

--- The epoch of "2026-11-21", "2026-11-21 03:00[:05]", "2026-11-21T03:00:05Z", "now", "today"; nil if none.
---@return number? epoch, boolean? whole_day
local function parse_epoch(clock, zone, text)
  if text == "now" then
    return clock.wall()
  elseif text == "today" then
    return midnight(clock, zone, clock.wall(), 0), true
  elseif text == "yesterday" then
    return midnight(clock, zone, clock.wall(), -1), true
  end
  local year, month, day, rest = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not year or not is_day(tonumber(year), tonumber(month), tonumber(day)) then
    return nil
  end
  local hour, min, sec, utc = 0, 0, 0, ""
  if rest ~= "" then
    local h, m, s, z = rest:match "^[T ](%d%d):(%d%d):?(%d*)(Z?)$"
    if not h then
      return nil
    end
    hour, min, sec, utc = tonumber(h), tonumber(m), tonumber(s) or 0, z
    if hour > 23 or min > 59 or sec > 59 then
      return nil
    end
  end
  local fields = { year = tonumber(year), month = tonumber(month), day = tonumber(day), hour = hour, min = min, sec = sec }
  return clock.epoch(fields, utc == "Z" and "Etc/UTC" or zone), rest == ""
end

--- A time from text, or nil.
---@return table? {epoch, zone}
function times.time(clock, zone, text)
  local epoch = parse_epoch(clock, zone, text)
  return epoch and make_time(clock, zone, epoch) or nil
end

--- A window from text, or nil: "today", "yesterday", "this month", "last month", "last 24h", a day, or
--- FROM..TO. A bare day as TO means its first moment: the window does not hold it.
---@return table? {from, to, label}
function times.window(clock, zone, text)
  local now = clock.wall()
  local from, to
  if text == "today" then
    from, to = midnight(clock, zone, now, 0), midnight(clock, zone, now, 1)
  elseif text == "yesterday" then
    from, to = midnight(clock, zone, now, -1), midnight(clock, zone, now, 0)
  elseif text == "this month" then
    from, to = first_of_month(clock, zone, now, 0), first_of_month(clock, zone, now, 1)
  elseif text == "last month" then
    from, to = first_of_month(clock, zone, now, -1), first_of_month(clock, zone, now, 0)
  elseif text:find "^last " then
    local span = units.duration(text:match "^last%s+(.+)$")
    if not span or span.seconds == 0 then
      return nil
    end
    from, to = now - span.seconds, now
  else
    local left, right = text:match "^(.-)%.%.(.+)$"
    local whole_day
    from, whole_day = parse_epoch(clock, zone, left or text)
    to = right and parse_epoch(clock, zone, right)
    if not right and from and whole_day then
      to = midnight(clock, zone, from, 1)
    end
  end
  if not from or not to or to <= from then
    return nil
  end
  return setmetatable({ from = make_time(clock, zone, from), to = make_time(clock, zone, to), label = text }, window_mt)
end

return times
