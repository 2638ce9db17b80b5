--- What can be called, typed or read is written down, and what is generated is fresh.
package.path = "./?.lua;" .. package.path
local source = require "tools.source"
local claim = source.claim

local function text_of(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

local function fresh(say, tool)
  if not os.execute(("lua5.4 %s --check"):format(tool)) then
    say("run lua5.4 " .. tool)
  end
end

claim("the editor stubs are fresh", function(say)
  fresh(say, "tools/stubs.lua")
end)

claim("the generated parts of the reference are fresh", function(say)
  fresh(say, "tools/reference.lua")
end)

local effects = require "runtime.effects"
local signatures = require "runtime.author.signatures"

local options = require "tools.options"

--- Pages whose name is not that of the module they explain.
local pages = { people = "people", folder = "artifact" }

local function page_of(row)
  return ("docs/reference/%s.md"):format(pages[row.module] or row.module)
end

--- The playbooks of a text's examples, which tests/e2e/test_examples.py plays.
local function examples_in(text)
  local list = {}
  for body in text:gmatch "\n<!%-%- example: [%w%-]+%.lua %-%->\n```lua\n(.-)\n```" do
    list[#list + 1] = body
  end
  return table.concat(list, "\n")
end

--- How a call of this row looks in a playbook, as patterns of which one must be found.
local function looks_of(row)
  local verb = row.verb
  if row.face == "global" then
    return { "%f[%w_]" .. verb .. "[ (]" }
  elseif row.face == "call" then
    return { "%f[%w_]" .. row.module .. ' "[%w_]+" %(' }
  end
  return { ":" .. verb .. "[ ({]", "%f[%w_]" .. row.module .. "%." .. verb .. "%f[^%w_]" }
end

local function found(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then
      return true
    end
  end
  return false
end

local sections = { "Options", "Returns", "Errors", "In a dry run", "Example", "Mistakes" }

claim("every primitive has a page, with what it returns, its errors, a dry run, and an example that is played", function(say)
  local seen = {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    local path = page_of(row)
    local text = text_of(path)
    if text == "" then
      say(("%s: there is no %s"):format(kind, path))
    elseif not found(examples_in(text), looks_of(row)) then
      say(("%s: no example of %s calls it"):format(kind, path))
    end
    for _, section in ipairs(text ~= "" and not seen[path] and sections or {}) do
      local body = text:match("\n## " .. section .. "\n+(.-)\n## ") or text:match("\n## " .. section .. "\n+(.*)")
      if not body or #body < 5 then
        say(("%s has no section '%s'"):format(path, section))
      end
    end
    seen[path] = true
  end
end)

-- The first word of a type; what it counts, or its bounds, may follow behind a comma.
local units = { duration = true, size = true, text = true, boolean = true, integer = true, table = true, list = true, path = true,
  any = true, ["function"] = true }

claim("every option of a primitive has a type, a unit where it is a number, and a text", function(say)
  local used = {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    for _, name in ipairs(row.options or {}) do
      local option = options.of(row, name)
      if not option then
        say(("tools/options.lua says nothing of '%s' of %s"):format(name, kind))
      elseif not units[option[1]:match "^%a+"] or #option[2] < 5 then
        say(("'%s' of %s: '%s' is no type, or it has no text"):format(name, kind, option[1]))
      elseif option[1] == "integer" then
        say(("'%s' of %s: an integer of what?"):format(name, kind))
      end
      used[row.module .. "." .. name] = true
    end
  end
  for module, list in pairs(options.by_module) do
    for name in pairs(list) do
      if not used[module .. "." .. name] then
        say(("tools/options.lua has '%s' of %s, which nothing takes"):format(name, module))
      end
    end
  end
  for _, name in ipairs(effects.common) do
    if not options.common[name] then
      say(("tools/options.lua says nothing of '%s'"):format(name))
    end
  end
end)

claim("every primitive has a stub", function(say)
  local stubs = text_of "docs/stubs/opsrun.lua"
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    local heads = {
      ("function %s("):format(row.verb), ("function %s_handle:%s("):format(row.module, row.verb),
      ("function %s.%s("):format(row.module, row.verb), ("%s.%s = nil"):format(row.module, row.verb),
      ("---@class opsrun.%s\n---@overload fun(text"):format(row.module),
    }
    local there = false
    for _, head in ipairs(heads) do
      there = there or stubs:find(head, 1, true) ~= nil
    end
    if not there then
      say(kind)
    end
  end
end)

claim("what is called in steps has its errors, and an example that is played", function(say)
  local all = {}
  for _, path in ipairs(source.files(".md", "docs/reference")) do
    all[#all + 1] = examples_in(source.read(path))
  end
  local examples = table.concat(all, "\n")
  for _, signature in ipairs(signatures) do
    if not signature.errors then
      say(("'%s' says nothing of its errors"):format(signature.name))
    end
    if not examples:find("%f[%w_]" .. signature.name .. "[ (]") then
      say(("'%s' is called in no example"):format(signature.name))
    end
  end
end)

--- Names of the functions that a file hands to playbooks.
local function handed_out(names, path, holder)
  for name in source.bare_lua(source.read(path)):gmatch("function " .. holder .. "%.([%w_]+)%(") do
    names[name] = path
  end
end

claim("the signatures are exactly what playbooks get", function(say)
  local names, signed = {}, {}
  for _, path in ipairs(source.files(".lua", "runtime/author")) do
    handed_out(names, path, "api")
  end
  handed_out(names, "runtime/stack.lua", "api")
  handed_out(names, "runtime/call.lua", "api")
  handed_out(names, "runtime/engine.lua", "globals")
  for _, signature in ipairs(signatures) do
    signed[signature.name] = true
    if not names[signature.name] then
      say(("runtime/author/signatures.lua has '%s', which playbooks do not get"):format(signature.name))
    end
  end
  for name, path in pairs(names) do
    if not signed[name] then
      say(("'%s' of %s is not in runtime/author/signatures.lua"):format(name, path))
    end
  end
end)

claim("the options of step, group and check are exactly the documented ones", function(say)
  for _, case in ipairs {
    { "step", "runtime/step_options.lua", "of_step" },
    { "group", "runtime/step_options.lua", "of_group" },
    { "check", "runtime/author/report.lua", "check_options" },
  } do
    local known, documented = {}, {}
    local list = source.read(case[2]):match("local " .. case[3] .. "%s*=%s*(%b{})")
    for option in list:gmatch '"([%w_]+)"' do
      known[option] = true
    end
    for _, signature in ipairs(signatures) do
      for _, option in ipairs(signature.name == case[1] and signature.options or {}) do
        documented[option[1]] = true
        if not known[option[1]] then
          say(("%s: '%s' is documented and not taken"):format(case[1], option[1]))
        end
      end
    end
    for option in pairs(known) do
      if not documented[option] then
        say(("%s: '%s' is taken and not documented"):format(case[1], option))
      end
    end
  end
end)

local exit_codes = {}
for name, number in text_of("src/cli/exitcode.h"):gmatch "X%(([%w_]+),%s*(%d+)," do
  exit_codes[name:lower()] = tonumber(number)
end

claim("every exit code of src/cli/exitcode.h is in docs/EXITCODES.md", function(say)
  local page = text_of "docs/EXITCODES.md"
  local count = 0
  for name, number in pairs(exit_codes) do
    count = count + 1
    if not page:find(("\n| %d |"):format(number), 1, true) then
      say(("%d (%s)"):format(number, name))
    end
  end
  if count < 10 then
    say "src/cli/exitcode.h: the codes were not found"
  end
end)

claim("runtime/codes.lua has the same codes", function(say)
  local codes = require "runtime.codes"
  for name, number in pairs(exit_codes) do
    if codes[name] ~= number then
      say(("%s: %s in C, %s in Lua"):format(name, number, tostring(codes[name])))
    end
  end
  for name in pairs(codes) do
    if not exit_codes[name] then
      say(name .. " is in runtime/codes.lua only")
    end
  end
end)

-- Commands that C answers itself.
local c_commands = { help = true, version = true }

claim("every command has a row of the CLI table, a module, and a place in the operator's guide", function(say)
  local guide = text_of "docs/OPERATING.md"
  local rows = {}
  local list = text_of("src/cli/table.c"):match "cli_commands%[.-%] = {(.-)\n};" or ""
  for name in list:gmatch '\n    {"(%w+)",' do
    rows[name] = true
    if not text_of("runtime/commands/" .. name .. ".lua"):find "return function" and not c_commands[name] then
      say(("'%s' has no runtime/commands/%s.lua"):format(name, name))
    end
    if not guide:find("opsrun " .. name, 1, true) then
      say(("docs/OPERATING.md does not name 'opsrun %s'"):format(name))
    end
  end
  for _, path in ipairs(source.files(".lua", "runtime/commands")) do
    local name = path:match "([%w_]+)%.lua$"
    if not rows[name] and text_of(path):find "\nreturn function%(services%)" then
      say(path .. " has no row in src/cli/table.c")
    end
  end
end)

local function record_types()
  local types = {}
  for _, path in ipairs(source.files(".lua", "runtime")) do
    local text = source.bare_lua(source.read(path))
    if text:find "journal%.write" or path == "runtime/journal.lua" or path == "runtime/run.lua" then
      for name in text:gmatch '%f[%w]type = "([%w%.]+)"' do
        types[name] = path
      end
    end
  end
  local last_words = "src/lua/last_words.c" -- the one record that is written without Lua
  for name in source.read(last_words):gmatch '\\"type\\":\\"([%w.]+)' do
    types[name] = last_words
  end
  return types
end

claim("every journal record is in docs/JOURNAL.md", function(say)
  local page = text_of "docs/JOURNAL.md"
  for name, path in pairs(record_types()) do
    if not page:find("| `" .. name .. "` |", 1, true) then
      say(("'%s' of %s"):format(name, path))
    end
  end
end)

claim("every record in docs/JOURNAL.md is written", function(say)
  local types = record_types()
  local listed = text_of("docs/JOURNAL.md"):match "\n## Records\n.*" or ""
  for name in listed:gmatch "\n| `([%w%.]+)` |" do
    if not types[name] then
      say(("'%s'"):format(name))
    end
  end
end)

claim("every report event is in docs/reference/journal-log.md", function(say)
  local page = text_of "docs/reference/journal-log.md"
  for _, path in ipairs(source.files(".lua", "runtime")) do
    for name in source.bare_lua(source.read(path)):gmatch '%f[%w]event = "([%w%.]+)"' do
      if not page:find("| `" .. name .. "` |", 1, true) then
        say(("'%s' of %s"):format(name, path))
      end
    end
  end
end)

--- The anchors of a page's headings, as GitHub makes them.
local function anchors_of(text)
  local anchors = {}
  for heading in ("\n" .. text:gsub("\n```.-\n```", "")):gmatch "\n#+ ([^\n]+)" do
    anchors[heading:lower():gsub("[^%w%- _]", ""):gsub(" ", "-")] = true
  end
  return anchors
end

claim("pages link only to files and headings that are there", function(say)
  local paths = source.files(".md", "docs")
  paths[#paths + 1] = "README.md"
  for _, path in ipairs(paths) do
    local text = source.read(path)
    for target, anchor in text:gmatch "%]%(([^)#]*)#?([^)]*)%)" do
      local place = target == "" and path or (path:match "^.*/" or "") .. target
      local there = target:find "^https?:" and "" or text_of(place)
      if not target:find "^https?:" and there == "" and not os.execute(("test -e '%s'"):format(place)) then
        say(("%s: %s"):format(path, target))
      elseif anchor ~= "" and place:find "%.md$" and not anchors_of(there)[anchor] then
        say(("%s: %s#%s"):format(path, target, anchor))
      end
    end
  end
end)

source.finish()
