--- The course of a step: when, needs, handles, retry, timeout, try, waiting, branches, signals.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"
local ipairs, max, pack = ipairs, math.max, table.pack

local function play(playbook, more)
  local spec = more or {}
  spec.playbook = playbook
  return fake.play(spec)
end

local function failed_effect()
  error(errors.effect { message = "deadlock", code = "40P01", outcome = "failed" }, 0)
end

t.test("steps run in order, each result is there for later steps", function()
  local got
  local run = play(function(_ENV)
    local first = step("First", function() return { 1, 2 } end)
    step("Second", function() got = first() end)
  end)
  t.equal(run.code, 0)
  t.equal(got[2], 2)
  t.equal(fake.step_end(run, "first").value[1], 1)
end)

t.test("the first failed step ends the run with 1; later steps do not start", function()
  local run = play(function(_ENV)
    step("Fails", function() fail("no %s", "luck") end)
    step("After", function() end)
  end)
  t.equal(run.code, 1)
  t.equal(fake.step_end(run, "fails").error.message, "no luck")
  t.equal(fake.step_end(run, "after"), nil)
end)

t.test("finish ends the run well", function()
  local run = play(function(_ENV)
    step("Finishes", function() finish "nothing to do" end)
    step("After", function() end)
  end)
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "after"), nil)
end)

t.test("a parameter that is needed and not given skips the step aloud", function()
  local run = play(function(_ENV)
    step("Needs", { needs = { "pool" } }, function() fail "not reached" end)
  end, { header = { title = "Test", params = { pool = { type = "string", optional = true } } } })
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "needs").state, "skipped")
  t.equal(fake.step_end(run, "needs").reason, "parameter 'pool' is not given")
end)

t.test("when: false skips, a function is asked, a verdict waits for that bad a check", function()
  local run = play(function(_ENV)
    step("No", { when = false }, function() fail "not reached" end)
    step("Asked", { when = function(p) return p.x == 1 end }, function() end)
    step("Early", { when = "critical" }, function() fail "not reached" end)
    step("Check", function() check("load", 9, { above = { warning = 5 } }) end)
    step("Warned", { when = "warning" }, function() end)
    step("Still not", { when = "critical" }, function() fail "not reached" end)
  end, { params = { x = 1 } })
  t.equal(run.code, 0)
  for id, state in pairs {
    no = "skipped", asked = "done", early = "skipped", warned = "done", ["still-not"] = "skipped",
  } do
    t.equal(id .. " " .. fake.step_end(run, id).state, id .. " " .. state)
  end
end)

t.test("retry: a step that made no change is tried again, so many times, with the pause", function()
  local tries = 0
  local run = play(function(_ENV)
    step("Flaky", { retry = { times = 2, after = "5s" } }, function()
      tries = tries + 1
      sql "db":query "select"
    end)
  end, { does = { select = failed_effect } })
  t.equal(run.code, 1)
  t.equal(tries, 3)
  t.equal(run.host.now, 1010)
  t.equal(fake.records(run, "step.start")[3].attempt, 3)
end)

t.test("retry: never over a change that was made, unless the step is idempotent", function()
  local function tries(options)
    local count = 0
    play(function(_ENV)
      step("Flaky", options, function()
        count = count + 1
        sql "db":exec "delete"
        fail "later"
      end)
    end)
    return count
  end
  t.equal(tries { retry = { times = 2 } }, 1)
  t.equal(tries { retry = { times = 2 }, idempotent = true }, 3)
end)

t.test("retry: refusals and typos are not tried again", function()
  local tries = 0
  play(function(_ENV)
    step("Refused", { retry = { times = 2 } }, function()
      tries = tries + 1
      shell.run { "reboot" }
    end)
  end)
  play(function(_ENV)
    step("Typo", { retry = { times = 2 } }, function(p)
      tries = tries + 1
      return p.x.y
    end)
  end)
  t.equal(tries, 2)
end)

t.test("timeout ends a step that waits, and the run with 1", function()
  local run = play(function(_ENV)
    step("Slow", { timeout = "10s" }, function()
      sleep "1h"
    end)
  end)
  t.equal(run.code, 1)
  t.equal(run.host.now, 1010)
  t.equal(fake.step_end(run, "slow").error.message, "step 'Slow' took longer than its timeout of 10s")
end)

t.test("a timeout is not caught by try", function()
  local went_on = false
  local run = play(function(_ENV)
    step("Slow", { timeout = "10s" }, function()
      try(function() sleep "1h" end)
      went_on = true
    end)
  end)
  t.equal(run.code, 1)
  t.equal(went_on, false)
end)

t.test("try gives nil, message, code for a failed effect and for fail, and the journal says so", function()
  local got
  local run = play(function(_ENV)
    step("Try", function()
      got = pack(try(function() return sql "db":query "select" end))
      try(function() fail "no" end)
    end)
  end, { does = { select = failed_effect } })
  t.equal(run.code, 0)
  t.equal(got[1], nil)
  t.equal(got[2], "deadlock")
  t.equal(got[3], "40P01")
  t.equal(#fake.records(run, "caught"), 2)
end)

t.test("try does not catch typos, skip or finish", function()
  local run = play(function(_ENV)
    step("Typo", function(p) try(function() return p.x.y end) end)
  end)
  t.equal(run.code, 1)
  run = play(function(_ENV)
    step("Skips", function() try(function() skip "so" end) end)
  end)
  t.equal(fake.step_end(run, "skips").state, "skipped")
end)

t.test("wait_until polls until true and returns that; its reads are not journaled one by one", function()
  local looks, got = 0, nil
  local run = play(function(_ENV)
    step("Wait", function()
      got = wait_until("third look", { every = "2s", within = "1m" }, function()
        sql "db":query "select"
        looks = looks + 1
        return looks == 3 and "there"
      end)
    end)
  end)
  t.equal(got, "there")
  t.equal(run.host.now, 1004)
  t.equal(#fake.records(run, "effect.end"), 0)
  local wait = fake.records(run, "wait")[1]
  t.equal(wait.polls, 3)
  t.equal(wait.ok, true)
end)

t.test("wait_until that never becomes true is a failed effect with code timeout", function()
  local code
  local run = play(function(_ENV)
    step("Wait", function()
      local _, _, why = try(function()
        wait_until("never", { every = "2s", within = "10s" }, function() return false end)
      end)
      code = why
    end)
  end)
  t.equal(run.code, 0)
  t.equal(code, "timeout")
end)

t.test("a poll's failed read counts as not yet, and is told when time is over", function()
  local run = play(function(_ENV)
    step("Wait", function()
      wait_until("up", { every = "2s", within = "4s" }, function() return sql "db":query "select" end)
    end)
  end, { does = { select = failed_effect } })
  t.equal(run.code, 1)
  t.equal(fake.events(run, "run.end")[1].failure.hint, "the last look failed: deadlock")
end)

t.test("parallel gives results in order and takes as long as the slowest", function()
  local got
  local run = play(function(_ENV)
    step("Both", function()
      got = parallel {
        { "slow", function() sleep "30s" return "a" end },
        { "fast", function() sleep "10s" return "b" end },
      }
    end)
  end)
  t.equal(got[1] .. got[2], "ab")
  t.equal(run.host.now, 1030)
end)

t.test("the first failed branch cancels the others and is the failure that is told", function()
  local run = play(function(_ENV)
    step("Both", function()
      parallel {
        { "slow", function() sleep "1h" end },
        { "fails", function() sleep "1s" fail "first" end },
      }
    end)
  end)
  t.equal(run.code, 1)
  t.equal(fake.step_end(run, "both").error.message, "first")
  t.equal(run.host.now, 1001)
end)

t.test("each runs at most `limit` side by side, results in order", function()
  local most, now_running, got = 0, 0, nil
  play(function(_ENV)
    step("All", function()
      got = each({ 1, 2, 3, 4, 5 }, { limit = 2 }, function(item)
        now_running = now_running + 1
        most = max(most, now_running)
        sleep(item)
        now_running = now_running - 1
        return item * 10
      end)
    end)
  end)
  t.equal(most, 2)
  t.equal(table.concat(got, " "), "10 20 30 40 50")
end)

t.test("a group with together runs its steps side by side; keep_going goes on after a failed one", function()
  local run = play(function(_ENV)
    group("Side by side", { together = true }, function()
      step("A", function() sleep "10s" end)
      step("B", function() sleep "10s" end)
    end)
    group("In order", { keep_going = true }, function()
      step("Fails", function() fail "no" end)
      step("Goes on", function() end)
    end)
  end)
  t.equal(run.host.now, 1010)
  t.equal(fake.step_end(run, "goes-on").state, "done")
  t.equal(run.code, 1)
end)

t.test("a step inside a step runs at once, under a number and an id of its own", function()
  local run = play(function(_ENV)
    step("Stages", function()
      for _, share in ipairs { 5, 25 } do
        step("Stage", function() return share end)
      end
    end)
  end)
  t.equal(fake.step_end(run, "stage").value, 5)
  t.equal(fake.step_end(run, "stage.2").value, 25)
end)

t.test("two steps of one id are refused at load", function()
  local run = play(function(_ENV)
    step("Same", function() end)
    step("same!", function() end)
  end)
  t.equal(run.error.kind, "load")
end)

t.test("an unknown option of a step names the nearest one", function()
  local run = play(function(_ENV)
    step("Typo", { tmieout = "5s", timeout = "5s" }, function() end)
  end)
  t.equal(run.error.kind, "load")
  t.equal(run.error.message, "step 'Typo': unknown option 'tmieout'")
end)

local function three(_ENV)
  local one = step("One", function() return sql "db":query "select" end)
  step("Two", function() return one() end)
  group("Rest", function()
    step("Three", function() end)
  end)
end

local function played(flags)
  local run = play(three, { flags = flags })
  local ids = {}
  for _, record in ipairs(fake.records(run, "step.end")) do
    ids[#ids + 1] = record.step .. " " .. record.state
  end
  return table.concat(ids, ", "), run.code
end

t.test("--from, --until and --skip choose steps; a value needed from before is read first", function()
  t.equal(played {}, "one done, two done, three done")
  t.equal(played { ["until"] = "one" }, "one done")
  t.equal(played { from = "two", ["until"] = "two" }, "one done, two done")
  t.equal(played { skip = { "two" } }, "one done, two skipped, three done")
  t.equal(played { skip = { "one" } }, "one skipped, two skipped, three done")
  t.equal(played { from = "rest" }, "three done")
end)

t.test("--from, --until and --skip with an id that is not there or plays nothing are errors: 2", function()
  for _, flags in ipairs {
    { from = "tow" },
    { ["until"] = "tow" },
    { skip = { "tow" } },
    { from = "three" },
    { from = "two", ["until"] = "one" },
  } do
    local run = play(three, { flags = flags })
    t.equal(run.error.kind, "usage")
    t.equal(#run.records, 0) -- it never became a run
  end
end)

t.test("a step run first for its value may not change anything", function()
  local run = play(function(_ENV)
    local one = step("One", function() return sql "db":exec "delete" end)
    step("Two", function() return one() end)
  end, { flags = { from = "two" } })
  t.equal(run.code, 1)
  t.equal(fake.performed(run, "delete"), 0)
end)

--- Sends the nth signal once the run is at this point.
local function signal(run_host, count)
  run_host.task.signal(count, "SIGINT")
end

t.test("a signal ends a wait at once; always runs, later steps do not; 130", function()
  local run = play(function(_ENV)
    step("Wait", function()
      always("tidy", function() sql "db":exec "tidy" end)
      sql "db":query "signal"
      sleep "1h"
    end)
    step("After", function() end)
  end, {
    does = { signal = function(host) signal(host, 1) return {} end },
  })
  t.equal(run.code, 130)
  t.equal(fake.performed(run, "tidy"), 1)
  t.equal(fake.step_end(run, "after"), nil)
  t.equal(run.host.now < 1100, true)
end)

t.test("a change in flight is let finish on the first signal and its outcome recorded", function()
  local run = play(function(_ENV)
    step("Change", function()
      sql "db":exec "delete"
      sql "db":exec "second"
    end)
  end, {
    does = {
      delete = function(host)
        signal(host, 1)
        return host.task.sleep(5) and { count = 1 } or failed_effect()
      end,
    },
  })
  t.equal(run.code, 130)
  t.equal(fake.records(run, "effect.end")[1].outcome, "done")
  t.equal(fake.performed(run, "second"), 0)
end)

t.test("a signal during the pause of a retry ends the run, without another attempt", function()
  local tries = 0
  local run = play(function(_ENV)
    step("Flaky", { retry = { times = 5, after = "1h" } }, function()
      tries = tries + 1
      sql "db":query "select"
    end)
  end, {
    does = {
      select = function(host)
        host.task.spawn(function()
          host.task.sleep(1)
          signal(host, 1)
        end)
        failed_effect()
      end,
    },
  })
  t.equal(run.code, 130)
  t.equal(run.host.now < 1100, true)
  t.equal(fake.performed(run, "select"), 1)
end)

t.test("--deadline ends the run with 124", function()
  local run = play(function(_ENV)
    step("Slow", function() sleep "1h" end)
  end, { flags = { deadline = "30s" } })
  t.equal(run.code, 124)
  t.equal(run.host.now, 1030)
end)
