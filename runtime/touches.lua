--- What a playbook may touch, told without running it: by its header, by the handles its text asks for, and by the
--- playbooks it calls.
local ordered = require "runtime.ordered"
local types = require "runtime.param_types"
local touches = {}

--- Calls that give a handle on something outside, and how a name of each is called.
local handles = {
  sql = "connection", redis = "connection", http = "connection", logs = "logs", hosts = "hosts", service = "service",
  notify = "people", state = "state",
}

--- Parameters whose values count as used, and what for.
local of_params = { url = "http", path = "files", secret = "secret" }

local function by_params(rows, params)
  for name, spec in ordered.pairs(params) do
    local kind = spec.type == "list" and spec.of or spec.type
    if types.is_connection[kind] then
      rows[#rows + 1] = { kind, ("the connection of parameter '%s'"):format(name) }
    elseif of_params[kind] then
      rows[#rows + 1] = { of_params[kind], ("the value of parameter '%s'"):format(name) }
    end
  end
end

--- Handles the text asks for by a name of its own, or by one that only a run knows.
local function by_text(rows, host, book)
  local facts = host.chunk.analyse((book.text:gsub("^#", "--#")), book.file)
  local seen = {}
  for _, fact in ipairs(facts and facts.handles or {}) do
    local spec = fact.field and book.header.params[fact.name]
    local text = not fact.field and fact.name
    if handles[fact.callee] and not spec then
      text = text and ("the %s '%s'"):format(handles[fact.callee], text) or "a name that only the run knows"
      if not seen[fact.callee .. text] then
        seen[fact.callee .. text] = true
        rows[#rows + 1] = { fact.callee, text, ("line %d"):format(fact.line) }
      end
    end
  end
end

local function rows_of(host, book)
  local rows, header = {}, book.header
  by_params(rows, header.params)
  by_text(rows, host, book)
  for section, items in ordered.pairs(header.uses or {}) do
    rows[#rows + 1] = { section, table.concat(items, ", ") }
  end
  for _, name in ipairs(header.calls or {}) do
    rows[#rows + 1] = { "calls", name }
  end
  for name, limit in ordered.pairs(header.limits or {}) do
    rows[#rows + 1] = { "at most", ("%s %s"):format(tostring(limit), name) }
  end
  for name, level in ordered.pairs(header.tell or {}) do
    rows[#rows + 1] = { "tells", ("%s (%s)"):format(name, level) }
  end
  if header.lock then
    local of = header.lock ~= true and (" of all with lock '%s'"):format(header.lock) or ""
    rows[#rows + 1] = { "lock", "one run at a time" .. of }
  end
  return rows
end

--- The playbook's own part first, then one for each that it calls, and those call.
---@param host table
---@param book table what loader.load returned
---@param called table what call.load returned
---@return {by: string?, rows: string[][]}[] parts without those that touch nothing
function touches.of(host, book, called)
  local parts = {}
  local function add(part_of, below, by)
    local rows = rows_of(host, part_of)
    if #rows > 0 then
      parts[#parts + 1] = { by = by, rows = rows }
    end
    for name, entry in ordered.pairs(below) do
      if entry.missing then
        parts[#parts + 1] = { by = name, rows = { { "unknown", "it is not there: a run that calls it fails" } } }
      else
        add(entry.book, entry.called, by and ("%s, %s"):format(by, name) or name)
      end
    end
  end
  add(book, called)
  return parts
end

return touches
