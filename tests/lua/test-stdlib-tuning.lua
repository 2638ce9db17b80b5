--- stdlib/tuning over pretend answers: texts without values, plans that are understood, a setting that goes back.
local t = require "harness"

--- The module; `rows` answers each query, and what was asked and changed is noted.
local function load_tuning(rows, more)
  local asked, changed = {}, {}
  local connection = {
    query = function(_, text) asked[#asked + 1] = text return rows end,
    value = function(_, text) asked[#asked + 1] = text if text:find "pg_db_role_setting" then return more end return "app" end,
    exec = function(_, text) changed[#changed + 1] = text end,
  }
  local env = {
    sql = setmetatable({ format = function(text, ...) return (text:gsub("%%[IL]", "%%s"):format(...)) end },
      { __call = function() return connection end }),
    ensure = function(_, opts) return opts end,
    ipairs = ipairs, table = table, tostring = tostring, string = string,
  }
  return assert(loadfile("stdlib/tuning.lua", "t", env))(), asked, changed
end

local COUNTERS = { schema = "public", mean = "mean_time", total = "total_time", max = "max_time" }

t.test("values that stand in a statement are not told", function()
  local tuning, asked = load_tuning { { query = "ALTER ROLE a PASSWORD 'b''c' -- 'd'" } }
  t.equal(tuning.slow("primary", COUNTERS, 100, "mean", 5)[1].query, "ALTER ROLE a PASSWORD '…''…' -- '…'")
  t.contains(asked[1], "mean_time")
  t.contains(asked[1], "ORDER BY mean_ms DESC")
end)

t.test("a plan tells which tables are read from end to end, and which indexes are used", function()
  local lines = {
    "Hash Join  (cost=1)", "  ->  Parallel Seq Scan on orders o  (cost=1)",
    "  ->  Index Only Scan Backward using users_pkey on users  (cost=1)",
    "  ->  Bitmap Index Scan on exercises_type  (cost=1)",
  }
  for i, line in ipairs(lines) do lines[i] = { ["QUERY PLAN"] = line } end
  local tuning, asked = load_tuning(lines)
  local plan = tuning.plan("primary", "SELECT 1")
  t.equal(plan.whole, { "orders" })
  t.equal(plan.uses, { "users_pkey", "exercises_type" })
  t.equal(asked[1], "EXPLAIN (COSTS) SELECT 1")
  tuning.plan("primary", "SELECT 1", "5s")
  t.equal(asked[2], "EXPLAIN (ANALYZE, BUFFERS) SELECT 1")
end)

t.test("what was set before is set again, and nothing where nothing was", function()
  for before, text in pairs { [false] = "ALTER DATABASE app RESET log_min_duration_statement",
                              ["5000"] = "ALTER DATABASE app SET log_min_duration_statement = 5000" } do
    local tuning, _, changed = load_tuning({}, before or nil)
    local logging = tuning.log_slow("primary", 1000)
    logging.make()
    logging.back()
    t.equal(changed, { "ALTER DATABASE app SET log_min_duration_statement = 1000", text })
  end
end)
