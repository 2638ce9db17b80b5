--- High error rate: which endpoints, since when, what changed; the bad release put back or the one feature killed, and watched.
---@usage opsrun play incident/error-rate.lua -e production -p access=nginx -p logs=app -p flags_table=feature_flags
local assessment = require "assessment"
local failures = require "failures"
local flags = require "flags"
local slowness = require "slowness"

playbook {
  title    = "High error rate",
  about    = "Measures, names the cause, plays its playbook. What is killed stays killed until it is undone.",
  kind     = "incident",
  severity = "high",   respond = "15m",   lock = true,
  params   = {
    access    = { type = "logs",     optional = true,     help = "access log, as named in the environment" },
    api       = { type = "http",     default = "api",     help = "the application" },
    figures   = { type = "route",    optional = true,     help = "without an access log: where it tells error_rate in percent" },
    warn      = { type = "number",   default = 1,         help = "percent that fail: warning above; well again below" },
    crit      = { type = "number",   default = 5,         help = "critical above" },
    sample    = { type = "duration", default = "2m",      help = "how it is now: requests of the last so long" },
    least     = { type = "integer",  default = 100,       help = "fewer requests tell nothing: one error of two is no 50 %" },
    window    = { type = "duration", default = "15m",     help = "endpoints and messages are those of the last so long" },
    before    = { type = "duration", default = "24h",     help = "compared with so long" },
    logs      = { type = "logs",     optional = true,     help = "the application's log, as named in the environment" },
    sentry    = { type = "http",     optional = true,     help = "Sentry" },
    sentry_at = { type = "route",    optional = true,     help = "its issues: /api/0/organizations/ORG/issues/?project=ID" },
    deploys_api = { type = "http",   optional = true,     help = "where deployments are listed" },
    deploys_at  = { type = "route",  default = "/v6/deployments", help = "and how: of Vercel; Netlify: /api/v1/sites/ID/deploys" },
    repo      = { type = "string",   optional = true,     help = "and a checkout whose last commits are shown" },
    recent    = { type = "duration", default = "24h",     help = "what changed so lately may be the cause" },
    db        = { type = "sql",      optional = true,     help = "its database" },
    audit     = { type = "string",   optional = true,     help = "table there: who changed what (actor, action, created_at)" },
    secrets   = { type = "list", of = "string", optional = true, help = "files with secrets: their age is looked at, no more" },
    flags_table = { type = "string", optional = true,     help = "table there with the feature flags" },
    flags_route = { type = "route",  optional = true,     help = "or where the application lists and switches them" },
    flags_list_at = { type = "string", optional = true,   help = "and where the list stands in its answer: data" },
    long      = { type = "duration", default = "5s",      help = "a statement that runs longer is a finding" },
    cache     = { type = "redis",    optional = true,     help = "its cache" },
    providers = { type = "list", of = "string", optional = true, help = "connections of providers' status pages" },
    flag      = { type = "string",   optional = true,     help = "the feature that is to be killed, when it is known" },
    expires   = { type = "duration", default = "24h",     help = "killed for so long: runs --standing tells when it is over" },
    service   = { type = "string",   default = "app",     help = "service of the environment whose release is put back" },
    calm      = { type = "duration", default = "5m",      help = "below -p warn for so long is well" },
    poll      = { type = "duration", default = "15s",     help = "look this often" },
    recover   = { type = "duration", default = "30m",     help = "the rate has so long to fall" },
    escalate  = { type = "duration", default = "10m",     help = "on-call hears that it still lasts after this" },
    team      = { type = "string",   optional = true,     help = "who always hears how it ended" },
    oncall    = { type = "string",   optional = true,     help = "who hears while it lasts, and when it stays critical" },
  },
  uses     = { notify = { "{oncall}" } },
  calls    = { "deploy/rollback.lua", "flags/toggle.lua", "incident/database-down.lua", "incident/db-exhaustion.lua",
               "incident/deadlocks.lua", "incident/high-db-cpu.lua", "incident/cache-degraded.lua" },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 000: Critical Alerts (Immediate Response Required)", "runbook 001: Application Metrics",
               "runbook 003: Key Metrics to Monitor", "runbook 004: Key Metrics to Monitor" },
}

local function judge_now(p, seen)
  local known = failures.is_enough(seen, p.least)
  if not known then note("%d requests tell too little: -p least=%d", seen.requests, p.least) end
  if seen.refused_percent then note("%s %% of %d requests were refused (4xx): no errors", seen.refused_percent, seen.requests) end
  return check("error rate", known and seen.failed_percent or nil, { unit = "%", above = { warning = p.warn, critical = p.crit } })
end

step("Measure the errors", { fresh = "5m" }, function(p)
  local verdict = judge_now(p, failures.now(p))
  if verdict == "ok" then finish("not above %s %%: nothing to mend", p.warn) end
  if verdict == "unknown" then
    suggest "incident/service-outage.lua"
    finish "too few requests come to judge by: does anybody get through?"
  end
end)

step("Tell while it lasts", { needs = { "oncall" } }, function(p)
  clock("Escalate", { at = p.escalate }, function(tick)
    notify(p.oncall)(("%s: errors still after %s"):format(p.api, tick.since), { title = "Error rate", severity = "critical" })
  end)
end)

local deploys = step("Look for deployments", { needs = { "deploys_api" } }, function(p)
  return assessment.reads({}, "deployments", function() return slowness.deploys(p) end)
end)

step("Look for changes of flags and secrets", function(p)
  local made = flags.lately(p.recent)
  if #made > 0 then show(made, { title = "flags switched by opsrun" }) end
  local rows = p.audit and p.db and assessment.reads({}, p.audit, function() return failures.audited(p.db, p.audit, p.recent) end)
  if rows then show(rows, { title = "flags and secrets in " .. p.audit }) end
  if p.secrets then show(failures.written(p.secrets, p.recent), { title = "files with secrets that changed" }) end
  if not p.audit and not p.secrets then note "what others changed is not known: -p audit, -p secrets" end
end)

step("Compare with before", { needs = { "access" } }, function(p)
  local rows = failures.compare(p.access, p.window, p.before)
  show(rows, { title = ("endpoints of the last %s, and percent of %s before"):format(p.window, p.before) })
  artifact("endpoints.csv", rows)
end)

local said = step("Read the error messages", { needs = { "logs" } }, function(p)
  local rows = failures.messages(p, p.deploys_api and deploys())
  show(rows, { title = "most frequent errors of " .. p.logs })
  return rows
end)

local issues = step("Ask Sentry", { needs = { "sentry", "sentry_at" } }, function(p)
  local rows = assessment.reads({}, "issues", function() return failures.issues(p, p.deploys_api and deploys()) end) or {}
  show(rows, { title = "issues" })
  return rows
end)

local found = step("Ask what it depends on", function(p) return failures.dependencies(p) end)

local suspects = step("Look at the feature flags", function(p)
  local place = failures.flags_of(p)
  if not place then return skip "neither parameter 'flags_table' nor 'flags_route' is given" end
  local list = assessment.reads({}, "flags", function() return flags.list(place) end) or {}
  show(list, { title = "feature flags" })
  local names, likely = failures.suspects(list, p.logs and said() or {}, p.sentry and p.sentry_at and issues() or {})
  if likely then note("what fails names the flag %s", likely) end
  return { names = names, likely = p.flag or likely }
end)

local cause = step("Name the cause", { id = "cause" }, function(p)
  local is_deploy = failures.began_with(p.access, p.deploys_api and deploys() or nil, p.before, p.warn)
  local likely = failures.cause { found = found(), deploy = is_deploy, flag = failures.flags_of(p) and suspects().likely }
  note("what was seen speaks for: %s", likely)
  local ways = {}
  for i, word in ipairs { "feature", "deploy", "dependency", "other" } do ways[i] = { word, failures.CAUSES[word] } end
  return ask { "What is the cause?", options = ways, default = likely }
end)

local mended = step("Mend the cause", function(p)
  local flag = p.flag
  if cause() == "feature" and not flag then
    flag = ask { "Which feature?", options = suspects().names, default = suspects().likely, id = "flag" }
  end
  local playbook, params = failures.remedy(cause(), p, { found = found(), flag = flag })
  if playbook then call(playbook, params) else manual { "Mend it; the run goes on when that is done" } end
  return now()
end)

step("Watch it fall", function(p)
  local since = mended() + 1      -- the times of an access log are whole seconds
  local function is_well()
    local seen = failures.now(p, since)
    return failures.is_enough(seen, p.least) and seen.failed_percent < p.warn
  end
  wait_until(("less than %s %% fail"):format(p.warn), { every = p.poll, within = p.recover }, is_well)
  hold(p.calm, { every = p.poll }, is_well)
  judge_now(p, failures.now(p, since))
end)
