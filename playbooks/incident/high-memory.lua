--- High memory and memory leaks: what holds it, who grows, a heap written down, then the one service restarted.
---@usage opsrun play incident/high-memory.lua -e production -p host=web1 -p service=app
local docker = require "docker"
local health = require "health"
local jobs = require "jobs"
local memory = require "memory"
local outage = require "outage"

playbook {
  title    = "High memory",
  about    = "The heap is read before anything is restarted. One instance is drained and restarted, and watched whether it grows again.",
  kind     = "incident",
  severity = "medium",   respond = "1h",   lock = true,
  params   = {
    host      = { type = "hosts",    optional = true,     help = "the machine; without it: this one" },
    warn      = { type = "percent",  default = 80,        help = "memory used: warning above this" },
    crit      = { type = "percent",  default = 90,        help = "memory used: critical above this" },
    growth_mb = { type = "number",   default = 50,        help = "megabytes: who grows more while it is watched is suspected to leak" },
    interval  = { type = "duration", default = "60s",     help = "looked at so often" },
    watch     = { type = "duration", default = "10m",     help = "watched for so long, before the restart and after it" },
    warm      = { type = "duration", default = "10m",     help = "a younger process still warms up: it is not suspected" },
    top       = { type = "integer",  default = 20,        help = "so many processes are watched" },
    docker    = { type = "boolean",  optional = true,     help = "containers run there: show what each takes, and its limit" },
    api       = { type = "http",     optional = true,     help = "the application" },
    heap      = { type = "route",    default = "/api/admin/memory", help = "where it tells rss, heapUsed, heapTotal, external" },
    service   = { type = "string",   optional = true,     help = "service of the environment that is suspected" },
    keep      = { type = "list", of = "string", default = { "postgres", "mysqld", "redis-server", "etcd" }, help = "never restarted here" },
    signal    = { type = "choice", of = { "USR1", "USR2" }, optional = true, help = "at which it writes a snapshot of its heap" },
    snapshots = { type = "string",   optional = true,     help = "the directory it writes them to" },
    largest   = { type = "duration", default = "5m",      help = "a snapshot takes no longer than this" },
    port      = { type = "integer",  optional = true,     help = "it is behind a load balancer: drained until nobody is connected here" },
    drain     = { type = "duration", default = "2m",      help = "wait this long for that" },
    checks    = { type = "integer",  default = 1,         help = "so many connections are the balancer's checks, and ours" },
    recover   = { type = "duration", default = "2m",      help = "the restart takes no longer than this" },
    poll      = { type = "duration", default = "5s",      help = "look this often for the snapshot, and while it drains" },
    team      = { type = "string",   optional = true,     help = "who always hears the result" },
    oncall    = { type = "string",   optional = true,     help = "who hears when it stays critical or fails" },
  },
  uses     = { shell = { "ps", "cat", "du", "docker stats", "kill" } },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 000: Memory Leak Detection", "runbook 001: System Metrics", "runbook 002: High Memory Alert (>90%)" },
}

local function check_used(p, percent)
  check("memory used", percent, { unit = "%", above = { warning = p.warn, critical = p.crit } })
end

--- The service's processes, and how much of their group's limit is used, in percent.
local function find_service(p, name)
  local rows = jobs.find({ service = name, keep = p.keep }, p.host).rows
  local limit = rows[1] and memory.limit(rows[1].pid, p.host)
  if limit then
    check("memory of " .. name .. ", of its limit", limit.percent, { unit = "%", above = { warning = p.warn, critical = p.crit } })
    check("processes of " .. name .. " killed for want of memory", limit.oom_kills, { above = { warning = 0 } })
  end
  return rows, limit and limit.percent or 0
end

local largest = step("Measure the memory", function(p)
  local rows, seen = memory.largest(p.top, p.host)
  check_used(p, seen.used)
  check("swap used", seen.swap_used, { unit = "%", above = { warning = 50 } })
  check("processes killed for want of memory", seen.oom_kills, { change = { above = { warning = 0 } } })
  show(rows, { title = "megabytes of their own, files aside", columns = { "pid", "megabytes", "user", "seconds", "program", "belongs" } })
  artifact("processes.csv", rows)
  return rows
end)

step("Look at the containers", { needs = { "docker" } }, function(p)
  local rows, why = try(docker.stats, p.host)
  if not rows then return skip("docker does not tell: %s", why) end
  show(rows, { title = "containers, and their limits" })
  artifact("containers.csv", rows)
end)

local heap = step("Ask the application for its heap", { needs = { "api" } }, function(p)
  -- what chokes on its memory may not answer either: that is no reason to stop
  local answer, why = try(health.ask, p.api, p.heap)
  if not answer then return skip("%s does not tell: %s", p.api, why) end
  local facts = health.facts(answer, { "rss", "heapUsed", "heapTotal", "external" })
  show(facts, { title = "heap of " .. p.api .. ", bytes" })
  artifact("heap.json", json.encode(facts))
  return facts
end)

local suspects = step("Watch who grows", function(p)
  local rows, near = {}, 0
  if p.service then rows, near = find_service(p, p.service) end
  local seen = memory.watch(memory.join(largest(), rows), p, p.warm)
  check("growth of the fastest", seen.most, { unit = "MB", above = { warning = p.growth_mb } })
  check("memory used all the while", seen.least, { unit = "%", above = { warning = p.warn, critical = p.crit } })
  return { pids = seen.pids, measured = seen.measured, used = math.max(near, seen.least) }
end)

step("Ask for the heap again", { needs = { "api" } }, function(p)
  local before, answer = heap().heapUsed, try(health.ask, p.api, p.heap)
  if not before or not answer or not suspects().measured then return skip "nothing to compare with" end
  local grown = (health.number(answer, "heapUsed") - before) / 1048576
  check("growth of the heap", grown, { unit = "MB", above = { warning = p.growth_mb } })
end)

local target = step("Name the service", { fresh = "2m" }, function(p)
  local seen = suspects()
  if seen.measured and #seen.pids == 0 and seen.used <= p.warn then finish("nobody grows by more than %s MB", p.growth_mb) end
  local name = p.service or ask { "Which service of the environment is to be restarted? Or 'none'", default = "none" }
  if name == "none" then return skip "no service was named: -p service=NAME" end
  local rows = find_service(p, name)
  if #rows == 0 then return skip("no process of %s is ours to touch", name) end
  local leaks = memory.among(rows, seen.pids)
  if seen.measured and not leaks and seen.used <= p.crit then
    return skip("no process of %s grows by more than %s MB, and not more than %s %% is used", name, p.growth_mb, p.crit)
  end
  return { name = name, row = leaks or rows[1], pids = jobs.pids(rows) }
end)

step("Take a snapshot of the heap", { needs = { "signal", "snapshots" }, optional = true }, function(p)
  local row = target().row
  local why, bytes = memory.why_no_snapshot(row, p.signal, p.host)
  if why then return skip("%s", why) end
  confirm("Have pid %d of %s write down its heap, %d MB? It stands still meanwhile", row.pid, target().name, bytes // 1048576)
  note("snapshot: %s", memory.snapshot(row, { signal = p.signal, dir = p.snapshots, host = p.host, every = p.poll, within = p.largest }))
end)

step("Drain it", { needs = { "port" } }, function(p)
  manual { ("Take %s on %s out of the load balancer"):format(target().name, p.host or "this machine") }
  undo("back into the load balancer", function() note("put %s back into the load balancer", target().name) end)
  local function left() return outage.connections(p.port, p.host) end
  -- a client that never leaves shall not keep it from being restarted: who restarts it sees how many are cut off
  try(wait_until, "it is drained", { every = p.poll, within = p.drain }, function() return left() <= p.checks end)
  check("still connected", left(), { above = { warning = p.checks } })
end)

step("Restart it", function(p)
  local it = target()
  confirm("Restart %s%s, pid %s? What it keeps in memory alone is gone", it.name, p.host and " on " .. p.host or "", it.pids)
  service(it.name):restart { host = p.host, timeout = p.recover }
end)

step("Watch it stay low", function(p)
  local seen = memory.watch(find_service(p, target().name), p)
  check("growth of the fastest", seen.most, { unit = "MB", above = { critical = p.growth_mb } })
  check_used(p, memory.look(p.host).used)
end)

step("Put it back", { needs = { "port" } }, function() manual { "Put it back into the load balancer: " .. target().name } end)

step("Find the leak", { optional = true }, function()
  target()
  manual { "Compare the snapshots, open a ticket with the evidence of this run, limit the memory of its unit", required = false }
end)
