--- High CPU: who takes the processors, whether it lasts, and a runaway job that gives way or is ended.
---@usage opsrun play incident/high-cpu.lua -e production -p host=web1 -p job=report.service
local docker = require "docker"
local jobs = require "jobs"
local processes = require "processes"
local services = require "service"
local statements = require "statements"

playbook {
  title    = "High CPU",
  about    = "Evidence before anything is scaled or stopped. A lowered priority stands until it is undone; what was ended is gone.",
  kind     = "incident",   severity = "medium",   respond = "15m",   lock = true,
  params   = {
    host    = { type = "hosts",    optional = true,     help = "the machine; without it: this one" },
    over    = { type = "duration", default = "5s",      help = "the processors are measured over so long" },
    warn    = { type = "percent",  default = 70,        help = "processors used: warning above this, calm below" },
    crit    = { type = "percent",  default = 85,        help = "processors used: critical above this" },
    act     = { type = "percent",  default = 80,        help = "something is done about it above this" },
    lasts   = { type = "duration", default = "5m",      help = "when it was so for this long" },
    top     = { type = "integer",  default = 20,        help = "so many processes are shown" },
    docker  = { type = "boolean",  optional = true,     help = "containers run there: show what each takes" },
    db      = { type = "sql",      optional = true,     help = "database whose statements may be the cause" },
    long    = { type = "duration", default = "30s",     help = "of these the ones that run longer are shown" },
    worker  = { type = "string",   optional = true,     help = "service of the environment that scales" },
    workers = { type = "integer",  default = 4,         help = "so many of it; never fewer than there are" },
    service = { type = "string",   optional = true,     help = "runaway job: a service of the environment" },
    job     = { type = "string",   optional = true,     help = "runaway job: a pid, a unit, a container" },
    nice    = { type = "integer",  default = 19,        help = "priority of a job that gives way: 1 to 19" },
    keep    = { type = "list", of = "string", help = "programs that are never touched",
                default = { "postgres", "mysqld", "mariadbd", "mongod", "redis-server", "valkey-server", "etcd" } },
    grace   = { type = "duration", default = "10s",     help = "a job that was told to end is killed after this" },
    poll    = { type = "duration", default = "10s",     help = "look this often while it calms down" },
    drain   = { type = "duration", default = "10m",     help = "wait this long for it" },
    calm    = { type = "duration", default = "5m",      help = "and it has to stay so for this long" },
    team    = { type = "string",   optional = true,     help = "who always hears the result" },
    oncall  = { type = "string",   optional = true,     help = "who hears when it stays critical or fails" },
  },
  uses     = { shell = { "ps", "cat", "docker stats", "renice", "kill" } },
  calls    = { "scale/workers.lua" },
  limits   = { processes = 100 },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 001: System Metrics", "runbook 002: High CPU Alert (>80% for 5 minutes)" },
}

local TOP = { "pid", "percent", "nice", "seconds", "program", "belongs" }

local cpu = step("Measure the processors", function(p)
  local seen, rows = processes.measure(p.over, p.host)
  check("processors used", seen.busy, { unit = "%", above = { warning = p.warn, critical = p.crit } })
  note("%d processors, load %s, %s, %s over 1, 5, 15 minutes; %s %% is niced work, which gives way", seen.cores, seen.load[1],
    seen.load[2], seen.load[3], seen.nice)
  check("waiting for disks", seen.iowait, { unit = "%", above = { warning = 20 } })
  check("taken by other guests", seen.steal, { unit = "%", above = { warning = 10 } })
  local owners, list = processes.by_owner(rows), processes.first(rows, p.top)
  show(list, { title = "processes, percent of one processor", columns = TOP })
  show(processes.first(owners, p.top), { title = "by what they belong to" })
  artifact("processes.csv", rows)
  return { busy = seen.busy, load = seen.load, cores = seen.cores, occasional = jobs.occasional(rows) }
end)

step("Look at the containers", { needs = { "docker" } }, function(p)
  local rows, why = try(docker.stats, p.host)
  if not rows then return skip("docker does not tell: %s", why) end
  show(rows, { title = "containers, percent of one processor" })
  artifact("containers.csv", rows)
end)

step("Look at the database", { needs = { "db" } }, function(p)
  local running, why = try(statements.running, p.db, p.long)
  if not running then return skip("the database does not tell: %s", why) end
  if #running == 0 then return note("no statement of %s runs longer than %s", p.db, p.long) end
  show(running, { title = "statements that run", columns = { "pid", "application", "user", "seconds", "waits", "query" } })
  artifact("statements.csv", running)
  suggest("incident/high-db-cpu.lua", { db = p.db, host = p.host })
end)

step("Look for deploys, cron jobs and backups", function()
  local found = cpu().occasional
  if #found > 0 then show(found, { title = "deploys, cron jobs, backups" }) else note "none of them runs" end
end)

step("See whether it lasts", function(p)
  local seen = cpu()
  local average = 100 * seen.load[2] / seen.cores
  if seen.busy > p.act and average > p.act and p.lasts <= 300 then
    return note("the load of the last 5 minutes, %.1f a processor, says it lasts", average / 100)
  end
  local lasts = seen.busy > p.act and try(function()
    hold(p.lasts, { every = p.poll, tolerate = 1 }, function() return processes.machine(p.over, p.host).busy > p.act end)
    return true
  end)
  if not lasts and not (p.job or p.service) then finish("not above %s %% for %s: nothing is done", p.act, p.lasts) end
end)

step("Start more workers", { needs = { "worker" }, optional = true }, function(p)
  local seen, status = processes.machine(p.over, p.host), service(p.worker):status()
  local running = status.running or status.state == "active" and 1 or 0
  local free = seen.cores * (100 - seen.busy) / 100
  if free < 1 then return skip("%.1f processors are free: more workers on this machine make it worse, see scale/horizontal.lua", free) end
  if running >= p.workers then return skip("%d of %s run already: %d would be no more", running, p.worker, p.workers) end
  call("scale/workers.lua", { service = p.worker, n = p.workers })
end)

local runaway = step("Find the runaway job", { fresh = "1m" }, function(p)
  local said = p.job
  if not said and not p.service then
    said = ask { "Which job is the runaway? A pid, unit or container of the lists above, or 'none'", default = "none" }
  end
  if said == "none" then return { rows = {} } end
  local job = jobs.find({ service = p.service, job = said, keep = p.keep }, p.host)
  for _, one in ipairs(job.others) do note("left alone: pid %d, %s: %s", one.pid, one.program, one.why) end
  show(job.rows, { title = job.name, columns = { "pid", "user", "nice", "seconds", "program", "belongs" } })
  return job
end)

step("Rein it in", function(p)
  local job = runaway()
  local rows = job.rows
  if #rows == 0 then return skip "no job was named that is ours to touch: -p job=PID, a unit, a container, or -p service=NAME" end
  choose(("What about %s, %d processes?"):format(job.name, #rows), {
    { "lower", "it gives way to all others, and goes on", function() jobs.lower(job, p.nice, p.host) end },
    { "stop", "it is ended", function()
      confirm { "End %s, pid %s? %s", job.name, jobs.pids(rows), p.service and "opsrun undo starts it again" or "There is no way back",
                id = "end-it", impact = #rows }
      if p.service then services.stopped(p.service, { lasts = "standing" }) else jobs.stop(job, p.grace, p.host) end
      check("processes of the job", #processes.still(rows, p.host), { above = { critical = 0 } })
    end },
    { "nothing", "it is left alone", function() end },
  }, { default = "lower" })
end)

step("Watch it calm down", function(p)
  -- a job that gives way stands in nobody's way: what is niced does not count any more
  local rows = processes.still(runaway().rows, p.host)
  local gives_way = #rows > 0
  for _, row in ipairs(rows) do gives_way = gives_way and row.nice >= p.nice end
  local function used()
    local seen = processes.machine(p.over, p.host)
    return gives_way and seen.pressing or seen.busy
  end
  local function is_calm() return used() <= p.warn end
  note("%d processes of the job are there%s", #rows, gives_way and ", and give way: niced work is not counted now" or "")
  wait_until(("at most %s %% of the processors are used"):format(p.warn), { every = p.poll, within = p.drain }, is_calm)
  hold(p.calm, { every = p.poll, tolerate = 1 }, is_calm)
  check("processors used", used(), { unit = "%", above = { warning = p.warn, critical = p.crit } })
end)

step("Note what is left", { optional = true }, function()
  manual { "Open a ticket with the evidence of this run: why it ran away, when it may run, what limit its unit gets", required = false }
end)
