--- PostgreSQL for runbooks: who is connected, who holds whom up, and how to end a session safely.
-- Reads are plain SELECTs over pg_catalog, so that they can be proved. What changes goes through
-- `exec` and checks again, inside the statement, that the session is still the one that was shown.

local postgres = {}

--- Sessions ended in one statement: few enough that a journal record stays readable.
local BATCH = 20

-- max_connections is one number for the whole server, so every database counts; the reserved slots
-- are not for applications. A role without pg_read_all_stats sees no backend_type of others.
local CONNECTIONS = [[
SELECT coalesce(state, 'unknown') AS state, usename::text AS "user", application_name AS application,
       datname::text AS database, coalesce(host(client_addr), 'local') AS client,
       count(*) AS sessions, count(*) FILTER (WHERE backend_type IS NULL) AS hidden,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
FROM pg_stat_activity
WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datname IS NOT NULL)
GROUP BY 1, 2, 3, 4, 5]]

local SESSIONS = [[
SELECT pid, usename::text AS "user", application_name AS application, state,
       greatest(extract(epoch FROM now() - state_change), 0)::int AS seconds,
       left(query, 200) AS query, backend_start::text AS backend_start,
       state_change::text AS state_change
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
  AND state = ANY ($1::text[]) AND state_change < now() - $2::interval
  AND application_name <> ALL ($3::text[]) AND application_name NOT LIKE 'opsrun%'
  AND ($4::text[] = '{}'::text[] OR usename::text = ANY ($4::text[]))
ORDER BY state_change, pid]]

local CHAINS = [[
SELECT waiting.pid, waiting.application_name AS application,
       greatest(extract(epoch FROM now() - waiting.state_change), 0)::int AS seconds,
       left(waiting.query, 200) AS query, holder.pid AS waits_for, holder.state AS holder_state,
       holder.application_name AS holder_application, left(holder.query, 200) AS holder_query
FROM pg_stat_activity AS waiting
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker (pid)
JOIN pg_stat_activity AS holder ON holder.pid = blocker.pid
WHERE waiting.wait_event_type = 'Lock'
ORDER BY waiting.state_change, waiting.pid]]

-- A pid may be given to somebody else, and an idle session may have gone back to work since it was
-- listed: only pid, start and last change together name what the operator saw.
local TERMINATE = [[
SELECT seen.pid, pg_terminate_backend(activity.pid) AS ended
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS seen (pid, backend_start, state_change)
JOIN pg_stat_activity AS activity ON activity.pid = seen.pid
 AND activity.backend_start = seen.backend_start AND activity.state_change = seen.state_change
WHERE activity.pid <> pg_backend_pid() AND activity.backend_type = 'client backend']]

local SLOTS = [[
SELECT slot_name::text AS name, slot_type AS type, active,
       coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint AS kept
FROM pg_replication_slots ORDER BY 4 DESC, 1]]

--- Adds up groups by one of their fields, largest first.
local function sum_by(groups, field)
  local sums, list = {}, { columns = { field, "sessions" } }
  for _, group in ipairs(groups) do
    local name = group[field] or "unknown"
    if not sums[name] then
      sums[name] = { [field] = name, sessions = 0 }
      list[#list + 1] = sums[name]
    end
    sums[name].sessions = sums[name].sessions + group.sessions
  end
  table.sort(list, function(a, b)
    if a.sessions ~= b.sessions then return a.sessions > b.sessions end
    return a[field] < b[field]
  end)
  return list
end

--- Connections of clients against what the server has for them.
---@param db string the connection's name in the environment
---@return table pool used, limit (max_connections less the reserved ones), max_connections, reserved,
--- percent (of limit), hidden (sessions this role may not look into), by_state, by_user,
--- by_application, by_database, by_client (rows: the name and `sessions`)
function postgres.connections(db)
  local groups = sql(db):query(CONNECTIONS)
  local used, hidden = 0, 0
  for _, group in ipairs(groups) do
    used, hidden = used + group.sessions, hidden + group.hidden
  end
  local first = groups[1]      -- there is always one: the session that asks
  local limit = first.max_connections - first.reserved
  return {
    used = used, limit = limit, max_connections = first.max_connections, reserved = first.reserved,
    percent = math.floor(1000 * used / limit + 0.5) / 10, hidden = hidden,
    by_state = sum_by(groups, "state"), by_user = sum_by(groups, "user"),
    by_application = sum_by(groups, "application"), by_database = sum_by(groups, "database"),
    by_client = sum_by(groups, "client"),
  }
end

local function find_sessions(db, states, opts)
  return sql(db):query(SESSIONS, { states, opts.longer_than or "0s", opts.keep or {}, opts.roles or {} })
end

--- Client sessions of this database that do nothing: idle, and idle in transaction.
--- Never among them: the session that asks, opsrun's own, replication, background workers.
---@param db string
---@param opts { longer_than: any, keep: string[]?, roles: string[]? } keep: application names to leave
--- alone; roles: only sessions of these
---@return table rows pid, user, application, state, seconds, query, backend_start, state_change; longest first
function postgres.idle_sessions(db, opts)
  return find_sessions(db, { "idle", "idle in transaction", "idle in transaction (aborted)" }, opts or {})
end

--- Sessions that opened a transaction and went silent: they hold locks and keep vacuum from its work.
---@param db string
---@param opts { longer_than: any, keep: string[]?, roles: string[]? }?
---@return table rows as idle_sessions
function postgres.idle_in_transaction(db, opts)
  return find_sessions(db, { "idle in transaction", "idle in transaction (aborted)" }, opts or {})
end

--- Who waits for a lock, and for whom: one row a pair.
---@param db string
---@return table rows pid, application, seconds, query, waits_for, holder_state, holder_application, holder_query
function postgres.blocked_chains(db)
  return sql(db):query(CHAINS)
end

--- Shows what a server keeps of its log of writes, and for whom: a slot that nobody reads keeps it without an end.
---@param db string
function postgres.show_wal(db)
  local bytes = sql(db):value "SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()"
  local slots = sql(db):query(SLOTS)
  note("%s keeps %.0f MB of WAL, for %d replication slots", db, bytes / 1024 ^ 2, #slots)
  if #slots > 0 then show(slots, { title = "replication slots" }) end
end

--- Proves that a database takes writes: a table of a few bytes is made and gone with the same statement. A change,
--- which leaves nothing behind; raises when it is not taken.
---@param db string
function postgres.prove_writes(db)
  sql(db):exec("CREATE TEMPORARY TABLE opsrun_writes ON COMMIT DROP AS SELECT 1 AS one", nil, {
    summary = ("write and drop a temporary table on %s"):format(db),
    happened = function() return false end,      -- nothing of it is left, so once more is as good
  })
end

--- Ends sessions as they were listed; one that changed or went since then is left alone.
---@param db string
---@param sessions table rows of idle_sessions or idle_in_transaction
---@return integer count how many were ended
function postgres.terminate(db, sessions)
  local results = {}
  for first = 1, #sessions, BATCH do
    local pids, starts, changes = {}, {}, {}
    for at = first, math.min(first + BATCH - 1, #sessions) do
      local session = sessions[at]
      pids[#pids + 1], starts[#starts + 1] = session.pid, session.backend_start
      changes[#changes + 1] = session.state_change
    end
    results[#results + 1] = sql(db):exec(TERMINATE, { pids, starts, changes }, {
      costs = { sessions = #pids },
      summary = ("terminate %d session%s on %s: pid %s"):format(#pids, #pids == 1 and "" or "s", db, table.concat(pids, ", ")),
    })
  end
  -- counted last: in a dry run the first look into a result ends the preview
  local count = 0
  for _, result in ipairs(results) do
    count = count + result.count
  end
  return count
end

return postgres
