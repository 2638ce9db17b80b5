--- Which part of an environment counts for a run that goes on: what it names, what that names, and all policy.
local t = require "harness"
local used = require "runtime.used"

local function part(environment, text, more)
  more = more or {}
  return used.part(environment, {
    copy = { playbook = { text = text }, calls = more.calls or {}, modules = more.modules or {} },
    values = more.values or {}, effects = more.effects or {}, books = more.books or { ["room/own.lua"] = { db = {}, n = {} } },
  })
end

t.test("a connection counts when the playbook, a parameter, or what was done names it", function()
  local environment = { sql = { primary = { url = "a" }, replica = { url = "b" }, ["app-2"] = { url = "c" }, old = { url = "d" } } }
  local kept = part(environment, 'sql "primary":query "…"', {
    values = { db = "replica" }, effects = { { finish = { target = "app-2", summary = "select" } } },
  }).sql
  t.equal(kept, { primary = { url = "a" }, replica = { url = "b" }, ["app-2"] = { url = "c" } })
end)

t.test("a name inside a longer one is not that name; one in a called playbook's header is", function()
  local environment = { sql = { app = { url = "a" } }, notify = { team = { webhook = "b" } } }
  local kept = part(environment, "-- applications, app_2", { calls = { { text = 'playbook { tell = { team = "always" } }' } } })
  t.equal(kept, { sql = {}, notify = { team = { webhook = "b" } } })
end)

t.test("a name that is no plain word counts wherever it stands", function()
  local environment = { sql = { ["café"] = { url = "a" }, ["-x"] = { url = "b" } } }
  t.equal(part(environment, "x café-x"), environment)
end)

t.test("a module names a connection in quotes; its prose names none", function()
  local environment = { redis = { cache = { url = "a" }, queue = { url = "b" } } }
  t.equal(part(environment, "", { modules = { m = '-- a cache\nreturn redis "queue"' } }), { redis = { queue = { url = "b" } } })
end)

t.test("what is used brings what it names: a service its host, a parameter of a called playbook its connection", function()
  local environment = {
    services = { app = { host = "web1", http = "vercel" }, other = { host = "db1" } },
    hosts = { web = { "web1", "web2", config = "x" }, data = { "db1", config = "x" }, far = { ["1"] = { name = "web1" }, user = "me" } },
    http = { vercel = { base = "v" }, netlify = { base = "n" } },
    sql = { side = { url = "s" } },
    params = { ["room/called"] = { db = "side" } },
  }
  local kept = part(environment, 'service "app":restart()', { books = { ["room/own.lua"] = {}, ["room/called.lua"] = {} } })
  t.equal(kept, {
    services = { app = { host = "web1", http = "vercel" } },
    hosts = { web = { "web1", "web2", config = "x" }, far = { ["1"] = { name = "web1" }, user = "me" } },
    http = { vercel = { base = "v" } }, sql = { side = { url = "s" } }, params = { ["room/called"] = { db = "side" } },
  })
end)

t.test("parameters of other playbooks do not count, its own and those for all that it declares do", function()
  local environment = { params = { ["room/own"] = { n = 1 }, ["room/other"] = { n = 2 }, n = 3, unheard = 4 } }
  t.equal(part(environment, ""), { params = { ["room/own"] = { n = 1 }, n = 3 } })
end)

t.test("policy always counts: rules, protection, label, zone, mail server", function()
  local environment = { rules = { deny = { "x" } }, protected = true, label = "l", timezone = "z", smtp = { host = "m" } }
  t.equal(part(environment, ""), environment)
end)
