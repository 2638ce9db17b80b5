--- What a dry run shows, what it leaves undetermined, and how true its closing line is.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local plan = require "runtime.plan"

local function dry(playbook, more)
  local spec = more or {}
  spec.dry, spec.playbook = true, playbook
  return fake.play(spec)
end

local function fidelity(run)
  return fake.events(run, "run.end")[1].fidelity
end

local function planned_signal(fn)
  local ok, err = pcall(fn)
  return not ok and errors.is(err, "planned") and err or nil
end

t.test("every way to look into a planned result ends the preview, and names the line", function()
  local value = plan.result({ summary = "exec delete", where = "x.lua:42" }, nil)
  local ways = {
    field = function() return value.count end,
    length = function() return #value end,
    item = function() return value[1] end,
    pairs = function() return pairs(value) end,
    ipairs = function() ipairs(value)(value, 0) end,
    call = function() return value() end,
    add = function() return value + 1 end,
    add_right = function() return 1 + value end,
    concat = function() return "x" .. value end,
    less = function() return value < 3 end,
    less_equal = function() return 3 <= value end,
    negate = function() return -value end,
    next = function() return ordered.next(value) end,
    ordered = function() return ordered.pairs(value) end,
  }
  for name, way in pairs(ways) do
    local signal = planned_signal(way)
    t.equal(signal and (name .. " " .. signal.where), name .. " x.lua:42")
  end
end)

t.test("on_dry promises fields; the others still end the preview", function()
  local value = plan.result({ summary = "exec" }, { count = 7 })
  t.equal(value.count, 7)
  t.equal(planned_signal(function() return value.rows end) ~= nil, true)
  t.equal(plan.is_planned(value), true)
  t.equal(plan.is_planned { count = 7 }, false)
end)

t.test("a step that looks into a change's result is planned, and the next steps go on", function()
  local run = dry(function(_ENV)
    step("Change", function()
      local result = sql "db":exec "delete"
      note("%d deleted", result.count)
    end)
    step("Next", function() sql "db":query "select" end)
  end)
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "change").state, "planned")
  t.equal(fake.step_end(run, "next").state, "done")
  t.equal(fake.performed(run, "select"), 1)
  t.equal(fidelity(run), "2 steps: 1 read for real, 1 planned, 0 undetermined")
end)

t.test("on_dry lets a preview go on to the end", function()
  local run = dry(function(_ENV)
    step("Change", function()
      local result = sql "db":exec("delete", nil, { on_dry = { count = 3 } })
      sql("db" .. result.count):exec "vacuum"
    end)
  end)
  t.equal(#fake.records(run, "effect.planned"), 2)
end)

t.test("before the first planned change a check is a check, after it undetermined", function()
  local run = dry(function(_ENV)
    step("Before", function() check("load", 9, { above = { critical = 5 } }) end)
    step("Change", function() sql "db":exec "delete" end)
    step("After", function() check("load", 9, { above = { critical = 5 } }) end)
  end)
  local checks = fake.records(run, "check")
  t.equal(checks[1].undetermined, nil)
  t.equal(checks[2].undetermined, true)
  t.equal(fake.step_end(run, "after").state, "undetermined")
  t.equal(fidelity(run), "3 steps: 1 read for real, 1 planned, 1 undetermined")
end)

t.test("a failure after a planned change is undetermined and the run goes on", function()
  local run = dry(function(_ENV)
    step("Change", function() sql "db":exec "delete" end)
    step("Fails now", function() fail "still full" end)
    step("Last", function() sql "db":query "select" end)
  end)
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "fails-now").state, "undetermined")
  t.equal(fake.performed(run, "select"), 1)
end)

t.test("a failure before any planned change is a failure, also in a dry run", function()
  local run = dry(function(_ENV)
    step("Fails now", function() fail "no" end)
  end)
  t.equal(run.code, 1)
end)

t.test("a caught failure after a planned change ends the preview instead of entering its branch", function()
  local entered = false
  local run = dry(function(_ENV)
    step("Change", function() sql "db":exec "delete" end)
    step("Tries", function()
      try(function() fail "no" end)
      entered = true
    end)
    step("Attempts", function()
      attempt(function() fail "no" end)
      entered = true
    end)
  end)
  t.equal(entered, false)
  t.equal(fake.step_end(run, "tries").state, "undetermined")
  t.equal(fake.step_end(run, "attempts").state, "undetermined")
  t.equal(run.code, 0)
end)

t.test("a preview that fails ends a dry run, unless an earlier change that was not made may be why", function()
  local function no_table()
    error(errors.effect { message = "no such table", outcome = "failed" }, 0)
  end
  local function insert_only(_ENV)
    step("Insert", function() sql "db":exec "insert" end)
  end
  local run = dry(insert_only, { previews = { insert = no_table } })
  t.equal(run.code, 1)
  t.equal(#fake.records(run, "effect.planned"), 0)
  run = dry(function(_ENV)
    step("Create", function() sql "db":exec "create" end)
    insert_only(_ENV)
  end, { previews = { insert = no_table } })
  t.equal(run.code, 0)
  t.equal(#fake.records(run, "effect.planned"), 2)
  t.equal(run.text:find("undetermined: no such table", 1, true) ~= nil, true)
end)

t.test("typos are not undetermined: they fail a dry run", function()
  local run = dry(function(_ENV)
    step("Change", function() sql "db":exec "delete" end)
    step("Typo", function(p) return p.x.y end)
  end)
  t.equal(run.code, 1)
end)

t.test("the handle of a planned step plans the step that asks for its value", function()
  local run = dry(function(_ENV)
    local first = step("First", function()
      return sql "db":exec("delete").count
    end)
    step("Second", function() return first() end)
  end)
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "second").state, "undetermined")
end)

t.test("the handle of a skipped step skips the step that asks for its value", function()
  local run = dry(function(_ENV)
    local first = step("First", function() skip "nothing to do" end)
    step("Second", function() return first() end)
  end)
  t.equal(fake.step_end(run, "second").state, "skipped")
end)

t.test("a dry run waits for nothing: one sample of wait_until, sleep moves only now()", function()
  local before, after
  local run = dry(function(_ENV)
    step("Wait", function()
      before = now()
      sleep "1h"
      after = now()
      wait_until("never", { every = "1s", within = "1h" }, function()
        sql "db":query "select"
        return false
      end)
    end)
  end)
  t.equal((after - before).seconds, 3600)
  t.equal(run.host.now, 1000)
  t.equal(fake.performed(run, "select"), 1)
  t.equal(run.code, 0)
end)

t.test("a dry run asks nobody: gates are shown with their id and taken as yes", function()
  local run = dry(function(_ENV)
    step("Ask", function()
      confirm "Really?"
      confirm "Really, really?"
      sql "db":exec "delete"
    end)
  end, { environment = { name = "prod", protected = true } })
  t.equal(run.code, 0)
  t.equal(#run.host.term.asked, 0)
  local gates = fake.events(run, "gate")
  t.equal(gates[1].id .. " " .. gates[2].id, "ask ask.2")
end)

t.test("policy refuses in a dry run what it would refuse live", function()
  local run = dry(function(_ENV)
    step("Run", function() shell.run { "rm", "-rf", "/" } end)
  end)
  t.equal(run.code, 5)
  t.equal(#fake.records(run, "effect.planned"), 0)
end)

t.test("checks set the code of a dry run only with --fail-on", function()
  local function play(flags)
    return dry(function(_ENV)
      step("Check", function() check("load", 9, { above = { critical = 5 } }) end)
    end, { flags = flags }).code
  end
  t.equal(play {}, 0)
  t.equal(play { fail_on = "warning" }, 1)
end)

t.test("artifacts are written in a dry run too", function()
  local run = dry(function(_ENV)
    step("Save", function() artifact("rows.csv", { { a = 1, b = "x,y" } }) end)
  end)
  t.equal(run.host.artifacts["rows.csv"], 'a,b\n1,"x,y"\n')
end)

t.test("undo and always are shown, not made", function()
  local run = dry(function(_ENV)
    step("Change", function()
      always("drop it", function() sql "db":exec "drop" end)
      undo("put back", function() sql "db":exec "insert" end)
      sql "db":exec "delete"
    end)
  end)
  t.equal(run.code, 0)
  t.equal(fake.order(run, "perform"), "")
end)

t.test("the closing line counts declared reads", function()
  local run = dry(function(_ENV)
    step("Read", function() sql "db":query "select" end)
  end, { declared = { select = true } })
  t.equal(fidelity(run), "1 step: 1 read for real (1 declared), 0 planned, 0 undetermined")
end)
