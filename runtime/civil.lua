--- Days and months of the Gregorian calendar, and the moment at which a zone's clocks show a date and a
--- time of day. Pure but for the clock that is handed in.
local civil = {}

local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local DAY = 86400

--- Weekdays as they are written, Monday first.
civil.weekdays = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }

--- Days of a month, 28 to 31.
---@param month integer 1 to 12
function civil.month_length(year, month)
  if month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then
    return 29
  end
  return lengths[month]
end

--- Is there such a day?
function civil.is_day(year, month, day)
  return month >= 1 and month <= 12 and day >= 1 and day <= civil.month_length(year, month)
end

--- Days from 1970-01-01 to a day; `day` may lie beyond its month: 2026-01-32 is the first of February.
---@param month integer 1 to 12
---@return integer
function civil.days(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  -- years begin with March here, so that the day that leap years have more is their last
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

--- The year, month and day that lie so many days after 1970-01-01.
---@param days integer
---@return integer year, integer month, integer day
function civil.date(days)
  local shifted = days + 719468
  local era = shifted // 146097
  local of_era = shifted - era * 146097
  local year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
  local shifted_month = (5 * of_year + 2) // 153
  local day = of_year - (153 * shifted_month + 2) // 5 + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

--- 1 is Monday, 7 Sunday.
---@param days integer as civil.days gives them
function civil.weekday(days)
  return (days + 3) % 7 + 1
end

--- The moment at which the clocks of a zone show a date and a time of day. When they show it twice, the
--- first; when they leave it out, as far behind the gap as it would have been behind its begin.
---@param clock table fields(seconds, zone)
---@param zone string
---@param days integer the date, as civil.days gives it
---@param seconds number since midnight as clocks show it
---@return number? epoch, string? "twice" or "skipped"; nil beyond the years a clock knows
function civil.epoch(clock, zone, days, seconds)
  local shown = days * DAY + seconds
  -- No zone is a whole day away from UTC, so that these two stand on either side of the moment looked for.
  local before, after = clock.fields(shown - DAY, zone), clock.fields(shown + DAY, zone)
  if not before or not after then
    return nil
  end
  local function holds(offset)
    return assert(clock.fields(shown - offset, zone)).offset == offset
  end
  local first, second = math.max(before.offset, after.offset), math.min(before.offset, after.offset)
  if holds(first) then
    return shown - first, first ~= second and holds(second) and "twice" or nil
  elseif holds(second) then
    return shown - second
  end
  return shown - before.offset, "skipped"
end

--- The date and the time of day that a zone's clocks show.
---@return integer? days, number seconds since midnight, as they are shown
function civil.shown(clock, zone, epoch)
  local f = clock.fields(epoch, zone)
  if not f then
    return nil, 0
  end
  return civil.days(f.year, f.month, f.day), f.hour * 3600 + f.min * 60 + f.sec + (f.frac or 0)
end

return civil
