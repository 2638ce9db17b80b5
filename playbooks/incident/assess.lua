--- Initial assessment: everything is looked at side by side within two minutes, also while half of it is down, and
--- one page says what is wrong, how severe that is, and which playbooks to play.
---@usage opsrun play incident/assess.lua -e production
local assessment = require "assessment"
local disks = require "disks"
local health = require "health"
local outage = require "outage"
local releases = require "releases"
local systemd = require "systemd"

playbook {
  title  = "Initial assessment",   kind = "incident",   respond = "2m",
  about  = "Reads only. What does not answer is a finding and stops nothing; what the environment does not name is skipped, aloud.",
  params = {
    api        = { type = "http",     optional = true,     help = "the application" },
    health     = { type = "route",    default = "/health", help = "where it gives its status" },
    status_at  = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect     = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    detail     = { type = "route",    optional = true,     help = "detailed health" },
    parts      = { type = "list", of = "string", default = {}, help = "what it must call connected: database" },
    site       = { type = "http",     optional = true,     help = "the front end" },
    deploys_api = { type = "http",    optional = true,     help = "Vercel's or Netlify's API" },
    deploys_at = { type = "route",    optional = true,     help = "/v6/deployments?projectId=…, /api/v1/sites/…/deploys" },
    deploys    = { type = "integer",  default = 5,         help = "so many deployments and commits" },
    repo       = { type = "string",   optional = true,     help = "a checkout of what is deployed" },
    analytics  = { type = "route",    optional = true,     help = "avg_response_time, error_rate" },
    period     = { type = "string",   default = "1h",      help = "over which time figures are asked for" },
    window     = { type = "window",   default = "last 1h", help = "lately: errors and deployments of this time" },
    cpu        = { type = "percent",  default = 85,        help = "processors taken at this moment: warning above" },
    services   = { type = "list", of = "string", optional = true, help = "services of the environment" },
    containers = { type = "list", of = "string", optional = true, help = "containers that must run" },
    units      = { type = "list", of = "string", optional = true, help = "systemd units that must be active" },
    cache      = { type = "redis",    optional = true,     help = "redis that must answer" },
    db         = { type = "sql",      optional = true,     help = "database that must answer" },
    long       = { type = "duration", default = "1m",      help = "a statement that runs longer is a warning" },
    jobs       = { type = "string",   optional = true,     help = "table of the jobs: media_items" },
    job_state  = { type = "string",   default = "processing_status", help = "its column of the state" },
    job_open   = { type = "list", of = "string", default = { "pending", "processing" }, help = "states of jobs in work" },
    searches   = { type = "string",   optional = true,     help = "table of the searches: search_history" },
    logs       = { type = "logs",     optional = true,     help = "log, as named in the environment" },
    errors     = { type = "integer",  default = 20,        help = "so many of its last errors" },
    vercel     = { type = "string",   optional = true,     help = "project whose errors vercel's command tells" },
    queues     = { type = "route",    optional = true,     help = "queue statistics: depth, failed" },
    providers  = { type = "list", of = "http", optional = true, help = "status pages of providers" },
    team       = { type = "string",   optional = true,     help = "who gets the page" },
  },
  uses   = { shell = { "docker ps", "docker logs", "systemctl show", "vercel logs" }, notify = { "{team}" } },
  sources = { "runbook 000: Response Procedures", "runbook 001: Database Monitoring", "runbook 002: Incident Commander Checklist",
              "runbook 002: Quick Diagnostics", "runbook 002: Database Queries", "runbook 003: 2. Service Outage (5xx Errors)",
              "runbook 004: 1. Detect & Assess", "runbook 004: 3. Investigate" },
}

local looks = {}

--- A step that looks and returns what it found; without one of its parameters it is skipped, and missing from the sum.
local function look(name, needs, fn)
  local seen = step(name, { needs = #needs > 0 and needs or nil }, function(p)
    local found = {}
    return { found = found, deployed = fn(p, found) == true }
  end)
  looks[#looks + 1] = { needs = needs, seen = seen }
end

group("Look at everything", { together = true, keep_going = true }, function()
  look("Application", { "api" }, function(p, found)
    local _, said, word = outage.is_well(p.api, p)
    assessment.check(found, "application", said, { expect = word })
  end)
  look("Detailed health", { "api", "detail" }, function(p, found)
    local answer = assessment.reads(found, "detailed health", function() return health.ask(p.api, p.detail) end)
    if answer then assessment.detail(found, answer, p.parts) end
  end)
  look("Front end", { "site" }, function(p, found)
    assessment.answers(found, "front end", function() return http(p.site):get("/", { timeout = "10s" }) end)
  end)
  look("Deployments", { "deploys_api", "deploys_at" }, function(p, found)
    local rows = assessment.reads(found, "deployments", function()
      return releases.deployed(p.deploys_api, p.deploys_at, p.deploys)
    end)
    if rows then show(rows) end
    return rows and rows[1] and rows[1].at and rows[1].at >= p.window.from
  end)
  look("Changes of configuration and dependencies", { "repo" }, function(p, found)
    local rows = assessment.reads(found, "commits", function() return releases.commits(p.repo, p.deploys) end)
    if rows then show(rows) end
  end)
  look("Figures of the application", { "api", "analytics" }, function(p, found)
    local figures = assessment.reads(found, "figures", function()
      return health.ask(p.api, p.analytics, { period = p.period })
    end)
    if not figures then return end
    assessment.check(found, "error rate", health.number(figures, "error_rate"), "error_rate")
    assessment.check(found, "average response time", health.number(figures, "avg_response_time"), "response_time_mean")
  end)
  look("This machine", {}, function(p, found)
    local fullest = disks.look()
    assessment.check(found, "processors used", assessment.processors(), { unit = "%", above = { warning = p.cpu } })
    assessment.check(found, "memory used", outage.memory(), "memory_used")
    assessment.check(found, "disk " .. fullest.mount, disks.fullness(fullest), "disk_used")
  end)
  look("Services", { "services" }, function(p, found)
    assessment.states(found, "service", outage.services(p.services), "name", "active")
  end)
  look("Units", { "units" }, function(p, found)
    assessment.states(found, "unit", assessment.reads(found, "units", function() return systemd.units(p.units) end), "unit", "active")
  end)
  look("Containers", { "containers" }, function(p, found) assessment.containers(found, p.containers, p.errors) end)
  look("Redis", { "cache" }, function(p, found)
    assessment.answers(found, "redis", function() return redis(p.cache):ping() end)
  end)
  look("Database", { "db" }, function(p, found)
    if not assessment.answers(found, "database", function() return sql(p.db):value("SELECT 1", {}, { timeout = "10s" }) end) then return end
    assessment.operations(found, p.db, p)
    assessment.activity(found, p.db, p.long)
  end)
  look("Errors in the logs", { "logs" }, function(p, found) assessment.errors(found, p.logs, p.window, p.errors) end)
  look("Errors at Vercel", { "vercel" }, function(p, found)
    local lines = assessment.reads(found, "vercel's log", function() return assessment.vercel(p.vercel, p.window, p.errors) end)
    if lines then show(lines, { title = "last errors" }) end
  end)
  look("Queues", { "api", "queues" }, function(p, found)
    local figures = assessment.reads(found, "queues", function() return health.ask(p.api, p.queues) end)
    if not figures then return end
    assessment.check(found, "jobs that wait", health.number(figures, "depth"), "queue_depth")
    assessment.check(found, "jobs that failed", health.number(figures, "failed"), { above = { warning = 0 } })
  end)
  look("Providers", { "providers" }, function(p, found) assessment.providers(found, p.providers) end)
end)

step("Sum it up", function(p)
  local lists, deployed = {}, false
  for _, look_at in ipairs(looks) do
    local given = true
    for _, name in ipairs(look_at.needs) do given = given and p[name] ~= nil end
    local seen = given and look_at.seen() or { deployed = false }
    lists[#lists + 1] = seen.found
    deployed = deployed or seen.deployed
  end
  if deployed then note("something was deployed lately: what began with it ends with a rollback") end
  local sum = assessment.sum(lists, deployed)
  show(#sum.rows > 0 and sum.rows or "nothing that was looked at is out of order", { title = "what is wrong" })
  note("suggested severity %s: %s", sum.severity, assessment.RESPOND[sum.severity])
  for _, playbook in ipairs(sum.plays) do suggest(playbook) end
  artifact("assessment", assessment.page(sum))
  local _, why = try(assessment.tell, p.team, sum)
  if why then note("not told: %s", why) end
  return sum
end)
