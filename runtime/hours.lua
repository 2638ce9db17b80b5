--- Hours that come again: "09:00..17:00", "Mon..Fri 09:00..17:00", "Sat,Sun". For time.within and for the
--- windows in which an environment may be changed. Pure.
local calendar = require "runtime.calendar"
local civil = require "runtime.civil"
local time_text = require "runtime.time_text"
local hours = {}

local DAY = 86400

---@class opsrun.Hours
---@field days table<integer, boolean>? 1 is Monday; nil: any
---@field from number seconds after midnight
---@field to number   the first second behind; before `from`: they go over midnight

--- Reads hours.
---@param given string
---@return opsrun.Hours? hours nil when it names none
---@return string? why
function hours.read(given)
  local days, rest = given:match "^(%a[%a,.]*)%s*(.*)$"
  local set, why
  if days then
    set, why = calendar.weekdays(days)
    if not set then
      return nil, why
    end
  end
  rest = rest or given
  if days and rest == "" then
    return { days = set, from = 0, to = DAY }
  end
  local left, right = rest:match "^(.-)%.%.(.+)$"
  local from, behind_from = time_text.clock_time(left or "")
  local to, behind_to = time_text.clock_time(right or "")
  if right == "24:00" then
    to, behind_to = DAY, ""
  end
  if not from or not to or behind_from ~= "" or behind_to ~= "" or from == to then
    return nil, ("'%s' is no window, such as 22:00..06:00 or Mon..Fri 09:00..17:00"):format(given)
  end
  return { days = set, from = from, to = to }
end

--- Is a moment in these hours? Those that go over midnight belong to the day they begin on.
---@param clock table the host's
---@param read opsrun.Hours
---@param zone string
---@param epoch number seconds since 1970
---@return boolean
function hours.hold(clock, read, zone, epoch)
  local days, seconds = civil.shown(clock, zone, epoch)
  local over_midnight = read.to < read.from
  if over_midnight and seconds < read.to then
    days, seconds = days - 1, seconds + DAY
  end
  local last = over_midnight and read.to + DAY or read.to
  local day_fits = not read.days or read.days[civil.weekday(days)] == true
  return day_fits and seconds >= read.from and seconds < last
end

--- When these hours begin next.
---@return number? epoch nil when it is beyond what the clock knows
function hours.next(clock, read, zone, epoch)
  local today = civil.shown(clock, zone, epoch)
  for ahead = 0, 8 do
    local at = today and civil.epoch(clock, zone, today + ahead, read.from)
    if at and at > epoch and hours.hold(clock, read, zone, at) then
      return at
    end
  end
  return nil
end

return hours
