--- Values and rows as aligned text.
local t = require "harness"
package.path = "./?.lua;" .. package.path
local table_text = require "runtime.table_text"
table_text.open(nil)

t.test("numbers: whole floats without a point, others with three figures", function()
  for _, case in ipairs {
    { 3.0, "3" }, { 94.84536, "94.8" }, { 1234.5678, "1235" }, { 0.0123456, "0.0123" }, { 42, "42" }, { 1 / 0, "inf" },
    { 9007199254740993, "9007199254740993" },
  } do
    t.equal(table_text.value(case[1]), case[2])
  end
end)

t.test("nil is a dash, lists are joined, tables show name=value in byte order", function()
  t.equal(table_text.value(nil), "–")
  t.equal(table_text.value { "a", 2 }, "a, 2")
  t.equal(table_text.value { b = 1, a = { "x", "y" } }, "a=x, y, b=1")
  t.equal(table_text.value(setmetatable({}, { __tostring = function() return "5m" end })), "5m")
end)

t.test("rows: numbers to the right, text to the left, columns as the rows' source says", function()
  local rows = { { pid = 7, name = "api" }, { pid = 1234, name = "reports" }, columns = { "pid", "name" } }
  t.equal(table.concat(table_text.rows(rows), "|"), " pid  name|   7  api|1234  reports")
end)

t.test("rows without columns show all keys in byte order; wanted columns win", function()
  local rows = { { b = 1 }, { a = "x", b = 2 } }
  t.equal(table.concat(table_text.rows(rows), "|"), "a  b|–  1|x  2")
  t.equal(table.concat(table_text.rows(rows, { "b" }), "|"), "b|1|2")
end)

t.test("off a terminal nothing is cut; on one the widest column gives way", function()
  local rows = { { id = 1, query = ("x"):rep(50) }, columns = { "id", "query" } }
  t.equal(#table_text.rows(rows)[2], 54)
  local cut = table_text.rows(rows, nil, 20)[2]
  t.equal(utf8.len(cut), 20)
  t.equal(cut:sub(-3), "…")
end)

t.test("line breaks in a cell do not break the table", function()
  t.equal(#table_text.rows { { query = "select 1\n  from x" } }, 2)
end)

t.test("an empty list says (none), also with columns", function()
  t.equal(table_text.any({})[1], "(none)")
  t.equal(table_text.any({ columns = { "a" } })[1], "(none)")
end)

t.test("text is shown line by line, a single table as name and value", function()
  t.equal(table.concat(table_text.any "a\nb\n", "|"), "a|b")
  t.equal(table.concat(table_text.any { used = 9, free = 1 }, "|"), "free  1|used  9")
end)
