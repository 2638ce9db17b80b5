--- The frozen copy of a run: playbook, called playbooks and modules as they were when it began, and the
--- environment with its secrets by name. What goes on with a run later plays this copy, and can say what changed.
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local frozen = {}

local function text_of(host, book)
  return { name = book.name, path = host.files and host.files.realpath(book.path) or book.path, text = book.text }
end

local function add_called(host, copy, called)
  for name, entry in pairs(called) do
    if not entry.missing then
      copy.calls[name] = text_of(host, entry.book)
      for module, text in pairs(entry.book.modules) do
        copy.modules[module] = text
      end
      add_called(host, copy, entry.called)
    end
  end
end

--- What a run needs to be played again, as plain data.
---@param host table
---@param book table what loader.load returned
---@param called table<string, table> what call.load returned
---@param environment table
function frozen.copy(host, book, called, environment)
  local copy = {
    playbook = text_of(host, book),
    calls = {},
    modules = {},
    environment = environment.plain and environment.plain() or {},
  }
  for module, text in pairs(book.modules or {}) do
    copy.modules[module] = text
  end
  add_called(host, copy, called)
  return copy
end

--- The texts of a copy, for the loader.
---@param copy table
---@param fallback opsrun.Source for modules that were not loaded when the run began
---@return opsrun.Source
function frozen.source(copy, fallback)
  local source = {}

  function source.find(given)
    local found = given == copy.playbook.name and copy.playbook or copy.calls[given]
    if not found then
      error(errors.load {
        message = ("'%s' was not there when this run began"):format(given),
        code = "missing",
      }, 0)
    end
    return found.path, found.name
  end

  function source.read(path)
    for _, text in pairs(copy.calls) do
      if text.path == path then
        return text.text
      end
    end
    return copy.playbook.text
  end

  function source.module(name)
    return copy.modules[name] or fallback.module(name)
  end

  return source
end

--- Every leaf of a table as "a.b.c" -> text.
local function flatten(value, prefix, into)
  if type(value) ~= "table" then
    into[prefix] = tostring(value)
    return into
  end
  for key, item in pairs(value) do
    flatten(item, prefix == "" and tostring(key) or (prefix .. "." .. tostring(key)), into)
  end
  return into
end

--- What differs between two tables of plain data, one line a field: "sql.primary.url: was a, is b".
---@return string[]
function frozen.differences(what, before, now)
  local old, new = flatten(before or {}, "", {}), flatten(now or {}, "", {})
  local all, lines = {}, {}
  for key in pairs(old) do
    all[key] = true
  end
  for key in pairs(new) do
    all[key] = true
  end
  for key in ordered.pairs(all) do
    if old[key] ~= new[key] then
      lines[#lines + 1] = ("%s %s: was %s, is %s"):format(what, key, old[key] or "not there", new[key] or "not there")
    end
  end
  return lines
end

--- Where two texts first differ: "line 12: was '…', is '…'"; nil when they do not.
---@return string?
function frozen.first_difference(before, now)
  if before == now then
    return nil
  end
  local next_old, next_new = (before .. "\n"):gmatch "([^\n]*)\n", (now .. "\n"):gmatch "([^\n]*)\n"
  for number = 1, math.huge do
    local old, new = next_old(), next_new()
    if old ~= new then
      local function shown(line)
        return line and ("'%s'"):format(line:match "^%s*(.-)%s*$") or "nothing"
      end
      if old and new and shown(old) == shown(new) then
        return ("line %d: only white space differs"):format(number)
      end
      return ("line %d: was %s, is %s"):format(number, shown(old), shown(new))
    elseif old == nil then
      return nil
    end
  end
end

return frozen
