--- Who waits for whom in PostgreSQL: lock queues as trees with their roots, and how often deadlocks happen.
-- pg_locks alone names who waits; who is waited for comes from pg_blocking_pids. Reads only.

local locks = {}

-- waits: what it waits for. A role without pg_read_all_stats sees of others no more than the pid.
local SESSIONS = [[
SELECT a.pid, a.usename::text AS "user", a.application_name AS application, a.state, a.backend_type AS kind,
       a.datname IS NOT DISTINCT FROM current_database() AS here, coalesce(r.rolsuper, false) AS superuser,
       round(greatest(extract(epoch FROM now() - coalesce(a.xact_start, a.state_change)), 0), 1)::float8 AS seconds,
       round(greatest(extract(epoch FROM now() - a.state_change), 0), 1)::float8 AS since,
       left(a.query, 200) AS query, a.backend_start::text AS backend_start, a.state_change::text AS state_change,
       w.waits, CASE WHEN w.waits IS NULL THEN '{}' ELSE pg_blocking_pids(a.pid) END AS blockers
FROM pg_stat_activity AS a
LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
CROSS JOIN LATERAL (
  SELECT string_agg(DISTINCT l.mode || ' on ' || coalesce(c.relname::text, l.locktype), ', ') AS waits
  FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation
  WHERE l.pid = a.pid AND NOT l.granted) AS w
ORDER BY a.state_change, a.pid]]

local DEADLOCKS = [[
SELECT deadlocks AS count, stats_reset::text AS reset, extract(epoch FROM clock_timestamp())::float8 AS at
FROM pg_stat_database WHERE datname = current_database()]]

--- pg_blocking_pids says 0 when a prepared transaction holds the lock: it has no session any more.
local function prepared()
  return {
    pid = 0, application = "", state = "prepared transaction", kind = "prepared transaction", here = true, seconds = 0,
    since = 0, query = "see pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED ends it", blockers = {},
  }
end

--- Adds a session and everybody behind it to the rows; counts how many those are, and the longest wait.
local function add(rows, node, depth, seen)
  local many, longest = 0, 0
  seen[node.pid] = true
  rows[#rows + 1] = {
    who = ("| "):rep(depth) .. (node.pid == 0 and "prepared" or node.pid), application = node.application,
    user = node.user, state = node.state, seconds = depth == 0 and node.seconds or node.since,
    waits_for = node.waits, query = node.query,
  }
  for _, waiter in ipairs(node.behind or {}) do
    if not seen[waiter.pid] then
      local more, wait = add(rows, waiter, depth + 1, seen)
      many, longest = many + 1 + more, math.max(longest, waiter.since, wait)
    end
  end
  return many, longest
end

--- The lock queues there are now, each below the session everybody in it waits for.
---@param db string the connection's name in the environment
---@return table tree rows (who, indented, application, user, state, seconds in the transaction or waiting,
--- waits_for, query), roots (sessions with pid, application, user, state, kind, here, superuser, seconds,
--- query, backend_start, state_change, held_up, longest), waiting (how many), longest (seconds), circle (how
--- many wait for one another: a deadlock that the server is about to end)
function locks.tree(db)
  local by_pid, list = {}, sql(db):query(SESSIONS)
  for _, session in ipairs(list) do
    by_pid[session.pid] = session
  end
  local tree = { rows = {}, roots = {}, waiting = 0, longest = 0, circle = 0 }
  local candidates = {}
  for _, session in ipairs(list) do
    for _, pid in ipairs(session.blockers) do
      local holder = by_pid[pid] or (pid == 0 and prepared()) or nil
      if holder then      -- else it is gone since
        by_pid[pid] = holder
        if not holder.behind then
          holder.behind = {}
          candidates[#candidates + 1] = holder
        end
        table.insert(holder.behind, session)
      end
    end
    tree.waiting = tree.waiting + (session.waits and 1 or 0)
    tree.longest = math.max(tree.longest, session.waits and session.since or 0)
  end
  local seen = {}
  for _, holder in ipairs(candidates) do
    if #holder.blockers == 0 then
      local held_up, longest = add(tree.rows, holder, 0, seen)
      tree.roots[#tree.roots + 1] = {
        pid = holder.pid, application = holder.application, user = holder.user, state = holder.state, kind = holder.kind,
        here = holder.here, superuser = holder.superuser, seconds = holder.seconds, query = holder.query,
        backend_start = holder.backend_start, state_change = holder.state_change, held_up = held_up, longest = longest,
      }
    end
  end
  for _, holder in ipairs(candidates) do      -- no root leads to these
    if not seen[holder.pid] then
      tree.circle = tree.circle + 1 + add(tree.rows, holder, 0, seen)
    end
  end
  return tree
end

--- The roots somebody has waited for long enough.
---@param db string
---@param wait table a duration
---@return table roots of `tree`
---@return integer held how many sessions wait behind them
function locks.roots(db, wait)
  local list, held = {}, 0
  for _, root in ipairs(locks.tree(db).roots) do
    if root.longest >= wait.seconds then
      list[#list + 1], held = root, held + root.held_up
    end
  end
  return list, held
end

--- How many deadlocks the server has ended in this database since its counters began.
---@param db string
---@return table sample count, reset (when the counters began, or nil), at (the server's clock)
function locks.deadlocks(db)
  local row = sql(db):one(DEADLOCKS)
  return { count = row.count, reset = row.reset, at = row.at }
end

--- Deadlocks an hour between two samples; nil when they do not belong together: counters that began anew in
--- between, a server whose clock or counter went back, samples less than a minute apart.
---@param before table? sample of `deadlocks`
---@param after table a later one
---@return number? rate, number? hours
function locks.per_hour(before, after)
  local hours = before and (after.at - before.at) / 3600
  if not before or before.reset ~= after.reset or after.count < before.count or hours < 1 / 60 then
    return nil
  end
  return math.floor(10 * (after.count - before.count) / hours + 0.5) / 10, hours
end

return locks
