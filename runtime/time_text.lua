--- Times as texts: "2026-11-21 03:00", "2026-11-21T03:00:05.25+01:00", "@1795230727" to a moment, and a
--- moment to a text of a given form.
local civil = require "runtime.civil"
local time_text = {}

local month_names = {
  "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
}
local weekday_names = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" }

--- Seconds east of UTC that "Z", "+01:00", "-0330" mean; nil: nothing of the kind.
local function offset_of(word)
  if word == "Z" or word == "z" then
    return 0
  end
  local sign, hours, minutes = word:match "^([+-])(%d%d):?(%d%d)$"
  if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then
    return nil
  end
  return (sign == "-" and -1 or 1) * (tonumber(hours) * 3600 + tonumber(minutes) * 60)
end

--- "03:00", "03:00:05", "03:00:05.25" in seconds since midnight, and what comes behind.
---@return number? seconds, string? rest
function time_text.clock_time(word)
  local hour, minute, rest = word:match "^(%d%d?):(%d%d)(.*)$"
  if not hour or tonumber(hour) > 23 or tonumber(minute) > 59 then
    return nil
  end
  local second, behind = rest:match "^:(%d%d%.?%d*)(.*)$"
  if second and tonumber(second) >= 60 then
    return nil
  end
  return tonumber(hour) * 3600 + tonumber(minute) * 60 + (second and (math.tointeger(tonumber(second)) or tonumber(second)) or 0),
    behind or rest
end

--- The moment a text names, in a zone unless it says its own offset. A time of day that the zone's clocks
--- show twice means the first; one that they leave out is taken as behind the gap.
---@param clock table fields(seconds, zone)
---@param zone string
---@param text string
---@return number? epoch, boolean? whole_day it names a day and no time of day
function time_text.epoch(clock, zone, text)
  local plain = text:match "^@(%-?%d+%.?%d*)$"
  if plain then
    return math.tointeger(tonumber(plain)) or tonumber(plain)
  end
  local year, month, day, rest = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not year or not civil.is_day(year, month, day) then
    return nil
  end
  local days = civil.days(year, month, day)
  if rest == "" then
    return civil.epoch(clock, zone, days, 0), true
  end
  local seconds, behind = time_text.clock_time(rest:match "^[Tt ](.*)$" or "")
  if not seconds then
    return nil
  elseif behind == "" then
    return (civil.epoch(clock, zone, days, seconds))
  end
  local offset = offset_of(behind)
  return offset and days * 86400 + seconds - offset or nil
end

local forms = {
  Y = "%04d", m = "%02d", d = "%02d", H = "%02d", M = "%02d", S = "%02d", j = "%03d",
}
local fields = { Y = "year", m = "month", d = "day", H = "hour", M = "min", S = "sec", j = "yday" }

--- The offset as people write it: "+0100".
local function offset_text(seconds)
  local minutes = math.abs(seconds) // 60
  return ("%s%02d%02d"):format(seconds < 0 and "-" or "+", minutes // 60, minutes % 60)
end

local function named(letter, f, epoch)
  local weekday = weekday_names[civil.weekday(civil.days(f.year, f.month, f.day))]
  if letter == "A" then
    return weekday
  elseif letter == "a" then
    return weekday:sub(1, 3)
  elseif letter == "B" then
    return month_names[f.month]
  elseif letter == "b" then
    return month_names[f.month]:sub(1, 3)
  elseif letter == "z" then
    return offset_text(f.offset)
  elseif letter == "Z" then
    return f.zone
  elseif letter == "s" then
    return ("%d"):format(math.floor(epoch))
  end
  return letter == "%" and "%" or nil
end

--- A moment by a form of strftime: %Y %m %d %H %M %S %F %T %j %a %A %b %B %z %Z %s %%.
---@param f table what clock.fields says of it
---@return string? text, string? problem
function time_text.format(f, epoch, form)
  local unknown
  local text = form:gsub("%%F", "%%Y-%%m-%%d"):gsub("%%T", "%%H:%%M:%%S"):gsub("%%(.?)", function(letter)
    if forms[letter] then
      return forms[letter]:format(f[fields[letter]])
    end
    local word = named(letter, f, epoch)
    unknown = unknown or not word and letter
    return word
  end)
  if unknown then
    return nil, ("'%%%s' is none of %%Y %%m %%d %%H %%M %%S %%F %%T %%j %%a %%A %%b %%B %%z %%Z %%s %%%%"):format(unknown)
  end
  return text
end

--- "2026-11-21 03:12:07", without what is zero at its end: a whole minute, midnight.
---@param f table what clock.fields says of it
function time_text.short(f)
  local day = ("%04d-%02d-%02d"):format(f.year, f.month, f.day)
  if f.hour == 0 and f.min == 0 and f.sec == 0 then
    return day
  end
  return ("%s %02d:%02d%s"):format(day, f.hour, f.min, f.sec ~= 0 and (":%02d"):format(f.sec) or "")
end

return time_text
