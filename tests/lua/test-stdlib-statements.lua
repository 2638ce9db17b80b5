--- stdlib/statements over pretended files and answers: how processor time is counted, and which columns are asked for.
local t = require "harness"

--- The module over /proc of a pretended machine; `files_at(n)` are its texts by path at the n-th look at /proc/stat.
local function load_statements(files_at, sql)
  local looks, slept, asked = 0, 0, {}
  local connection = {}
  for _, verb in ipairs { "query", "one" } do
    connection[verb] = function(_, text, values)
      asked[#asked + 1] = text
      return sql(verb, text, values)
    end
  end
  local function database() return connection end
  local env = {
    sql = setmetatable({ format = function(text) return text end }, { __call = database }),
    files = { read = function(path)
      if path == "/proc/stat" then looks = looks + 1 end
      return files_at(looks)[path] or error "no such file"
    end },
    shell = { read = function(words)
      local texts = {}
      for i = 2, #words do
        if words[i] == "/proc/stat" then looks = looks + 1 end
        texts[#texts + 1] = files_at(looks)[words[i]]
      end
      return { stdout = table.concat(texts) }
    end },
    try = function(fn)
      local ok, value = pcall(fn)
      if ok then return value end
      return nil, value
    end,
    sleep = function(seconds) slept = slept + seconds end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tonumber = tonumber,
  }
  local module = assert(loadfile("stdlib/statements.lua", "t", env))()
  return module, asked, function() return slept end
end

local function process(pid, user, system, name)
  return ("%d (%s) R 1 2 3 0 -1 4194304 9 8 7 6 %d %d 0 0 20 0 1 0 5 6\n"):format(pid, name or "postgres", user, system)
end

--- A machine that got 1,000 ticks older from one look to the next, of which process 7 took 200 and 8 took 50.
local function machine(look)
  local first = look <= 1
  return {
    ["/proc/stat"] = ("cpu  %d 0 0 0 0 0 0 0 55 0\ncpu0 1 2 3\n"):format(first and 5000 or 6000),
    ["/proc/7/stat"] = first and process(7, 100, 100) or process(7, 250, 150),
    ["/proc/8/stat"] = not first and process(8, 40, 10) or nil,
  }
end

local function pids() return { { pid = 7 }, { pid = 8 } } end

t.test("the server's share of the processors is its ticks of all ticks, new processes included", function()
  local statements, _, slept = load_statements(machine, pids)
  t.equal(statements.cpu("primary", { seconds = 2 }), 25.0)
  t.equal(slept(), 2)
end)

t.test("on another machine the same is read through cat", function()
  t.equal(load_statements(machine, pids).cpu("primary", { seconds = 2 }, "db1"), 25.0)
end)

t.test("processes that are not the server's, or not there, are no measure: nil and why", function()
  local function other(look)
    local files = machine(look)
    files["/proc/7/stat"] = process(7, 1, 1, "nginx")
    return files
  end
  local percent, why = load_statements(other, pids).cpu("primary", { seconds = 2 })
  t.equal(percent, nil)
  t.equal(why, "the processes of primary are not on this machine: name theirs by -p host")
end)

t.test("where no time passes, as in a dry run, it looks until there is something to measure", function()
  local function slow(look)
    return {
      ["/proc/stat"] = ("cpu  %d 0 0 0 0 0 0 0\n"):format(1000 + 4 * look),
      ["/proc/7/stat"] = process(7, 100 + 2 * look, 0), ["/proc/8/stat"] = process(8, 0, 0),
    }
  end
  local percent = load_statements(slow, pids).cpu("primary", { seconds = 5 })
  t.equal(percent > 40 and percent < 60, true)
end)

t.test("columns of pg_stat_statements go by its version", function()
  for version, column in pairs { ["1.10"] = "mean_exec_time", ["1.8"] = "mean_exec_time", ["1.6"] = "mean_time" } do
    local major, minor = version:match "(%d+)%.(%d+)"
    local seen
    local statements = load_statements(machine, function(verb)
      if verb == "one" then return { schema = "public", version = { tonumber(major), tonumber(minor) } } end
      return {}
    end)
    local env = select(2, debug.getupvalue(statements.slow, 1))
    env.sql = setmetatable({ format = function(_, mean) seen = mean return "" end }, getmetatable(env.sql))
    t.equal(#statements.slow("primary", 100, 10), 0)
    t.equal(seen, column)
  end
end)

t.test("without the extension there are no slow statements, and why", function()
  local slow, why = load_statements(machine, function() return nil end).slow("primary", 100, 10)
  t.equal(slow, nil)
  t.equal(why:find "CREATE EXTENSION" ~= nil, true)
end)
