--- Budgets: reserved before anything is sent, given back when nothing was, settled to what came of it.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local budget = require "runtime.budget"
local errors = require "runtime.errors"

--- Plays one step; `limits` of things, what of them the report says was spent.
local function play(limit, fn, more)
  local spec = more or {}
  spec.header = { title = "Test", limits = { things = limit } }
  spec.playbook = function(_ENV)
    step("Do it", function() return fn(_ENV) end)
  end
  local run = fake.play(spec)
  local line = fake.events(run, "run.end")[1].limits[1]
  return run, line and line.spent
end

local function exec(_ENV, text, things)
  return sql "db":exec(text, nil, { costs = { things = things } })
end

local function fails(outcome)
  return function()
    error(errors.effect { message = "no", outcome = outcome }, 0)
  end
end

t.test("the end of the report says what was spent of each limit", function()
  local run, spent = play(200, function(_ENV)
    exec(_ENV, "a", 60)
    exec(_ENV, "b", 1)
  end)
  t.equal(run.code .. " " .. spent, "0 61")
  t.equal(fake.events(run, "run.end")[1].limits, { { name = "things", spent = 61, limit = 200 } })
end)

t.test("what was not sent gives its reservation back, whatever stage it failed in", function()
  local function two(_ENV)
    try(function() exec(_ENV, "lost", 8) end)
    exec(_ENV, "made", 8)
  end
  local run, spent = play(10, two, { does = { lost = fails "not sent" } })
  t.equal(run.code .. " " .. spent, "0 8")
  run, spent = play(10, two, { prepares = { lost = fails() } })
  t.equal(run.code .. " " .. spent, "0 8")
  run, spent = play(10, function(_ENV) exec(_ENV, "x", 8) end, { environment = { name = "x", protected = true } })
  t.equal(run.code .. " " .. spent, "5 0")
  run, spent = play(10, function(_ENV) exec(_ENV, "x", 8) end, {
    fail_append = function(record) return record.type == "effect.begin" and { code = "full", message = "full" } end,
  })
  t.equal(run.code .. " " .. spent, "4 0")
end)

t.test("what failed keeps its reservation: a part of it may have happened; the unknown keeps it too", function()
  local run, spent = play(10, function(_ENV)
    try(function() exec(_ENV, "half", 8) end)
    exec(_ENV, "made", 8)
  end, { does = { half = fails "failed" } })
  t.equal(run.code .. " " .. spent, "5 8")
  t.equal(fake.performed(run, "made"), 0)
  run, spent = play(10, function(_ENV) exec(_ENV, "half", 8) end, { does = { half = fails "unknown" } })
  t.equal(run.code .. " " .. spent, "7 8")
end)

t.test("{most, by}: the most is reserved, what the result says is spent, and stands in the journal", function()
  local run, spent = play(10, function(_ENV)
    for _ = 1, 3 do
      exec(_ENV, "some", { most = 8, by = "count" })
    end
  end, { does = { some = { count = 1 } } })
  t.equal(run.code .. " " .. spent, "0 3")
  t.equal(fake.records(run, "effect.begin")[1].costs, { things = 8 })
  t.equal(fake.records(run, "effect.end")[1].costs, { things = 1 })
  run, spent = play(10, function(_ENV)
    exec(_ENV, "list", { most = 8, by = "rows" })
  end, { does = { list = { rows = { 1, 2, 3 } } } })
  t.equal(run.code .. " " .. spent, "0 3")
end)

t.test("a result that does not say how many keeps the most; one that says more is spent as it says", function()
  local function one(result)
    return select(2, play(10, function(_ENV) exec(_ENV, "x", { most = 8, by = "count" }) end, { does = { x = result } }))
  end
  t.equal(one {}, 8)
  t.equal(one { count = "5" }, 8)
  t.equal(one { count = -1 }, 8)
  t.equal(one { count = 0 / 0 }, 8)
  t.equal(one { count = 50 }, 50)
  local run = play(10, function(_ENV)
    exec(_ENV, "x", { most = 8, by = "count" })
    exec(_ENV, "y", 0)
    exec(_ENV, "z", 1)
  end, { does = { x = { count = 50 } } })
  t.equal(run.code .. " " .. fake.performed(run, "z"), "5 0")
end)

t.test("dry: the most is what a run may need, nothing is settled", function()
  local run, spent = play(10, function(_ENV)
    exec(_ENV, "x", { most = 4, by = "count" })
    exec(_ENV, "y", { most = 4, by = "count" })
  end, { dry = true })
  t.equal(run.code .. " " .. spent, "0 8")
  t.equal(play(10, function(_ENV)
    exec(_ENV, "x", { most = 8, by = "count" })
    exec(_ENV, "y", { most = 8, by = "count" })
  end, { dry = true }).code, 5)
end)

t.test("branches side by side cannot overrun a limit together", function()
  for _, settled in ipairs { 1, 8 } do
    local run = fake.play {
      header = { title = "Test", limits = { things = 10 } },
      does = { x = function(host)
        host.task.sleep(1)
        return { count = settled }
      end },
      playbook = function(_ENV)
        step("Do it", function()
          each({ 1, 2, 3, 4 }, { limit = 4, keep_going = true }, function()
            exec(_ENV, "x", { most = 8, by = "count" })
          end)
        end)
      end,
    }
    t.equal(fake.performed(run, "x"), 1)
  end
end)

t.test("a cost that could give room to others is the author's mistake, and nothing is made", function()
  for _, costs in ipairs {
    { things = -1 }, { things = 0 / 0 }, { things = -math.huge }, { things = math.huge }, { things = "1" }, { things = true },
    { things = {} }, { things = { most = -1 } }, { things = { by = "count" } }, { things = { most = 1, by = 5 } },
    { things = { most = 1, buy = "count" } }, { 5 }, "things", 5,
  } do
    local run = fake.play {
      header = { title = "Test", limits = { things = 10 } },
      playbook = function(_ENV)
        step("Do it", function() sql "db":exec("x", nil, { costs = costs }) end)
      end,
    }
    t.equal(run.code .. " " .. fake.performed(run, "x"), "1 0")
  end
end)

-- -- called playbooks, and runs that are gone on with ----------------------------------------------

local function run_of(limits, caller)
  return { header = { limits = limits }, params = {}, spent = {}, caller = caller, overrides = {} }
end

t.test("a called playbook spends of its caller's budget, and of who called that", function()
  local top = run_of { things = 10 }
  local middle = run_of({}, top)
  local inner = run_of({ things = 100 }, middle)
  local effect = { summary = "x", costs = { things = 6 } }
  t.equal(budget.overruns(inner, effect), {})
  budget.reserve(inner, effect)
  t.equal(top.spent.things .. " " .. middle.spent.things .. " " .. inner.spent.things, "6 6 6")
  t.contains(budget.overruns(inner, effect)[1].message, "12 of at most 10 things")
  t.contains(budget.overruns(top, effect)[1].message, "12 of at most 10 things")
  budget.settle(inner, { summary = "x", costs = { things = 6 }, costs_by = { things = "count" } }, "done", { count = 2 })
  t.equal(top.spent.things .. " " .. middle.spent.things .. " " .. inner.spent.things, "2 2 2")
end)

t.test("the called one's own limit holds, however much its caller may", function()
  local inner = run_of({ things = 5 }, run_of { things = 1000 })
  t.contains(budget.overruns(inner, { summary = "x", costs = { things = 6 } })[1].message, "6 of at most 5 things")
end)

t.test("what a caller refuses reserves nothing in the called one", function()
  local top = run_of { things = 5 }
  local inner = run_of({}, top)
  t.equal(#budget.overruns(inner, { summary = "x", costs = { others = 3, things = 6 } }), 1)
  t.equal(next(inner.spent) or next(top.spent), nil)
end)

local function key(ordinal, attempt)
  return { path = "p", step = "s", attempt = attempt or 1, branch = "", ordinal = ordinal }
end

--- A recording as runtime.recording folds it, of {key, begin costs, outcome, end costs}.
local function recorded(list)
  local recording = { effects = {} }
  for _, item in ipairs(list) do
    local name = table.concat({ "p", "s", item[1].attempt, "", item[1].ordinal }, "\0")
    recording.effects[name] = {
      begin = { costs = item[2] },
      finish = item[3] and { outcome = item[3], costs = item[4] } or nil,
    }
  end
  return recording
end

t.test("a run that is gone on with has spent what it spent: all attempts, settled amounts, nothing for what was not sent", function()
  local run = run_of { things = 100 }
  run.recording = recorded {
    { key(1), { things = 10 }, "done", { things = 3 } },
    { key(2), { things = 10 }, "not sent" },
    { key(3), { things = 10 }, "failed", { things = 10 } },
    { key(1, 2), { things = 20 } }, -- in doubt
    { key(2, 2), { things = 5 }, "unknown", { things = 5 } },
  }
  t.equal(budget.lines(run)[1].spent, 38)
  budget.count(run, { key = key(1), costs = { things = 10 } }) -- met again: counted already
  t.equal(budget.lines(run)[1].spent, 38)
  t.contains(budget.overruns(run, { summary = "x", costs = { things = 63 } })[1].message, "101 of at most 100")
end)

t.test("in a called playbook what is met again counts by its record, in it and not twice in its caller", function()
  local top = run_of { things = 100 }
  top.recording = recorded { { key(1), { things = 10 }, "done", { things = 3 } } }
  local inner = setmetatable(run_of({ things = 50 }, top), { __index = top })
  budget.count(inner, { key = key(1), costs = { things = 10 } })
  t.equal(inner.spent.things .. " " .. budget.lines(top)[1].spent, "3 3")
end)
