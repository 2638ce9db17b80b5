--- Calendar expressions, the grammar of systemd's OnCalendar: "Mon..Fri 08:00", "Sat *-*-01..07 02:00",
--- "*-*~01 Europe/Madrid", "hourly". Text to sets of values; when they elapse is runtime/elapse.lua.
local civil = require "runtime.civil"
local text = require "runtime.text"
local calendar = {}

---@class opsrun.Calendar
---@field weekdays table<integer, boolean>? 1 is Monday; nil: any
---@field year opsrun.CalendarPart[]? nil: any; so the others
---@field month opsrun.CalendarPart[]?
---@field day opsrun.CalendarPart[]?
---@field from_end boolean  days count from the end of the month: ~01 is its last
---@field hour opsrun.CalendarPart[]?
---@field minute opsrun.CalendarPart[]?
---@field second opsrun.CalendarPart[]?
---@field zone string? as written

---@class opsrun.CalendarPart one of a list: start, or start..stop, every `step`
---@field start integer
---@field stop integer
---@field step integer
---@field open boolean? no stop was given

local shorthands = {
  minutely = "*-*-* *:*:00",
  hourly = "*-*-* *:00:00",
  daily = "*-*-* 00:00:00",
  weekly = "Mon *-*-* 00:00:00",
  monthly = "*-*-01 00:00:00",
  quarterly = "*-01,04,07,10-01 00:00:00",
  semiannually = "*-01,07-01 00:00:00",
  ["semi-annually"] = "*-01,07-01 00:00:00",
  yearly = "*-01-01 00:00:00",
  annually = "*-01-01 00:00:00",
}

local weekday_names = {
  "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
}

local ranges = {
  year = { 1970, 2199 },
  month = { 1, 12 },
  day = { 1, 31 },
  hour = { 0, 23 },
  minute = { 0, 59 },
  second = { 0, 59 },
}

local function problem(fmt, ...)
  error({ problem = fmt:format(...) }, 0)
end

local function weekday_number(name)
  local wanted = name:lower()
  for number, full in ipairs(weekday_names) do
    if wanted == full or wanted == full:sub(1, 3) then
      return number
    end
  end
  local near = text.nearest(wanted, weekday_names)
  problem("'%s' is no day of the week%s", name, near and (", did you mean '%s'?"):format(near:sub(1, 3):gsub("^%l", string.upper)) or "")
end

--- "Mon", "Mon,Wed", "Mon..Fri" as a set of numbers, Monday 1. Raises {problem}.
local function weekdays_of(word)
  local set = {}
  for item in (word .. ","):gmatch "([^,]*)," do
    local first, last = item:match "^(%a+)%.%.(%a+)$"
    if not first then
      first, last = item:match "^(%a+)%-(%a+)$" -- as older systemds wrote it
    end
    local from = weekday_number(first or item)
    local to = last and weekday_number(last) or from
    if to < from then
      problem("'%s' ends before it begins: the week begins with Monday", item)
    end
    for number = from, to do
      set[number] = true
    end
  end
  return set
end

local function number_of(digits, what)
  local range = ranges[what]
  local number = digits:find "^%d+$" and math.tointeger(tonumber(digits))
  if not number then
    problem("'%s' is no %s", digits, what)
  elseif what == "year" and number < 100 then -- two digits, as systemd reads them
    number = number + (number >= 70 and 1900 or 2000)
  end
  if number < range[1] or number > range[2] then
    problem("%s %s: expected %d to %d", what, digits, range[1], range[2])
  end
  return number
end

--- "1", "1,15", "1..7", "0/15", "8..18/2" as parts; nil for "*": any.
local function parts_of(word, what)
  if word == "*" then
    return nil
  elseif word:find("^%*/") then
    problem("'%s': write %d%s, a first value and a step", word, ranges[what][1], word:sub(2))
  end
  local parts = {}
  for item in (word .. ","):gmatch "([^,]*)," do
    local body, step = item:match "^(.-)/(.*)$"
    body = body or item
    local first, last = body:match "^(.-)%.%.(.*)$"
    local start = number_of(first or body, what)
    local stop = last and number_of(last, what)
    if stop and stop < start then
      problem("'%s' ends before it begins", item)
    end
    local every = 1
    if step then
      every = step:find "^%d+$" and math.tointeger(tonumber(step)) or 0
      if every < 1 then
        problem("'%s': a step is a whole number from 1 on", item)
      end
    end
    if step and not stop and start + every > ranges[what][2] then
      problem("'%s': no second step fits, the last %s is %d", item, what, ranges[what][2])
    end
    parts[#parts + 1] = { start = start, stop = stop or step and ranges[what][2] or start, step = every, open = step and not stop }
  end
  return parts
end

--- "2026-11-21", "*-*-01..07", "12-25", "*-*~01".
local function read_date(spec, word)
  local head, mark, day = word:match "^(.*)([-~])([^-~]+)$"
  if not head then
    problem("'%s' is no date, such as *-*-01 or 12-25", word)
  end
  local year, month = head:match "^([^-~]+)%-([^-~]+)$"
  month = month or head
  if month == "" or month:find "[-~]" then
    problem("'%s' is no date, such as *-*-01 or 12-25", word)
  end
  spec.year = year and parts_of(year, "year")
  spec.month = parts_of(month, "month")
  spec.day = parts_of(day, "day")
  spec.from_end = mark == "~"
  for _, part in ipairs(spec.from_end and spec.day or {}) do
    if math.max(part.start, part.open and 0 or part.stop) > 28 then
      problem("'%s': days from the end of a month are 1 to 28", word)
    elseif part.open and part.start <= part.step then
      problem("'%s': no second step fits before the end of the month", word)
    elseif part.open then -- ~07/1 goes on towards the end of the month: 7, 6 … 1
      part.start, part.stop = (part.start - 1) % part.step + 1, part.start
    end
  end
end

--- "02:00", "*:0/15", "08:05:40".
local function read_time(spec, word)
  local hour, minute, second = word:match "^([^:]+):([^:]+):?([^:]*)$"
  if not hour or (second == "" and word:sub(-1) == ":") then
    problem("'%s' is no time of day, such as 02:00 or *:0/15", word)
  elseif second:find "%d%.%d" then
    problem("'%s': parts of a second are not taken", word)
  end
  spec.hour = parts_of(hour, "hour")
  spec.minute = parts_of(minute, "minute")
  spec.second = parts_of(second ~= "" and second or "00", "second")
end

local function add_defaults(spec, dated, timed)
  if not timed then
    read_time(spec, "00:00:00")
  end
  if not dated then
    spec.from_end = false
  end
  return spec
end

local function read(source)
  local words = {}
  for word in source:gmatch "%S+" do
    words[#words + 1] = word
  end
  local spec, dated, timed = {}, false, false
  local short = words[1] and shorthands[words[1]:lower()]
  if short and #words <= 2 then
    local whole = read(short)
    whole.zone = words[2]
    return whole
  end
  local at = 1
  if words[1] and words[1]:find "^%a[%a,.%-]*$" then
    spec.weekdays = weekdays_of(words[1])
    at = 2
  end
  if words[at] and words[at]:find "^[%d*][%d*,./~-]*$" and words[at]:find "[-~]" then
    read_date(spec, words[at])
    dated, at = true, at + 1
  end
  if words[at] and words[at]:find ":" then
    read_time(spec, words[at])
    timed, at = true, at + 1
  end
  if words[at] and at > 1 and words[at]:find "^%a" then
    spec.zone, at = words[at], at + 1
  end
  if #words == 0 then
    problem "it is empty"
  elseif words[at] then
    problem("'%s' does not belong there: [weekdays] [date] [time] [zone]", words[at])
  end
  return add_defaults(spec, dated, timed)
end

local examples = 'for example "Mon..Fri 08:00", "Sat *-*-01..07 02:00" (the first Saturday), "*:0/15", "daily"'

--- Reads a calendar expression.
---@param source string
---@return opsrun.Calendar? spec, string? problem in words, string? hint
function calendar.parse(source)
  local ok, spec = pcall(read, source)
  if ok then
    return spec
  elseif type(spec) ~= "table" or not spec.problem then
    error(spec, 0)
  end
  local near = text.nearest(source:lower(), text.keys(shorthands))
  return nil, spec.problem, near and ("did you mean '%s'?"):format(near) or examples
end

--- "Mon", "Mon..Fri", "Sat,Sun" as a set of numbers, Monday 1; nil and why otherwise.
---@return table<integer, boolean>?, string?
function calendar.weekdays(word)
  local ok, set = pcall(weekdays_of, word)
  if ok then
    return set
  elseif type(set) ~= "table" or not set.problem then
    error(set, 0)
  end
  return nil, set.problem
end

--- Is a value among the parts? nil: any is.
---@param parts opsrun.CalendarPart[]?
function calendar.has(parts, value)
  if not parts then
    return true
  end
  for _, part in ipairs(parts) do
    if value >= part.start and value <= part.stop and (value - part.start) % part.step == 0 then
      return true
    end
  end
  return false
end

--- May a day be meant? Year and month included.
---@param spec opsrun.Calendar
---@param days integer as civil.days gives them
function calendar.has_day(spec, days)
  local year, month, day = civil.date(days)
  if spec.from_end then
    day = civil.month_length(year, month) - day + 1
  end
  return calendar.has(spec.year, year)
    and calendar.has(spec.month, month)
    and calendar.has(spec.day, day)
    and (not spec.weekdays or spec.weekdays[civil.weekday(days)] == true)
end

return calendar
