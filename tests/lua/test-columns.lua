--- Rows of texts as aligned columns that fit a terminal.
local t = require "harness"
package.path = "./?.lua;" .. package.path
local columns = require "runtime.columns"
require("runtime.table_text").open(nil)

--- The lines as they are seen.
local function seen(rows, width)
  local lines = {}
  for i, line in ipairs(columns(rows, width)) do
    lines[i] = line.plain .. line.dim
  end
  return lines
end

local ROWS = { { "a", "number", "what it is there for, at length" }, { "bbb", "text", "short" } }

t.test("off a terminal columns are aligned and nothing is broken", function()
  t.equal(seen(ROWS), { "  a    number  what it is there for, at length", "  bbb  text    short" })
end)

t.test("the last column goes on below itself where it is broken, and is dim", function()
  t.equal(seen(ROWS, 40), { "  a    number  what it is there for, at", "               length", "  bbb  text    short" })
  t.equal(columns(ROWS, 40)[2].dim, "length")
end)

t.test("where the last column has no room beside the second it stands below it", function()
  t.equal(seen({ { "1. One", "an-id-of-some-length", "needs db" }, { "2. Two", "another-id-of-some-length", "" } }, 36),
    { "  1. One  an-id-of-some-length", "          needs db", "  2. Two  another-id-of-some-length" })
end)

t.test("one long text of the second column does not push the others' explanations away", function()
  t.equal(seen({ { "a", ("x "):rep(20) .. "x", "why" }, { "b", "y", "because of this" }, { "c", "z", "so" } }, 40),
    { "  a  x x x x x x x x x x x x x x x x x x", "     x x x", "     why", "  b  y  because of this", "  c  z  so" })
end)

t.test("a first text that leaves no room for the second has a line of its own", function()
  t.equal(seen({ { "a name that is long", "an-id-of-theirs" }, { "b", "x" } }, 30),
    { "  a name that is long", "     an-id-of-theirs", "  b  x" })
  t.equal(seen({ { "a name that is long", "id" }, { "b", "x" } }, 30), { "  a name that is long  id", "  b                    x" })
end)

t.test("a word that is longer than its column stays whole", function()
  t.equal(seen({ { "a", ("x"):rep(50) } }, 40), { "  a  " .. ("x"):rep(50) })
end)
