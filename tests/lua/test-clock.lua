--- Clocks beside the steps: when they strike, what they may do, how they end.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local zone_clock = require "zone_clock"
local clock_plan = require "runtime.author.clock_plan"
local times = require "runtime.times"
local units = require "runtime.units"
local fake = require "tests.lua.fake_host"
local insert, tostring, errors = table.insert, tostring, require "runtime.errors"

-- -- when -----------------------------------------------------------------------------------------

local wall, MADRID = zone_clock.new(), "Europe/Madrid"

local function epoch(text)
  return times.time(wall, MADRID, text).epoch
end

--- The first strikes after the begin, as texts.
local function strikes(opts, began, count)
  local plan, problem = clock_plan.new(wall, MADRID, opts, epoch(began))
  t.ok(plan, problem)
  local list, last = {}, plan.began
  for i = 1, count or 3 do
    last = clock_plan.after(plan, last)
    if not last then
      break
    end
    list[i] = times.text(wall, MADRID, last)
  end
  return list
end

t.test("every counts from the begin, or from `from`; `to` itself is not struck", function()
  t.equal(strikes({ every = "30m" }, "2026-11-21 12:00"), { "2026-11-21 12:30", "2026-11-21 13:00", "2026-11-21 13:30" })
  t.equal(strikes({ every = "30m", from = "14:00", to = "15:00" }, "2026-11-21 12:10"), { "2026-11-21 14:00", "2026-11-21 14:30" })
  t.equal(strikes({ every = units.duration "1h", from = "10m" }, "2026-11-21 12:00", 2), { "2026-11-21 12:10", "2026-11-21 13:10" })
end)

t.test("moments are counted from the begin, or told by the wall, in order", function()
  t.equal(strikes({ at = { "1h", "30m" } }, "2026-11-21 12:00"), { "2026-11-21 12:30", "2026-11-21 13:00" })
  t.equal(strikes({ at = "09:00" }, "2026-11-21 12:00"), { "2026-11-22 09:00" })
  t.equal(strikes({ at = "2026-11-22 09:00" }, "2026-11-21 12:00"), { "2026-11-22 09:00" })
  t.equal(strikes({ at = times.time(wall, MADRID, "2026-11-22") }, "2026-11-21 12:00"), { "2026-11-22" })
  t.equal(strikes({ at = 90 }, "2026-11-21 12:00"), { "2026-11-21 12:01:30" })
  t.equal(strikes({ at = "20m", every = "15m" }, "2026-11-21 12:00"), { "2026-11-21 12:15", "2026-11-21 12:20", "2026-11-21 12:30" })
end)

t.test("a time of day that clocks leave out is struck behind the gap", function()
  t.equal(strikes({ at = "02:30" }, "2026-03-28 12:00"), { "2026-03-29 03:30" })
  t.equal(strikes({ every = "1h" }, "2026-10-25 01:30", 3), { "2026-10-25 02:30", "2026-10-25 02:30", "2026-10-25 03:30" })
end)

t.test("what is no moment is told", function()
  local function problem(opts)
    return select(2, clock_plan.new(wall, MADRID, opts, 0))
  end
  t.contains(problem { at = "soon" }, "at: 'soon' is no moment")
  t.contains(problem { every = "1ms" }, "no duration of at least 0.1s")
  t.contains(problem { every = "5m", to = {} }, "to: ")
  t.contains(problem { from = "5m" }, "when?")
  t.contains(problem { at = {} }, "when?")
end)

-- -- in a run -------------------------------------------------------------------------------------

local function play(playbook, more)
  local spec = more or {}
  spec.playbook = playbook
  return fake.play(spec)
end

local function notes(run)
  local list = {}
  for i, event in ipairs(fake.events(run, "note")) do
    list[i] = event.text
  end
  return list
end

t.test("it strikes while steps go on, with its number and how long it runs, and ends with the run", function()
  local seen = {}
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m" }, function(tick)
        insert(seen, ("%d %s"):format(tick.number, tostring(tick.since)))
      end)
    end)
    step("Work", function() sleep "25m" end)
    step("More", function() sleep "10m" end)
  end)
  t.equal(run.code, 0)
  t.equal(seen, { "1 10m", "2 20m", "3 30m" })
  t.equal(#fake.records(run, "clock.start"), 1)
  t.equal(#fake.records(run, "clock.strike"), 3)
  t.equal(#fake.records(run, "clock.end"), 0) -- a run that is gone on with starts it again
end)

t.test("a clock holds the run up for nothing: the run ends when its steps do", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Never", { every = "10h" }, function() end)
    end)
  end)
  t.equal(run.code, 0)
  t.equal(run.host.now, 1000)
end)

t.test("its effects have a key of their own, beside those of the step", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m" }, function() notify "team" "still on it" end)
      sql "db":query "select"
      sleep "15m"
      sql "db":query "select"
    end)
  end, { header = { title = "Test", uses = { notify = { "team" } } } })
  t.equal(run.code, 0)
  local keys = {}
  for i, record in ipairs(fake.records(run, "effect.end")) do
    keys[i] = ("%s %s %d"):format(record.kind, record.step, record.ordinal)
  end
  t.equal(keys, { "sql.query begin 1", "notify begin.clock-1 1", "sleep begin 2", "sql.query begin 3" })
end)

t.test("a strike that fails is told and left open; the next one comes all the same", function()
  local tries = 0
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m" }, function()
        tries = tries + 1
        sql "db":query "select"
      end)
      sleep "25m"
    end)
  end, { does = { select = function() error(errors.effect { message = "no route", outcome = "failed" }, 0) end } })
  t.equal(run.code, 0)
  t.equal(tries, 2)
  t.equal(notes(run)[2], "failed: no route (test.lua:1)")
  t.equal(#fake.records(run, "clock.failed"), 2)
  t.contains(run.text, "clock 'Remind': failed: no route")
end)

t.test("a mistake in it ends the clock and not the run", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m" }, function(tick) return tick.x.y end)
      sleep "45m"
    end)
  end)
  t.equal(run.code, 0)
  t.equal(#fake.records(run, "clock.strike"), 1)
  t.contains(fake.records(run, "clock.end")[1].reason, "attempt to index a nil value")
end)

t.test("skip leaves a strike out, finish ends the clock, the handle stops it", function()
  local count, other = 0, 0
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m" }, function(tick)
        count = count + 1
        if tick.number == 1 then skip "not yet" end
        if tick.number == 3 then finish "they know" end
      end)
      local second = clock("Other", { every = "10m" }, function() other = other + 1 end)
      sleep "15m"
      second.stop()
      sleep "1h"
    end)
  end)
  t.equal(run.code, 0)
  t.equal(count, 3)
  t.equal(other, 1)
  t.equal(#fake.records(run, "clock.end"), 2)
end)

t.test("it asks nobody, neither by confirm nor for a protected environment", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Ask", { at = "1m" }, function() confirm "Really?" end)
      clock("Change", { at = "2m" }, function() sql "db":exec "delete" end)
      sleep "5m"
    end)
  end, { terminal = true, answers = { "yes", "lab" }, environment = { name = "lab", protected = true } })
  t.equal(run.code, 0)
  t.equal(#run.host.term.asked, 0)
  t.equal(fake.performed(run, "delete"), 0)
  local said = {}
  for _, record in ipairs(fake.records(run, "clock.end")) do
    said[#said + 1] = record.reason
  end
  t.contains(said[1], "confirm: inside a clock nobody is asked")
  t.contains(said[2], "gate 'environment' is not opened by a clock")
end)

t.test("a dry run tells it once and starts nothing", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Remind", { every = "10m", at = { "1h" } }, function() fail "not reached" end)
      sleep "1h"
    end)
  end, { dry = true })
  t.equal(run.code, 0)
  t.equal(notes(run), { "would start a clock beside the steps: Remind (every 10m, after 1h)" })
end)

t.test("a step that is tried again has one clock, not two", function()
  local count, tries = 0, 0
  local run = play(function(_ENV)
    step("Begin", { retry = { times = 1, after = "1s" } }, function()
      clock("Remind", { every = "10m" }, function() count = count + 1 end)
      tries = tries + 1
      if tries == 1 then fail "once" end
      sleep "15m"
    end)
  end)
  t.equal(run.code, 0)
  t.equal(count, 1)
end)

t.test("a signal stops it with the run; a change it makes is let finish", function()
  local done = 0
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Change", { at = "1m" }, function()
        sql "db":exec "slow"
        sql "db":exec "next"
      end)
      sleep "1h"
    end)
  end, { does = { slow = function(host)
    host.task.signal(1, "SIGINT")
    host.task.sleep(5)
    done = done + 1
    return { count = 1 }
  end } })
  t.equal(run.code, 130)
  t.equal(done, 1)
  t.equal(fake.performed(run, "next"), 0)
end)

t.test("no clock in a clock, none where only reads are allowed", function()
  local run = play(function(_ENV)
    step("Begin", function()
      clock("Outer", { at = "1m" }, function()
        clock("Inner", { every = "1m" }, function() end)
      end)
      sleep "5m"
    end)
  end)
  t.contains(fake.records(run, "clock.end")[1].reason, "inside a clock no clock is started")
  run = play(function(_ENV)
    step("Begin", function() clock("When", {}, function() end) end)
  end)
  t.equal(run.code, 1)
end)
