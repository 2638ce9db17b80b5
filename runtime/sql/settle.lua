--- How a change ended whose answer nobody heard: the server is asked for its transaction, by the id that
--- was known before the statement was sent. For an answer lost while the run goes on, and for a run that
--- was killed. Looks only.
local errors = require "runtime.errors"
local texts = require "runtime.sql.texts"

local settle = {}

--- Seconds one question may take, and between two of them at most.
local QUESTION, PAUSE = 10, 1

--- Who this session is, and which server this is. A system identifier alone does not say that a
--- transaction's id still means the same transaction:
---   timeline   a promoted standby, or a backup played forward, may lack the last transactions and has
---              given their ids to others
---   recovered  so may a server that crashed: an id that reached no disk is given again. Its statistics are
---              thrown away at every crash recovery, so the time they begin at tells one life from the next
local identity = [[SELECT pg_catalog.pg_backend_pid() AS pid, a.backend_start, c.system_identifier,
  CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.substr(
    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END AS timeline,
  pg_catalog.pg_stat_get_bgwriter_stat_reset_time() AS recovered
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a, pg_catalog.pg_control_system() AS c]]

--- Where a login may not ask all that, changes are made all the same; what they lose is this.
local nameless = "SELECT pg_catalog.pg_backend_pid() AS pid"

--- What the token of a change says of its session. Asked once a session.
---@return table? token {backend_pid, backend_start, system_identifier, timeline, recovered}
---@return table? err the binding's
function settle.identify(session)
  if not session.identity then
    local results, err = session.conn:run { { identity } }
    if not results and err.outcome == "failed" then
      results, err = session.conn:run { { nameless } }
    end
    if not results then
      return nil, err
    end
    local row = results[1].rows[1]
    session.identity = {
      backend_pid = row.pid,
      backend_start = row.backend_start,
      system_identifier = row.system_identifier and tostring(row.system_identifier) or nil,
      timeline = row.timeline,
      recovered = row.recovered,
    }
  end
  local copy = {}
  for name, value in pairs(session.identity) do
    copy[name] = value
  end
  return copy
end

--- One question on the session. Raises when there is no answer, since then nothing was seen.
---@return table? row, table? err what the server said instead
local function ask(entry, session, text, ...)
  local results, err = session.conn:run({ { text, n = select("#", ...), ... } }, { timeout = QUESTION })
  if results then
    return results[1].rows[1] or {}
  elseif err.outcome == "failed" and not err.stopped and #err.code == 5 then
    return nil, err
  end
  texts.raise_statement(entry.name, text, err, "read", QUESTION)
end

--- Is this still the server, and the life of it, that the token speaks of?
---@return boolean? same nil: another one, or it cannot be told
---@return string? why
---@return boolean? crashed it is, and it crashed since
local function is_same(entry, session, token)
  if not token.system_identifier or not token.timeline then
    return nil, "the server did not say which one it was when the change was begun"
  end
  local now, err = ask(entry, session, [[SELECT c.system_identifier, pg_catalog.pg_is_in_recovery() AS standby,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.substr(
      pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END AS timeline,
    pg_catalog.pg_stat_get_bgwriter_stat_reset_time() OPERATOR(pg_catalog.=) $1::pg_catalog.timestamptz AS unbroken
    FROM pg_catalog.pg_control_system() AS c]], token.recovered)
  if not now then
    return nil, err.message
  elseif tostring(now.system_identifier) ~= token.system_identifier then
    return nil, "another server answers now"
  elseif now.standby then
    return nil, "a standby answers now: it may lag behind"
  elseif now.timeline ~= token.timeline then
    return nil, "the server was promoted or restored since: it may lack the last changes"
  end
  return true, nil, not now.unbroken
end

--- Waits before the next look: 0.05, 0.1, 0.2 … seconds, at most PAUSE.
local function pause(task, turn)
  local ok, err = task.sleep(math.min(PAUSE, 0.05 * 2 ^ (turn - 1)))
  if not ok then
    error(errors.from_host(err, "read"), 0)
  end
end

--- A session to look from. A server that is starting up is waited for; one that is down is not.
local function open(pool, entry, deadline)
  local host = pool.services.host
  for turn = 1, math.huge do
    local ok, session = pcall(pool.acquire, pool, entry)
    if ok then
      return session
    elseif not pool.gone[session.code] or host.clock.monotonic() > deadline then
      error(session, 0)
    end
    pause(host.task, turn)
  end
end

--- Runs look(session, deadline), which returns an answer, on a session of its own.
local function with_session(pool, entry, limit, look)
  local deadline = pool.services.host.clock.monotonic() + limit
  local session = open(pool, entry, deadline)
  local answer = table.pack(pcall(look, session, deadline))
  pool:drop(session)
  if not answer[1] then
    error(answer[2], 0)
  end
  return table.unpack(answer, 2, answer.n)
end

--- What the dead run's own session does now, for a person; nil when it is gone.
local function describe_session(entry, session, token)
  local row = ask(entry, session, [[SELECT a.state, pg_catalog.round(pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.state_change))::pg_catalog.int8 AS seconds
    FROM pg_catalog.pg_stat_get_activity($1) AS a
    WHERE (a.backend_start OPERATOR(pg_catalog.=) $2 OR a.backend_start IS NULL) -- NULL: not ours to see
    AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()]], -- a pooler may have given it to us
    token.backend_pid, token.backend_start)
  if not row or next(row) == nil then
    return nil
  end
  local since = row.seconds and (" for %d s"):format(row.seconds) or ""
  return ("its session (pid %d) is still there, %s%s; SELECT pg_terminate_backend(%d) ends it"):format(
    token.backend_pid, row.state or "at work", since, token.backend_pid), row.state
end

--- How a transaction ended. While it runs it is waited for: the statement of a killed client goes on, and
--- its COMMIT may stand in the server's buffer already. What the server then says of it is final.
---@param pool table
---@param entry table the connection
---@param token table of the change, with xid
---@param limit number seconds
---@return "committed"|"aborted"|nil
---@return string? why it cannot be known
function settle.transaction(pool, entry, token, limit)
  return with_session(pool, entry, limit, function(session, deadline)
    local same, why, crashed = is_same(entry, session, token)
    if not same then
      return nil, why
    end
    local modern = session.conn:version() >= 130000
    local question = modern and "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8) AS status"
      or "SELECT pg_catalog.txid_status($1::pg_catalog.int8) AS status"
    for turn = 1, math.huge do
      local row, err = ask(entry, session, question, token.xid)
      if not row then
        -- "in the future": recovery found no trace of the id, so that nothing of it was committed
        if crashed and err.code == "22023" then
          return "aborted"
        end
        return nil, err.message
      elseif row.status == "aborted" then
        return "aborted" -- in a later life, too: what was once committed never is
      elseif row.status == "committed" and not crashed then
        return "committed"
      elseif row.status == "committed" then
        return nil, "the server crashed since, or its statistics were reset: the transaction's id may have been given again"
      elseif row.status ~= "in progress" then
        return nil, "it is so long ago that the server does not remember"
      elseif pool.services.host.clock.monotonic() > deadline then
        return nil, describe_session(entry, session, token) or "the transaction is still in progress, without a session"
      end
      pause(pool.services.host.task, turn)
    end
  end)
end

--- For a change that no transaction held: waits until the dead run's session is over with it, then looks.
---@param look fun(conn: table): any, string? what to answer from what the server shows now
function settle.alone(pool, entry, token, limit, look)
  return with_session(pool, entry, limit, function(session, deadline)
    local same, why = is_same(entry, session, token)
    if not same then
      return nil, why
    end
    for turn = 1, math.huge do
      local shown, state = describe_session(entry, session, token)
      if not shown or state == "idle" then -- a pooler keeps the session for others
        return look(session.conn)
      elseif pool.services.host.clock.monotonic() > deadline then
        return nil, shown
      end
      pause(pool.services.host.task, turn)
    end
  end)
end

return settle
