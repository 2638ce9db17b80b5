--- lua5.4 tools/reference.lua [--check]: writes the generated parts of the reference pages, between
--- "<!-- begin NAME -->" and "<!-- end NAME -->". --check: 1 when one is stale.
package.path = "./?.lua;" .. package.path
local effects = require "runtime.effects"
local options = require "tools.options"
local signatures = require "runtime.author.signatures"
local source = require "tools.source"

--- Pages that hold a module of another name; all others are called as their module.
local pages = { people = "people", folder = "artifact" }

local function escape(text)
  return (text:gsub("|", "\\|"))
end

--- How an author writes a call of this row.
local function call_text(row)
  local names = {}
  for _, param in ipairs(row.params) do
    local name, kind = param[1], param[2]
    names[#names + 1] = name == "..." and "…" or (kind:sub(-1) == "?" and ("[" .. name .. "]") or name)
  end
  local list = table.concat(names, ", ")
  if row.face == "global" then
    return ("%s(%s)"):format(row.verb, list)
  elseif row.face == "value" then
    return row.module .. "." .. row.verb
  elseif row.face == "library" then
    return ("%s.%s(%s)"):format(row.module, row.verb, list)
  elseif row.face == "call" then
    return ("%s \"name\" (%s)"):format(row.module, list)
  elseif row.face == "both" then
    return ("%s \"name\":%s(%s)` `%s.%s(%s)"):format(row.module, row.verb, list, row.module, row.verb, list)
  end
  return ("%s \"name\":%s(%s)"):format(row.module, row.verb, list)
end

local generated = {}

local function page_of(row)
  return pages[row.module] or row.module
end

--- Every effect, one row each, with the page that explains it.
function generated.effects()
  local lines = { "| call | class | returns | | page |", "|---|---|---|---|---|" }
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    lines[#lines + 1] = ("| `%s` | %s | %s | %s | [%s](%s.md) |"):format(
      escape(call_text(row)), row.class, escape(row.returns), escape(row.help), page_of(row), page_of(row))
  end
  return lines
end

--- The calls of one page.
local function call_lines(page)
  local lines = { "| call | class | returns | |", "|---|---|---|---|" }
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    if page_of(row) == page then
      lines[#lines + 1] = ("| `%s` | %s | %s | %s |"):format(escape(call_text(row)), row.class, escape(row.returns), escape(row.help))
    end
  end
  return lines
end

--- The options of one page, each with the calls that take it.
local function option_lines(page)
  local lines = { "| option | type, unit | of | |", "|---|---|---|---|" }
  local names, takers, calls = {}, {}, 0
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    calls = calls + (page_of(row) == page and row.class ~= "pure" and 1 or 0)
    for _, name in ipairs(page_of(row) == page and row.options or {}) do
      if not takers[name] then
        names[#names + 1], takers[name] = name, { row = row }
      end
      table.insert(takers[name], row.face == "call" and row.module or row.verb)
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local taker = takers[name]
    local option = assert(options.of(taker.row, name), ("tools/options.lua says nothing of '%s' of %s"):format(name, taker.row.kind))
    local of = #taker == calls and "all" or "`" .. table.concat(taker, "` `") .. "`"
    lines[#lines + 1] = ("| `%s` | %s | %s | %s |"):format(name, option[1], of, escape(option[2]))
  end
  if #names == 0 then
    return { "None of its own." }
  end
  return lines
end

for _, kind in ipairs(effects.kinds()) do
  local page = page_of(effects.row(kind))
  generated["calls-" .. page] = function()
    return call_lines(page)
  end
  generated["options-" .. page] = function()
    return option_lines(page)
  end
end

generated["common-options"] = function()
  local lines = { "| option | type, unit | |", "|---|---|---|" }
  for _, name in ipairs(effects.common) do
    lines[#lines + 1] = ("| `%s` | %s | %s |"):format(name, options.common[name][1], escape(options.common[name][2]))
  end
  return lines
end

local function signature_lines(room)
  local lines = {}
  for _, signature in ipairs(signatures) do
    if signature.room == room then
      lines[#lines + 1] = ("### `%s`"):format(signature.form)
      lines[#lines + 1] = ""
      lines[#lines + 1] = signature.help:sub(1, 1):upper() .. signature.help:sub(2) .. "."
      lines[#lines + 1] = ""
      if signature.options then
        lines[#lines + 1] = "| option | type | |"
        lines[#lines + 1] = "|---|---|---|"
        for _, option in ipairs(signature.options) do
          lines[#lines + 1] = ("| `%s` | %s | %s |"):format(option[1], escape((option[2]:gsub("^opsrun%.D", "d"))), escape(option[3]))
        end
        lines[#lines + 1] = ""
      end
      if signature.errors then
        lines[#lines + 1] = "Errors: " .. signature.errors .. "."
        lines[#lines + 1] = ""
      end
    end
  end
  lines[#lines] = nil
  return lines
end

for _, room in ipairs { "steps", "report", "course", "back" } do
  generated["signatures-" .. room] = function()
    return signature_lines(room)
  end
end

local checking, stale = arg[1] == "--check", false
for _, path in ipairs(source.files(".md", "docs/reference")) do
  local text = source.read(path)
  local new = text:gsub("(<!%-%- begin ([%w%-]+) %-%->\n).-(<!%-%- end [%w%-]+ %-%->)", function(begin, name, ending)
    local make = assert(generated[name], path .. ": nothing generates '" .. name .. "'")
    return begin .. "\n" .. table.concat(make(), "\n") .. "\n\n" .. ending
  end)
  if new ~= text and checking then
    io.stderr:write(path .. " is stale: lua5.4 tools/reference.lua\n")
    stale = true
  elseif new ~= text then
    local file = assert(io.open(path, "wb"))
    file:write(new)
    file:close()
  end
end
os.exit(stale and 1 or 0)
