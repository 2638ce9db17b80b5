--- stdlib/restores and stdlib/swap over pretend databases: when a restored table counts as wrong, how much a backup lacks,
--- which names a database gets, and what is refused before anything is made.
local t = require "harness"

--- A module, loaded with only what the sandbox would give it.
local function load_module(name, more)
  local env = {
    require = function() return {} end,
    fail = function(text, ...) error({ message = text:format(...) }, 0) end,
    sql = { format = function(text) return text end },
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring,
  }
  for field, value in pairs(more or {}) do env[field] = value end
  return assert(loadfile(("stdlib/%s.lua"):format(name), "t", env))()
end

local function load_restores(more) return load_module("restores", more) end

--- Compares one table of so many rows with one of so many.
local function compared(production, restored, opts)
  local function database(measure)
    return {
      query = function() return { { schema = "public", name = "orders", stamp = "created_at" } } end,
      one = function() return measure end,
    }
  end
  local full = { tables = {}, same = opts and opts.same or {}, stamps = {}, at = { epoch = 1000 } }
  return load_restores().compare(database(production), database(restored), full)[1]
end

t.test("a few rows more or less are none, all rows gone are all", function()
  t.equal(compared({ rows = 10 }, { rows = 8 }).off, 0)
  t.equal(compared({ rows = 3 }, { rows = 0 }).off, 100)
  t.equal(compared({ rows = 1000 }, { rows = 900 }).off, 10)
  t.equal(compared({ rows = 1000 }, { rows = 1100 }).off, 10)
  t.equal(compared({ rows = 0 }, { rows = 0 }).off, 0)
end)

t.test("how far the newest row lags behind is told where a column says it", function()
  t.equal(compared({ rows = 9, newest = 990 }, { rows = 9, newest = 930 }).behind, 60)
  t.equal(compared({ rows = 9, newest = 930 }, { rows = 9, newest = 990 }).behind, 0)
  t.equal(compared({ rows = 9 }, { rows = 9 }).behind, nil)
end)

t.test("content counts only for tables that must be the same", function()
  t.equal(compared({ rows = 1, content = "1" }, { rows = 1, content = "2" }).content, nil)
  t.equal(compared({ rows = 1, content = "1" }, { rows = 1, content = "2" }, { same = { "orders" } }).content, "differs")
  t.equal(compared({ rows = 1, content = "1" }, { rows = 1, content = "1" }, { same = { "public.orders" } }).content, "equal")
end)

t.test("what a backup lacks is counted over the tables that say how new their rows are", function()
  local shown
  local restores = load_restores { show = function(rows) shown = rows end }
  local database = {
    query = function() return { { schema = "public", name = "orders", stamp = "created_at" }, { schema = "public", name = "tags" } } end,
    one = function() return { rows = 7, newest = "2026-11-21 10:00:00" } end,
  }
  local moment = setmetatable({ epoch = 1000 }, { __tostring = function() return "then" end })
  t.equal(restores.show_newer(database, { tables = {}, stamps = { "created_at" }, at = moment }), 7)
  t.equal({ #shown, shown[1].name, shown[1].rows }, { 1, "public.orders", 7 })
  t.equal(restores.show_newer(database, { tables = {}, stamps = {} }), nil)
end)

t.test("a database that is replaced gets three names of one moment; one too long, or the maintenance database, is refused", function()
  local function look(name, there)
    local server = {
      value = function(_, _, values) return values and (there == values[1] and 1 or 0) or "20261121_030000" end,
      one = function() return { oid = 5, bytes = 10 } end,
    }
    local sql = function()
      return { environment = function() return { PGDATABASE = name } end, database = function() return server end }
    end
    return load_module("swap", { sql = setmetatable({}, { __call = sql }) }).look("primary", "postgres")
  end
  local place = look "app"
  t.equal({ place.name, place.beside, place.kept, place.aside, place.oid },
    { "app", "app_restore_20261121_030000", "app_old_20261121_030000", "app_undone_20261121_030000", 5 })
  t.contains(t.raises(look, ("x"):rep(50)).message, "is too long a name for a database")
  t.contains(t.raises(look, "postgres").message, "'postgres' cannot be renamed from within")
  t.contains(t.raises(look, "app", "app_old_20261121_030000").message, "there is a database 'app_old_20261121_030000' already")
end)
