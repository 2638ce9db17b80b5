--- Changes: in a transaction of their own whose id is known before the statement is sent, so that a
--- lost answer can be asked for later.
local alone = require "runtime.sql.alone"
local bind = require "runtime.sql.bind"
local catalogue = require "runtime.sql.catalogue"
local errors = require "runtime.errors"
local judge = require "runtime.sql.judge"
local settle = require "runtime.sql.settle"
local texts = require "runtime.sql.texts"

local change = {}

local MAX_ROWS, MAX_BYTES = 100000, 64 * 1024 * 1024
local GRACE = 3
--- How long a lost transaction's end is waited for while the run goes on, in seconds.
local SETTLE = 10

--- Statements the server describes without running anything.
change.described = {
  SelectStmt = "SELECT",
  InsertStmt = "INSERT",
  UpdateStmt = "UPDATE",
  DeleteStmt = "DELETE",
  MergeStmt = "MERGE",
}

--- Functions that act, and leave catalogue and session as they were.
local clean = {
  pg_terminate_backend = true,
  pg_cancel_backend = true,
  pg_reload_conf = true,
  pg_log_backend_memory_contexts = true,
  pg_rotate_logfile = true,
  pg_switch_wal = true,
  pg_notify = true,
  nextval = true,
  setval = true,
  pg_current_xact_id = true,
  txid_current = true,
}

--- What the text says of a change: its kind, what it must be told, its parameters.
---@param tree table? the parse tree; nil when our grammar does not know the statement
---@param autocommit boolean?
---@return table facts {kind, node, tree, parameters, clean}
function change.inspect(tree, text, autocommit)
  if not tree then
    local highest = 0
    for digits in text:gmatch "%$(%d+)" do
      highest = math.max(highest, tonumber(digits))
    end
    return { kind = "", parameters = math.min(highest, 65535) }
  end
  if #tree.stmts ~= 1 then
    error(errors.wrap(#tree.stmts == 0 and "sql:exec: the statement is empty" or "sql:exec: one statement a call"), 0)
  end
  local kind, node = next(tree.stmts[1].stmt)
  if kind == "TransactionStmt" then
    error(errors.wrap "sql:exec: a change is a transaction of its own: leave BEGIN, COMMIT and ROLLBACK out", 0)
  end
  if not autocommit and alone.must(kind, node) then
    error(errors.wrap(
      ("sql:exec: '%s' cannot run inside a transaction: say so with {autocommit = true}"):format(texts.short(text, 40))
    ), 0)
  end
  local parameters = judge.survey(tree)
  local verdict = judge.inspect(tree, clean)
  return {
    kind = kind,
    node = node,
    tree = tree,
    parameters = parameters,
    clean = kind == "SelectStmt" and not verdict.problem and #verdict.qualified == 0 and verdict or nil,
  }
end

--- May what was proved of other reads still be believed after this change?
local function leaves_catalogue(entry, request)
  local verdict, base = request.change.clean, entry.memory.base
  if not verdict or not base then
    return false
  end
  for name in pairs(verdict.functions) do
    if base["function"] and base["function"][name] then
      return false
    end
  end
  for _, relation in ipairs(verdict.relations) do
    if relation[1] or (base.relation and base.relation[relation[2]]) then
      return false
    end
  end
  return true
end

local function settings(request)
  local items = {}
  if request.timeout then
    items[#items + 1] = { ("SET LOCAL statement_timeout = %d"):format(math.ceil(request.timeout * 1000)) }
  end
  if request.lock_timeout then
    items[#items + 1] = { ("SET LOCAL lock_timeout = %d"):format(math.ceil(request.lock_timeout * 1000)) }
  end
  return items
end

--- Opens the transaction and learns its id, which no statement of it has used yet. A standby gives no ids: what it can
--- be told (end a session, stop the replay) is done, and can be found out by nobody but the playbook or a person.
---@return table? token, table? err
local function open_transaction(session, request)
  local token, err = settle.identify(session)
  if not token then
    return nil, err
  end
  local items = { { request.begin or "BEGIN" }, table.unpack(settings(request)) }
  local modern = session.conn:version() >= 130000
  items[#items + 1] = {
    ("SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.%s() END AS xid"):format(
      modern and "pg_current_xact_id" or "txid_current"
    ),
  }
  local results
  results, err = session.conn:run(items)
  if not results then
    return nil, err
  end
  local xid = results[#items].rows[1].xid
  token.xid = xid and tostring(xid) or nil
  return token
end

--- For a statement that commits by itself: what its object is before it, where it makes or drops one.
---@return table? token, table? err
local function look_before(session, request)
  local token, err = settle.identify(session)
  if token then
    token.before = alone.look(session.conn, request.change.kind, request.change.node)
  end
  return token, err
end

--- Stage 6 of a change: a session, and unless it commits by itself an open transaction with its id.
---@return table token
function change.prepare(pool, entry, request)
  for _ = 1, 6 do
    local session = pool:acquire(entry)
    local fresh = session.fresh
    local token, err
    if request.autocommit then
      token, err = look_before(session, request)
    else
      token, err = open_transaction(session, request)
    end
    if token then
      request.session = session
      return token
    end
    pool:drop(session)
    if fresh or not pool.gone[err.code] then
      err.outcome = "not sent"
      texts.raise_statement(entry.name, "", err, "change")
    end
  end
end

--- What a change returns, from the server's answer.
function change.result_of(answer)
  local rows = answer.rows
  rows.columns, rows.count = answer.columns, #rows
  return { count = answer.affected or #rows, rows = rows }
end

--- The answer is gone: the transaction's id tells whether the change is.
local function raise_lost(pool, entry, request, token, err, seconds)
  local ok, status, why
  if token.xid then
    ok, status, why = pcall(settle.transaction, pool, entry, token, SETTLE)
  end
  if ok and status == "committed" then
    error(errors.effect {
      message = ("'%s': %s; the change was committed, its answer is lost"):format(entry.name, err.message),
      code = err.code,
      outcome = "done",
    }, 0)
  elseif ok and status == "aborted" then
    err.outcome = "failed"
    err.message = err.message .. "; nothing was changed"
  elseif ok then
    err.hint = err.hint or why
  end
  texts.raise_statement(entry.name, request.text, err, "change", seconds)
end

--- The end of a change that did not come to its COMMIT's answer: asked for where it is unknown.
function change.raise_end(pool, entry, request, token, err, seconds)
  if err.outcome == "unknown" then
    raise_lost(pool, entry, request, token, err, seconds)
  end
  texts.raise_statement(entry.name, request.text, err, "change", seconds)
end

--- After the statement: what the session and our knowledge of the catalogue are still good for.
local function tidy(pool, entry, request, session)
  local kept = change.described[request.change.kind]
  if not leaves_catalogue(entry, request) then
    catalogue.forget(entry.memory)
    kept = kept and request.change.kind ~= "SelectStmt"
  end
  if kept then
    pool:release(entry, session)
  else
    pool:drop(session) -- SET, LISTEN, set_config: nothing of it may reach the next statement
  end
end

--- Stage 8 of a change.
---@return table {count, rows}
function change.perform(pool, entry, request, token)
  local session = request.session
  request.session = nil
  local seconds = request.timeout or entry.timeout
  local items = request.autocommit and { request.item } or { request.item, { "COMMIT" } }
  local results, err = session.conn:run(items, {
    timeout = seconds and seconds + GRACE or nil,
    max_rows = MAX_ROWS,
    max_bytes = MAX_BYTES,
    truncate = true,
    exact = request.exact,
    no_pipeline = request.autocommit,
  })
  if results and (request.autocommit or results[2].tag == "COMMIT") then
    tidy(pool, entry, request, session)
    return change.result_of(results[1])
  end
  pool:drop(session) -- ends the transaction with the session
  catalogue.forget(entry.memory)
  err = err or { message = "the server rolled the change back", code = "40000", outcome = "failed" }
  change.raise_end(pool, entry, request, token, err, seconds)
end

--- "users", or "public.users": the relation a statement writes to, quoted for to_regclass.
local function target_of(node)
  local relation = type(node) == "table" and node.relation
  if not relation or not relation.relname then
    return nil
  end
  local function quote(name)
    return '"' .. name:gsub('"', '""') .. '"'
  end
  return (relation.schemaname and quote(relation.schemaname) .. "." or "") .. quote(relation.relname)
end

local function describe_types(conn, list)
  local results = conn:run { {
    "SELECT pg_catalog.format_type(o, NULL) AS name FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS o",
    bind.names(list),
    n = 1,
  } }
  local names = {}
  for i, row in ipairs(results and results[1].rows or {}) do
    names[i] = row.name
  end
  return names
end

local function rights_line(conn, request)
  local target, verb = target_of(request.change.node), change.described[request.change.kind]
  if not target or verb == "SELECT" or verb == "MERGE" then
    return nil
  end
  local results = conn:run { {
    "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), $2) AS allowed, current_user AS who",
    target, verb, n = 2,
  } }
  local row = results and results[1].rows[1]
  if row and row.allowed == false then
    return ("'%s' has no right to %s %s: it would fail"):format(row.who, verb, (target:gsub('"', "")))
  end
end

--- What a dry run shows: parsed and described by the server, never planned, since planning runs
--- functions.
function change.preview(pool, entry, request)
  if not change.described[request.change.kind] then
    local why = "not checked: the server describes only SELECT, INSERT, UPDATE, DELETE and MERGE"
    return { lines = { why }, not_checked = true }
  end
  local lines = {}
  local described, err = pool:with(entry, function(session)
    local conn = session.conn
    local results, why =
      conn:run { { "BEGIN READ ONLY" }, { request.text, describe = true }, "sync", { "ROLLBACK" } }
    if not results then
      return nil, why
    end
    local answer = results[2]
    if answer.parameters then
      lines[1] = "parameters: " .. table.concat(describe_types(conn, answer.parameters), ", ")
    end
    local types = describe_types(conn, answer.types)
    for i, name in ipairs(answer.columns) do
      types[i] = ("%s %s"):format(name, types[i] or "?")
    end
    if #types > 0 then
      lines[#lines + 1] = "returns: " .. table.concat(types, ", ")
    end
    lines[#lines + 1] = rights_line(conn, request)
    return true
  end)
  if not described then
    texts.raise_statement(entry.name, request.text, err, "read")
  end
  return { lines = lines }
end

return change
