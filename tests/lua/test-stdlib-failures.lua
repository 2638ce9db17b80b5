--- stdlib/failures and stdlib/flags over pretend primitives: when there is enough to judge by, what was there before, what names a
--- flag, which cause and which playbook; which switches are remembered.
local t = require "harness"

local flags = t.load("stdlib/flags.lua", {})

--- Modules it requires, as far as a claim needs them.
local function load_failures(modules, more)
  modules = modules or {}
  local known = { assessment = { ERRORS = { "ERROR" } }, flags = flags, health = {}, traffic = {},
                  slowness = t.load("stdlib/slowness.lua", { require = function() return {} end }) }
  local env = { require = function(name) return modules[name] or known[name] end, note = function() end }
  for name, value in pairs(more or {}) do env[name] = value end
  return t.load("stdlib/failures.lua", env)
end

t.test("fewer requests than the floor are no rate; figures of an application have none to count", function()
  local failures = load_failures()
  t.equal(failures.is_enough({ requests = 99, failed_percent = 50 }, 100), false)
  t.equal(failures.is_enough({ requests = 100, failed_percent = 1 }, 100), true)
  t.equal(failures.is_enough({ failed_percent = 7 }, 100), true)
end)

t.test("what came before the remedy does not count, and later the sample moves on", function()
  local asked
  local failures = load_failures({ traffic = {
    last = function(span) return { from = 1000 - span, to = 1001 } end,
    within = function(_, window) asked = window return {} end,
  } }, { time = { window = function(from, to) return { from = from, to = to } end } })
  local p = { access = "access", sample = 60 }
  failures.now(p)
  t.equal(asked, { from = 940, to = 1001 })
  failures.now(p, 990)
  t.equal(asked, { from = 990, to = 1001 })
  failures.now(p, 900)
  t.equal(asked, { from = 940, to = 1001 })
  failures.now(p, 1002)
  t.equal(asked, { from = 1002, to = 1003 }, "nothing can have come yet")
end)

t.test("endpoints stand beside what failed of them before, and one that nobody asked for then has no share", function()
  local rows = { now = { { endpoint = "/a", requests = 9, failed = 1 }, { endpoint = "/b", requests = 4, failed = 4 } },
                 before = { { endpoint = "/a", requests = 100, failed_percent = 2.5 },
                            { endpoint = "/b", requests = 0, failed_percent = 0 } } }
  local failures = load_failures({ traffic = {
    last = function() return { from = "from", to = 0 } end, find = function() return {} end,
    measure = function(_, window) return window == "before" and rows.before or rows.now end,
    most = function(list, name) t.equal(name, "failed") return list end,
  } }, { time = { window = function() return "before" end } })
  local seen = failures.compare("access", 900, 86400)
  t.equal({ seen[1].before, seen[2].before }, { 2.5, nil })
end)

t.test("a deployment counts when it is recent and nothing failed before it", function()
  local before = 0.5
  local failures = load_failures({ traffic = { within = function() return { failed_percent = before, requests = 10 } end } },
    { now = function() return 1000 end, time = { window = function() end, parse = function(text) return text end } })
  t.equal(failures.began_with("access", { fresh = true, at = 900 }, 100, 1), true)
  before = 4
  t.equal(failures.began_with("access", { fresh = true, at = 900 }, 100, 1), false)
  t.equal(failures.began_with(nil, { fresh = true, at = 900 }, 100, 1), true, "without a log nobody knows")
  t.equal(failures.began_with("access", { fresh = false, at = 1 }, 100, 1), false)
  t.equal(failures.began_with("access", nil, 100, 1), false)
end)

t.test("the flag that most of what fails names is the likely one, if it is on", function()
  local list = {
    { name = "dark-mode", enabled = true, kill_switch = false }, { name = "new-search", enabled = true, kill_switch = false },
    { name = "beta", enabled = false, kill_switch = false }, { name = "old", enabled = true, kill_switch = true },
  }
  local failures = load_failures()
  local names, likely = failures.suspects(list, { { message = "dark-mode: #", count = 3 }, { message = "beta old", count = 99 } },
    { { message = "new-search", count = 4 } })
  t.equal(names, { "dark-mode", "new-search" })
  t.equal(likely, "new-search")
  t.equal(select(2, failures.suspects(list, {}, {})), nil)
end)

t.test("what is broken comes first, then the feature, whose kill is milder, then the deployment, then what is strained", function()
  local failures = load_failures()
  local bad, strained = { { what = "connections used", verdict = "critical" } }, { { what = "longest statement", verdict = "warning" } }
  t.equal(failures.cause { found = bad, flag = "new-search", deploy = true }, "dependency")
  t.equal(failures.cause { found = {}, flag = "new-search", deploy = true }, "feature")
  t.equal(failures.cause { found = strained, flag = "new-search" }, "feature")
  t.equal(failures.cause { found = strained, deploy = true }, "deploy")
  t.equal(failures.cause { found = strained }, "dependency")
  t.equal(failures.cause {}, "other")
end)

t.test("each cause has its playbook, a dependency that of what is out of order, and what only a provider says has none", function()
  local failures = load_failures()
  local p = { db = "primary", cache = "cache", team = "team", service = "app", flags_table = "feature_flags", expires = "24h" }
  local function remedy(cause, what)
    return failures.remedy(cause, p, { flag = "new-search", found = what and { { what = what, verdict = "critical" } } })
  end
  t.equal((remedy "deploy"), "deploy/rollback.lua")
  local playbook, params = remedy "feature"
  t.equal({ playbook, params.name, params.action, params.via, params.db, params.expires },
    { "flags/toggle.lua", "new-search", "kill", "db", "primary", "24h" })
  t.equal((remedy "other"), nil)
  for what, expected in pairs { database = "database-down", ["connections used"] = "db-exhaustion", ["longest statement"] = "high-db-cpu",
                                ["sessions that wait for a lock"] = "deadlocks", cache = "cache-degraded" } do
    playbook, params = remedy("dependency", what)
    t.equal(playbook, "incident/" .. expected .. ".lua")
    t.equal(params[what == "cache" and "cache" or "db"], what == "cache" and "cache" or "primary")
  end
  t.equal((remedy("dependency", "provider mail")), nil)
end)

t.test("Sentry's issues come most frequent first, and those first seen behind the deployment are new", function()
  local list = { { title = "old", count = "3", firstSeen = "2026-11-20T00:00:00Z" }, { title = "young", count = "41", firstSeen = "x" } }
  local failures = load_failures({ health = { epoch = function(text) return text == "x" and 200 or 50 end } },
    { http = function() return { get = function() return { json = list } end } end, time = { parse = function(at) return at end } })
  local rows = failures.issues({ sentry = "sentry", sentry_at = "/issues" }, { fresh = true, at = 100 })
  t.equal({ rows[1].message, rows[1].count, rows[1].new, rows[2].message, rows[2].new }, { "young", 41, "new", "old", nil })
end)

t.test("the last hundred switches are remembered, the newest first, and only lately made ones are told", function()
  local kept
  local moment = setmetatable({ epoch = 1000 }, { __sub = function(_, seconds) return "ago " .. seconds end })
  local remembering = t.load("stdlib/flags.lua", {
    now = function() return moment end,
    state = function() return {
      update = function(_, _, fn) kept = fn(kept) end,
      get = function(_, _, default) return kept or default end,
    } end,
  })
  t.equal(#remembering.lately { seconds = 60 }, 0)
  for i = 1, 120 do remembering.remember { name = "flag-" .. i, action = "kill", who = "me", why = "drill" } end
  t.equal({ #kept, kept[1].name, kept[100].name }, { 100, "flag-120", "flag-21" })
  kept[2].at = 100
  local rows = remembering.lately { seconds = 60 }
  t.equal({ #rows, rows[1].flag, rows[1].at, rows[2].flag }, { 99, "flag-120", "ago 0", "flag-118" })
end)
