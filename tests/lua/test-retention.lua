--- Which runs are removed at the end of one: old ones of the same playbook, never one that is open.
local t = require "harness"
local journal = require "runtime.journal"
local retention = require "runtime.retention"

local day = 86400

--- A home in memory. Runs are {playbook, state, mode =, age = in days, last = type of the last record, held =}.
local function prune(runs, keep, id)
  local removed, looked = {}, 0
  local ids = {}
  for name in pairs(runs) do
    ids[#ids + 1] = name
  end
  table.sort(ids, function(a, b)
    return (runs[a].age or 0) > (runs[b].age or 0)
  end)
  local now, texts = 1800000000, {}
  local function as_text(record)
    texts[#texts + 1] = record
    texts["record " .. #texts] = record
    return "record " .. #texts
  end
  local host = {
    clock = { wall = function() return now end },
    json = { decode = function(text) return texts[text] end },
    store = {
      list = function(part)
        local found = {}
        for _, name in ipairs(ids) do
          if name:find(part or "", 1, true) then
            found[#found + 1] = name
          end
        end
        return found
      end,
      made = function(name) return now - (runs[name].age or 0) * day end,
      ends = function(name)
        local run = runs[name]
        looked = looked + 1
        if run.damaged then
          return nil, { message = "damaged", code = "damaged" }
        end
        return as_text { type = "run.start", playbook = run[1], mode = run.mode or "live" },
          run[2] and as_text { type = run.last or "run.end", state = run[2] } or nil
      end,
      remove = function(name)
        if runs[name].held then
          return nil, { message = "held", code = "locked" }
        end
        removed[#removed + 1] = name
        return true
      end,
    },
  }
  journal.open_host(host)
  local count = retention.prune(host, { id = id or "none", playbook = "daily/a.lua", header = { keep_runs = keep } })
  table.sort(removed)
  return table.concat(removed, " "), count, looked
end

local function five(change)
  local runs = {}
  for i = 1, 5 do
    runs["1121-000" .. i .. "-a"] = { "daily/a.lua", "done", age = 10 - i }
  end
  for id, more in pairs(change or {}) do
    for name, value in pairs(more) do
      runs[id][name] = value
    end
  end
  return runs
end

t.test("the newest so many are kept, the oldest go", function()
  t.equal(prune(five(), 3), "1121-0001-a 1121-0002-a")
  t.equal(prune(five(), 5), "")
end)

t.test("what is older than the age goes, however few there are", function()
  t.equal(prune(five { ["1121-0001-a"] = { age = 91 } }, "90d"), "1121-0001-a")
  t.equal(prune(five(), "90d"), "")
end)

t.test("both limits hold when both are given", function()
  t.equal(prune(five { ["1121-0001-a"] = { age = 91 } }, { count = 4, age = "90d" }), "1121-0001-a")
  t.equal(prune(five { ["1121-0001-a"] = { age = 91 } }, { count = 2, age = "90d" }), "1121-0001-a 1121-0002-a 1121-0003-a")
end)

t.test("without keep_runs 1000 runs and 400 days are kept", function()
  t.equal(prune(five(), nil), "")
  t.equal(prune(five { ["1121-0001-a"] = { age = 401 } }, nil), "1121-0001-a")
  local runs = {}
  for i = 1, 1003 do
    runs[("1121-%04d-a"):format(i)] = { "daily/a.lua", "done", age = 399 - i / 10 }
  end
  t.equal(select(2, prune(runs, nil)), 3)
end)

t.test("a run that is not over is never removed: failed, interrupted, refused, in doubt, suspended, damaged, held", function()
  for _, state in ipairs { "failed", "interrupted", "refused", "in doubt", "suspended" } do
    t.equal(prune(five { ["1121-0001-a"] = { [2] = state } }, 3), "1121-0002-a")
  end
  t.equal(prune(five { ["1121-0001-a"] = { [2] = false } }, 3), "1121-0002-a")
  t.equal(prune(five { ["1121-0001-a"] = { damaged = true } }, 3), "1121-0002-a")
  t.equal(prune(five { ["1121-0001-a"] = { last = "step.end" } }, 3), "1121-0002-a")
  t.equal(prune(five { ["1121-0001-a"] = { held = true } }, 3), "1121-0002-a")
end)

t.test("what was undone, closed or rehearsed may go, however a rehearsal ended", function()
  t.equal(prune(five { ["1121-0001-a"] = { [2] = "undone" }, ["1121-0002-a"] = { [2] = "closed", last = "run.closed" } }, 3),
    "1121-0001-a 1121-0002-a")
  t.equal(prune(five { ["1121-0001-a"] = { [2] = "failed", mode = "dry" } }, 4), "1121-0001-a")
  t.equal(prune(five { ["1121-0001-a"] = { [2] = false, mode = "dry" } }, 4), "1121-0001-a")
end)

t.test("runs of other playbooks are neither counted nor removed, nor this run", function()
  local runs = five()
  runs["1121-0009-a"] = { "weekly/a.lua", "done", age = 300 }
  runs["1121-0009-a-2"] = { "daily/a-2.lua", "done", age = 300 }
  runs["1121-0009-b"] = { "daily/a.lua", "done", age = 300 }
  t.equal(prune(runs, 5), "")
  t.equal(prune(runs, 4), "1121-0001-a")
  t.equal(prune(five(), 4, "1121-0001-a"), "")
end)

t.test("below the limits no journal is looked into", function()
  t.equal(select(3, prune(five(), 5)), 0)
  t.equal(select(3, prune(five(), 4)), 5)
end)
