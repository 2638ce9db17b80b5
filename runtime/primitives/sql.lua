--- sql "primary":query, one, value, each, exec, transaction, copy_in, environment. Reads are proved before they are sent; changes run in
--- a transaction whose id is known first. See runtime/sql/ for each part.
local alone = require "runtime.sql.alone"
local change = require "runtime.sql.change"
local copy = require "runtime.sql.copy"
local errors = require "runtime.errors"
local judge = require "runtime.sql.judge"
local pool = require "runtime.sql.pool"
local read = require "runtime.sql.read"
local rehearsal = require "runtime.rehearsal"
local rehearse = require "runtime.sql.rehearse"
local rehearse_transaction = require "runtime.sql.rehearse_transaction"
local seconds_of = require "runtime.seconds"
local settle = require "runtime.sql.settle"
local texts = require "runtime.sql.texts"
local transaction = require "runtime.sql.transaction"
local trees = require "runtime.sql.trees"

--- More rows than this are not kept in the journal.
local KEPT_ROWS = 10000
--- Seconds that the transaction of a killed run is waited for.
local SETTLE = 30

---@param services {host: table, environment: table, run: table, context: fun(): table?}
return function(services)
  local host = services.host
  local sessions = pool.new(services)
  local parse = trees(host)
  local adapter = {}
  sessions.rehearsal_lost = function(why)
    rehearsal.lost(services.run, services.context and services.context(), why)
  end
  local named = setmetatable({}, { __mode = "k" }) -- tables of variables -> their connection's name

  --- A bound value for the digest and the journal: a secret is its name.
  local function plain(value)
    local kind = type(value)
    if kind == "userdata" then
      return tostring(value)
    elseif kind == "number" and (value ~= value or value == math.huge or value == -math.huge) then
      return tostring(value)
    end
    return value == nil and host.json.null or value
  end

  local function option(opts, name)
    return opts[name] ~= nil and seconds_of(opts[name], "sql: " .. name) or nil
  end

  local function describe_read(entry, request, opts)
    local tree, err = parse(request.text)
    request.trusted_statement = entry.trusted_statements[pool.normal(request.text)]
    request.exact = opts.exact
    if not tree then
      request.syntax, request.parameters = err, 0
      return false
    end
    request.verdict = judge.inspect(tree, entry.trusted)
    request.parameters = judge.survey(tree)
    return request.trusted_statement or #request.verdict.declared > 0
  end

  local function describe_change(request, opts)
    local tree = parse(request.text)
    request.autocommit = opts.autocommit and true or nil
    request.change = change.inspect(tree, request.text, opts.autocommit)
    request.parameters = request.change.parameters
    request.exact = opts.exact
  end

  --- A request of one statement, of a call or of a transaction's function.
  local function statement(verb, entry, text, values, opts)
    local request = { entry = entry, text = text }
    local declared
    if verb == "exec" then
      describe_change(request, opts)
    else
      declared = describe_read(entry, request, opts)
    end
    request.item = read.bind(request, values, host.json.null)
    return request, declared
  end

  local function describe_transaction(args, entry, opts)
    return {
      target = args.name,
      summary = ("transaction on %s"):format(args.name),
      body = { isolation = opts.isolation },
      request = {
        entry = entry,
        text = "transaction",
        fn = args[1],
        begin = transaction.begin(opts.isolation),
        timeout = option(opts, "timeout"),
        lock_timeout = option(opts, "lock_timeout"),
        statement = statement,
        where = host.where or function() end,
      },
      opts = opts,
    }
  end

  local function describe_copy(args, entry, opts)
    local request = { entry = entry, text = "COPY", timeout = option(opts, "timeout"), lock_timeout = option(opts, "lock_timeout") }
    copy.inspect(request, args[1], args[2], opts, host.json.null)
    local rows = request.count and ("%d rows"):format(request.count) or "rows"
    return {
      target = args.name,
      summary = ("copy %s into %s on %s"):format(rows, request.table:gsub('"', ""), args.name),
      body = {
        table = request.table,
        columns = request.columns and host.json.array { table.unpack(request.columns) } or nil,
        rows = request.count,
        data = request.data and host.digest.sha256(request.data) or nil,
      },
      request = request,
      opts = opts,
    }
  end

  local function describe_environment(args, entry, opts)
    return {
      target = args.name,
      summary = ("environment of %s"):format(args.name),
      body = {},
      request = { entry = entry },
      opts = opts,
    }
  end

  function adapter.describe(verb, args)
    local entry = sessions:entry(args.name)
    local opts = args.opts or {}
    if verb == "transaction" then
      return describe_transaction(args, entry, opts)
    elseif verb == "copy_in" then
      return describe_copy(args, entry, opts)
    elseif verb == "environment" then
      return describe_environment(args, entry, opts)
    end
    local request, declared = statement(verb, entry, args[1], args[2], opts)
    request.timeout = option(opts, "timeout")
    request.lock_timeout = option(opts, "lock_timeout")
    request.row_fn = args[3]
    local values = {}
    for i = 1, request.item.n do
      values[i] = plain(request.item[i + 1])
    end
    return {
      target = args.name,
      summary = ("%s %s: %s"):format(verb, args.name, texts.short(request.text)),
      within = request.timeout or entry.timeout,
      body = {
        text = request.text,
        values = #values > 0 and host.json.array(values) or nil,
        autocommit = request.autocommit,
      },
      request = request,
      declared = declared or nil,
      opts = opts,
    }
  end

  function adapter.prepare(verb, request)
    if verb == "exec" or verb == "transaction" or verb == "copy_in" then
      return change.prepare(sessions, request.entry, request)
    elseif verb == "environment" then
      return nil
    end
    read.prove(sessions, request.entry, request)
  end

  local perform = {}

  function perform.query(request)
    return read.query(sessions, request.entry, request)
  end

  function perform.one(request)
    return read.query(sessions, request.entry, request)[1]
  end

  function perform.value(request)
    local rows = read.query(sessions, request.entry, request)
    return rows[1] and rows[1][rows.columns[1]]
  end

  function perform.each(request)
    if request.entry.rehearsal then -- its one session is not kept busy while row_fn looks further
      return read.each_of(read.query(sessions, request.entry, request), request.row_fn)
    end
    return read.each(sessions, request.entry, request, request.row_fn)
  end

  function perform.exec(request, token)
    return change.perform(sessions, request.entry, request, token)
  end

  function perform.transaction(request, token)
    return transaction.perform(sessions, request.entry, request, token)
  end

  function perform.copy_in(request, token)
    return copy.perform(sessions, request.entry, request, token)
  end

  --- What libpq's own programs need to meet the connection's server. Kept by name only.
  local function variables_of(entry)
    local variables, why = host.sql.environment(entry.config.url, entry.database)
    if not variables then
      error(errors.precondition { message = ("'%s': %s"):format(entry.name, why) }, 0)
    end
    variables.PGAPPNAME = sessions:application_name()
    variables.PGCONNECT_TIMEOUT = variables.PGCONNECT_TIMEOUT or "10"
    named[variables] = entry.name
    return variables
  end

  function perform.environment(request)
    return variables_of(request.entry)
  end

  function adapter.perform(verb, request, token, effect)
    request.effect = effect -- to say in it how far a long one is
    if effect and request.entry.rehearsal then
      effect.rehearsed = request.entry.rehearsal.made > 0
    end
    return perform[verb](request, token)
  end

  function adapter.preview(verb, request)
    if verb == "transaction" then
      return transaction.preview(sessions, request.entry, request)
    elseif verb == "copy_in" then
      return copy.preview(sessions, request.entry, request)
    end
    return verb == "exec" and change.preview(sessions, request.entry, request) or nil
  end

  --- What a rehearsal makes of a change.
  ---@return table answer {made = true, value, lines}, or what is shown of a change that was not made
  function adapter.rehearse(verb, request)
    local made, value = false, "rows that are copied are only shown"
    if verb == "transaction" then
      local done, result, lines = rehearse_transaction.perform(sessions, request.entry, request)
      return { made = done, value = result, lines = lines }
    elseif verb == "exec" then
      made, value = rehearse.exec(sessions, request.entry, request)
    end
    if made then
      return { made = true, value = value, lines = { ("rows: %d"):format(value.count) } }
    end
    local preview = adapter.preview(verb, request)
    table.insert(preview.lines, 1, "planned, not rehearsed: " .. value)
    preview.not_checked = nil -- its lines say so
    return preview
  end

  --- Rolls back what was rehearsed.
  ---@return integer how many changes are gone
  function adapter.let_go()
    return rehearse.let_go(sessions)
  end

  --- Rows as lists by column, which JSON can hold: a row table loses its NULLs and its order.
  local function pack_rows(rows)
    if #rows > KEPT_ROWS then
      return nil, ("%d rows"):format(#rows)
    end
    local packed = host.json.array {}
    for i, row in ipairs(rows) do
      local cells = host.json.array {}
      for c, name in ipairs(rows.columns) do
        local value = row[name]
        if type(value) == "number" and (value ~= value or value == math.huge or value == -math.huge) then
          value = { number = tostring(value) }
        elseif value == nil then
          value = host.json.null
        end
        cells[c] = value
      end
      packed[i] = cells
    end
    return { columns = rows.columns, rows = packed }
  end

  local numbers = { inf = math.huge, ["-inf"] = -math.huge }

  local function unpack_rows(kept)
    local rows = { columns = kept.columns, count = #kept.rows }
    for i, cells in ipairs(kept.rows) do
      local row = {}
      for c, name in ipairs(kept.columns) do
        local value = cells[c]
        if type(value) == "table" and value.number then
          value = numbers[value.number] or 0 / 0
        end
        if value ~= host.json.null then
          row[name] = value
        end
      end
      rows[i] = row
    end
    return rows
  end

  function adapter.keep(verb, result)
    if verb == "query" then
      return pack_rows(result)
    elseif verb == "exec" then
      local rows, why = pack_rows(result.rows)
      if not rows then
        return nil, why
      end
      return { count = result.count, rows = rows }
    elseif verb == "environment" then
      return { name = named[result] }
    end
    return result
  end

  function adapter.revive(verb, kept)
    if verb == "query" then
      return unpack_rows(kept)
    elseif verb == "exec" then
      return { count = kept.count, rows = unpack_rows(kept.rows) }
    elseif verb == "environment" then
      return variables_of(sessions:entry(kept.name))
    end
    return kept
  end

  --- A change that was prepared and will not be made: its transaction ends with its session.
  function adapter.abandon(_, request)
    if request.session then
      sessions:drop(request.session)
      request.session = nil
    end
  end

  local ended = { committed = "done", aborted = "not done" }

  --- Did a change happen that was begun and never ended? Reads only. Waits for what the dead run's session
  --- still does, at most SETTLE seconds. What a change returned is lost with its answer.
  ---@param _ string the verb
  ---@param record table its effect.begin
  ---@return "done"|"not done"|"repeat"|nil
  ---@return string? why it cannot be known
  function adapter.settle(_, record)
    local found, entry = pcall(sessions.entry, sessions, record.target)
    local token = record.token or {}
    if not found then
      error(errors.effect { message = tostring(entry), code = "connection", outcome = "failed" }, 0)
    elseif token.xid then
      local status, why = settle.transaction(sessions, entry, token, SETTLE)
      return ended[status], why
    elseif not token.backend_pid or not (record.body and record.body.text) then
      return nil, "the journal does not say enough of it"
    end
    local tree = parse(record.body.text)
    local kind, node = nil, nil
    if tree and tree.stmts[1] then
      kind, node = next(tree.stmts[1].stmt)
    end
    return settle.alone(sessions, entry, token, SETTLE, function(conn)
      return alone.verdict(conn, kind, node, token.before)
    end)
  end

  function adapter.close()
    rehearse.let_go(sessions)
    sessions:close()
  end

  --- Connects once, for doctor. Raises what a first query would raise.
  function adapter.probe(name)
    local entry = sessions:entry(name)
    local ok = sessions:with(entry, function(session)
      return session.conn:run { { "SELECT 1" } }
    end)
    return ok ~= nil or error(errors.effect { message = ("'%s' does not answer"):format(name) }, 0)
  end

  return adapter
end
