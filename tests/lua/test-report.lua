--- The report as a person and as a machine reads it.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"

local function play(playbook, more)
  local spec = more or {}
  spec.playbook = playbook
  return fake.play(spec)
end

local function says(run, part)
  t.equal(run.text:find(part, 1, true) and part or run.text, part)
end

local function silent(run, part)
  t.equal(run.text:find(part, 1, true), nil)
end

local function change(_ENV)
  step("Change it", function()
    check("load", 7, { unit = "%", above = { warning = 5, critical = 9 } })
    sql "db":exec "delete"
  end)
end

t.test("the head says title, severity, environment, operator, mode", function()
  local run = play(change, { header = { title = "Too many", severity = "high", respond = "5m" } })
  says(run, "Too many   high, respond within 5m")
  says(run, "environment lab  operator ana@web1  LIVE")
end)

t.test("a protected environment is said aloud", function()
  says(play(change, { environment = { name = "production", protected = true } }), "production PROTECTED")
end)

t.test("a step shows its number, checks with value, unit and threshold, changes, state", function()
  local run = play(change)
  says(run, " 1  Change it\n")
  says(run, "WARNING   load 7 %   (warning above 5, critical above 9)")
  says(run, "changed  exec delete")
  says(run, "done  ")
end)

t.test("the summary says what changed, the checks, the code", function()
  local run = play(change)
  says(run, "DONE, with warnings   Test on lab   exit 0")
  says(run, "changed      exec delete")
  says(run, "checks       WARNING  load 7 %")
end)

t.test("a dry run says so first and last, what it would change, and the command that does it", function()
  local run = play(change, { dry = true, flags = { params = { "idle=2s", "note=a b" } } })
  says(run, "DRY RUN: reads are real, changes are shown and not made")
  says(run, "WOULD exec delete")
  says(run, "DRY RUN DONE, nothing was changed")
  says(run, "would change exec delete")
  says(run, "how true     1 step: 0 read for real, 1 planned, 0 undetermined")
  says(run, "next         opsrun play test.lua -e lab -p idle=2s -p 'note=a b'")
  silent(run, "changed      ")
end)

t.test("a failed run says where, why, what to try, and where to look", function()
  local run = play(function(_ENV)
    step("Fails", function() fail "the disk is full" end)
  end)
  says(run, "FAILED   Test on lab   exit 1")
  says(run, "test.lua:1: the disk is full")
  says(run, "opsrun log 1121-")
  says(run, "changed      nothing")
end)

t.test("a critical check: done, and exit 1 is explained", function()
  local run = play(function(_ENV)
    step("Check", function() check("load", 99, { above = { critical = 9 } }) end)
  end)
  says(run, "DONE, a check is critical")
  says(run, "exit 1")
end)

t.test("a stray --answer: done, and exit 2 is explained", function()
  says(play(function(_ENV)
    step("Nothing", function() end)
  end, { flags = { answers = { "x=yes" } } }), "DONE, but an answer met no gate")
end)

t.test("the worst check stands first in the summary", function()
  local run = play(function(_ENV)
    step("Check", function()
      check("fine", 1, { above = { critical = 9 } })
      check("bad", 99, { above = { critical = 9 } })
      check("gone", nil)
    end)
  end)
  says(run, "checks       CRITICAL  bad 99")
end)

t.test("the last value of a check counts", function()
  local run = play(function(_ENV)
    step("Check", function()
      check("load", 99, { above = { critical = 9 } })
      check("load", 1, { above = { critical = 9 } })
    end)
  end)
  t.equal(run.code, 0)
end)

t.test("check: below, between, expect and missing", function()
  local verdicts
  play(function(_ENV)
    step("Check", function()
      verdicts = {
        check("free", 3, { below = { warning = 10, critical = 5 } }),
        check("ratio", 7, { between = { 1, 5 } }),
        check("role", "primary", { expect = "primary" }),
        check("seen", nil, { missing = "critical" }),
        check("seen too", nil),
        check("edge", 5, { above = { critical = 5 } }),
      }
    end)
  end)
  t.equal(table.concat(verdicts, " "), "critical critical ok critical unknown ok")
end)

t.test("check with or_fail ends the step when critical", function()
  local run = play(function(_ENV)
    step("Check", function() check("load", 99, { above = { critical = 9 }, or_fail = true }) end)
  end)
  t.equal(run.code, 1)
  t.equal(fake.step_end(run, "check").error.message, "check 'load' is critical: 99")
end)

t.test("quiet leaves out notes, tables and steps without news; -v shows reads", function()
  local function body(_ENV)
    step("Look", function()
      note "a note"
      sql "db":query "select"
    end)
  end
  local quiet = play(body, { flags = { quiet = true } })
  silent(quiet, "a note")
  silent(play(body), "read  query select")
  says(play(body, { flags = { verbosity = 1 } }), "read  query select")
end)

t.test("lines of steps side by side do not mix", function()
  local run = play(function(_ENV)
    group("Both", { together = true }, function()
      step("A", function() note "a1" sleep "2s" note "a2" end)
      step("B", function() note "b1" sleep "1s" note "b2" end)
    end)
  end)
  says(run, "a1\n    a2\n")
  says(run, "b1\n    b2\n")
end)

t.test("--json: one event a line with a version, nothing else, and no request in it", function()
  local run = play(change, { flags = { json = true } })
  local count = 0
  for line in run.text:gmatch "[^\n]+" do
    count = count + 1
    t.equal(line:sub(1, 1), "{")
    t.equal(line:find('"v":1', 1, true) ~= nil, true)
    t.equal(line:find('"request"', 1, true), nil)
  end
  t.equal(count > 4, true)
end)
