--- Times and windows of time from texts, as parameters and environments write them: "2026-11-21 03:00",
--- "yesterday", "last 24h", "2026-11-01..2026-11-08". A window is half-open: from <= t < to.
local civil = require "runtime.civil"
local time_text = require "runtime.time_text"
local units = require "runtime.units"
local values = require "runtime.time_values"
local times = {}

times.is_time, times.is_window = values.is_time, values.is_window
times.at, times.between, times.text = values.at, values.between, values.text

--- Midnight of the day that lies `days` after the one a moment is in.
local function midnight(clock, zone, epoch, days)
  local today = assert(civil.shown(clock, zone, epoch))
  return (assert(civil.epoch(clock, zone, today + days, 0)))
end

--- The first moment of the month that lies `months` after the one a moment is in.
local function first_of_month(clock, zone, epoch, months)
  local year, month = civil.date(assert(civil.shown(clock, zone, epoch)))
  local count = month - 1 + months
  return (assert(civil.epoch(clock, zone, civil.days(year + count // 12, count % 12 + 1, 1), 0)))
end

--- A moment by its text, also "now", "today", "yesterday", "tomorrow".
---@return number? epoch, boolean? whole_day
local function epoch_of(clock, zone, text)
  local days = ({ yesterday = -1, today = 0, tomorrow = 1 })[text]
  if text == "now" then
    return clock.wall()
  elseif days then
    return midnight(clock, zone, clock.wall(), days), true
  end
  return time_text.epoch(clock, zone, text)
end

--- A time from text, or nil.
---@return opsrun.Time?
function times.time(clock, zone, text)
  local epoch = epoch_of(clock, zone, text)
  return epoch and times.at(clock, zone, epoch) or nil
end

--- The two ends of a window that its name gives: the days, weeks and months around now.
local function named_window(clock, zone, text, now)
  local week = -(civil.weekday(assert(civil.shown(clock, zone, now))) - 1)
  local days = ({
    today = { 0, 1 }, yesterday = { -1, 0 }, tomorrow = { 1, 2 },
    ["this week"] = { week, week + 7 }, ["last week"] = { week - 7, week },
  })[text]
  if days then
    return midnight(clock, zone, now, days[1]), midnight(clock, zone, now, days[2])
  elseif text == "this month" then
    return first_of_month(clock, zone, now, 0), first_of_month(clock, zone, now, 1)
  elseif text == "last month" then
    return first_of_month(clock, zone, now, -1), first_of_month(clock, zone, now, 0)
  end
  local span = units.duration(text:match "^last%s+(.+)$")
  if span and span.seconds > 0 then
    return now - span.seconds, now
  end
end

--- A window from text, or nil: "today", "this week", "last month", "last 24h", a day, or FROM..TO. A bare day
--- as TO means its first moment: the window does not hold it.
---@return opsrun.Window?
function times.window(clock, zone, text)
  local from, to = named_window(clock, zone, text, clock.wall())
  if not from then
    local left, right = text:match "^(.-)%.%.(.+)$"
    local whole_day
    from, whole_day = epoch_of(clock, zone, left or text)
    to = right and epoch_of(clock, zone, right)
    if not right and from and whole_day then
      to = midnight(clock, zone, from, 1)
    end
  end
  if not from or not to or to <= from then
    return nil
  end
  return times.between(clock, zone, from, to, text)
end

return times
