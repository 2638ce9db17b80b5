--- lua5.4 tools/reference.lua [--check]: writes the generated parts of the reference pages, between
--- "<!-- begin NAME -->" and "<!-- end NAME -->". --check: 1 when one is stale.
package.path = "./?.lua;" .. package.path
local effects = require "runtime.effects"
local signatures = require "runtime.author.signatures"
local source = require "tools.source"

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

--- One table row an effect.
function generated.effects()
  local lines = { "| effect | call | class | returns | options beside the common ones | |", "|---|---|---|---|---|---|" }
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    lines[#lines + 1] = ("| `%s` | `%s` | %s | %s | %s | %s |"):format(
      kind,
      escape(call_text(row)),
      row.class,
      escape(row.returns),
      #(row.options or {}) > 0 and "`" .. table.concat(row.options, "` `") .. "`" or "–",
      escape(row.help)
    )
  end
  return lines
end

generated["common-options"] = function()
  return { "Common options: `" .. table.concat(effects.common, "` `") .. "`." }
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
for _, path in ipairs { "docs/reference/primitives.md", "docs/reference/steps.md" } do
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
