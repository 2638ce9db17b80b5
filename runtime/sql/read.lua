--- Proved reads: judged, then run in a read-only transaction that is rolled back, in one round trip.
local bind = require "runtime.sql.bind"
local catalogue = require "runtime.sql.catalogue"
local errors = require "runtime.errors"
local texts = require "runtime.sql.texts"

local read = {}

--- What one answer may hold; beyond it the statement is for :each.
local MAX_ROWS, MAX_BYTES = 100000, 64 * 1024 * 1024
--- Rows handed over at a time by :each.
local BATCH = 500
--- The server's own limit comes first; the client's is for a server that does not answer at all.
local GRACE = 3

--- Raises the refusal of an unproved read.
local function refuse(entry, request, problem)
  error(errors.refused {
    message = ("cannot prove that '%s' on '%s' only reads: %s"):format(
      texts.short(request.text, 60),
      entry.name,
      problem
    ),
    code = "unproved",
    outcome = "not sent",
    hint = ("for a change use :exec(…); a function known to be harmless goes into sql.%s.trusted_functions"
      .. " of the environment"):format(entry.name),
  }, 0)
end

--- Stage 6 of a read: the statement's text, then what its names mean on this server.
function read.prove(pool, entry, request)
  if request.syntax then
    texts.raise_statement(entry.name, request.text, request.syntax, "read")
  elseif request.trusted_statement then
    return
  elseif request.verdict.problem then
    refuse(entry, request, request.verdict.problem)
  elseif request.verdict.kind == "VariableShowStmt" then
    return
  end
  local answer, err = pool:with(entry, function(session)
    local problem, failure = catalogue.check(session.conn, entry.memory, request.verdict, entry.trusted)
    if failure then
      return nil, failure
    end
    return { problem = problem }
  end)
  if not answer then
    texts.raise_statement(entry.name, "", err, "read")
  elseif answer.problem then
    refuse(entry, request, answer.problem)
  end
end

--- The items of a wrapped read, and where its own and the checking statement stand.
local function wrap(request)
  local items = { { "BEGIN READ ONLY" } }
  if request.timeout then
    items[2] = { ("SET LOCAL statement_timeout = %d"):format(math.ceil(request.timeout * 1000)) }
  end
  if request.lock_timeout then
    items[#items + 1] = { ("SET LOCAL lock_timeout = %d"):format(math.ceil(request.lock_timeout * 1000)) }
  end
  items[#items + 1] = request.item
  local own = #items
  items[own + 1] = { "SHOW transaction_read_only" }
  items[own + 2] = "sync"
  items[own + 3] = { "ROLLBACK" }
  return items, own
end

--- The statement must have left its transaction as it was: still open, still read-only.
local function check_still_read_only(entry, request, show)
  local row = show and show.rows[1]
  if not row or row.transaction_read_only ~= "on" then
    error(errors.unknown {
      message = ("'%s': '%s' left its read-only transaction"):format(entry.name, texts.short(request.text, 60)),
      outcome = "unknown",
      hint = "opsrun took it for a read: please report the statement",
    }, 0)
  end
end

local function limit(entry, request)
  local seconds = request.timeout or entry.timeout
  return seconds and seconds + GRACE or nil, seconds
end

--- A result as the rows a playbook sees.
function read.rows(result)
  local rows = result.rows
  rows.columns = result.columns
  rows.count = #rows
  return rows
end

--- Runs the read. Returns its rows.
function read.query(pool, entry, request)
  local items, own = wrap(request)
  local deadline, seconds = limit(entry, request)
  local results, err = pool:with(entry, function(session)
    return session.conn:run(items, {
      timeout = deadline,
      max_rows = MAX_ROWS,
      max_bytes = MAX_BYTES,
      exact = request.exact,
    })
  end)
  if not results then
    texts.raise_statement(entry.name, request.text, err, "read", seconds)
  end
  check_still_read_only(entry, request, results[own + 1])
  return read.rows(results[own])
end

--- Runs the read and hands every row to fn, holding one batch at a time. fn returns false to stop.
---@return integer count rows handed over
function read.each(pool, entry, request, fn)
  local items, own = wrap(request)
  local deadline, seconds = limit(entry, request)
  local session = pool:acquire(entry)
  local count, going, in_author = 0, true, false
  local ok, failure = pcall(function()
    local results, at_end = session.conn:run(items, { batch = BATCH, timeout = deadline, exact = request.exact })
    while true do
      if not results then
        texts.raise_statement(entry.name, request.text, at_end, "read", seconds)
      end
      for _, row in ipairs(results[own] and results[own].rows or {}) do
        count = count + 1
        in_author = true
        local answer = fn(row)
        in_author = false
        if answer == false then
          going = false
          return
        end
      end
      if at_end then
        check_still_read_only(entry, request, results[own + 1])
        return
      end
      results, at_end = session.conn:next(deadline, { exact = request.exact })
    end
  end)
  if not ok or not going then
    pool:drop(session)
  else
    pool:release(entry, session)
  end
  if not ok then
    error(in_author and errors.of_author(failure) or failure, 0)
  end
  return count
end

--- The same over rows that are there already.
---@return integer count
function read.each_of(rows, fn)
  local count = 0
  for _, row in ipairs(rows) do
    count = count + 1
    local ok, answer = pcall(fn, row)
    if not ok then
      error(errors.of_author(answer), 0)
    elseif answer == false then
      break
    end
  end
  return count
end

--- The bound item of a request, or an error of the author's.
function read.bind(request, values, null)
  local item, why = bind.item(request.text, values, request.parameters, null)
  if not item then
    error(errors.wrap(("sql: %s"):format(why)), 0)
  end
  return item
end

return read
