--- What makes statements slow: those that cost most, those that are asked too often, how the server goes about one,
--- and its log of slow ones for a while. All but the log are reads.

local tuning = {}

-- Our own looks, and those of other watchers, are no work of the application.
local TOLD = [[
SELECT s.calls, round(s.%s::numeric, 3)::float8 AS mean_ms, round(s.%s::numeric, 1)::float8 AS max_ms,
       round((s.%s / 1000)::numeric, 1)::float8 AS seconds,
       round((100 * s.%s / nullif(sum(s.%s) OVER (), 0))::numeric, 1)::float8 AS percent,
       round(s.rows::numeric / greatest(s.calls, 1), 1)::float8 AS rows_a_call,
       round(100 * s.calls / sum(s.calls) OVER (), 1)::float8 AS percent_of_calls, left(s.query, 300) AS query
FROM %I.pg_stat_statements AS s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.query ~* '^\s*(/\*.*\*/\s*)?(select|insert|update|delete|merge|with|table|values)\M'
  AND s.query !~ '\mpg_(stat|locks|class|index|extension|database|proc|type|namespace|roles|settings|catalog|db_role|authid)']]

local SETTING = [[
SELECT substr(word, strpos(word, '=') + 1) FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS word
WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND word LIKE 'log_min_duration_statement=%']]

--- The text of a statement without the values that stand in it, which may be somebody's.
local function without_values(query)
  return (query:gsub("'[^']*'", "'…'"))
end

local function ask(db, counters, more, values)
  local text = sql.format(TOLD, counters.mean, counters.max, counters.total, counters.total, counters.total, counters.schema)
  local rows = sql(db):query("SELECT * FROM (" .. text .. ") AS s " .. more, values)
  for _, row in ipairs(rows) do row.query = without_values(row.query) end
  return rows
end

--- Statements that are slow in the mean.
---@param db string the connection's name in the environment
---@param counters table of statements.counters
---@param slow_ms number milliseconds
---@param by "mean"|"total" the slowest, or those that cost most time in all, first
---@param top integer how many
---@return table rows calls, mean_ms, max_ms, seconds (in all), percent (of all statements' time), rows_a_call, query
function tuning.slow(db, counters, slow_ms, by, top)
  local order = by == "mean" and "mean_ms DESC, seconds DESC" or "seconds DESC, mean_ms DESC"
  return ask(db, counters, "WHERE mean_ms > $1 ORDER BY " .. order .. " LIMIT $2", { slow_ms, top })
end

--- Quick statements that are asked very often: once for each row of another one, perhaps.
---@param db string
---@param counters table of statements.counters
---@param many integer calls
---@param tiny_ms number milliseconds: quicker than this in the mean
---@param top integer how many
---@return table rows as of `slow`, with percent_of_calls
function tuning.repeated(db, counters, many, tiny_ms, top)
  return ask(db, counters, "WHERE calls >= $1 AND mean_ms < $2 ORDER BY calls DESC LIMIT $3", { many, tiny_ms, top })
end

--- How the server goes about a SELECT. To plan it runs nothing of it; `measure` runs it, without keeping anything.
---@param db string
---@param text string one SELECT with its values: proved to be a read like any other
---@param measure table|nil a duration: it is run, and may take so long
---@return { text: string, whole: string[], uses: string[] } plan the lines; tables read from end to end; indexes used
function tuning.plan(db, text, measure)
  local lines, whole, uses = {}, {}, {}
  local rows = sql(db):query((measure and "EXPLAIN (ANALYZE, BUFFERS) " or "EXPLAIN (COSTS) ") .. text, nil, { timeout = measure or "30s" })
  for i, row in ipairs(rows) do
    lines[i] = row["QUERY PLAN"]
    whole[#whole + 1] = lines[i]:match "Seq Scan on (%S+)"
    uses[#uses + 1] = lines[i]:match "Index[ %a]* using (%S+)" or lines[i]:match "Bitmap Index Scan on (%S+)"
  end
  return { text = table.concat(lines, "\n"), whole = whole, uses = uses }
end

--- From how many milliseconds on statements are logged, as set for this database.
---@param db string
---@return string? milliseconds as it is written there; nil: nothing is set for it
function tuning.logged_from(db)
  return sql(db):value(SETTING)
end

--- Sessions of clients in this database, but ours: a setting of the database is for those that begin later.
---@param db string
---@return integer
function tuning.open_sessions(db)
  return sql(db):value [[SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND application_name NOT LIKE 'opsrun%']]
end

--- Has a database's slow statements logged until the run ends, or `back()` is called; what was set before is set again.
--- Sessions that are open already do not notice. A change.
---@param db string
---@param ms integer
---@return table handle of ensure: .ours, .back()
function tuning.log_slow(db, ms)
  local name, before = sql(db):value "SELECT current_database()", tuning.logged_from(db)
  local function set(value)
    sql(db):exec(value and sql.format("ALTER DATABASE %I SET log_min_duration_statement = %L", name, value)
      or sql.format("ALTER DATABASE %I RESET log_min_duration_statement", name))
  end
  return ensure(("statements of %s above %d ms are logged"):format(db, ms), {
    is    = function() return tuning.logged_from(db) == tostring(ms) end,
    make  = function() set(tostring(ms)) end,
    back  = function() set(before) end,
    lasts = "run",
  })
end

return tuning
