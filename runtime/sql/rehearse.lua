--- Changes made for real and rolled back: `play --rehearse`. What is read on the connection afterwards sees them.
--- Each is a savepoint: one that fails leaves the transaction, and what was rehearsed before it, as they were.
local catalogue = require "runtime.sql.catalogue"
local change = require "runtime.sql.change"
local judge = require "runtime.sql.rehearse_judge"
local session_of = require "runtime.sql.rehearse_session"
local texts = require "runtime.sql.texts"

local rehearse = {}

--- Seconds that one rehearsed statement may take, for it may hold what others wait for.
local LONGEST = 30
local GRACE = session_of.grace
local MAX_ROWS, MAX_BYTES = 100000, 64 * 1024 * 1024

local run, looks, over, within = session_of.run, session_of.looks, session_of.over, session_of.within
local one_by_one, milliseconds = session_of.one_by_one, session_of.milliseconds

--- What the server says when the rehearsal was stopped, which says nothing of the change itself.
local stopped = {
  ["55P03"] = ("a lock it needs was not to be had within %d s"):format(session_of.lock),
  ["57014"] = "it took longer than a rehearsal may",
  ["40P01"] = "it met a deadlock with another session",
  ["40001"] = "another session changed the same rows",
}

--- What stands before a rehearsed change: its savepoint. Constraints that wait for COMMIT wait again.
local function begin_items(rehearsal, request, seconds)
  local lock = request.lock_timeout and math.min(request.lock_timeout, session_of.lock) or session_of.lock
  local items = {
    { "ROLLBACK TO SAVEPOINT opsrun_looks" },
    { "RELEASE SAVEPOINT opsrun_looks" },
    { "SAVEPOINT opsrun_change" },
    { ("SET LOCAL statement_timeout = %d"):format(milliseconds(seconds)) },
    { ("SET LOCAL lock_timeout = %d"):format(milliseconds(lock)) },
  }
  if #rehearsal.deferred > 0 then
    items[#items + 1] = { "SET CONSTRAINTS " .. table.concat(rehearsal.deferred, ", ") .. " DEFERRED" }
  end
  return items
end

--- What a COMMIT would check.
local function end_items(rehearsal)
  return #rehearsal.deferred > 0 and { { "SET CONSTRAINTS ALL IMMEDIATE" } } or {}
end

--- Back to looking: what the change did stays in the transaction, or is undone with its savepoint.
---@return boolean? ok, table? err
local function settle(pool, rehearsal, stays)
  local items = { { "RELEASE SAVEPOINT opsrun_change" } }
  if not stays then
    table.insert(items, 1, { "ROLLBACK TO SAVEPOINT opsrun_change" })
  end
  rehearsal.looking = true
  return run(pool, rehearsal, table.move(looks(rehearsal.entry), 1, 3, #items + 1, items), { timeout = GRACE + session_of.lock })
end

--- Seconds a statement may take: what it asks for, and no longer than a rehearsal may.
local function limit_of(entry, request)
  return math.min(request.timeout or entry.timeout or LONGEST, LONGEST)
end

--- Proves that the statement may be rehearsed; a reason when it may not.
local function objection(entry, rehearsal, request, verdict)
  local problem, err = judge.check(rehearsal.conn, entry.memory, verdict, entry.trusted)
  if err and not rehearsal.lost then
    texts.raise_statement(entry.name, request.text, err, "read")
  end
  return problem
end

--- What came of a rehearsed statement that the server did not take: a reason why that says nothing, or raises.
local function failed(entry, request, err, seconds)
  if stopped[err.code] and not err.stopped then
    return false, stopped[err.code]
  end
  err.outcome = "failed"
  texts.raise_statement(entry.name, request.text, err, "change", seconds)
end

--- How a statement of the author's is run.
local function options(request, seconds)
  return { timeout = seconds + GRACE, max_rows = MAX_ROWS, max_bytes = MAX_BYTES, truncate = true, exact = request.exact }
end

--- What is known of the catalogue is out of date.
local function after_definition(entry, rehearsal)
  catalogue.forget(entry.memory)
  session_of.learn_deferred(rehearsal) -- if it cannot be asked the session is lost, which the next statement finds
end

--- One exec.
---@return boolean? made nil: the session was gone
---@return any result or reason
local function exec(pool, entry, request, verdict, rehearsal)
  local problem = objection(entry, rehearsal, request, verdict)
  if rehearsal.lost then
    return nil
  elseif problem then
    return false, problem
  end
  local seconds = limit_of(entry, request)
  local items = begin_items(rehearsal, request, seconds)
  local own = #items + 1
  items[own] = request.item
  items[own + 1] = end_items(rehearsal)[1]
  rehearsal.looking = false
  local results, err = run(pool, rehearsal, items, options(request, seconds))
  if rehearsal.lost and err.stopped then
    over(pool, entry, err.message)
    return failed(entry, request, err, seconds)
  elseif rehearsal.lost or not settle(pool, rehearsal, results) then
    return nil
  elseif not results then
    return failed(entry, request, err, seconds)
  end
  rehearsal.made = rehearsal.made + 1
  if verdict.defines then
    after_definition(entry, rehearsal)
  end
  return true, change.result_of(results[own])
end

--- Rehearses one statement.
---@return boolean made
---@return any result what the change returns, or the reason why it was not made
function rehearse.exec(pool, entry, request)
  if request.autocommit then
    return false, "it commits by itself"
  end
  local problem, verdict = judge.inspect(request.change.tree, entry.trusted)
  if problem then
    return false, problem
  end
  return within(pool, entry, function(rehearsal)
    return exec(pool, entry, request, verdict, rehearsal)
  end)
end

--- One statement inside a rehearsed transaction(fn).
---@param rehearsal table what `together` hands over
---@return boolean made
---@return any result or reason
function rehearse.statement(pool, entry, request, statement, rehearsal)
  local problem, verdict = judge.inspect(statement.change.tree, entry.trusted)
  problem = problem or objection(entry, rehearsal, statement, verdict)
  if problem or rehearsal.lost then
    return false, problem or rehearsal.lost.message
  end
  local seconds = limit_of(entry, request)
  local results, err = one_by_one(pool, rehearsal, function()
    return run(pool, rehearsal, { statement.item }, options(statement, seconds))
  end)
  if not results then
    return failed(entry, statement, err, seconds)
  elseif verdict.defines then
    catalogue.forget(entry.memory)
  end
  return true, change.result_of(results[1])
end

--- Rehearses several statements as one: fn(rehearsal) makes them, and returns whether they stay, and a value.
---@return boolean made
---@return any value, or the reason why nothing could be rehearsed
function rehearse.together(pool, entry, request, fn)
  return within(pool, entry, function(rehearsal)
    rehearsal.looking = false
    if not run(pool, rehearsal, begin_items(rehearsal, request, limit_of(entry, request)), { timeout = GRACE + session_of.lock }) then
      return nil
    end
    local answer, err = table.pack(pcall(fn, rehearsal)), nil
    local stays = answer[1] and answer[2] and not rehearsal.lost or false
    if stays and #rehearsal.deferred > 0 then
      local checked, problem = run(pool, rehearsal, end_items(rehearsal), { timeout = LONGEST + GRACE })
      stays, err = checked ~= nil, not checked and problem or nil
    end
    if rehearsal.lost or not settle(pool, rehearsal, stays) then
      over(pool, entry, rehearsal.lost.message)
    else
      rehearsal.made = rehearsal.made + (stays and 1 or 0)
      after_definition(entry, rehearsal)
    end
    if not answer[1] then
      error(answer[2], 0)
    elseif err then
      return failed(entry, { text = "COMMIT" }, err, LONGEST)
    end
    return stays, answer[3]
  end)
end

rehearse.let_go = session_of.let_go

return rehearse
