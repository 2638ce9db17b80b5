--- High database CPU: what runs, what was slow, what the server does itself; runaway statements are ended from a list.
---@usage opsrun play incident/high-db-cpu.lua -e production -p long=10m -p host=db1
local activity = require "activity"
local locks = require "locks"
local statements = require "statements"

playbook {
  title    = "High database CPU",
  about    = "Evidence first; then statements older than -p long are cancelled; their sessions go when that does not help.",
  kind     = "incident",
  severity = "high",   respond = "15m",
  params   = {
    db      = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    host    = { type = "hosts",    optional = true,     help = "machine the server runs on; without it: this one, if it is" },
    cpu     = { type = "percent",  default = 70,        help = "of the machine, by the server: warning above this" },
    crit    = { type = "percent",  default = 85,        help = "of the machine, by the server: critical above this" },
    over    = { type = "duration", default = "5s",      help = "it is measured over so long" },
    long    = { type = "duration", default = "5m",      help = "a statement that runs longer is a runaway" },
    slow_ms = { type = "number",   default = 100,       help = "milliseconds: a statement is slow above this, in the mean" },
    top     = { type = "integer",  default = 10,        help = "so many slow statements and tables" },
    rows    = { type = "integer",  default = 10000,     help = "tables this large should not be read from end to end" },
    pids    = { type = "list", of = "integer", default = {}, help = "end no other statements than these" },
    keep    = { type = "list", of = "string", default = { "pgbouncer", "odyssey", "pg_dump", "pg_restore" },
                help = "application names whose statements are never ended" },
    roles   = { type = "list", of = "string", default = {}, help = "end statements of these roles only" },
    grace   = { type = "duration", default = "10s",     help = "a cancelled statement that still runs then loses its session" },
    poll    = { type = "duration", default = "5s",      help = "look this often while it calms down" },
    drain   = { type = "duration", default = "5m",      help = "wait this long until it is calm" },
    calm    = { type = "duration", default = "5m",      help = "and has to stay so for this long" },
    team    = { type = "string",   optional = true,     help = "who hears the result, as named in the environment" },
    dba     = { type = "string",   optional = true,     help = "database administrator: hears when it stays critical or fails" },
  },
  uses     = { shell = { "cat" } },      -- on another machine: looks at its processors
  calls    = { "tuning/indexes.lua" },
  limits   = { sessions = 20 },
  lock     = true,
  tell     = { ["{team}"] = "always", ["{dba}"] = "critical" },
  sources  = { "runbook 001: Database Metrics", "runbook 001: Issue: High Database CPU",
               "runbook 002: High CPU Alert (>80% for 5 minutes)", "runbook 003: 4. Database Issues" },
}

local RUNNING = { "pid", "application", "user", "seconds", "waits", "query" }
local TREE = { "who", "application", "user", "state", "seconds", "waits_for", "query" }
local SLOW = { "calls", "mean_ms", "seconds", "percent", "query" }

--- Statements that are ours to end, and others with `why`. One that waits for a lock computes nothing: ending it
--- helps nobody, its queue has a root.
local function find_runaways(p)
  local found, others = activity.divide(statements.running(p.db, p.long), p)
  local ours = {}
  for _, one in ipairs(found) do
    one.why = one.waits:find "^Lock" and "waits for a lock: see incident/deadlocks.lua" or nil
    table.insert(one.why and others or ours, one)
  end
  return ours, others
end

local cpu = step("Measure the processors", function(p)
  local percent, why = statements.cpu(p.db, p.over, p.host)
  if not percent then return skip("%s", why) end
  check("processors used by the database", percent, { unit = "%", above = { warning = p.cpu, critical = p.crit } })
  return percent
end)

step("Save what runs", function(p)
  local running, tree = statements.running(p.db), locks.tree(p.db)
  note("%d statements run, %d sessions wait for a lock", #running, tree.waiting)
  show(running, { title = "what runs", columns = RUNNING })
  if #tree.rows > 0 then show(tree.rows, { title = "who waits for whom", columns = TREE }) end
  if tree.waiting > 0 then suggest("incident/deadlocks.lua", { db = p.db }) end
  artifact("running.csv", running)
  artifact("who-waits-for-whom.csv", tree.rows)
end)

step("Find slow statements", function(p)
  local slow, why = statements.slow(p.db, p.slow_ms, p.top)
  if not slow then return skip("%s", why) end
  if #slow == 0 then return note("no statement takes longer than %s ms in the mean", p.slow_ms) end
  check("slowest of those that cost most", slow[1].mean_ms, { unit = "ms", above = { warning = p.slow_ms } })
  show(slow, { title = "what cost most time since the counters began", columns = SLOW })
  artifact("slow-statements.csv", slow)
  suggest("tuning/slow-queries.lua", { db = p.db })
end)

step("Look at the server's own work", function(p)
  local work = statements.maintenance(p.db)
  if #work == 0 then return note "no vacuum, index build or backup runs" end
  show(work, { title = "vacuums, index builds, backups", columns = { "pid", "what", "phase", "database" } })
end)

local runaways = step("Find runaway statements", { fresh = "1m" }, function(p)
  local ours, others = find_runaways(p)
  for _, one in ipairs(others) do
    note("left alone: pid %d, %s s: %s", one.pid, one.seconds, one.why)
  end
  return ours
end)

step("End runaway statements", function(p)
  local list, pids = runaways(), {}
  if #list == 0 then return skip("no statement that is ours to end runs longer than %s", p.long) end
  for i, one in ipairs(list) do pids[i] = one.pid end
  show(list, { columns = RUNNING })
  note "what they did in their transactions is rolled back, without a way back: their applications have to do it again"
  confirm { "Cancel %d statements on %s, pid %s? What still runs after %s loses its session", #list, p.db,
            table.concat(pids, ", "), p.grace, impact = #list }
  for _, one in ipairs(activity.stop(p.db, list, p.grace)) do
    note("still there: pid %d", one.pid)
  end
end)

step("Find tables without a fitting index", function(p)
  call("tuning/indexes.lua", { db = p.db, rows = p.rows, top = p.top })      -- its report: it is told to make none
end)

step("Watch it calm down", function(p)
  local function is_calm()
    local percent = cpu() and statements.cpu(p.db, p.over, p.host)
    return percent and percent < p.cpu
  end
  wait_until(("the database takes less than %s %% of the processors"):format(p.cpu), { every = p.poll, within = p.drain }, is_calm)
  hold(p.calm, { every = p.poll, tolerate = 1 }, is_calm)
  check("processors used by the database", statements.cpu(p.db, p.over, p.host),
    { unit = "%", above = { warning = p.cpu, critical = p.crit } })
end)

step("Watch that none comes back", function(p)
  local ours = find_runaways(p)
  check("runaway statements", #ours, { above = { critical = 0 } })
end)

step("Note what is left", { optional = true }, function()
  manual { "Open a ticket with the evidence of this run: indexes for the tables above, the slow statements, a replica for reports" }
end)
