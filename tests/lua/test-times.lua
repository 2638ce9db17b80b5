--- Times and windows as values: what texts mean, arithmetic, the two days a year that are not 24 hours long.
local t = require "harness"
local clock = require("zone_clock").new()
local pure = require "runtime.time.pure"
local times = require "runtime.times"
local units = require "runtime.units"

local MADRID, UTC = "Europe/Madrid", "Etc/UTC"

local function madrid(text)
  return t.ok(times.time(clock, MADRID, text), text)
end

local function utc(time)
  return times.text(clock, UTC, time.epoch)
end

t.test("a text is read in its zone, or at the offset it says", function()
  t.equal(utc(madrid "2026-07-01 12:00"), "2026-07-01 10:00")
  t.equal(utc(madrid "2026-01-01 12:00"), "2026-01-01 11:00")
  t.equal(utc(madrid "2026-07-01T12:00:05Z"), "2026-07-01 12:00:05")
  t.equal(utc(madrid "2026-07-01T12:00:00-03:30"), "2026-07-01 15:30")
  t.equal(madrid("2026-07-01T12:00:00.25Z").epoch % 1, 0.25)
  t.equal(madrid("@1795230727").epoch, 1795230727)
  for _, bad in ipairs {
    "2026-02-29", "2026-13-01", "2026-11-21 24:00", "2026-11-21 12:60", "2026-11-21 12:00:60", "2026-11-21 12", "21.11.2026",
    "2026-11-21T12:00:00+25:00", "2026-11-21 12:00 ", "", "@", "soon", "2026-11-21T",
  } do
    t.equal(times.time(clock, MADRID, bad), nil, bad)
  end
end)

t.test("in spring 02:30 does not exist: it is taken as behind the gap", function()
  local time = madrid "2026-03-29 02:30"
  t.equal(utc(time), "2026-03-29 01:30")
  t.equal(tostring(time), "2026-03-29 03:30")
end)

t.test("in autumn 02:30 comes twice: the first is meant, an offset says the second", function()
  local first, second = madrid "2026-10-25 02:30", madrid "2026-10-25T02:30:00+01:00"
  t.equal(utc(first), "2026-10-25 00:30")
  t.equal(tostring(second - first), "1h")
  t.equal(tostring(first), tostring(second))
  t.equal(first == second, false)
  t.equal(first:format "%H:%M %Z %z", "02:30 CEST +0200")
  t.equal(second:format "%H:%M %Z %z", "02:30 CET +0100")
end)

t.test("a day in a window is as long as the calendar says", function()
  local function hours(text)
    local window = t.ok(times.window(clock, MADRID, text))
    return (window.to - window.from).seconds / 3600
  end
  t.equal(hours "2026-03-29", 23)
  t.equal(hours "2026-10-25", 25)
  t.equal(hours "2026-11-21", 24)
end)

t.test("durations pass, calendars count: a day later is not always 24 hours later", function()
  local eve = madrid "2026-03-28 12:00"
  t.equal(tostring(eve + "1d"), "2026-03-29 13:00")
  t.equal(tostring(eve:add { days = 1 }), "2026-03-29 12:00")
  t.equal(tostring(madrid("2026-03-28 02:30"):add { days = 1 }), "2026-03-29 03:30")
  t.equal(tostring(madrid("2026-10-25T02:30:00+01:00"):add { minutes = 40 }), "2026-10-25 03:10")
end)

t.test("a month later keeps to the month: the 31st becomes its last day, leap days too", function()
  t.equal(madrid("2026-01-31"):add({ months = 1 }).date, "2026-02-28")
  t.equal(madrid("2028-01-31"):add({ months = 1 }).date, "2028-02-29")
  t.equal(madrid("2028-02-29"):add({ years = 1 }).date, "2029-02-28")
  t.equal(madrid("2028-02-29"):add({ years = 4 }).date, "2032-02-29")
  t.equal(madrid("2026-03-31"):add({ months = -1, days = 1 }).date, "2026-03-01")
  t.equal(madrid("2026-12-15"):add({ months = 1 }).date, "2027-01-15")
  t.equal(madrid("2026-11-21"):add({ weeks = 2 }).date, "2026-12-05")
  t.contains(t.raises(function() return madrid("2026-11-21"):add { day = 1 } end), "'day' is none of years")
  t.contains(t.raises(function() return madrid("2026-11-21"):add { days = 0.5 } end), "expected a whole number")
end)

t.test("times compare with times, seconds and texts; what cannot be compared is named", function()
  local noon = madrid "2026-11-21 12:00"
  t.ok(noon < madrid "2026-11-21 12:01")
  t.ok(noon == times.time(clock, UTC, "2026-11-21 11:00"))
  t.ok(noon > "2026-11-21")
  t.ok(noon >= noon.epoch)
  t.contains(t.raises(function() return noon < {} end), "cannot compare a time and a table")
  t.contains(t.raises(function() return noon < units.duration "5m" end), "cannot compare a time and a duration")
end)

t.test("the difference of two times is a duration with its sign", function()
  local noon = madrid "2026-11-21 12:00"
  t.equal(tostring(noon - madrid "2026-11-21 10:30"), "1h30m")
  t.equal((madrid "2026-11-21 10:30" - noon).seconds, -5400)
  t.equal(tostring(noon - units.duration "1h"), "2026-11-21 11:00")
  t.equal(tostring("30m" + noon), "2026-11-21 12:30")
  t.equal(tostring(noon - (-60)), "2026-11-21 12:01")
  t.contains(t.raises(function() return noon + noon end), "cannot add a time and a time")
  t.contains(t.raises(function() return 5 - noon end), "cannot subtract a time from a number")
end)

t.test("a time shows the fields of its zone, its weekday and forms of strftime", function()
  local time = madrid "2026-07-01 00:30:05"
  t.equal({ time.year, time.month, time.day, time.hour, time.min, time.sec }, { 2026, 7, 1, 0, 30, 5 })
  t.equal({ time.wday, time.weekday, time.date, time.offset, time.yday }, { 3, "Wed", "2026-07-01", 7200, 182 })
  t.equal(time:format "%a %d %b %Y %T, %A %B %j 100%%", "Wed 01 Jul 2026 00:30:05, Wednesday July 182 100%")
  t.contains(t.raises(function() return time:format "%Q" end), "'%Q' is none of")
  t.equal(time.hours, nil)
  t.contains(t.raises(function() time.epoch2 = 5 end), "a time cannot be changed")
end)

t.test("weeks begin with Monday, months with their first", function()
  local function days(text)
    local window = times.window(clock, UTC, text)
    return window.from.date .. " " .. window.to.date
  end
  t.equal(days "this week", "2026-11-16 2026-11-23")
  t.equal(days "last week", "2026-11-09 2026-11-16")
  t.equal(days "last month", "2026-10-01 2026-11-01")
  t.equal(days "tomorrow", "2026-11-22 2026-11-23")
  local january = require("zone_clock").new(1767326400) -- 2026-01-02
  t.equal(times.window(january, UTC, "last month").from.date, "2025-12-01")
end)

t.test("Australia's half hours and far zones keep their days", function()
  local odd = require("zone_clock").new()
  local fields = odd.fields
  odd.fields = function(seconds)
    local f = fields(seconds + 37800, UTC) -- 10:30 east
    f.offset = 37800
    return f
  end
  t.equal(times.text(clock, UTC, times.time(odd, "x", "2026-11-21").epoch), "2026-11-20 13:30")
end)

pure.open(clock, MADRID)

t.test("time.parse reads texts and seconds, in the environment's zone or another", function()
  t.equal(utc(pure.parse(nil, "2026-07-01 12:00")), "2026-07-01 10:00")
  t.equal(utc(pure.parse(nil, "2026-07-01 12:00", UTC)), "2026-07-01 12:00")
  t.equal(tostring(pure.parse(nil, 1795230727)), "2026-11-21 04:12:07")
  t.equal(select(2, pure.parse(nil, "2026-07-01", "Europe/Madird")), "there is no time zone 'Europe/Madird'")
end)

t.test("time.parse takes nothing that depends on when it is asked; what is no time can be caught", function()
  t.contains(select(2, pure.parse(nil, "yesterday")), "use now()")
  local err = t.raises(pure.parse, nil, "soon")
  t.equal(err.kind, "fail")
  t.equal(err.message, "'soon' is no time")
  t.equal(t.raises(pure.parse, nil, 1e18).kind, "fail")
end)

t.test("a window holds its beginning and not its end", function()
  local window = times.window(clock, MADRID, "2026-11-21 10:00..2026-11-21 12:00")
  for text, inside in pairs { ["09:59:59"] = false, ["10:00"] = true, ["11:59:59"] = true, ["12:00"] = false } do
    t.equal(pure.within(nil, madrid("2026-11-21 " .. text), window), inside, text)
  end
  t.equal(pure.within(nil, window.from.epoch, window), true)
  local made = pure.window(nil, window.from, window.to)
  t.ok(made == window)
  t.equal(select(2, pure.window(nil, window.to, window.from)), "'2026-11-21 10:00' does not lie behind '2026-11-21 12:00'")
end)

t.test("hours of a day may go over midnight and be of some weekdays only", function()
  local function inside(text, hours)
    return pure.within(nil, madrid(text), hours)
  end
  t.equal(inside("2026-11-21 23:00", "22:00..06:00"), true)
  t.equal(inside("2026-11-21 05:59:59", "22:00..06:00"), true)
  t.equal(inside("2026-11-21 06:00", "22:00..06:00"), false)
  t.equal(inside("2026-11-21 12:00", "Mon..Fri 09:00..17:00"), false, "a Saturday")
  t.equal(inside("2026-11-20 12:00", "Mon..Fri 09:00..17:00"), true)
  t.equal(inside("2026-11-21 01:00", "Fri 22:00..06:00"), true, "the night that began on Friday")
  t.equal(inside("2026-11-22 01:00", "Fri 22:00..06:00"), false)
  t.equal(inside("2026-11-21 00:00", "Sat,Sun"), true)
  t.equal(inside("2026-11-21 23:59:59", "20:00..24:00"), true)
  for _, bad in ipairs { "22:00", "9..17", "22:00..22:00", "Mo 09:00..17:00", "25:00..26:00", "09:00..17:00 Mon" } do
    t.ok(select(2, pure.within(nil, madrid "2026-11-21", bad)), bad)
  end
end)
