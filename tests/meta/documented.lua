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

claim("every effect is in docs/reference/primitives.md, with a section that explains it", function(say)
  local page = text_of "docs/reference/primitives.md"
  local prose = page:gsub("<!%-%- begin effects.-<!%-%- end effects %-%->", "")
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    local word = (row.face == "call" and row.module or row.verb):gsub("%-", "%%-")
    if not page:find("`" .. kind .. "`", 1, true) then
      say(kind .. " is not in the table")
    end
    if not prose:find("%f[%w_]" .. word .. "%f[^%w_]") then
      say(("'%s' is explained nowhere"):format(word))
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

claim("pages link only to files that are there", function(say)
  for _, path in ipairs(source.files(".md", "docs")) do
    local room = path:match "^(.*)/[^/]*$"
    for target in source.read(path):gmatch "%]%(([^)#]+)" do
      if not target:find "^https?:" then
        local file = io.open(room .. "/" .. target, "rb")
        if file then
          file:close()
        else
          say(("%s: %s"):format(path, target))
        end
      end
    end
  end
end)

source.finish()
