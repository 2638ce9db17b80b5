--- Scale queue workers: how many run, whether machine and database have room for more, then so many, seen at work.
---@usage opsrun play scale/workers.lua -e production -p service=worker -p n=8
---@usage opsrun play scale/workers.lua -e production -p service=worker -p n=2 -p down=yes
local queues = require "queues"
local services = require "service"
local workers = require "workers"

playbook {
  title    = "Scale queue workers",
  about    = "Never fewer than run, unless -p down=yes says so. When they do not come up, as many as there were run again.",
  kind     = "change",   lock = true,
  params   = {
    service = { type = "string",   default = "worker", help = "service of the environment" },
    n       = { type = "integer",  default = 4,        help = "so many shall run: 4 against a busy machine, 8 against a backlog" },
    max     = { type = "integer",  default = 16,       help = "never more than this" },
    down    = { type = "boolean",  optional = true,    help = "it may become fewer" },
    expires = { type = "duration", optional = true,    help = "meant for so long: runs --standing tells when it is over" },
    over    = { type = "duration", default = "2s",     help = "the machine's processors are measured over so long" },
    cores   = { type = "number",   default = 1,        help = "processors that must be free before there are more" },
    memory  = { type = "percent",  default = 10,       help = "memory that must be free" },
    db      = { type = "sql",      optional = true,    help = "the database they use" },
    pool    = { type = "integer",  default = 5,        help = "connections that each of them opens there" },
    db_max  = { type = "percent",  default = 80,       help = "of its connections, used at most" },
    api     = { type = "http",     optional = true,    help = "the application, which tells of its queues" },
    stats   = { type = "route",    default = "/api/admin/queues/stats", help = "where: waiting, active, failed, oldest" },
    jobs    = { type = "redis",    optional = true,    help = "redis the jobs lie in, read when the application does not tell" },
    queues  = { type = "list", of = "string", optional = true, help = "names of the queues there" },
    oldest  = { type = "duration", default = "5m",     help = "a job done within this is in time" },
    few     = { type = "integer",  default = 100,      help = "with fewer jobs waiting nothing has to fall" },
    poll    = { type = "duration", default = "5s",     help = "look this often" },
    watch   = { type = "duration", default = "5m",     help = "wait this long for them, and for the queue to fall" },
    team    = { type = "string",   optional = true,    help = "who always hears the result" },
  },
  uses     = { shell = { "cat" } },
  tell     = { ["{team}"] = "always" },
  sources  = { "runbook 002: High CPU Alert (>80% for 5 minutes)", "runbook 002: Queue Depth Alert (>1000 jobs)" },
}

local before = step("Count the workers", function(p)
  local seen = workers.count(p.service)
  note("%d of %s run", seen.running, p.service)
  if p.n > p.max then fail("%d are more than -p max=%d", p.n, p.max) end
  if p.n == seen.running then finish("so many run already") end
  if p.n < seen.running and not p.down then finish("more than %d run: nothing is done, unless -p down=yes", p.n) end
  return seen
end)

step("Look for room on the machine", function(p)
  local seen = before()
  if p.n < seen.running then return skip "it becomes fewer" end
  local rows, full = workers.machines(seen.hosts, p.over), nil
  show(rows, { title = "free processors, free memory in percent" })
  for _, row in ipairs(rows) do
    if row.processors < p.cores or row.memory < p.memory then full = row.host end
  end
  if full then fail("%s is busy: more workers there make it worse, see scale/horizontal.lua", full) end
end)

step("Look for room in the database", { needs = { "db" } }, function(p)
  local more = p.n - before().running
  if more < 0 then return skip "it becomes fewer" end
  local room = workers.connections(p.db, more, p.pool)
  note("%d of %d connections are used; %d more workers with %d each make it %d", room.used, room.limit, more, p.pool, room.after)
  check("connections used, with the new workers", room.percent, { unit = "%", above = { warning = p.db_max } })
  if room.percent > p.db_max then
    suggest("scale/connection-pool.lua", { db = p.db })
    fail("%s %% of the connections of %s would be used, more than %s %%", room.percent, p.db, p.db_max)
  end
end)

local depth = step("Look at the queue", function(p)
  if not p.api and not p.jobs then return skip "parameters 'api' and 'jobs' are not given" end
  if p.n < before().running then return skip "it becomes fewer" end
  local seen = queues.look(p)
  show(seen.rows, { title = "jobs that wait, the oldest in seconds" })
  return seen.depth
end)

step("Change the number", function(p)
  local now = before().running
  confirm { "Scale %s%s from %d to %d?", p.service, p.n < now and " down" or "", now, p.n, impact = math.abs(p.n - now) }
  services.scaled(p.service, p.n, { lasts = p.expires and "standing" or "success", expires = p.expires })
end)

step("See them at work", function(p)
  wait_until(("%d of %s run"):format(p.n, p.service), { every = p.poll, within = p.watch }, function()
    local seen = workers.count(p.service)
    return seen.running == p.n and (p.n == 0 or seen.state == "active")
  end)
  check("workers", workers.count(p.service).running, { expect = p.n })
end)

step("See the queue fall", function(p)
  local was = depth()
  wait_until("fewer jobs wait", { every = p.poll, within = p.watch }, function()
    local now = queues.look(p).depth
    return now < was or now < p.few
  end)
  settle()      -- it helps: what fails later, a message say, is no reason to take it back
  note("%d jobs wait, %d before", queues.look(p).depth, was)
end)

step("Say how it goes back", function(p)
  if p.expires then return note("meant for %s: 'opsrun undo' of this run makes it %d again", p.expires, before().running) end
  note("back again: -p n=%d%s", before().running, before().running < p.n and " -p down=yes" or "")
end)
