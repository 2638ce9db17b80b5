--- Verify what was deployed: health and version, endpoints, database, then error rate and response time for a while.
---@usage opsrun play deploy/verify.lua -e production -p version=3f2c1ab -p watch=30m
local outage = require "outage"
local rollbacks = require "rollbacks"
local verify = require "verify"

playbook {
  title    = "Post-deployment verification",
  about    = "Asks only. What passes is remembered as verified: deploy/rollback goes back to such a release.",
  kind     = "routine",
  params   = {
    service   = { type = "string",   optional = true,     help = "service of the environment; its release is what is verified" },
    version   = { type = "string",   optional = true,     help = "what the application must tell as its version" },
    version_at = { type = "string",  optional = true,     help = "where it tells that, in the first health answer" },
    api       = { type = "http",     default = "api",     help = "the application" },
    health    = { type = "list", of = "route", default = { "/health" }, help = "its health endpoints" },
    status_at = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect    = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    endpoints = { type = "list", of = "route", optional = true, help = "key flows that a GET walks: each must answer 2xx" },
    login     = { type = "route",    optional = true,     help = "synthetic login; the environment's http says that it reads, by reads" },
    db        = { type = "sql",      optional = true,     help = "database that must answer" },
    figures   = { type = "route",    optional = true,     help = "where it tells error_rate (percent) and its response time (ms)" },
    time_name = { type = "string",   default = "p95_response_time", help = "the name of the response time there" },
    logs      = { type = "logs",     optional = true,     help = "the application's log, with the field level" },
    error     = { type = "percent",  default = 1,         help = "errors: critical from here on" },
    p95       = { type = "integer",  default = 500,       help = "p95 in ms: warning above" },
    hard      = { type = "integer",  default = 2000,      help = "p95 in ms: critical above" },
    watch     = { type = "duration", default = "15m",     help = "watched for so long" },
    poll      = { type = "duration", default = "15s",     help = "look this often" },
    flows     = { type = "list", of = "string", optional = true, help = "what a person tries" },
    team      = { type = "string",   optional = true,     help = "who hears the result and open points" },
  },
  uses     = { state = { "deploys" } },
  tell     = { ["{team}"] = "always" },
  sources  = { "runbook 002: Planned Maintenance Template", "runbook 003: 1. Planned Deployments",
               "runbook 004: Post-Deployment Verification" },
}

local began = step("Ask how it is", function(p)
  for _, path in ipairs(p.health) do
    local _, said, word = outage.is_well(p.api, { health = path, status_at = p.status_at, expect = p.expect })
    check("status at " .. path, said, { expect = word, missing = "critical", or_fail = true })
  end
  local release = p.service and service(p.service):status().release
  if p.version_at then
    local said = tostring(verify.ask(p.api, p.health[1]):need(p.version_at))
    if p.version then check("version", said, { expect = p.version, or_fail = true }) else note("it tells version %s", said) end
    if p.service and not p.version then verify.need_version(p.service, said, release) end
  end
  return { release = release, at = now() }
end)

step("Ask its endpoints", { needs = { "endpoints" } }, function(p)
  for _, path in ipairs(p.endpoints) do
    check(path, verify.ask(p.api, path).status, { between = { 200, 299 }, or_fail = true })
  end
end)

step("Sign in", { needs = { "login" } }, function(p)
  local answer = http(p.api):post(p.login, { json = { synthetic = true }, expect = "any" })
  check("login", answer.status, { between = { 200, 299 }, or_fail = true })
end)

step("Ask the database", { needs = { "db" } }, function(p)
  check("database answers", sql(p.db):value("SELECT 1", nil, { timeout = "10s" }), { expect = 1, or_fail = true })
end)

step("Watch it", function(p)
  local seen = verify.watch(p)
  check("error rate", seen.errors, { unit = "%", above = { critical = p.error }, missing = "critical", or_fail = true })
  check("p95 response time", seen.p95, { unit = "ms", above = { warning = p.p95, critical = p.hard }, or_fail = true })
  show(seen.rows, { title = "as it was told" })
end)

step("Read its log", { needs = { "logs" } }, function(p)
  local found = verify.errors(p.logs, began().at)
  check("errors in the log", found.percent, { unit = "%", above = { critical = p.error }, or_fail = true })
  if #found.lines > 0 then show(found.lines, { title = "most frequent" }) end
end)

step("Try the flows", { needs = { "flows" } }, function(p)
  manual { "Try what no machine can", items = p.flows }
end)

step("Remember it", { needs = { "service" } }, function(p)
  local release, now_serves = began().release, service(p.service):status().release
  if not release then return skip("%s does not tell its release", p.service) end
  check("release that serves", now_serves, { expect = release, or_fail = true })
  rollbacks.remember(p.service, release)
  note("%s of %s is verified", release, p.service)
end)
