--- Streaming replication of PostgreSQL: how far a replica is behind, where it hangs, and who holds its replay up.
-- Time alone lies: on an idle primary the last replayed transaction grows old although nothing is missing. So the
-- positions in the log are compared first. Reads only.

local replication = {}

local SENDERS = [[
SELECT application_name AS replica, coalesce(host(client_addr), 'local') AS client, state, sync_state AS sync,
       pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn)::bigint AS unsent, pg_wal_lsn_diff(sent_lsn, flush_lsn)::bigint AS underway,
       pg_wal_lsn_diff(flush_lsn, replay_lsn)::bigint AS unreplayed,
       round(extract(epoch FROM replay_lag), 1)::float8 AS seconds
FROM pg_stat_replication ORDER BY application_name, pid]]

local SLOTS = [[
SELECT slot_name::text AS slot, slot_type AS kind, active,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS retained
FROM pg_replication_slots ORDER BY 4 DESC NULLS LAST, 1]]

local STATE = [[
SELECT pg_is_in_recovery() AS standby, pg_last_wal_receive_lsn()::text AS received, pg_last_wal_replay_lsn()::text AS replayed,
       round(greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0), 1)::float8 AS age,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
       (SELECT status FROM pg_stat_wal_receiver) AS receiver,
       (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup') AS waits,
       (SELECT confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock + confl_tablespace
        FROM pg_stat_database_conflicts WHERE datname = current_database()) AS conflicts]]

-- Replay waits for a lock somebody holds, or for snapshots that may still see what it has to clean away.
local HOLDERS = [[
SELECT a.pid, a.usename::text AS "user", a.application_name AS application, a.state, a.backend_type AS kind,
       true AS here, coalesce(r.rolsuper, false) AS superuser,
       round(greatest(extract(epoch FROM now() - coalesce(a.xact_start, a.state_change)), 0), 1)::float8 AS seconds,
       left(a.query, 200) AS query, a.backend_start::text AS backend_start, a.state_change::text AS state_change
FROM pg_stat_activity AS a LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
WHERE a.pid <> pg_backend_pid() AND (a.backend_xmin IS NOT NULL OR a.pid IN (
  SELECT unnest(pg_blocking_pids(s.pid)) FROM pg_stat_activity AS s WHERE s.backend_type = 'startup'))
ORDER BY a.xact_start, a.pid]]

--- A position in the log as a number of bytes: "0/129BB70".
---@param text string?
---@return integer? bytes
function replication.position(text)
  local high, low = (text or ""):match "^(%x+)/(%x+)$"
  return high and (tonumber(high, 16) << 32) + tonumber(low, 16) or nil
end

--- What the primary knows of its replicas.
---@param primary string the connection's name in the environment
---@return table rows replica, client, state, sync, unsent, underway, unreplayed (bytes), seconds
function replication.senders(primary)
  return sql(primary):query(SENDERS)
end

--- The slots of the primary: what one that nobody reads retains fills its disk.
---@param primary string
---@return table rows slot, kind, active, retained (bytes)
function replication.slots(primary)
  return sql(primary):query(SLOTS)
end

--- What a replica knows of itself.
---@param replica string
---@return table state standby, received, replayed (positions), age (seconds since the last replayed transaction), paused,
--- receiver ("streaming", or nil without one), waits (what replay waits for), conflicts (statements it has cancelled)
function replication.state(replica)
  return sql(replica):one(STATE)
end

--- How far a replica is behind: nothing when it has replayed all the primary had written, however old that is.
---@param primary string
---@param replica string
---@return table lag seconds, bytes, and where: "network" (not received) or "replay"
function replication.lag(primary, replica)
  local written = replication.position(sql(primary):value "SELECT pg_current_wal_lsn()::text")
  local state = replication.state(replica)
  local replayed = replication.position(state.replayed) or 0
  local received = replication.position(state.received) or replayed
  local bytes = math.max(0, written - replayed)
  return {
    bytes = bytes, seconds = bytes == 0 and 0 or state.age,
    where = bytes > 0 and (written - received > received - replayed and "network" or "replay") or nil,
  }
end

--- How full the disk is that a server's data lie on.
---@param db string
---@param host string? the machine the server runs on, as named in the environment; without it: this one
---@return number? percent nil when the directory is not there, or this role may not know it
function replication.disk_used(db, host)
  local dir = try(function() return sql(db):value "SHOW data_directory" end)
  if not dir then return nil end
  if host then
    return tonumber(shell.read({ "df", "-P", dir }, { host = host, codes = { 0, 1 } }).stdout:match "(%d+)%%")
  end
  local longest, percent = 0, nil
  if try(function() return files.stat(dir) end) then
    for _, fs in ipairs(files.filesystems()) do
      local within = fs.mount == "/" or (dir .. "/"):sub(1, #fs.mount + 1) == fs.mount .. "/"
      if within and #fs.mount > longest then longest, percent = #fs.mount, fs.percent end
    end
  end
  return percent
end

--- Sessions on a replica that its replay may be waiting for.
---@param replica string
---@return table rows pid, user, application, state, kind, here, superuser, seconds, query, backend_start, state_change
function replication.holders(replica)
  return sql(replica):query(HOLDERS)
end

return replication
