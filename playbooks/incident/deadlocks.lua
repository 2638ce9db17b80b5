--- Deadlocks and lock queues: how many, between which statements, who holds everybody up, and whether it stays so.
---@usage opsrun play incident/deadlocks.lua -e production -p wait=30s
local activity = require "activity"
local locks = require "locks"

playbook {
  title    = "Deadlocks and blocking",
  about    = "Counts deadlocks over an hour, saves who waits for whom, ends the roots of the queues that somebody agreed to.",
  kind     = "incident",
  severity = "medium",   respond = "30m",
  params   = {
    db      = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    log     = { type = "logs",     optional = true,     help = "the server's log, as named in the environment" },
    window  = { type = "window",   default = "last 1h", help = "its deadlocks are counted over this time" },
    warn    = { type = "number",   default = 5,         help = "deadlocks an hour: warning above this" },
    crit    = { type = "number",   default = 20,        help = "deadlocks an hour: critical above this" },
    wait    = { type = "duration", default = "30s",     help = "a queue counts once somebody has waited so long" },
    pids    = { type = "list", of = "integer", default = {}, help = "end no other roots than these" },
    keep    = { type = "list", of = "string", default = { "pgbouncer", "odyssey", "pg_dump", "pg_restore" },
                help = "application names whose sessions are never ended" },
    roles   = { type = "list", of = "string", default = {}, help = "end sessions of these roles only" },
    grace   = { type = "duration", default = "10s",     help = "a cancelled statement that still runs then loses its session" },
    poll    = { type = "duration", default = "5s",      help = "look this often while the queues go" },
    drain   = { type = "duration", default = "5m",      help = "wait this long for them" },
    watch   = { type = "duration", default = "1h",      help = "then count deadlocks for this long" },
    team    = { type = "string",   optional = true,     help = "who hears the result, as named in the environment" },
    lead    = { type = "string",   optional = true,     help = "development lead: hears when it stays critical or fails" },
  },
  limits   = { sessions = 20 },
  lock     = true,
  tell     = { ["{team}"] = "always", ["{lead}"] = "critical" },
  sources  = { "runbook 001: Database Metrics", "runbook 001: Issue: High Database CPU" },
}

local TREE = { "who", "application", "user", "state", "seconds", "waits_for", "query" }
local ROOTS = { "pid", "application", "user", "state", "seconds", "held_up", "query" }

local function check_rate(p, rate)
  check("deadlocks an hour", rate, { above = { warning = p.warn, critical = p.crit } })
end

step("Count deadlocks", function(p)
  local name = "deadlocks of " .. p.db
  local seen, earlier = locks.deadlocks(p.db), state():get(name)
  local rate, hours = locks.per_hour(earlier, seen)
  note("%d deadlocks since the counters began%s", seen.count, seen.reset and ", " .. seen.reset or "")
  if rate then note("%s an hour over the %.1f hours since the last run", rate, hours) end
  if not rate and not p.log then note "nothing to compare with: the next run tells the rate, or give the server's log: -p log" end
  if rate or not p.log then check_rate(p, rate) end
  state():set(name, seen)
end)

step("Read the server's log", { needs = { "log" } }, function(p)
  local seen = logs(p.log):scan {
    window = p.window,
    deadlocks = { match = { "ERROR:  deadlock detected", "40P01" }, tail = 20 },
    statements = { regex = [[^\tProcess [0-9]+: (.+)]], group = 1, shape = true },
  }
  note("%d deadlocks in %s, read from %s to %s", seen.deadlocks.count, p.window, seen.from, seen.to)
  check_rate(p, math.floor(36000 * seen.deadlocks.count / (p.window.to - p.window.from).seconds + 0.5) / 10)
  if seen.deadlocks.count == 0 then return end
  show(seen.statements.groups, { title = "statements that met", columns = { "count", "value" } })
  artifact("deadlock-statements.csv", seen.statements.groups)
  artifact("deadlocks.log", table.concat(seen.deadlocks.tail, "\n"))
end)

step("Save who waits for whom", function(p)
  local tree = locks.tree(p.db)
  note("%d sessions wait for a lock, the longest for %s s", tree.waiting, tree.longest)
  if tree.circle > 0 then note("%d wait for one another: the server ends one of them itself", tree.circle) end
  if #tree.rows > 0 then show(tree.rows, { title = "who waits for whom", columns = TREE }) end
  artifact("who-waits-for-whom.csv", tree.rows)
end)

local roots = step("Find the roots", { fresh = "1m" }, function(p)
  local found, held = locks.roots(p.db, p.wait)
  if #found == 0 then return skip("nobody has waited for a lock longer than %s", p.wait) end
  local ours, others = activity.divide(found, p)
  for _, root in ipairs(others) do
    note("left alone: pid %d, which holds up %d: %s", root.pid, root.held_up, root.why)
  end
  return { ours = ours, others = others, held = held }
end)

step("Release the queues", function(p)
  local ours, pids, held = roots().ours, {}, 0
  if #ours == 0 then return skip "no root is ours to end" end
  for i, root in ipairs(ours) do
    pids[i], held = root.pid, held + root.held_up
  end
  show(ours, { columns = ROOTS })
  note("what they did in their transactions is rolled back, without a way back: their applications have to do it again")
  confirm { "End pid %s on %s? Statements are cancelled; what still stands after %s is terminated. They hold up %d sessions",
            table.concat(pids, ", "), p.db, p.grace, held, impact = #ours }
  for _, root in ipairs(activity.stop(p.db, ours, p.grace)) do
    note("still there: pid %d", root.pid)
  end
end)

step("Ask for the others", { optional = true }, function()
  local others = roots().others
  if #others == 0 then return skip "every root was ours to end" end
  local lines = {}
  for i, root in ipairs(others) do
    lines[i] = ("pid %d, %s, holds up %d: %s"):format(root.pid, root.application, root.held_up, root.why)
  end
  manual { "Ask those who run them to end them", items = lines }
end)

step("Watch the queues go", function(p)
  wait_until(("nobody waits for a lock longer than %s"):format(p.wait), { every = p.poll, within = p.drain }, function()
    return #locks.roots(p.db, p.wait) == 0
  end)
end)

step("Mend the order of transactions", { optional = true }, function()
  manual { "Open a ticket: transactions take their rows and tables in one order, and are short; with the evidence of this run" }
end)

step("Count the next hour", function(p)
  local before = locks.deadlocks(p.db)
  hold(p.watch, { every = p.poll }, function()
    local many = locks.deadlocks(p.db).count - before.count
    return many <= p.warn and #locks.roots(p.db, p.wait) == 0
  end)
  local many = locks.deadlocks(p.db).count - before.count
  check_rate(p, math.floor(36000 * many / p.watch.seconds + 0.5) / 10)
end)
