--- A clock for tests that knows two zones by their rules: UTC and Europe/Madrid, where clocks go on an hour on
--- the last Sunday of March and back on the last Sunday of October, both at 01:00 UTC. It stands still at
--- 2026-11-21 03:12:07 UTC.
local civil = require "runtime.civil"
local zone_clock = {}

local function last_sunday(year, month)
  local last = civil.days(year, month, civil.month_length(year, month))
  return last - civil.weekday(last) % 7
end

local function madrid_offset(seconds)
  local year = civil.date(seconds // 86400)
  local on, back = last_sunday(year, 3) * 86400 + 3600, last_sunday(year, 10) * 86400 + 3600
  return seconds >= on and seconds < back and 7200 or 3600
end

function zone_clock.new(now)
  local clock = {}
  function clock.wall()
    return now or 1795230727
  end
  function clock.is_zone(name)
    return name == "UTC" or name == "Etc/UTC" or name == "Europe/Madrid"
  end
  function clock.fields(seconds, zone)
    if math.abs(seconds) >= 253402300800 then -- the year 10000, as the host's
      return nil, "time out of range"
    end
    local whole = math.floor(seconds)
    local offset = zone == "Europe/Madrid" and madrid_offset(whole) or 0
    local shown = whole + offset
    local year, month, day = civil.date(shown // 86400)
    local of_day = shown % 86400
    return {
      year = year, month = month, day = day,
      hour = of_day // 3600, min = of_day // 60 % 60, sec = of_day % 60, frac = seconds - whole,
      yday = civil.days(year, month, day) - civil.days(year, 1, 1) + 1,
      offset = offset, zone = offset == 7200 and "CEST" or offset == 3600 and "CET" or "UTC",
    }
  end
  return clock
end

return zone_clock
