--- Several statements as one change: fn(tx) runs inside a transaction whose id is known before the
--- first statement is sent; when fn raises, nothing of it stays.
---
--- tx:query, tx:one and tx:value are proved reads, as outside; tx:exec is anything one statement may do
--- in a transaction. In a dry run fn runs too: what it reads before its first change is read for real,
--- every change is described by the server and not made, and what would be read behind it is unknown.
local catalogue = require "runtime.sql.catalogue"
local change = require "runtime.sql.change"
local errors = require "runtime.errors"
local plan = require "runtime.plan"
local read = require "runtime.sql.read"
local texts = require "runtime.sql.texts"

local transaction = {}

local MAX_ROWS, MAX_BYTES = 100000, 64 * 1024 * 1024
local GRACE = 3
--- Statements listed in the result and the journal.
local LISTED = 1000

local levels = { ["read committed"] = true, ["repeatable read"] = true, serializable = true }
local tx_options = { exact = true, on_dry = true }

local function misuse(message, ...)
  error(errors.wrap(message:format(...)), 0)
end

--- What opens the transaction, from opts.isolation.
function transaction.begin(isolation)
  if isolation == nil then
    return "BEGIN"
  elseif not levels[isolation] then
    misuse("sql:transaction: isolation '%s' is none of: read committed, repeatable read, serializable", tostring(isolation))
  end
  return "BEGIN ISOLATION LEVEL " .. isolation:upper()
end

local function check_arguments(verb, text, values, opts)
  if type(text) ~= "string" then
    misuse("tx:%s: 'text': expected string, got %s", verb, type(text))
  elseif values ~= nil and type(values) ~= "table" then
    misuse("tx:%s: 'values': expected list, got %s", verb, type(values))
  elseif opts ~= nil and type(opts) ~= "table" then
    misuse("tx:%s: opts: expected a table, got %s", verb, type(opts))
  end
  for name in pairs(opts or {}) do
    if not tx_options[name] then
      misuse("tx:%s: unknown option '%s' (it takes: exact, on_dry; the others are the transaction's)", verb, tostring(name))
    end
  end
end

--- The object fn gets. `run(verb, text, values, opts)` does one statement.
local function make_tx(state, run)
  local tx = {}
  for _, verb in ipairs { "query", "one", "value", "exec" } do
    tx[verb] = function(self, text, values, opts)
      if self ~= tx then
        misuse("tx.%s: call it with a colon: tx:%s(…)", verb, verb)
      end
      check_arguments(verb, text, values, opts)
      if state.over then
        misuse("tx:%s: the transaction is over: only inside its function", verb)
      elseif state.failure then
        error(state.failure, 0)
      elseif state.busy then
        misuse("tx:%s: one statement at a time in a transaction", verb)
      end
      state.busy = true
      local ok, result = pcall(run, verb, text, values, opts or {})
      state.busy = false
      if not ok then
        error(result, 0)
      end
      return result
    end
  end
  return tx
end

--- Runs fn(tx); inside, other effects may only read.
local function call_author(pool, request, state, run)
  local context = pool.services.context and pool.services.context()
  local before = context and rawget(context, "reads_only")
  if context then
    context.reads_only = "a transaction"
  end
  local ok, result = pcall(request.fn, make_tx(state, run))
  if context then
    context.reads_only = before
  end
  state.over = true
  if not ok then
    result = errors.of_author(result)
  end
  return ok, result
end

local function pick(verb, rows)
  if verb == "one" then
    return rows[1]
  elseif verb == "value" then
    return rows[1] and rows[1][rows.columns[1]]
  end
  return rows
end

-- Live ---------------------------------------------------------------------------------------------

--- Sends one statement on the transaction's session. After a failure the transaction is lost.
local function send(session, entry, request, state, item, text, opts, truncate)
  local seconds = request.timeout or entry.timeout
  local results, err = session.conn:run({ item }, {
    timeout = seconds and seconds + GRACE or nil,
    max_rows = MAX_ROWS,
    max_bytes = MAX_BYTES,
    truncate = truncate,
    exact = opts.exact,
  })
  if results then
    return results[1]
  end
  err.outcome = "failed" -- it was not committed, whatever became of the statement
  local _, failure = pcall(texts.raise_statement, entry.name, text, err, "change", seconds)
  state.failure = failure
  error(failure, 0)
end

local function note_statement(state, text, count)
  state.statements = state.statements + 1
  if state.statements <= LISTED then
    state.list[state.statements] = { text = texts.short(text, 200), count = count }
  end
end

local function run_live(pool, entry, request, state, session)
  return function(verb, text, values, opts)
    local statement = request.statement(verb, entry, text, values, opts)
    if verb ~= "exec" then
      read.prove(pool, entry, statement)
      return pick(verb, read.rows(send(session, entry, request, state, statement.item, text, opts)))
    end
    local kind = statement.change.kind
    if not change.described[kind] or kind == "SelectStmt" then
      state.tainted = true -- SET, LISTEN, set_config: nothing of it may reach the next statement
    end
    local answer = send(session, entry, request, state, statement.item, text, opts, true)
    local result = change.result_of(answer)
    state.count = state.count + result.count
    note_statement(state, text, result.count)
    return result
  end
end

local function roll_back(pool, session, err)
  pcall(session.conn.run, session.conn, { { "ROLLBACK" } }, { timeout = GRACE })
  pool:drop(session)
  err.outcome = "failed"
  error(err, 0)
end

--- Stage 8: fn, then COMMIT.
---@return table {value, count, statements}
function transaction.perform(pool, entry, request, token)
  local session = request.session
  request.session = nil
  local state = { count = 0, statements = 0, list = {} }
  local ok, value = call_author(pool, request, state, run_live(pool, entry, request, state, session))
  if ok and state.failure then
    ok, value = false, state.failure -- fn caught it, but the server goes on with nothing
  end
  catalogue.forget(entry.memory)
  if not ok then
    roll_back(pool, session, value)
  end
  local seconds = request.timeout or entry.timeout
  local results, err = session.conn:run({ { "COMMIT" } }, { timeout = seconds and seconds + GRACE or nil })
  if results and results[1].tag == "COMMIT" then
    if state.tainted then
      pool:drop(session)
    else
      pool:release(entry, session)
    end
    return { value = value, count = state.count, statements = state.list }
  end
  pool:drop(session)
  err = err or { message = "the server rolled the transaction back", code = "40000", outcome = "failed" }
  return change.raise_end(pool, entry, { text = "COMMIT" }, token, err, seconds)
end

-- Dry ----------------------------------------------------------------------------------------------

local undetermined = { effect = true, fail = true }

local function add_all(lines, more)
  for _, line in ipairs(more or {}) do
    lines[#lines + 1] = "  " .. line
  end
end

--- What a change looks like to the server; behind another change that may be more than it can say.
local function describe_change(pool, entry, statement, state)
  local ok, preview = pcall(change.preview, pool, entry, statement)
  if ok then
    return preview.lines
  elseif errors.is(preview, "effect") and state.planned then
    return { "undetermined: " .. preview.message }
  end
  error(preview, 0)
end

local function run_dry(pool, entry, request, state, lines)
  return function(verb, text, values, opts)
    local statement = request.statement(verb, entry, text, values, opts)
    local summary = ("%s %s: %s"):format(verb, entry.name, texts.short(text))
    if verb ~= "exec" then
      if not state.planned then
        read.prove(pool, entry, statement)
        return pick(verb, read.query(pool, entry, statement))
      end
      local ok, err = pcall(read.prove, pool, entry, statement)
      if not ok and not errors.is(err, "effect") then
        error(err, 0)
      end
      lines[#lines + 1] = summary
      lines[#lines + 1] = "  depends on a change that was not made"
      return plan.result({ summary = summary, where = request.where() }, opts.on_dry)
    end
    lines[#lines + 1] = texts.short(text, 200)
    add_all(lines, describe_change(pool, entry, statement, state))
    state.planned = true
    return plan.result({ summary = summary, where = request.where() }, opts.on_dry)
  end
end

transaction.call_author, transaction.run_dry, transaction.pick = call_author, run_dry, pick -- for rehearsals

--- What a dry run shows: each statement, none of them made.
function transaction.preview(pool, entry, request)
  local lines, state = {}, {}
  local ok, err = call_author(pool, request, state, run_dry(pool, entry, request, state, lines))
  if ok then
    return { lines = lines }
  elseif errors.is(err, "planned") then
    lines[#lines + 1] = "… " .. err.message
  elseif state.planned and undetermined[err.kind] then
    lines[#lines + 1] = "undetermined: " .. err.message
  else
    error(err, 0)
  end
  return { lines = lines }
end

return transaction
