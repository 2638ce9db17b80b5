--- What a PostgreSQL server spends its time on: statements that run, statements that were slow, work of its own,
-- tables read from end to end, and the processor time its processes take. Reads only.

local statements = {}

--- Ticks of the machine's clock, over all its processors, that make a measure: a fifth of a second on two.
local TICKS, LOOKS = 40, 200

local RUNNING = [[
SELECT a.pid, a.usename::text AS "user", a.application_name AS application, a.state, a.backend_type AS kind,
       a.datname IS NOT DISTINCT FROM current_database() AS here, coalesce(r.rolsuper, false) AS superuser,
       round(greatest(extract(epoch FROM now() - a.query_start), 0), 1)::float8 AS seconds,
       coalesce(a.wait_event_type || ': ' || a.wait_event, 'computes') AS waits, left(a.query, 200) AS query,
       a.backend_start::text AS backend_start, a.state_change::text AS state_change
FROM pg_stat_activity AS a LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
WHERE a.state = 'active' AND a.pid <> pg_backend_pid() AND a.query_start <= now() - $1::interval
ORDER BY a.query_start, a.pid]]

local MAINTENANCE = [[
SELECT pid, 'vacuum' AS what, phase, datname::text AS database FROM pg_stat_progress_vacuum
UNION ALL SELECT pid, lower(command), phase, datname::text FROM pg_stat_progress_create_index
UNION ALL SELECT pid, lower(command), phase, datname::text FROM pg_stat_progress_cluster
UNION ALL SELECT pid, 'analyze', phase, datname::text FROM pg_stat_progress_analyze
UNION ALL SELECT pid, 'base backup', phase, NULL FROM pg_stat_progress_basebackup
UNION ALL SELECT pid, 'backup: ' || application_name, state, datname::text FROM pg_stat_activity
WHERE application_name IN ('pg_dump', 'pg_dumpall', 'pg_restore')
ORDER BY 1, 2]]

local EXTENSION = [[
SELECT n.nspname::text AS schema, string_to_array(e.extversion, '.')::int[] AS version
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements']]

-- Our own looks are in there too; they name what nobody else asks for.
local SLOW = [[
SELECT s.calls, round(s.%s::numeric, 1)::float8 AS mean_ms, round((s.%s / 1000)::numeric, 1)::float8 AS seconds,
       round((100 * s.%s / nullif(sum(s.%s) OVER (), 0))::numeric, 1)::float8 AS percent, left(s.query, 200) AS query
FROM %I.pg_stat_statements AS s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.query NOT LIKE '%%pg_stat_%%' AND s.query NOT LIKE '%%pg_locks%%']]

local SCANNED = [[
SELECT schemaname::text || '.' || relname::text AS "table", seq_scan AS scans, n_live_tup AS rows,
       (seq_tup_read / seq_scan)::bigint AS rows_a_scan, coalesce(idx_scan, 0) AS index_scans
FROM pg_stat_user_tables
WHERE seq_scan > 0 AND n_live_tup >= $1 AND seq_tup_read / seq_scan >= n_live_tup / 2
ORDER BY seq_tup_read DESC LIMIT $2]]

--- What the columns of pg_stat_statements are called: other than before PostgreSQL 13.
local function columns(found)
  local major, minor = found.version[1], found.version[2] or 0
  local suffix = major == 1 and minor < 8 and "_time" or "_exec_time"
  return "mean" .. suffix, "total" .. suffix, "max" .. suffix
end

--- Statements that run, longest first, whoever runs them: also what is no client's, such as replication.
---@param db string the connection's name in the environment
---@param longer_than any? a duration
---@return table rows pid, user, application, state, kind, here, superuser, seconds, waits ("computes": it does not
--- wait), query, backend_start, state_change
function statements.running(db, longer_than)
  return sql(db):query(RUNNING, { longer_than or "0s" })
end

--- Vacuums, index builds, rewrites, backups that run now.
---@param db string
---@return table rows pid, what, phase, database
function statements.maintenance(db)
  return sql(db):query(MAINTENANCE)
end

--- The counters of statements that the server keeps, if it does.
---@param db string
---@return table? counters schema, version ("1.10"), mean, total, max (the names of its columns), since (a text; nil when not told)
---@return string? why there are none
function statements.counters(db)
  local found = sql(db):one(EXTENSION)
  if not found then return nil, "the database has no pg_stat_statements: CREATE EXTENSION pg_stat_statements" end
  local counters = { schema = found.schema, version = table.concat(found.version, ".") }
  counters.mean, counters.total, counters.max = columns(found)
  local many, why = try(function() return sql(db):value(sql.format("SELECT count(*) FROM %I.pg_stat_statements", found.schema)) end)
  if not many then return nil, why .. ": pg_stat_statements has to be in shared_preload_libraries, which takes a restart" end
  if found.version[1] > 1 or (found.version[2] or 0) >= 9 then
    counters.since = sql(db):value(sql.format(
      "SELECT to_char(stats_reset, 'YYYY-MM-DD HH24:MI') FROM %I.pg_stat_statements_info", found.schema))
  end
  return counters
end

--- The statements that took most time of all, of those that are slow in the mean.
---@param db string
---@param slow_ms number milliseconds
---@param top integer how many
---@return table? rows calls, mean_ms, seconds (in all), percent (of all statements' time), query; nil when not known
---@return string? why
function statements.slow(db, slow_ms, top)
  local found = sql(db):one(EXTENSION)
  if not found then
    return nil, "the database has no pg_stat_statements: CREATE EXTENSION pg_stat_statements"
  end
  local mean, total = columns(found)
  local text = sql.format(SLOW, mean, total, total, total, found.schema)
  local rows, why = try(function()
    return sql(db):query("SELECT * FROM (" .. text .. ") AS s WHERE mean_ms > $1 ORDER BY seconds DESC LIMIT $2", { slow_ms, top })
  end)
  return rows, why      -- fails when the server did not preload the library
end

--- Large tables that scans read from end to end: where an index may be missing.
---@param db string
---@param least integer rows a table has to have
---@param top integer how many
---@return table rows table, scans, rows, rows_a_scan, index_scans; those read most first
function statements.scanned(db, least, top)
  return sql(db):query(SCANNED, { least, top })
end

--- Text of files under /proc, one after another; nil for one that is not there.
local function read_all(paths, host)
  if not host then
    local texts = {}
    for _, path in ipairs(paths) do
      texts[#texts + 1] = try(function() return files.read(path) end)
    end
    return table.concat(texts)
  end
  local words = { "cat" }
  for _, path in ipairs(paths) do words[#words + 1] = path end
  return shell.read(words, { host = host, codes = { 0, 1 } }).stdout      -- 1: one of them has ended
end

--- Ticks of all processors since the machine started, from the first line of /proc/stat.
local function machine_ticks(host)
  local sum, fields = 0, 0
  for number in read_all({ "/proc/stat" }, host):match "^cpu +([%d ]+)":gmatch "%d+" do
    fields = fields + 1
    if fields <= 8 then sum = sum + tonumber(number) end      -- the rest is counted in these already
  end
  return sum
end

--- Ticks each process of the server took so far; opsrun's own sessions aside.
local function server_ticks(db, host)
  local paths, ticks, many = {}, {}, 0
  for _, row in ipairs(sql(db):query "SELECT pid FROM pg_stat_activity WHERE application_name NOT LIKE 'opsrun%' ORDER BY pid") do
    paths[#paths + 1] = ("/proc/%d/stat"):format(row.pid)
  end
  for pid, rest in read_all(paths, host):gmatch "(%d+) %(postgres[^\n)]*%) ([^\n]*)" do
    local user, system = rest:match "^%a %-?%d+ %-?%d+ %-?%d+ %-?%d+ %-?%d+ %d+ %d+ %d+ %d+ %d+ (%d+) (%d+)"
    ticks[pid], many = tonumber(user) + tonumber(system), many + 1
  end
  return many >= #paths / 2 and many > 0 and ticks or nil
end

--- How much of its machine's processors the server's processes take.
---@param db string
---@param over table a duration: measured over so long (in a dry run as short as can be measured)
---@param host string? the machine the server runs on, as named in the environment; without it: this one
---@return number? percent of all processors; nil when the server's processes are not there
---@return string? why
function statements.cpu(db, over, host)
  local began, before = machine_ticks(host), server_ticks(db, host)
  if not before then
    return nil, ("the processes of %s are not on %s"):format(db, host or "this machine: name theirs by -p host")
  end
  sleep(over.seconds)
  for _ = 1, LOOKS do
    if machine_ticks(host) - began >= TICKS then break end
    sleep(0.01)
  end
  local sum = 0
  for pid, ticks in pairs(server_ticks(db, host) or {}) do
    sum = sum + math.max(0, ticks - (before[pid] or 0))
  end
  return math.floor(1000 * sum / math.max(machine_ticks(host) - began, 1) + 0.5) / 10
end

return statements
