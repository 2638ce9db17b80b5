--- Calendar expressions: which are refused and how, when the others elapse, and that systemd says the same.
local t = require "harness"
local calendar = require "runtime.calendar"
local clock = require("zone_clock").new()
local elapse = require "runtime.elapse"
local schedule = require "runtime.schedule"
local times = require "runtime.times"

local UTC, MADRID = "Etc/UTC", "Europe/Madrid"

local function elapses(text, zone, from, count)
  local spec, why = calendar.parse(text)
  t.ok(spec, ("%s: %s"):format(text, tostring(why)))
  local list = {}
  for i, epoch in ipairs(elapse.list(spec, clock, zone, times.time(clock, zone, from).epoch, count)) do
    list[i] = times.text(clock, zone, epoch)
  end
  return list
end

t.test("the first Saturday of a month is a Saturday among its first seven days", function()
  t.equal(elapses("Sat *-*-01..07 02:00", UTC, "2026-11-21", 3), { "2026-12-05 02:00", "2027-01-02 02:00", "2027-02-06 02:00" })
  t.equal(elapses("Mon *-*~01..07", UTC, "2026-11-21", 2), { "2026-11-30", "2026-12-28" }) -- the last Monday
end)

t.test("the last day of a month and leap days are found", function()
  t.equal(elapses("*-*~01", UTC, "2028-01-31 12:00", 2), { "2028-02-29", "2028-03-31" })
  t.equal(elapses("*-02-29", UTC, "2026-11-21", 2), { "2028-02-29", "2032-02-29" })
  t.equal(elapses("Mon *-02-29", UTC, "2026-11-21", 1), { "2044-02-29" })
  t.equal(elapses("*-*-31", UTC, "2026-11-21", 3), { "2026-12-31", "2027-01-31", "2027-03-31" })
end)

t.test("a moment that is due now is not the next one", function()
  t.equal(elapses("02:00", UTC, "2026-11-21 02:00", 1), { "2026-11-22 02:00" })
  t.equal(elapses("02:00", UTC, "2026-11-21 01:59:59", 1), { "2026-11-21 02:00" })
end)

t.test("what clocks leave out in spring is left out, what they show twice in autumn elapses once", function()
  t.equal(elapses("02:30", MADRID, "2026-03-28 12:00", 2), { "2026-03-30 02:30", "2026-03-31 02:30" })
  t.equal(elapses("02:30", MADRID, "2026-10-24 12:00", 2), { "2026-10-25 02:30", "2026-10-26 02:30" })
  t.equal(elapses("hourly", MADRID, "2026-03-29 00:30", 3), { "2026-03-29 01:00", "2026-03-29 03:00", "2026-03-29 04:00" })
end)

t.test("an expression in the past never elapses", function()
  t.equal(elapses("2020-01-01", UTC, "2026-11-21", 1), {})
  t.equal(elapses("2026-11-21 03:00", UTC, "2026-11-21", 3), { "2026-11-21 03:00" })
end)

t.test("what is no expression is refused, with what is wrong with it", function()
  for text, part in pairs {
    [""] = "it is empty",
    ["Sta 02:00"] = "'Sta' is no day of the week",
    ["thurday"] = "did you mean 'Thu'?",
    ["Fri..Mon"] = "ends before it begins",
    ["*:*/15"] = "write 0/15",
    ["*:0/60"] = "no second step fits",
    ["*-*~29"] = "days from the end of a month are 1 to 28",
    ["*-*~5/10"] = "no second step fits",
    ["24:00"] = "hour 24: expected 0 to 23",
    ["02:60"] = "minute 60: expected 0 to 59",
    ["2:0:0/0"] = "a step is a whole number from 1 on",
    ["2:0:0.5"] = "parts of a second are not taken",
    ["*-13-01"] = "month 13: expected 1 to 12",
    ["*-*-7..3"] = "ends before it begins",
    ["*-*-x"] = "does not belong there",
    ["5"] = "does not belong there",
    ["10:00 *-*-01"] = "does not belong there",
    ["02:00 UTC 5"] = "does not belong there",
    ["1:2:3:4"] = "is no",
    ["1:2:"] = "is no time of day",
    ["--1"] = "does not belong there",
    ["1-2-3-4"] = "is no date",
  } do
    local spec, why = calendar.parse(text)
    t.equal(spec, nil, text)
    t.contains(why, part)
  end
  t.equal(select(3, calendar.parse "dayly"), "did you mean 'daily'?")
end)

t.test("a schedule names the expression that is wrong, an unknown zone, a day that no year has", function()
  local function problem(value)
    return (select(2, schedule.read(value, clock)))
  end
  t.equal(problem { "02:00", "Sta" }, "'Sta': 'Sta' is no day of the week")
  t.equal(problem { "02:00", zone = "Europe/Madird" }, "there is no time zone 'Europe/Madird'")
  t.equal(problem "02:00 Europe/Madird", "'02:00 Europe/Madird': there is no time zone 'Europe/Madird'")
  t.equal(problem "*-02-30", "'*-02-30': there is no such day in any year")
  t.equal(problem {}, "it has no calendar expression")
  t.equal(problem { every = "5m" }, "'every': expected texts and a zone")
  t.equal(problem(5), "expected a text or a table, got number")
end)

t.test("of several expressions the next moments are told in order, each once", function()
  local entries = schedule.read({ "12:00 UTC", "13:00", "2026-11-21 18:00 UTC", zone = MADRID }, clock)
  local list = {}
  for i, moment in ipairs(schedule.next(entries, clock, clock.wall(), 4)) do
    list[i] = times.text(clock, UTC, moment.epoch)
  end
  t.equal(list, { "2026-11-21 12:00", "2026-11-21 18:00", "2026-11-22 12:00", "2026-11-23 12:00" })
end)

-- -- systemd ---------------------------------------------------------------------------------------

local function has_systemd()
  local pipe = io.popen "systemd-analyze --version 2>/dev/null"
  local said = pipe and pipe:read "l"
  if pipe then
    pipe:close()
  end
  return said ~= nil
end

--- What systemd says of expressions: a list of "2026-11-21 02:00:00" in UTC for each.
local function of_systemd(expressions, base, count)
  local words = {}
  for i, text in ipairs(expressions) do
    words[i] = "'" .. text .. "'"
  end
  local pipe = assert(io.popen(("TZ=UTC LC_ALL=C systemd-analyze calendar --iterations=%d --base-time='%s UTC' %s 2>&1"):format(
    count, base, table.concat(words, " "))))
  local found = {}
  for line in pipe:lines() do
    if line:find "Original form:" or line:find "Normalized form:" and not found.open then
      found[#found + 1], found.open = {}, true
    end
    found.open = line:find "Original form:" ~= nil
    local at = line:match "elapse: %a+ (%S+ %S+) UTC" or line:match "Iter%. #%d+: %a+ (%S+ %S+) UTC"
    if at then
      table.insert(found[#found], at)
    end
  end
  pipe:close()
  found.open = nil
  return found
end

local fixed = {
  "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "Sat *-*-01..07 02:00", "*-*~01",
  "*-02~01..03", "Mon,Fri *-01/2-01,03 *:30:45", "*:0/7", "12..14:10,20,30", "Mon..Fri 08:00 Europe/Madrid", "02:30 Europe/Madrid",
  "*:0/30 Europe/Madrid", "Sun *-*-* 02..03:00 Europe/Madrid", "Mon *-05~07/1", "1..20/5:00", "*-02-29", "12-25", "Mon-Fri",
  "*~01", "01~01", "Thu,Fri 2012..2030-*-1,5 11:12:13", "26-12-1", "*-*-1..31/10 3/8:59:59", "saturday,SUN 2:3:4 UTC",
}

--- Expressions made up, always the same ones.
local function made_up(count)
  local state = 20261121
  local function pick(list)
    state = (state * 1103515245 + 12345) % 2147483648
    return list[state // 65536 % #list + 1]
  end
  local list = {}
  for i = 1, count do
    list[i] = ("%s%s-%s%s%s %s:%s:%s%s"):format(
      pick { "", "", "Mon ", "Sat,Sun ", "Tue..Thu ", "Fri " }, pick { "*", "*", "2026..2028", "2027/2", "2028" },
      pick { "*", "*", "1/3", "2", "2..4", "11,12" }, pick { "-", "-", "-", "~" }, pick { "*", "1", "1..7", "28", "7..14/2", "15/5" },
      pick { "*", "0", "2", "0/6", "22..23", "1,13" }, pick { "0", "30", "0/20", "59" }, pick { "0", "0", "30", "0/15" },
      pick { "", "", " UTC", " Europe/Madrid" })
  end
  return list
end

t.test("systemd says the same of 29 expressions and 150 made up ones, around both changes of the clock", function()
  if not has_systemd() then
    print "  systemd-analyze is not there: not compared"
    return
  end
  local compared = 0
  for _, expressions in ipairs { fixed, made_up(150) } do
    for _, base in ipairs { "2026-03-28 22:10:00", "2026-10-24 21:50:00", "2027-02-27 12:00:00" } do
      local theirs = of_systemd(expressions, base, 4)
      t.equal(#theirs, #expressions)
      for i, text in ipairs(expressions) do
        local ours = {}
        local spec, why = calendar.parse(text)
        t.ok(spec, ("%s: %s"):format(text, tostring(why)))
        for n, epoch in ipairs(elapse.list(spec, clock, UTC, times.time(clock, UTC, base).epoch, 4)) do
          ours[n] = times.at(clock, UTC, epoch):format "%F %T"
        end
        t.equal(ours, theirs[i], ("%s after %s"):format(text, base))
        compared = compared + 1
      end
    end
  end
  t.equal(compared, 3 * (#fixed + 150))
end)
