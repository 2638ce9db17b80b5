local t = require "harness"
local bind = require "runtime.sql.bind"

local null = setmetatable({}, { __name = "null" })

t.test("a list is bound as an array literal, quoted where it must be", function()
  t.equal(bind.value({ 1, 2 }, null), "{1,2}")
  t.equal(bind.value({ 'a"b', "c\\d", "" }, null), '{"a\\"b","c\\\\d",""}')
  t.equal(bind.value({ "NULL", null }, null), '{"NULL",NULL}')
  t.equal(bind.value({ { 1 }, { 2 } }, null), "{{1},{2}}")
  t.equal(bind.value({}, null), "{}")
end)

t.test("nil and json.null are NULL", function()
  t.equal(bind.value(nil, null), nil)
  t.equal(bind.value(null, null), nil)
end)

t.test("a duration is bound as an interval, a size as bytes", function()
  t.equal(bind.value(setmetatable({ seconds = 300 }, {}), null), "300 seconds")
  t.equal(bind.value(setmetatable({ seconds = 0.5 }, {}), null), "0.5 seconds")
  t.equal(bind.value(setmetatable({ bytes = 1024 }, {}), null), "1024")
end)

t.test("a table with named fields cannot be bound", function()
  local value, why = bind.value({ a = 1 }, null)
  t.equal(value, nil)
  t.equal(why:find("named fields", 1, true) ~= nil, true)
end)

t.test("an item has as many values as the statement has parameters, holes included", function()
  local item = bind.item("SELECT $1, $2, $3", { 1, nil, "x" }, 3, null)
  t.equal(item.n, 3)
  t.equal(item[2], 1)
  t.equal(item[3], nil)
  t.equal(item[4], "x")
end)
