--- sql.format and :database: texts that stay what they are.
local t = require "harness"
local pure = require "runtime.sql.pure"
local units = require "runtime.units"

local function format(...)
  return pure.format(nil, ...)
end

t.test("identifiers stay one name, whatever they hold", function()
  t.equal(format("SELECT count(*) FROM %I.%I", "public", "users"), 'SELECT count(*) FROM "public"."users"')
  t.equal(format("%I", 'a"; DROP TABLE x; --'), '"a""; DROP TABLE x; --"')
  t.equal(select(2, format("%I", "")), "value 1: expected a name, got an empty text")
  t.equal(select(2, format("%I", nil)), "value 1: expected a name, got nil")
  t.equal(select(2, format("%I", "a\0b")), "value 1: it holds a NUL byte")
end)

t.test("literals are quoted as PostgreSQL does", function()
  t.equal(format("%L %L %L", "it's", 7, true), "'it''s' '7' 'true'")
  t.equal(format("%L", "a\\'b"), " E'a\\\\''b'")
  t.equal(format("%L", nil), "NULL")
  t.equal(format("%L", units.duration "5m"), "'300 seconds'")
  t.equal(select(2, format("%L", {})), "value 1: a table cannot stand in a statement")
end)

t.test("text and percent signs", function()
  t.equal(format("%s %% %s", "ASC", 3), "ASC % 3")
  t.equal(select(2, format("%d", 3)), "'%d' is none of %I, %L, %s, %%")
  t.equal(select(2, format("%I")), "'%I' number 1 has no value")
  t.equal(select(2, format("%I", "a", "b")), "2 values, but the text takes 1")
  t.equal(select(2, format("100%")), "'%' is none of %I, %L, %s, %%")
end)

t.test("another database is named behind its connection", function()
  t.equal(pure.database("primary", "scratch"), "primary/scratch")
  t.equal(pure.database("primary/scratch", "other/one"), "primary/other/one")
  t.equal(select(2, pure.database("primary", "")), "expected the name of a database")
end)
