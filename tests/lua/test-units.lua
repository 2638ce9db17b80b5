--- Durations, sizes, percents, times and windows as values.
local t = require "harness"
local times = require "runtime.times"
local units = require "runtime.units"
local services = require("load_host").new()
local clock = services.host.clock

t.test("durations read every unit, compounds largest first", function()
  for text, seconds in pairs {
    ["500ms"] = 0.5, ["2s"] = 2, ["5m"] = 300, ["1h30m"] = 5400, ["7d"] = 604800, ["2w"] = 1209600, ["1.5h"] = 5400, ["0"] = 0,
  } do
    t.equal(units.duration(text).seconds, seconds, text)
  end
end)

t.test("what is no duration is nil", function()
  for _, text in ipairs { "", "5", "m", "5x", "soon", "-5m", "5m1h", "5m5m", "5 minutes please" } do
    t.equal(units.duration(text), nil, text)
  end
  t.equal(units.duration(-1), nil)
  t.equal(units.duration {}, nil)
end)

t.test("a duration prints as a person writes it", function()
  for text, shown in pairs { ["300s"] = "5m", ["90m"] = "1h30m", ["0.5s"] = "500ms", ["1d1s"] = "1d1s", ["0s"] = "0s" } do
    t.equal(tostring(units.duration(text)), shown)
  end
end)

t.test("durations calculate in seconds and compare with numbers, texts and each other", function()
  local d = units.duration "5m"
  t.equal((d + 60).seconds, 360)
  t.equal((60 + d).seconds, 360)
  t.equal((d - units.duration "1m").seconds, 240)
  t.equal((d * 2).seconds, 600)
  t.equal((d / 2).seconds, 150)
  t.equal(d / units.duration "1m", 5)
  t.ok(d > 299 and d < 301 and 299 < d and d <= "5m" and d < units.duration "6m")
  t.ok(d == units.duration "300s")
  t.equal("older than " .. d, "older than 5m")
  t.equal(("%s"):format(d), "5m")
end)

t.test("a duration cannot be changed, multiplied by its like, compared with what it is not", function()
  local d = units.duration "5m"
  t.contains(t.raises(function() d.other = 1 end), "a duration cannot be changed")
  t.contains(t.raises(function() return d * d end), "cannot multiply a duration by a duration")
  t.contains(t.raises(function() return d < units.size "5mb" end), "cannot compare a duration and size")
  t.contains(t.raises(function() return d < "soon" end), "cannot compare a duration and string")
end)

t.test("sizes are 1024-based and print in the largest whole unit", function()
  t.equal(units.size("512mb").bytes, 512 * 1024 * 1024)
  t.equal(units.size("1.5GB").bytes, 1536 * 1024 * 1024)
  t.equal(units.size("4kib").bytes, 4096)
  t.equal(units.size("100").bytes, 100)
  t.equal(tostring(units.size(512 << 20)), "512mb")
  t.equal(tostring(units.size "1536kb"), "1536kb")
  t.equal(units.size "5mb5kb", nil)
  t.equal(units.size "mb", nil)
  t.ok(units.size "1gb" > units.size "1023mb")
end)

t.test("a percent is between 0 and 100", function()
  t.equal(units.percent "80", 80)
  t.equal(units.percent "80 %", 80)
  t.equal(units.percent "99.5%", 99.5)
  t.equal(units.percent "101", nil)
  t.equal(units.percent "-1", nil)
end)

t.test("a window is half-open and keeps its words as label", function()
  local yesterday = times.window(clock, "Etc/UTC", "yesterday")
  t.equal(tostring(yesterday.from), "2026-11-20")
  t.equal(tostring(yesterday.to), "2026-11-21")
  t.equal(tostring(yesterday), "yesterday")
  local week = times.window(clock, "Etc/UTC", "2026-11-01..2026-11-08")
  t.equal((week.to - week.from).seconds, 7 * 86400)
  t.equal(times.window(clock, "Etc/UTC", "last 24h").to.epoch, clock.wall())
  t.equal(tostring(times.window(clock, "Etc/UTC", "last month").from), "2026-10-01")
  t.equal(tostring(times.window(clock, "Etc/UTC", "2026-11-20").to), "2026-11-21")
end)

t.test("windows that end before they begin, or name no day, are none", function()
  for _, text in ipairs { "2026-11-08..2026-11-01", "2026-02-30", "2026-13-01", "last", "last 0s", "tomorrow?" } do
    t.equal(times.window(clock, "Etc/UTC", text), nil, text)
  end
end)

t.test("a time keeps the clock's zone and prints without seconds when there are none", function()
  t.equal(tostring(times.time(clock, "Etc/UTC", "2026-11-21 03:00")), "2026-11-21 03:00")
  t.equal(tostring(times.time(clock, "Etc/UTC", "now")), "2026-11-21 03:12:07")
  t.equal(times.time(clock, "Etc/UTC", "2026-11-21 25:00"), nil)
end)
