--- stdlib/postgres over a pretend `sql`: what it asks, how it adds up, how it ends sessions.
local t = require "harness"

local calls

--- The module, loaded with only what the sandbox would give it.
local function load_postgres(answers)
  calls = {}
  local connection = {}
  for _, verb in ipairs { "query", "exec" } do
    connection[verb] = function(_, text, values, opts)
      calls[#calls + 1] = { verb = verb, text = text, values = values, opts = opts }
      return answers(verb, text, values)
    end
  end
  local env = {
    sql = function() return connection end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring,
  }
  return assert(loadfile("stdlib/postgres.lua", "t", env))()
end

local function group(state, application, sessions)
  return { state = state, application = application, user = "app", database = "app", client = "local",
    sessions = sessions, hidden = 0, max_connections = 100, reserved = 3 }
end

local function sessions(count)
  local list = {}
  for i = 1, count do
    list[i] = { pid = i, backend_start = "start " .. i, state_change = "change " .. i }
  end
  return list
end

t.test("usage is counted against what is not reserved", function()
  local postgres = load_postgres(function()
    return { group("idle", "api", 60), group("active", "worker", 18) }
  end)
  local pool = postgres.connections "primary"
  t.equal(pool.used, 78)
  t.equal(pool.limit, 97)
  t.equal(pool.percent, 80.4)
end)

t.test("groups are added up by field, largest first, then by name", function()
  local postgres = load_postgres(function()
    return { group("idle", "worker", 5), group("active", "api", 2), group("idle", "api", 3) }
  end)
  local pool = postgres.connections "primary"
  t.equal(pool.by_state[1].state, "idle")
  t.equal(pool.by_state[1].sessions, 8)
  t.equal(pool.by_application[1].application, "api")
  t.equal(pool.by_application[2].application, "worker")
end)

t.test("a search without options keeps nobody back and asks for any role", function()
  local postgres = load_postgres(function() return {} end)
  postgres.idle_in_transaction "primary"
  t.equal(#calls[1].values, 4)
  t.equal(calls[1].values[2], "0s")
  t.equal(#calls[1].values[3], 0)
  t.equal(#calls[1].values[4], 0)
end)

t.test("sessions are ended twenty at a time, each named by pid, start and last change", function()
  local postgres = load_postgres(function(_, _, values) return { count = #values[1] } end)
  t.equal(postgres.terminate("primary", sessions(45)), 45)
  t.equal(#calls, 3)
  t.equal(#calls[3].values[1], 5)
  t.equal(calls[3].values[1][5], 45)
  t.equal(calls[3].values[2][5], "start 45")
  t.equal(calls[3].values[3][5], "change 45")
  t.equal(calls[3].opts.costs.sessions, 5)
end)

t.test("no result is looked into before the last batch was sent", function()
  local sent, early = 0, false
  local postgres = load_postgres(function()
    sent = sent + 1
    return setmetatable({}, { __index = function()
      early = early or sent < 3
      return 20
    end })
  end)
  postgres.terminate("primary", sessions(60))
  t.equal(sent, 3)
  t.equal(early, false)
end)

t.test("nothing to end sends nothing", function()
  local postgres = load_postgres(function() error "nothing should be sent" end)
  t.equal(postgres.terminate("primary", {}), 0)
end)
