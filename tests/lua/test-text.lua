--- Suggestions, wrapping, ordered iteration.
local t = require "harness"
local ordered = require "runtime.ordered"
local text = require "runtime.text"

t.test("the nearest word is found over typos, swaps and beginnings", function()
  local fields = { "severity", "schedule", "sources", "title" }
  t.equal(text.nearest("severty", fields), "severity")
  t.equal(text.nearest("titel", fields), "title")
  t.equal(text.nearest("SEVERITY", fields), "severity")
  t.equal(text.nearest("sched", fields), "schedule")
  t.equal(text.nearest("banana", fields), nil)
end)

t.test("of equally near words the first by bytes wins", function()
  t.equal(text.nearest("cat", { "bat", "car" }), "bat")
end)

t.test("suggest names the nearest, else what there is, else nothing", function()
  t.equal(text.suggest("idel", { "idle", "pool" }), "did you mean 'idle'?")
  t.equal(text.suggest("zzzzzz", { "idle", "pool" }, "parameters"), "parameters: idle, pool")
  t.equal(text.suggest("zzzzzz", {}), nil)
end)

t.test("wrap breaks at spaces", function()
  t.equal(text.wrap("one two three", 7), { "one two", "three" })
end)

t.test("pairs go by numbers, then texts, then booleans", function()
  local keys = {}
  for key in ordered.pairs { b = 1, a = 1, [10] = 1, [2] = 1, [true] = 1, [1.5] = 1 } do
    keys[#keys + 1] = tostring(key)
  end
  t.equal(table.concat(keys, " "), "1.5 2 10 a b true")
end)

t.test("entries removed on the way are left out", function()
  local map, seen = { a = 1, b = 2, c = 3 }, {}
  for key in ordered.pairs(map) do
    seen[#seen + 1] = key
    map.b = nil
  end
  t.equal(seen, { "a", "c" })
end)

t.test("next walks in the same order and ends", function()
  local map = { b = 2, a = 1 }
  t.equal(ordered.next(map), "a")
  t.equal(ordered.next(map, "a"), "b")
  t.equal(ordered.next(map, "b"), nil)
  t.equal(ordered.next {}, nil)
end)
