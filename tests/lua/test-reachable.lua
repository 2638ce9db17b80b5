--- What playbooks can reach, walked as an author would walk it and compared with a list in the repository:
--- tests/lua/golden/reachable.txt. What is new there was let in on purpose; LUA_GOLDEN=write writes the list anew.
local t = require "harness"
local effects = require "runtime.effects"
local load_host = require "load_host"
local loader = require "runtime.loader"
local reach = require "reach"

local GOLDEN = "tests/lua/golden/reachable.txt"
--- Every module of the standard library: none can be forgotten here.
local MODULES = {}
for path in io.popen("ls stdlib"):lines() do
  MODULES[#MODULES + 1] = path:match "^(.+)%.lua$"
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- JSON's null is a userdata of the host's; any with its metatable will do.
local null = debug.setmetatable(io.tmpfile(), { __metatable = "null" })

local host = load_host.new().host
host.task = { locals = function() end, check_can_wait = function() end }
host.json = { encode = tostring, decode = tostring, array = function(v) return v end, null = null }
host.term = { shown = function(v) return v end }
require("runtime.context").open(host.task)
local books = { ["playbooks/reach.lua"] = 'playbook { title = "x" }\n' }
local libraries = {}
for _, name in ipairs(MODULES) do
  libraries["stdlib." .. name] = read("stdlib/" .. name .. ".lua")
end

--- The world of a playbook, as the loader builds it: names and a way to read them.
local function world()
  local sandbox = require "runtime.sandbox"
  local built, build = nil, sandbox.build
  sandbox.build = function(options)
    local environment, names = build(options)
    built = { environment = environment, names = names, require = options.require }
    return environment, names
  end
  local services = load_host.new { files = books, stdlib = libraries }
  for key, value in pairs(services.host) do
    host[key] = host[key] or value
  end
  host.source = services.host.source
  services.host = setmetatable({ files = services.host.files }, { __index = host })
  local globals = require "runtime.author.globals"(services.host)
  loader.load(services, "reach.lua", { globals = globals })
  sandbox.build = build
  return built
end

local function roots_of(built)
  local roots = { { "_ENV", built.environment } }
  for _, name in ipairs(built.names) do
    roots[#roots + 1] = { name, built.environment[name] }
  end
  for _, name in ipairs(MODULES) do
    roots[#roots + 1] = { ("require '%s'"):format(name), built.require(name) }
  end
  return roots
end

--- Fields that cannot be gone through: functions of effects behind a library's table.
local function hidden()
  local names = {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    names[row.module] = names[row.module] or {}
    table.insert(names[row.module], row.verb)
  end
  for _, list in pairs(names) do
    table.sort(list)
  end
  return names
end

local built = world()
local lines, modules = {}, 0
for _, line in ipairs(reach.walk(roots_of(built), hidden(), pcall)) do
  -- what is in a module of the standard library is authors' Lua, as much in the sandbox as a playbook; that it is
  -- closed, and its tables nobody else's, are claims of their own below, so that a new one needs no line in the list
  local name, as = line:match "^require '([%w_]+)': table closed as '([%w_]+)'$"
  local constant = line:find "^require '[%w_]+'%..*: %l+$" or line:find "^require '[%w_]+'%.[%u_]+[%w_.]*: table, can be assigned to$"
  lines[#lines + 1] = not (constant or name and name == as) and line or nil
  modules = modules + (name and name == as and 1 or 0)
end

t.test("what a playbook can reach is what the list in the repository says", function()
  if os.getenv "LUA_GOLDEN" == "write" then
    local file = assert(io.open(GOLDEN, "w"))
    file:write("# What a playbook can reach. Made by LUA_GOLDEN=write lua5.4 tests/lua/run.lua tests/lua/test-reachable.lua\n")
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
  end
  local new, gone = reach.compare(lines, GOLDEN)
  t.equal(new, {}, "new: is it meant for playbooks?")
  t.equal(gone, {}, "gone")
  print(("%d things can be reached, %d new"):format(#lines, #new))
end)

t.test("nothing that a playbook can reach is open but what it makes itself", function()
  t.equal(modules, #MODULES, "modules of the standard library that are closed under their own name")
  for _, line in ipairs(lines) do
    t.ok(not line:find("OPEN METATABLE", 1, true) and not line:find("can be assigned to", 1, true), line)
  end
end)

t.test("what a playbook does to the tables of a module nobody else sees", function()
  local tables = 0
  for _, name in ipairs(MODULES) do
    local module = built.require(name)
    for key, value in pairs(module) do
      if type(value) == "table" and getmetatable(value) == nil then
        value.x, module[key].x = 1, 1
        t.equal(module[key].x, nil, name .. "." .. key)
        for inner, held in pairs(value) do
          if type(held) == "table" then
            held.x = 1
            t.equal(module[key][inner].x, nil, name .. "." .. key .. "." .. inner)
          end
        end
        tables = tables + 1
      end
    end
  end
  t.ok(tables > 0, "there is one")
end)

t.test("nothing of the host, of the runtime or of Lua's own libraries is among it", function()
  local forbidden = { [_G] = "_G", [package] = "package", [package.loaded] = "package.loaded", [string] = "string", [table] = "table",
    [math] = "math", [utf8] = "utf8", [host] = "host", [load] = "load", [pcall] = "pcall", [xpcall] = "xpcall", [rawset] = "rawset",
    [rawget] = "rawget", [print] = "print", [require] = "require", [collectgarbage] = "collectgarbage", [dofile] = "dofile" }
  for name, module in pairs(package.loaded) do
    if type(module) == "table" and name:find "^runtime" then
      forbidden[module] = name
    end
  end
  local seen = {}
  local function visit(value, path)
    t.ok(not (value ~= nil and forbidden[value]), ("%s is %s"):format(path, tostring(forbidden[value])))
    if type(value) ~= "table" or seen[value] then
      return
    end
    seen[value] = true
    pcall(function()
      for key, field in pairs(value) do
        visit(field, path .. "." .. tostring(key))
      end
    end)
  end
  for _, root in ipairs(roots_of(built)) do
    visit(root[2], root[1])
  end
end)
