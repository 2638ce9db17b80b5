--- What PostgreSQL is busy with, and how to end it: the statement first, the session only when that did not help.
-- Who may be ended at all is decided in one place, `why_not`: never what an operator does not see as a client
-- of this database. What is ended is what was shown: pid, start of the session, last change of its state.

local postgres = require "postgres"

local activity = {}

--- Statements cancelled at once: few enough that a journal record stays readable.
local BATCH = 20
--- While a cancelled statement ends, it is looked at so many times.
local LOOKS = 10

local CANCEL = [[
SELECT seen.pid, pg_cancel_backend(activity.pid) AS cancelled
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS seen (pid, backend_start, state_change)
JOIN pg_stat_activity AS activity ON activity.pid = seen.pid
 AND activity.backend_start = seen.backend_start AND activity.state_change = seen.state_change
WHERE activity.pid <> pg_backend_pid() AND activity.backend_type = 'client backend' AND activity.state = 'active']]

local STILL = [[
SELECT seen.pid
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS seen (pid, backend_start, state_change)
JOIN pg_stat_activity AS activity ON activity.pid = seen.pid
 AND activity.backend_start = seen.backend_start AND activity.state_change = seen.state_change]]

local function contains(list, value)
  for _, item in ipairs(list or {}) do
    if item == value then return true end
  end
  return false
end

--- The lists that name sessions exactly, for a statement's values.
local function names_of(sessions)
  local pids, starts, changes = {}, {}, {}
  for i, session in ipairs(sessions) do
    pids[i], starts[i], changes[i] = session.pid, session.backend_start, session.state_change
  end
  return { pids, starts, changes }
end

--- Why a session is not ours to end; nil when it is.
---@param session table with kind, state, here, application, user, superuser
---@param opts { keep: string[]?, roles: string[]? } keep: application names to leave alone; roles: only sessions
--- of these; a superuser's only when they name it
---@return string? why
function activity.why_not(session, opts)
  local named = contains(opts.roles, session.user)
  if session.state == nil and session.kind == nil then return "cannot be seen: this role needs pg_read_all_stats" end
  if session.kind ~= "client backend" then return ("no client: %s"):format(session.kind) end
  if not session.here then return "in another database" end
  if session.application:find "^opsrun" then return "opsrun's own" end
  if contains(opts.keep, session.application) then return ("%s is kept"):format(session.application) end
  if opts.roles and #opts.roles > 0 and not named then return ("%s is none of the roles"):format(session.user) end
  if session.superuser and not named then return "a superuser's" end
  return nil
end

--- Takes apart what may be ended and what not, by `why_not`.
---@param sessions table rows
---@param opts { keep: string[]?, roles: string[]?, pids: integer[]? } pids: only these, when there are any
---@return table ours, table others each of these with `why`
function activity.divide(sessions, opts)
  local ours, others = {}, {}
  for _, session in ipairs(sessions) do
    local why = activity.why_not(session, opts)
    if not why and opts.pids and #opts.pids > 0 and not contains(opts.pids, session.pid) then why = "not among the pids given" end
    session.why = why
    table.insert(why and others or ours, session)
  end
  return ours, others
end

--- Cancels statements as they were listed; one that is over since then is left alone.
---@param db string the connection's name in the environment
---@param sessions table rows with pid, backend_start, state_change
function activity.cancel(db, sessions)
  -- a standby gives no transaction ids, by which a change in doubt is found again: there, whether they are still at it
  local standby = #sessions > 0 and sql(db):value "SELECT pg_is_in_recovery()"
  batches(sessions, BATCH, function(slice)
    local names = names_of(slice)
    sql(db):exec(CANCEL, names, {
      autocommit = standby or nil,
      happened = standby and function() return #activity.still(db, slice) == 0 end or nil,
      costs = { sessions = #slice },
      summary = ("cancel %d statement%s on %s: pid %s"):format(#slice, #slice == 1 and "" or "s", db, table.concat(names[1], ", ")),
    })
  end)
end

--- Those that are still what they were when they were listed: same statement, same silence.
---@param db string
---@param sessions table rows with pid, backend_start, state_change
---@return table sessions
function activity.still(db, sessions)
  local there, list = {}, {}
  for _, row in ipairs(sql(db):query(STILL, names_of(sessions))) do
    there[row.pid] = true
  end
  for _, session in ipairs(sessions) do
    if there[session.pid] then list[#list + 1] = session end
  end
  return list
end

--- Ends what sessions do: a statement is cancelled, and its session terminated only if it still runs `grace`
--- later; a session that is silent in a transaction has no statement, so it is terminated then, too. There is
--- no way back: the server rolls back what they had not committed, the application has to do it again.
---@param db string
---@param sessions table rows with pid, state, backend_start, state_change
---@param grace table a duration
---@return table left those that are still there after all
function activity.stop(db, sessions, grace)
  local running, ending = {}, {}
  for _, session in ipairs(sessions) do
    table.insert(session.state == "active" and running or ending, session)
  end
  activity.cancel(db, running)
  local left = running
  for _ = 1, #running > 0 and LOOKS or 0 do
    sleep(grace.seconds / LOOKS)
    left = activity.still(db, running)
    if #left == 0 then break end
  end
  for _, session in ipairs(left) do ending[#ending + 1] = session end
  -- in one call: in a dry run the first look into its result ends the preview
  postgres.terminate(db, ending)
  sleep(0.2)      -- a session that was told to go needs a moment
  return activity.still(db, sessions)
end

return activity
