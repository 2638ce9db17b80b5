--- stdlib/traffic and stdlib/slowness over pretend primitives: percentiles of counted times, endpoints by shape, what is asked
--- when nobody came, and which cause is named.
local t = require "harness"

local MOMENT = setmetatable({}, { __sub = function() return { seconds = 0 } end, __add = function(self) return self end })

local function load_traffic(more)
  local env = {
    now = function() return MOMENT end,
    time = { window = function() return "window" end },
    try = function(fn)
      local ok, value = pcall(fn)
      if ok then return value end
      return nil, value
    end,
  }
  for name, value in pairs(more or {}) do env[name] = value end
  return t.load("stdlib/traffic.lua", env)
end

t.test("percentiles of counted times are the times below which so many requests were", function()
  local traffic = load_traffic()
  local of = traffic.percentiles { { value = "2.5", count = 5 }, { value = "0.010", count = 90 }, { value = "0.200", count = 5 } }
  t.equal(of, { mean = 144, p50 = 10, p95 = 200, max = 2500 })
  t.equal(traffic.percentiles {}, {})
  t.equal(traffic.percentiles({ { value = "0.001", count = 1 } }).p95, 1)
  t.equal(traffic.percentiles({ { value = "-", count = 7 }, { value = "0.004", count = 1 } }).max, 4, "what is no time does not count")
end)

--- logs "access":scan that answers scan after scan, and keeps what it was asked.
local function scans(answers)
  local asked = {}
  return function()
    return { scan = function(_, queries)
      asked[#asked + 1] = queries
      return answers[#asked]
    end }
  end, asked
end

t.test("requests for one thing by its number are one endpoint, those that fail are among them, and dots are no wildcards", function()
  local logs, asked = scans {
    {
      busy = { groups = {
        { value = "/api/v#/orders/##", count = 6 }, { value = "/a.js", count = 2 }, { value = "/api/v#/orders/#", count = 2 },
      } },
      failing = { groups = { { value = "/pay", count = 1 } } },
    },
    {
      times1 = { groups = { { value = "0.100", count = 1 } } },
      codes1 = { count = 1, groups = { { value = "502", count = 1 } } },
      times2 = { groups = { { value = "0.010", count = 8 } } },
      codes2 = { count = 8, groups = { { value = "200", count = 6 }, { value = "404", count = 2 } } },
      times3 = { groups = {} }, codes3 = { count = 2, groups = { { value = "200", count = 2 } } },
    },
  }
  local rows = load_traffic({ logs = logs }).endpoints("access", "1h", 2)
  t.equal(#rows, 3)
  t.equal({ rows[1].endpoint, rows[1].failed, rows[1].failed_percent, rows[1].p95_ms }, { "/pay", 1, 100.0, 100 })
  t.equal({ rows[2].endpoint, rows[2].requests, rows[2].refused, rows[2].failed_percent }, { "/api/v#/orders/#", 8, 2, 0.0 })
  t.equal(asked[2].times2.regex, [[^/api/v[0-9]+/orders/[0-9]+$|^/api/v[0-9]+/orders/[0-9]+$]])
  t.equal(asked[2].codes3.regex, [[^/a\.js$]])
end)

t.test("a log without a request asks for no endpoint", function()
  local logs, asked = scans { { busy = { groups = {} }, failing = { groups = {} } } }
  t.equal(#load_traffic({ logs = logs }).endpoints("access", "1h", 2), 0)
  t.equal(#asked, 1)
end)

t.test("where too few visitors came our own requests tell, and one that is not answered counts as failed", function()
  local function seen(count)
    return { requests = { count = count, groups = {} }, failed = { count = 1 }, refused = { count = 0 },
             times = { groups = { { value = "0.300", count = count } } } }
  end
  local answers, asked = { 0.2, 0.4, false, 0.1 }, 0
  local function http()
    return { get = function()
      asked = asked + 1
      return answers[asked] and { time = answers[asked] } or error("refused", 0)
    end }
  end
  local p = { access = "access", sample = "1m", least = 20, api = "api", paths = { "/a", "/b" }, probes = 2 }
  local traffic = load_traffic { logs = scans { seen(19), seen(20) }, http = http }
  local probed = traffic.now(p)
  t.equal({ probed.probed, probed.requests, probed.failed, probed.failed_percent, probed.p95 }, { true, 4, 1, 25.0, 400 })
  local looked = traffic.now(p)
  t.equal({ looked.probed, looked.requests, looked.failed_percent, looked.p95 }, { nil, 20, 5.0, 300 })
  t.equal(asked, 4)
end)

t.test("the cause named is what is out of order itself, then a fresh deployment, then the application", function()
  local slowness = t.load("stdlib/slowness.lua", { require = function() return {} end })
  local bad, good = { { what = "cache hits", verdict = "warning" } }, { { what = "database", verdict = "ok" } }
  t.equal(slowness.cause { database = good, cache = bad, host = bad, deploy = { fresh = true } }, "cache")
  t.equal(slowness.cause { database = good, deploy = { fresh = true } }, "deploy")
  t.equal(slowness.cause {}, "application")
  for word in pairs(slowness.CAUSES) do
    local playbook = slowness.remedy(word, { db = "primary" }, { { what = "connections used", verdict = "critical" } })
    t.equal(playbook ~= nil, word ~= "application" and word ~= "host", word)
    if word == "database" then t.equal(playbook, "incident/db-exhaustion.lua") end
  end
  t.equal((slowness.remedy("database", {}, good)), "incident/high-db-cpu.lua")
end)
