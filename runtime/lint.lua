--- What `check` finds without running anything: undeclared globals, steps that assign a local of the file.
--- Works on the raw facts of host.chunk.analyse.
local effects = require "runtime.effects"
local sandbox = require "runtime.sandbox"
local lint = {}

---@class opsrun.Finding
---@field where string "db-exhaustion.lua:42"
---@field message string
---@field hint string?

--- Functions handed to these run while the playbook loads, so that assigning there is declaring.
local at_load = { group = true }

local function line_of(where)
  return tonumber(where:match ":(%d+)$") or 0
end

--- Which functions change or tell something, and so return tables: "sql.exec", "shell.run", "notify." where the
--- handle itself is called. A verb that is any command of a server is what the command is.
local function changes()
  local set = {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    if (row.class == "change" or row.class == "tell") and not row.any_method then
      set[row.module .. "." .. (row.face == "call" and "" or row.verb)] = true
    end
  end
  return set
end

--- Findings, in order of lines.
---@param facts table what host.chunk.analyse returned
---@param file string "db-exhaustion.lua"
---@param known string[] the names of the sandbox
---@param is_change (fun(library: string, name: string): boolean)? of names that are in no row, such as a server's commands
---@return opsrun.Finding[]
function lint.findings(facts, file, known, is_change)
  local list, seen, is_known = {}, {}, {}
  for _, name in ipairs(known) do
    is_known[name] = true
  end
  local function add(line, message, hint)
    local where = ("%s:%d"):format(file, line)
    if not seen[where .. message] then
      seen[where .. message] = true
      list[#list + 1] = { where = where, message = message, hint = hint }
    end
  end
  for _, fact in ipairs(facts.reads) do
    if not is_known[fact.name] then
      add(fact.line, ("undeclared global '%s'"):format(fact.name), sandbox.hint(fact.name, known))
    end
  end
  for _, fact in ipairs(facts.writes) do
    if is_known[fact.name] then
      add(fact.line, ("'%s' is assigned: it belongs to opsrun"):format(fact.name), "choose another name, and make it local")
    else
      add(fact.line, ("undeclared global '%s' is assigned"):format(fact.name), ("write 'local %s = …'"):format(fact.name))
    end
  end
  for _, fact in ipairs(facts.environment) do
    add(fact.line, "'_ENV' is used", "globals cannot be listed, added or replaced")
  end
  for _, fact in ipairs(facts.outer) do
    if not at_load[fact.callee or ""] then
      add(
        fact.line,
        ("a step assigns '%s', a local of the file"):format(fact.name),
        "return the value from the step; a later step calls the handle: local idle = step(…), then idle()"
      )
    end
  end
  local changing = changes()
  for _, fact in ipairs(facts.tested or {}) do
    if changing[fact.callee .. "." .. fact.name] or is_change and is_change(fact.callee, fact.name) then
      add(
        fact.line,
        ("the result of '%s' is used bare in a condition: it is a table, always true and equal to nothing"):format(
          fact.name ~= "" and fact.name or fact.callee),
        "look into it, such as result.count > 0; a change that fails raises: catch it with try"
      )
    end
  end
  table.sort(list, function(a, b)
    local la, lb = line_of(a.where), line_of(b.where)
    return la < lb or (la == lb and a.message < b.message)
  end)
  return list
end

return lint
