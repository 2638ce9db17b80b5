--- Types and indexes that are compared by somebody's own functions: what sorts, groups or looks up runs them, and no
--- statement shows it. Each case is set up alone, since it may make every read of the database unprovable.
local comparisons = {}

local function functions_for(type)
  return {
    "CREATE SCHEMA odd",
    "CREATE TYPE odd.mood AS ENUM ('a', 'b')",
    "CREATE TABLE odd.rows (m odd.mood, v varchar)",
    ("CREATE FUNCTION odd.cmp(%s, %s) RETURNS int LANGUAGE plpgsql IMMUTABLE"
      .. " AS 'BEGIN PERFORM pg_notify(''evil'', ''x''); RETURN 0; END'"):format(type, type),
    ("CREATE FUNCTION odd.lt(%s, %s) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT odd.cmp($1, $2) < 0'"):format(type, type),
    ("CREATE OPERATOR odd.<# (LEFTARG = %s, RIGHTARG = %s, FUNCTION = odd.lt)"):format(type, type),
  }
end

local function class(type, how, operator)
  return ("CREATE OPERATOR CLASS odd.ops %s FOR TYPE %s USING btree AS OPERATOR 1 %s, FUNCTION 1 odd.cmp(%s, %s)"):format(
    how, type, operator, type, type)
end

local function case(type, more, refused, fine)
  local setup = functions_for(type)
  table.move(more, 1, #more, #setup + 1, setup)
  return { setup = setup, refused = refused, fine = fine }
end

comparisons.cases = {
  case("odd.mood", { class("odd.mood", "DEFAULT", "odd.<#") }, {
    "SELECT m FROM odd.rows ORDER BY m", "SELECT DISTINCT m FROM odd.rows", "SELECT max(m) FROM odd.rows",
    "SELECT 'a'::odd.mood IN (SELECT m FROM odd.rows)",
  }, { "SELECT 1", "SELECT relname FROM pg_class ORDER BY relname" }),
  case("varchar", { class("varchar", "DEFAULT", "odd.<#") }, {
    "SELECT v FROM odd.rows ORDER BY v", "SELECT DISTINCT v FROM odd.rows", "SELECT greatest(v, 'x'::varchar) FROM odd.rows",
    "SELECT ARRAY['a'::varchar] < ARRAY['b'::varchar]", "SELECT array_agg(v ORDER BY v) FROM odd.rows",
    "SELECT name::varchar FROM pg_settings ORDER BY 1",
  }, {}),
  case("int", { class("int", "", "<"), "CREATE TYPE odd.span AS RANGE (SUBTYPE = int, SUBTYPE_OPCLASS = odd.ops)" }, {
    "SELECT '[1,2]'::odd.span", "SELECT odd.span(1, 2)", "SELECT '{[1,2]}'::odd.span_multirange",
  }, {}),
  case("int", { "CREATE FUNCTION odd.diff(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT odd.cmp(1, 2)::float8'",
    "CREATE TYPE odd.span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = odd.diff)",
    "CREATE TYPE odd.plain AS RANGE (SUBTYPE = float8)", "CREATE TABLE odd.plans (p odd.plain)" }, {
    "SELECT '[1,2]'::odd.span",
  }, {
    "SELECT '[1,2]'::odd.plain", "SELECT odd.plain(1, 2)", "SELECT * FROM odd.plans WHERE p @> 1.5::float8 ORDER BY p",
  }),
}

comparisons.teardown = { "DROP SCHEMA odd CASCADE" }

return comparisons
