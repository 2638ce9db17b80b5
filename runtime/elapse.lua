--- When a calendar expression elapses next. A time of day that a zone's clocks leave out in spring is left
--- out; one that they show twice in autumn elapses the first time. systemd does the same.
local calendar = require "runtime.calendar"
local civil = require "runtime.civil"
local elapse = {}

--- A 29th of February on a given weekday may take 40 years to come; beyond that nothing comes.
local YEARS = 41

--- Values of 0..most that the parts allow, in order.
local function values(parts, most)
  local list = {}
  for value = 0, most do
    if calendar.has(parts, value) then
      list[#list + 1] = value
    end
  end
  return list
end

--- The first moment of a day that is later than `after`, or nil.
local function first_of_day(spec, clock, zone, days, after)
  local hours, minutes, seconds = values(spec.hour, 23), values(spec.minute, 59), values(spec.second, 59)
  for _, hour in ipairs(hours) do
    -- of an hour that is over already not every second is asked for
    local last = civil.epoch(clock, zone, days, hour * 3600 + 3599)
    for _, minute in ipairs(last and last > after and minutes or {}) do
      for _, second in ipairs(seconds) do
        local at, kind = civil.epoch(clock, zone, days, hour * 3600 + minute * 60 + second)
        if at and at > after and kind ~= "skipped" then
          return at
        end
      end
    end
  end
  return nil
end

--- The first day of the month after the one that a day lies in.
local function next_month(days)
  local year, month = civil.date(days)
  return month == 12 and civil.days(year + 1, 1, 1) or civil.days(year, month + 1, 1)
end

--- The next moment after `after` (seconds since 1970) at which the expression elapses; nil: never.
---@param spec opsrun.Calendar
---@param clock table fields(seconds, zone)
---@param zone string where the expression names none
---@param after number
---@return number? epoch
function elapse.after(spec, clock, zone, after)
  zone = spec.zone or zone
  local days = civil.shown(clock, zone, after)
  if not days then
    return nil
  end
  local year = civil.date(days)
  local last = civil.days(year + YEARS, 1, 1)
  days = days - 1 -- where clocks go back over midnight, the day before comes again
  while days < last do
    local of_year, month = civil.date(days)
    if not (calendar.has(spec.year, of_year) and calendar.has(spec.month, month)) then
      days = next_month(days)
    else
      local at = calendar.has_day(spec, days) and first_of_day(spec, clock, zone, days, after)
      if at then
        return at
      end
      days = days + 1
    end
  end
  return nil
end

--- The next `count` moments.
---@return number[]
function elapse.list(spec, clock, zone, after, count)
  local list = {}
  for i = 1, count do
    local at = elapse.after(spec, clock, zone, list[i - 1] or after)
    if not at then
      break
    end
    list[i] = at
  end
  return list
end

return elapse
