--- Queue backlog: how deep, how old and since when, why jobs fail, then more workers where that helps, until it is drained.
---@usage opsrun play incident/queue-depth.lua -e production -p idempotent=transcode
local docker = require "docker"
local outage = require "outage"
local postgres = require "postgres"
local queues = require "queues"
local workers = require "workers"

playbook {
  title    = "Queue backlog",
  about    = "More workers only when jobs succeed and the database has room for them. They go back when the backlog is gone.",
  kind     = "incident",
  severity = "high",   respond = "15m",   lock = true,
  params   = {
    api        = { type = "http",     default = "api",   help = "the application, which tells of its queues" },
    stats      = { type = "route",    default = "/api/admin/queues/stats", help = "where: waiting, active, failed, oldest" },
    failed     = { type = "route",    default = "/api/admin/queues/failed", help = "the jobs that failed, and why" },
    retry      = { type = "route",    optional = true,   help = "where failed jobs are tried again, by {ids}" },
    idempotent = { type = "list", of = "string", optional = true, help = "names of jobs that may be done twice without harm" },
    jobs       = { type = "redis",    optional = true,   help = "redis the jobs lie in, read when the application does not tell" },
    queues     = { type = "list", of = "string", optional = true, help = "names of the queues there" },
    depth      = { type = "integer",  default = 1000,    help = "critical, and a backlog, above this" },
    oldest     = { type = "duration", default = "5m",    help = "or when a job waits longer; done within it is in time" },
    target     = { type = "percent",  default = 95,      help = "of the jobs are to be done in time" },
    sample     = { type = "duration", default = "10s",   help = "what comes and goes is counted over so long" },
    poison     = { type = "percent",  default = 20,      help = "when more of the jobs fail, more workers are no help" },
    service    = { type = "string",   optional = true,   help = "service of the environment: the workers" },
    workers    = { type = "integer",  default = 8,       help = "so many are to work on the backlog" },
    containers = { type = "list", of = "string", optional = true, help = "containers whose logs are evidence" },
    log_files  = { type = "list", of = "string", optional = true, help = "log files that are evidence" },
    log_lines  = { type = "integer",  default = 100,     help = "so many last lines of each" },
    db         = { type = "sql",      optional = true,   help = "the database the jobs need" },
    db_max     = { type = "percent",  default = 80,      help = "of its connections, used at most" },
    others     = { type = "list", of = "http", optional = true, help = "what else the jobs need: it has to answer" },
    poll       = { type = "duration", default = "10s",   help = "look this often" },
    watch      = { type = "duration", default = "15m",   help = "the backlog has so long to go" },
    team       = { type = "string",   optional = true,   help = "who always hears the result" },
    oncall     = { type = "string",   optional = true,   help = "who hears when it stays critical or fails" },
  },
  uses     = { shell = { "docker logs" } },
  calls    = { "scale/workers.lua" },
  limits   = { jobs = 1000 },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 002: Queue Depth Alert (>1000 jobs)" },
}

local function check_queues(p, seen)
  check("jobs that wait", seen.depth, { above = { critical = p.depth } })
  check("the oldest waits", seen.oldest, { unit = "s", above = { critical = p.oldest.seconds } })
  if seen.in_time then check("jobs done in time", seen.in_time, { unit = "%", below = { warning = p.target } }) end
end
local function is_drained(p, seen) return seen.depth <= p.depth and seen.oldest <= p.oldest.seconds end

local backlog = step("Look at the queues", { fresh = "5m" }, function(p)
  local seen = queues.measure(p, p.sample)
  check_queues(p, seen)
  show(seen.rows, { title = "jobs that wait, the oldest in seconds; what comes, is done and fails, a second" })
  if is_drained(p, seen) then finish("%d jobs wait, the oldest for %s s: no backlog", seen.depth, seen.oldest) end
  return { failing = seen.failing, come = seen.added_rate, done = seen.done_rate }
end)

local crew = step("Look at the workers", { needs = { "service" } }, function(p)
  local seen = workers.count(p.service)
  note("%d of %s run, %s", seen.running, p.service, seen.state)
  check("workers that run", seen.running, { below = { critical = 1 } })
  return seen
end)

step("Save their logs", function(p)
  if not p.log_files and not p.containers then return skip "parameters 'log_files' and 'containers' are not given" end
  outage.keep_logs(p.log_files or {}, p.log_lines)
  for _, name in ipairs(p.containers or {}) do docker.keep_logs(name, p.log_lines) end
end)

local failed = step("Look at what failed", { fresh = "5m" }, function(p)
  local failing = backlog().failing
  note(failing and "%s %% of the jobs that ended meanwhile failed" or "no job ended meanwhile", failing)
  local jobs, why = try(queues.failed, p.api, p.failed)
  if not jobs then return skip("%s does not tell which: %s", p.api, why) end
  if #jobs > 0 then show(jobs.reasons, { title = ("%d failed jobs, by reason"):format(#jobs) }) end
  artifact("failed-jobs.csv", jobs)
  return jobs
end)

step("See that what they need is well", function(p)
  if not p.db and not p.jobs and not p.others then return skip "parameters 'db', 'jobs' and 'others' are not given" end
  local down = {}
  local function see(name, answers)
    if check(name .. " answers", answers, { expect = true }) ~= "ok" then down[#down + 1] = name end
  end
  if p.db then see(p.db, outage.reaches_sql(p.db)) end
  if p.jobs then see(p.jobs, outage.reaches_redis(p.jobs)) end
  for _, name in ipairs(p.others or {}) do see(name, outage.answers(name)) end
  if #down > 0 then fail("%s does not answer: more workers would only wait for it", table.concat(down, ", ")) end
  local used = p.db and postgres.connections(p.db).percent
  if used then check("connections used", used, { unit = "%", above = { warning = p.db_max } }) end
end)

local scaled = step("Start more workers", { needs = { "service" } }, function(p)
  local now, failing = crew().running, backlog().failing
  if failing and failing > p.poison then
    fail("%s %% of the jobs fail: more workers would only make more failures; mend what fails first", failing)
  end
  if now >= p.workers then return skip("%d run already", now) end
  call("scale/workers.lua", {
    service = p.service, n = p.workers, db = p.db, db_max = p.db_max, api = p.api, stats = p.stats, jobs = p.jobs, queues = p.queues,
    oldest = p.oldest, watch = p.watch,
  })
  return { from = now }
end)

step("Try failed jobs again", { optional = true, needs = { "retry", "idempotent" } }, function(p)
  local ours, all = queues.of_names(failed(), p.idempotent), #failed()
  if #ours == 0 then return skip("none of the %d failed jobs is a %s", all, table.concat(p.idempotent, ", ")) end
  confirm { "Try %d of %d failed jobs again (%s)? They may be done twice", #ours, all, table.concat(p.idempotent, ", "), impact = #ours }
  queues.retry(p.api, p.retry, ours, p.failed)
end)

step("Watch it drain", function(p)
  local text = ("at most %d jobs wait, none longer than %s"):format(p.depth, p.oldest)
  wait_until(text, { every = p.poll, within = p.watch }, function() return is_drained(p, queues.look(p)) end)
  check_queues(p, queues.look(p))
  settle()      -- the backlog is gone: what fails later, a message say, is no reason to take anything back
end)

step("Send the workers back", { optional = true, needs = { "service" } }, function(p)
  local from, rates = scaled().from, backlog()
  if from == 0 then return skip "none ran before: those that run now stay" end
  note("%d ran before; then %s jobs a second came and %s were done%s", from, rates.come, rates.done,
    rates.come > rates.done and ": while so many come it grows again" or "")
  call("scale/workers.lua", { service = p.service, n = from, down = true })
end)

step("Keep it from coming back", { optional = true }, function(p)
  if queues.look(p).failed == 0 then return skip "no job is left that failed" end
  manual { "Mend what made jobs fail, and decide about those that are left: failed-jobs.csv in the run", required = false }
end)
