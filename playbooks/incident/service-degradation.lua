--- Slow responses: which endpoints, since which deploy, what holds them up; the remedy for that, and watched until it holds.
---@usage opsrun play incident/service-degradation.lua -e production -p access=nginx -p services=app,app-2
local assessment = require "assessment"
local outage = require "outage"
local slowness = require "slowness"
local traffic = require "traffic"

playbook {
  title    = "Service degradation",
  about    = "Measures, names the cause, plays the playbook of that cause, or restarts one instance after another: that has no undo.",
  kind     = "incident",
  severity = "high",   respond = "15m",   lock = true,
  params   = {
    api       = { type = "http",     default = "api",     help = "where visitors come in" },
    paths     = { type = "list", of = "route", default = { "/health" }, help = "asked for by us where the access log tells too little" },
    probes    = { type = "integer",  default = 10,        help = "so often each" },
    health    = { type = "route",    default = "/health", help = "where the application gives its status" },
    status_at = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect    = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    access    = { type = "logs",     optional = true,     help = "access log, as named in the environment" },
    logs      = { type = "logs",     optional = true,     help = "the application's log, as named in the environment" },
    window    = { type = "duration", default = "1h",      help = "both are read for the last so long" },
    sample    = { type = "duration", default = "1m",      help = "how it is now: requests of the last so long" },
    least     = { type = "integer",  default = 20,        help = "fewer requests tell too little" },
    warn      = { type = "integer",  default = 200,       help = "p95 in ms: warning above" },
    crit      = { type = "integer",  default = 500,       help = "p95 in ms: critical above; well again below" },
    hard      = { type = "integer",  default = 2000,      help = "p95 in ms: on-call hears at once above" },
    providers = { type = "list", of = "string", optional = true, help = "connections of providers' status pages" },
    deploys_api = { type = "http",   optional = true,     help = "where deployments are listed" },
    deploys_at  = { type = "route",  default = "/v6/deployments", help = "and how: of Vercel; Netlify: /api/v1/sites/ID/deploys" },
    repo      = { type = "string",   optional = true,     help = "checkout whose last commits are shown" },
    recent    = { type = "duration", default = "24h",     help = "a deployment this young may be the cause" },
    hosts     = { type = "list", of = "string", optional = true, help = "machines it runs on; without: this one" },
    port      = { type = "integer",  default = 443,       help = "connections of visitors there" },
    over      = { type = "duration", default = "3s",      help = "processors and cache are measured over so long" },
    db        = { type = "sql",      optional = true,     help = "its database" },
    long      = { type = "duration", default = "5s",      help = "a statement that runs longer is a finding" },
    cache     = { type = "redis",    optional = true,     help = "its cache" },
    services  = { type = "list", of = "string", optional = true, help = "its instances, services of the environment: restarted in turn" },
    dump      = { type = "string",   optional = true,     help = "command that dumps heap and threads of the instance named to it" },
    pause     = { type = "duration", default = "15s",     help = "between two, until the load balancer has the first one back" },
    calm      = { type = "duration", default = "10m",     help = "fast for so long is well" },
    poll      = { type = "duration", default = "15s",     help = "look this often" },
    recover   = { type = "duration", default = "30m",     help = "a restart, and what follows, may take so long" },
    team      = { type = "string",   optional = true,     help = "who always hears how it ended" },
    oncall    = { type = "string",   optional = true,     help = "who hears above -p hard, and when it stays critical" },
  },
  uses     = { shell = { "{dump}", "ps", "cat" }, notify = { "{oncall}" } },
  calls    = { "deploy/rollback.lua", "deploy/release.lua", "incident/high-db-cpu.lua", "incident/db-exhaustion.lua",
               "incident/cache-degraded.lua" },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 001: Application Metrics", "runbook 001: Issue: Application Slow Response",
               "runbook 003: 1. Service Degradation (Response Time > 2s)" },
}

local function judge_now(p, seen)
  if seen.probed then note("too few visitors to judge by: %d requests of our own", seen.requests) end
  return check("p95 response time", seen.p95, { unit = "ms", above = { warning = p.warn, critical = p.crit }, missing = "critical" })
end

local measured = step("Measure", { fresh = "5m" }, function(p)
  local seen = traffic.now(p)
  check("average response time", seen.mean, "response_time_mean")
  if judge_now(p, seen) == "ok" then finish("p95 is %d ms, not above %d ms: not slow", seen.p95, p.warn) end
  return seen
end)

step("Ask the providers", { needs = { "providers" } }, function(p) assessment.providers({}, p.providers) end)

local deploys = step("Look for deployments", function(p) return slowness.deploys(p) end)

step("Measure each endpoint", { needs = { "access" } }, function(p)
  local rows = traffic.endpoints(p.access, p.window, 10)
  show(traffic.most(rows, "p95_ms", 10), { title = "slowest endpoints of the last " .. tostring(p.window), columns = traffic.SLOWEST })
  artifact("endpoints.csv", rows)
end)

step("Search the application's log", { needs = { "logs" } }, function(p) slowness.complaints(p.logs, p.window) end)

local machines = step("Look at the machines", function(p) return slowness.machines(p.hosts, p.port, p.over) end)

local database = step("Look at the database", { needs = { "db" } }, function(p)
  local found = {}
  local there = assessment.answers(found, "database", function() return sql(p.db):value("SELECT 1", nil, { timeout = "10s" }) end)
  if there then assessment.activity(found, p.db, p.long) end
  return found
end)

local cached = step("Look at the cache", { needs = { "cache" } }, function(p) return slowness.cache(p.cache, p.over) end)

step("Call on-call", { needs = { "oncall" } }, function(p)
  local ms = measured().p95
  if ms and ms <= p.hard then return skip("p95 is %d ms, not above %d ms", ms, p.hard) end
  notify(p.oncall)(ms and ("%s: p95 is %d ms"):format(p.api, ms) or ("%s answers nothing"):format(p.api),
    { title = "Service degradation", severity = "critical", once = "service-degradation" })
end)

local cause = step("Name the cause", { id = "cause" }, function(p)
  local likely = slowness.cause { deploy = (p.deploys_api or p.repo) and deploys() or nil, host = machines(),
                                  database = p.db and database() or nil, cache = p.cache and cached() or nil }
  note("what was seen speaks for: %s", likely)
  local ways = {}
  for i, word in ipairs { "application", "deploy", "code", "database", "cache", "host" } do
    ways[i] = { word, slowness.CAUSES[word], function() return word end }
  end
  return choose("What is the cause?", ways, { default = likely })
end)

step("Mend the cause", { when = function() return cause() ~= "application" end }, function(p)
  local playbook, params = slowness.remedy(cause(), p, p.db and database() or nil)
  if playbook then return call(playbook, params).status end
  suggest "scale/horizontal.lua"
  suggest "scale/vertical.lua"
  manual { "machines.csv says what takes the processors: end it, or add a machine (scale/horizontal.lua, scale/vertical.lua)" }
end)

step("Ask the database's provider", { optional = true, when = function() return cause() == "database" end }, function()
  manual { "Where the database is a provider's: open a ticket there, with the evidence of this run" }
end)

local is_application = { needs = { "services" }, when = function() return cause() == "application" end }

step("Save what a restart destroys", is_application, function(p) slowness.keep(p.services, p.dump) end)

step("Restart one instance after another", is_application, function(p)
  confirm { "Restart %s, one after another? Requests in flight there fail", table.concat(p.services, ", "), impact = #p.services }
  for i, name in ipairs(p.services) do
    if i > 1 then sleep(p.pause) end
    service(name):restart { timeout = p.recover }
    wait_until(p.api .. " is well", { every = p.poll, within = p.recover }, function() return outage.is_well(p.api, p) end)
  end
end)

step("Watch it hold", function(p)
  measured()
  local function is_fast()
    local ms = traffic.now(p).p95
    return ms and ms < p.crit
  end
  wait_until(("p95 is below %d ms"):format(p.crit), { every = p.poll, within = p.recover }, is_fast)
  hold(p.calm, { every = p.poll, tolerate = 1 }, is_fast)
  if judge_now(p, traffic.now(p)) ~= "ok" then suggest("tuning/slow-queries.lua", { db = p.db }) end
end)
