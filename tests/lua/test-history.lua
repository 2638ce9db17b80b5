--- What the journals of runs say in short: for runs, status and log.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"
local history = require "runtime.history"
local journal = require "runtime.journal"

local function change(_ENV)
  undo("put back", function() end)
  sql "db":exec "delete"
end

--- Plays one step, then cuts its journal behind the record of type `last` (nil: whole).
local function played(fn, last, more)
  local spec = more or {}
  spec.playbook = function(_ENV)
    step("Do it", function() return fn(_ENV) end)
  end
  local run = fake.play(spec)
  local cut = false
  for i, record in ipairs(run.records) do
    if cut then
      run.records[i] = nil
    end
    cut = cut or record.type == last
  end
  local _, store = next(run.host.stores)
  if last then
    local kept = {}
    for i = 1, #run.records do
      kept[i] = store.records[i]
    end
    store.records = kept
  end
  return run, history.all()[1]
end

t.test("a finished run: state, code, changes, nothing pending", function()
  local _, summary = played(change)
  t.equal(summary.state, "done")
  t.equal(summary.code, 0)
  t.equal(summary.changes, 1)
  t.equal(#summary.pending + #summary.in_doubt, 0)
  t.equal(summary.operator, "ana")
end)

t.test("a run killed between begin and end is in doubt and names the change", function()
  local _, summary = played(change, "effect.begin")
  t.equal(summary.state, "in doubt")
  t.equal(summary.in_doubt[1], "exec delete")
  t.equal(summary.pending[1], "put back")
  t.equal(summary.at, "do-it")
end)

t.test("a run killed after a recorded change is interrupted, its way back pending", function()
  local _, summary = played(change, "effect.end")
  t.equal(summary.state, "interrupted")
  t.equal(#summary.in_doubt, 0)
  t.equal(summary.pending[1], "put back")
end)

t.test("a run whose journal somebody holds is running", function()
  local run = played(change, "effect.end")
  run.host.held = next(run.host.stores)
  t.equal(history.all()[1].state, "running")
end)

t.test("a change with an unknown outcome stays in doubt after the run's end", function()
  local _, summary = played(change, nil, {
    does = { delete = function() error(errors.effect { message = "lost", outcome = "unknown" }, 0) end },
  })
  t.equal(summary.state, "in doubt")
  t.equal(summary.in_doubt[1], "exec delete")
  t.equal(summary.changes, 0)
end)

t.test("a dry run leaves nothing pending", function()
  local _, summary = played(change, nil, { dry = true })
  t.equal(#summary.pending, 0)
  t.equal(summary.mode, "dry")
end)

t.test("what stands is listed of a live run, and of a dry one nothing does", function()
  local function switch(_ENV)
    local on = false
    ensure("the page is up", { lasts = "standing", is = function() return on end, make = function() on = true end, back = function() end })
  end
  local _, summary = played(switch)
  t.equal(summary.standing[1].text, "the page is up")
  _, summary = played(switch, nil, { dry = true })
  t.equal(#summary.standing, 0)
end)

t.test("a damaged journal is one row that says so", function()
  local run = played(change)
  for _, store in pairs(run.host.stores) do
    store.read = function()
      return nil, { message = "line 3 does not follow line 2", code = "damaged" }
    end
  end
  local summary = history.all()[1]
  t.equal(summary.state, "unreadable")
  t.equal(summary.problem, "what it did is not known: line 3 does not follow line 2")
end)

t.test("a run is found by a unique beginning; an ambiguous or unknown one is an error that helps", function()
  local run = fake.new()
  journal.open_host(run)
  run.store.create "1121-0312-db-exhaustion"
  run.store.create "1121-0412-health"
  t.equal(history.find "1121-03", "1121-0312-db-exhaustion")
  t.equal(history.find "1121-0412-health", "1121-0412-health")
  local ok, err = pcall(history.find, "1121")
  t.equal(ok, false)
  t.equal(err.message, "'1121' is the beginning of 2 runs")
  ok, err = pcall(history.find, "nope")
  t.equal(ok, false)
  t.equal(err.message, "no run 'nope'")
end)

t.test("two runs within one minute get ids of their own", function()
  local host = fake.new()
  journal.open_host(host)
  local first = journal.create "incident/x.lua"
  local second = journal.create "incident/x.lua"
  t.equal(second, first .. "-2")
end)
