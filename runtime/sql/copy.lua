--- copy_in: many rows into a table, by COPY, as one change. Rows come as a list, or one by one from a
--- function, in constant memory.
local bind = require "runtime.sql.bind"
local catalogue = require "runtime.sql.catalogue"
local change = require "runtime.sql.change"
local errors = require "runtime.errors"
local pure = require "runtime.sql.pure"
local texts = require "runtime.sql.texts"
local text_of = require "runtime.text"

local copy = {}

--- Bytes handed to the server at a time.
local CHUNK = 64 * 1024
local GRACE = 3

local escapes = {
  ["\\"] = "\\\\", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n", ["\v"] = "\\v", ["\f"] = "\\f", ["\r"] = "\\r",
}

local function misuse(message, ...)
  error(errors.wrap(("sql:copy_in: " .. message):format(...)), 0)
end

--- "public.users" or {"public", "users"} as a quoted name.
local function table_name(given)
  local parts = given
  if type(given) == "string" then
    parts = {}
    for part in (given .. "."):gmatch "([^.]*)%." do
      parts[#parts + 1] = part
    end
  end
  if #parts < 1 or #parts > 2 then
    misuse("'table': expected \"name\", \"schema.name\" or {\"schema\", \"name\"}")
  end
  local name, why = pure.format(nil, #parts == 1 and "%I" or "%I.%I", table.unpack(parts))
  return name or misuse("'table': %s", why)
end

--- One value in COPY's text form.
local function cell(value, null, at)
  local kind = math.type(value) or type(value)
  if kind == "integer" or (kind == "string" and not value:find "[%z\\\b\t\n\v\f\r]") then
    return value
  end
  local bound, why = bind.value(value, null)
  if type(bound) == "userdata" then
    why = "a secret cannot be copied: bind it with exec"
  elseif type(bound) == "string" and bound:find "%z" then
    why = "it holds a NUL byte, which text cannot carry"
  end
  if why then
    misuse("row %d, %s: %s", at.row, at.column, why)
  elseif bound == nil then
    return "\\N"
  elseif math.type(bound) == "float" then
    return bound ~= bound and "NaN" or bound == math.huge and "Infinity" or bound == -math.huge and "-Infinity"
      or ("%.17g"):format(bound)
  end
  return (tostring(bound):gsub("[\\\b\t\n\v\f\r]", escapes))
end

--- The columns: as said, as the rows of a query say, or the names in the first row.
local function columns_of(request, first)
  if request.columns then
    return
  end
  if type(first) ~= "table" or #first > 0 or next(first) == nil then
    misuse("which columns? columns = { \"id\", \"name\" }")
  end
  request.columns = text_of.keys(first)
end

local function line_of(row, columns, null, at)
  if type(row) ~= "table" then
    misuse("row %d: expected a table, got %s", at.row, type(row))
  end
  local by_place = #row > 0
  if not by_place then
    for name in pairs(row) do
      if not text_of.has(columns, name) then
        misuse("row %d: '%s' is none of the columns %s", at.row, tostring(name), table.concat(columns, ", "))
      end
    end
  elseif #row > #columns then
    misuse("row %d: %d values for %d columns", at.row, #row, #columns)
  end
  local cells = {}
  for i, name in ipairs(columns) do
    at.column = name
    local value
    if by_place then
      value = row[i]
    else
      value = row[name]
    end
    cells[i] = cell(value, null, at)
  end
  return table.concat(cells, "\t") .. "\n"
end

local function statement(request)
  local names = {}
  for i, name in ipairs(request.columns) do
    local quoted, why = pure.format(nil, "%I", name)
    names[i] = quoted or misuse("columns: %s", why)
  end
  return ("COPY %s (%s) FROM STDIN"):format(request.table, table.concat(names, ", ")), table.concat(names, ", ")
end

--- What a call asks for. A list is checked and written out at once; a function is not called yet.
function copy.inspect(request, target, rows, opts, null)
  request.table = table_name(target)
  request.null = null
  request.columns = opts.columns or (type(rows) == "table" and rows.columns) or nil
  if request.columns and (type(request.columns) ~= "table" or #request.columns == 0) then
    misuse("columns: expected a list of names")
  end
  if type(rows) == "function" then
    request.next_row = rows
    return
  end
  if #rows > 0 then
    columns_of(request, rows[1])
  end
  local parts, at = {}, {}
  for i = 1, #rows do
    at.row = i
    parts[i] = line_of(rows[i], request.columns, null, at)
  end
  request.data, request.count = table.concat(parts), #rows
end

--- Pieces of data, from the list or from the author's function.
local function pieces(request, first)
  if request.data then
    local at = 1
    return function()
      local piece = request.data:sub(at, at + CHUNK - 1)
      at = at + CHUNK
      return piece ~= "" and piece or nil
    end
  end
  local row, at = first, { row = 0 }
  return function()
    local parts, size = {}, 0
    while row ~= nil and size < CHUNK do
      at.row = at.row + 1
      parts[#parts + 1] = line_of(row, request.columns, request.null, at)
      size = size + #parts[#parts]
      row = request.next_row()
    end
    request.rows_sent = at.row
    return size > 0 and table.concat(parts) or nil
  end
end

--- Feeds the server. Returns the number of rows it took; raises what went wrong.
local function feed(session, request, first, deadline)
  local text = statement(request)
  request.text = text
  local results, at_end = session.conn:run({ { text } }, { copy = true, no_pipeline = true, timeout = deadline })
  if not results then
    return nil, at_end
  elseif at_end then
    return nil, { message = "the server wants no data", code = "copy", outcome = "failed" }
  end
  local next_piece, pieces_sent = pieces(request, first), 0
  while true do
    pieces_sent = pieces_sent + 1
    local ok, piece = pcall(next_piece)
    if not ok then
      session.conn:copy_end("the rows ended in an error", GRACE)
      error(errors.of_author(piece), 0)
    elseif not piece then
      break
    end
    local sent, err = session.conn:copy(piece, deadline)
    if not sent then
      return nil, err
    elseif request.effect then
      request.effect.progress = request.rows_sent and ("%d rows sent"):format(request.rows_sent)
        or ("%d of %d bytes sent"):format(math.min(pieces_sent * CHUNK, #request.data), #request.data)
    end
  end
  results, at_end = session.conn:copy_end(nil, deadline)
  if not results then
    return nil, at_end
  end
  return results[1].affected or 0
end

--- Stage 8: the data, then COMMIT.
---@return table {count}
function copy.perform(pool, entry, request, token)
  local session = request.session
  request.session = nil
  local seconds = request.timeout or entry.timeout
  local deadline = seconds and seconds + GRACE or nil
  local context = pool.services.context and pool.services.context()
  local before = context and rawget(context, "reads_only")
  if context then
    context.reads_only = "a copy" -- what hands over the rows may look, no more
  end
  local ok, count, err = pcall(function()
    local first
    if request.next_row then
      local called, row = pcall(request.next_row)
      if not called then
        error(errors.of_author(row), 0)
      elseif row == nil then
        return 0
      end
      first = row
      columns_of(request, row)
    elseif request.count == 0 then
      return 0
    end
    return feed(session, request, first, deadline)
  end)
  if context then
    context.reads_only = before
  end
  catalogue.forget(entry.memory) -- a trigger may have done anything
  if not ok or not count then
    pcall(session.conn.run, session.conn, { { "ROLLBACK" } }, { timeout = GRACE })
    pool:drop(session)
    if not ok then
      count = errors.of_author(count)
      count.outcome = "failed"
      error(count, 0)
    end
    err.outcome, err.position = "failed", nil -- it was not committed
    if err.context then -- "COPY stock, line 3, column n: …"
      err.hint = err.hint or err.context:match "[^\n]*"
    end
    texts.raise_statement(entry.name, request.text, err, "change", seconds)
  end
  local results
  results, err = session.conn:run({ { "COMMIT" } }, { timeout = deadline })
  if results and results[1].tag == "COMMIT" then
    pool:release(entry, session)
    return { count = count }
  end
  pool:drop(session)
  err = err or { message = "the server rolled the copy back", code = "40000", outcome = "failed" }
  return change.raise_end(pool, entry, { text = "COMMIT" }, token, err, seconds)
end

--- What a dry run shows: where the rows would go, and whether they could.
function copy.preview(pool, entry, request)
  local lines = { request.count and text_of.plural(request.count, "row") or "rows from a function, which is not called" }
  if not request.columns then
    return { lines = lines, not_checked = true }
  end
  local text, names = statement(request)
  table.insert(lines, 1, text)
  local looked = { ("SELECT %s FROM %s"):format(names, request.table), describe = true }
  local ok, err = pool:with(entry, function(session)
    local results, why = session.conn:run { { "BEGIN READ ONLY" }, looked, "sync", { "ROLLBACK" } }
    if not results then
      return nil, why
    end
    local rights = session.conn:run { {
      "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), 'INSERT') AS allowed, current_user AS who",
      request.table, n = 1,
    } }
    local row = rights and rights[1].rows[1]
    if row and row.allowed == false then
      lines[#lines + 1] = ("'%s' has no right to INSERT into %s: it would fail"):format(row.who, request.table)
    end
    return true
  end)
  if not ok then
    texts.raise_statement(entry.name, looked[1], err, "read")
  end
  return { lines = lines }
end

return copy
