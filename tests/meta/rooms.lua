--- Who may touch what: the rooms of the C host and of the Lua core, proved by reading the source.
package.path = "./?.lua;" .. package.path
local source = require "tools.source"
local claim = source.claim

local c_files = {}
for _, ending in ipairs { ".c", ".h" } do
  for _, path in ipairs(source.files(ending, "src")) do
    c_files[path] = source.bare_c(source.read(path))
  end
end

--- Every file of the list whose text holds the pattern, one place a line.
local function say_places(say, files, pattern, allowed)
  for path, text in pairs(files) do
    if not (allowed and allowed(path)) then
      for _, place in ipairs(source.find(path, text, pattern)) do
        say(place)
      end
    end
  end
end

local function under(room)
  return function(path)
    return path:sub(1, #room) == room
  end
end

claim("lua.h is included below src/lua only", function(say)
  for _, header in ipairs { "lua%.h", "lauxlib%.h", "lualib%.h", "luaconf%.h" } do
    say_places(say, c_files, '#include%s*[<"]' .. header .. '[>"]', function(path)
      return under "src/lua/"(path) or under "src/embed/"(path) -- compiles the runtime at build time
    end)
  end
end)

claim("lua_yieldk and lua_resume stand in src/lua/task.c only, once each", function(say)
  for _, name in ipairs { "lua_yieldk?k?%s*%(", "lua_resume%s*%(" } do
    say_places(say, c_files, name, function(path)
      return path == "src/lua/task.c"
    end)
    local count = #source.find("src/lua/task.c", c_files["src/lua/task.c"], name)
    if count ~= 1 then
      say(("src/lua/task.c: %s stands there %d times"):format(name, count))
    end
  end
end)

-- Which rooms of src/ a room may include. The supervisor is a program of its own.
local may_include = {
  loop = { loop = true },
  clients = { clients = true, loop = true, supervisor = true },
  term = { term = true, loop = true },
  store = { store = true, loop = true, term = true }, -- term: what an errno is called
  cli = { cli = true, term = true },
  supervisor = { supervisor = true, clients = true },
  embed = { embed = true },
  lua = { lua = true, clients = true, loop = true, cli = true, term = true, store = true },
}

claim("each room of src/ includes its own and the rooms below it only", function(say)
  for path, text in pairs(c_files) do
    local room = path:match "^src/(%w+)/"
    for target in text:gmatch '#include%s+"([^"]+)"' do
      local other = target:match "^%.%./(%w+)/" or (target:find "/" and target:match "^(%w+)/") or room
      if room and not may_include[room][other] then
        say(("%s includes %s"):format(path, target))
      end
    end
  end
end)

claim("clients and bindings know nothing of gate, journal, plan, policy or steps", function(say)
  for _, word in ipairs { "gate", "journal", "policy", "playbook", "dry_run" } do
    say_places(say, c_files, "%f[%w_]" .. word .. "%f[^%w_]", function(path)
      return not (under "src/clients/"(path) or under "src/loop/"(path) or under "src/lua/lua_"(path))
        or path == "src/lua/lua_options.c"
    end)
  end
end)

-- Last words that cannot go through the message room, with the reason.
local own_last_words = {
  ["src/loop/signals.c"] = "a signal handler may only write(2)",
  ["src/supervisor/main.c"] = "a program of its own",
  ["src/embed/embed.c"] = "a program of the build",
  ["src/main.c"] = "opens descriptors 0 to 2, writes nothing",
}

claim("stderr is written by src/cli/msg.c and src/term only", function(say)
  for _, pattern in ipairs { "%f[%w_]stderr%f[^%w_]", "STDERR_FILENO", "%f[%w_]perror%s*%(", "dprintf%s*%(2" } do
    say_places(say, c_files, pattern, function(path)
      return path == "src/cli/msg.c" or under "src/term/"(path) or own_last_words[path] ~= nil
    end)
  end
end)

local runtime = {}
for _, path in ipairs(source.files(".lua", "runtime")) do
  runtime[path] = source.bare_lua(source.read(path))
end

-- Adapters and the helpers that are part of them.
local function is_adapter(path)
  for _, room in ipairs { "primitives", "sql", "http", "redis", "shell", "service" } do
    if under("runtime/" .. room .. "/")(path) then
      return true
    end
  end
  return false
end

claim("the host's clients are used by adapters only (doctor connects once; secret.command asks who keeps secrets)", function(say)
  for _, client in ipairs { "sql", "http", "smtp", "process", "pgquery", "redis" } do
    say_places(say, runtime, "host%." .. client .. "%f[^%w_]", function(path)
      local asks_for_secrets = client == "process" and path == "runtime/environment_secrets.lua"
      return is_adapter(path) or path == "runtime/commands/doctor.lua" or asks_for_secrets
    end)
  end
end)

claim("adapters are described, prepared, previewed and performed by runtime/gate.lua only", function(say)
  for _, stage in ipairs { "describe", "prepare", "perform", "preview" } do
    say_places(say, runtime, "%." .. stage .. "%s*[%(,]", function(path)
      -- An adapter defines these functions and may be built of several files.
      return path == "runtime/gate.lua" or is_adapter(path)
    end)
  end
end)

claim("the primitive is called at one place", function(say)
  local places = source.find("runtime/gate.lua", runtime["runtime/gate.lua"], "adapter%.perform")
  if #places ~= 1 then
    say(("adapter.perform stands in runtime/gate.lua %d times"):format(#places))
  end
end)

claim("the gate names no primitive and no protocol", function(say)
  local text = runtime["runtime/gate.lua"]
  for _, word in ipairs { "sql", "http", "redis", "shell", "notify", "confirm%f[^_%w]", "files" } do
    for _, place in ipairs(source.find("runtime/gate.lua", text, "%f[%w]" .. word .. "%f[^%w]")) do
      say(place)
    end
  end
end)

claim("the store is used by runtime/journal.lua only (doctor looks at its directory)", function(say)
  say_places(say, runtime, "host%.store", function(path)
    return path == "runtime/journal.lua" or path == "runtime/commands/doctor.lua"
  end)
end)

claim("runtime and stdlib use no io, os, debug, package or coroutine", function(say)
  for _, path in ipairs(source.files(".lua", "runtime", "stdlib")) do
    local text = source.bare_lua(source.read(path)):gsub('"[^"\n]*"', '""')
    for _, library in ipairs { "io", "os", "debug", "package", "coroutine" } do
      for _, place in ipairs(source.find(path, text, "%f[%w_%.]" .. library .. "%.%a")) do
        say(place)
      end
    end
  end
end)

claim("stdlib, playbooks and environments never see the host or the runtime", function(say)
  for _, path in ipairs(source.files(".lua", "stdlib", "playbooks", "environments")) do
    local text = source.bare_lua(source.read(path))
    for _, pattern in ipairs { "%f[%w_%.]host%.%a", 'require%s*%(?%s*"runtime', "%f[%w_]_ENV%f[^%w_]" } do
      for _, place in ipairs(source.find(path, text, pattern)) do
        say(place)
      end
    end
  end
end)

source.finish()
