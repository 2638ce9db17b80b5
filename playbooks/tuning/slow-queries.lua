--- Slow query report: what is slow in the mean, what costs most, what is asked too often, how the server goes about one.
---@usage opsrun play tuning/slow-queries.lua -e production
---@usage opsrun play tuning/slow-queries.lua -e production -p explain="SELECT * FROM orders WHERE user_id = 17"
---@usage opsrun play tuning/slow-queries.lua -e production -p log=yes -p log_for=1h
local statements = require "statements"
local tuning = require "tuning"

playbook {
  title    = "Slow query report",
  about    = "Reads only, unless -p log=yes: then statements above -p log_ms are logged for a while, and what was set before is set again.",
  kind     = "routine",   schedule = "Mon 08:00",
  params   = {
    db       = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    mean_ms  = { type = "number",   default = 100,       help = "milliseconds: a statement is slow above this, in the mean" },
    by_mean  = { type = "integer",  default = 20,        help = "so many of the slowest" },
    by_total = { type = "integer",  default = 10,        help = "so many of those that cost most in all" },
    many     = { type = "integer",  default = 1000,      help = "asked too often: called this many times" },
    tiny_ms  = { type = "number",   default = 1,         help = "and quicker than this: once for each row of another, perhaps" },
    explain  = { type = "string",   optional = true,     help = "a SELECT with its values, whose plan is wanted" },
    measure  = { type = "boolean",  optional = true,     help = "run that SELECT, for the true figures: a rehearsal does, too" },
    run_for  = { type = "duration", default = "30s",     help = "it may run for so long" },
    log      = { type = "boolean",  optional = true,     help = "have the server log slow statements for a while" },
    log_ms   = { type = "integer",  default = 1000,      help = "milliseconds: those above this" },
    log_for  = { type = "duration", default = "1h",      help = "for so long" },
    read     = { type = "logs",     optional = true,     help = "the server's log, in which they are counted then" },
    team     = { type = "string",   optional = true,     help = "who always hears the result" },
    mail     = { type = "string",   optional = true,     help = "who hears when it fails" },
  },
  tell     = { ["{team}"] = "always", ["{mail}"] = "critical" },
  sources  = {
    "runbook 000: Identify Bottlenecks", "runbook 000: Database Optimization (Weekly)", "runbook 001: Database Monitoring",
    "runbook 001: Query Optimization", "runbook 001: Batch Operations", "runbook 002: Friday: Performance Review",
    "runbook 003: 4. Database Issues", "runbook 004: Query Optimization", "runbook 004: Database Performance",
  },
}

local COST = { "calls", "mean_ms", "max_ms", "seconds", "percent", "rows_a_call", "query" }
local OFTEN = { "calls", "percent_of_calls", "mean_ms", "seconds", "query" }

local counters = step("Look at the counters", function(p)
  local found, why = statements.counters(p.db)
  if not found then fail("%s", why) end
  note("pg_stat_statements %s, counted since %s", found.version, found.since or "nobody knows when")
  return found
end)

step("Find slow statements", function(p)
  local slowest = tuning.slow(p.db, counters(), p.mean_ms, "mean", p.by_mean)
  local dearest = tuning.slow(p.db, counters(), p.mean_ms, "total", p.by_total)
  check("the slowest statement, in the mean", #slowest > 0 and slowest[1].mean_ms or 0, { unit = "ms", above = { warning = p.mean_ms } })
  if #slowest == 0 then return note("no statement takes longer than %s ms in the mean", p.mean_ms) end
  show(slowest, { title = "the slowest", columns = COST })
  show(dearest, { title = "what costs most time in all", columns = COST })
  artifact("slowest.csv", slowest)
  artifact("dearest.csv", dearest)
  suggest("tuning/indexes.lua", { db = p.db })
end)

step("Find what is asked too often", function(p)
  local rows = tuning.repeated(p.db, counters(), p.many, p.tiny_ms, p.by_total)
  if #rows == 0 then return note("no statement was called %d times and is quicker than %s ms", p.many, p.tiny_ms) end
  show(rows, { title = "quick, and asked very often: is it asked once for each row of another one?", columns = OFTEN })
  artifact("asked-often.csv", rows)
end)

step("Look at a plan", { needs = { "explain" } }, function(p)
  local plan = tuning.plan(p.db, p.explain)
  show(plan.text, { title = "how the server goes about it; nothing was run" })
  if #plan.whole > 0 then note("read from end to end: %s", table.concat(plan.whole, ", ")) end
  artifact("plan.txt", plan.text)
end)

step("Measure it", { needs = { "explain", "measure" }, optional = true }, function(p)
  confirm { "Run that SELECT on %s, for %s at most? It only reads, and takes what it takes of the server", p.db, p.run_for }
  local plan = tuning.plan(p.db, p.explain, p.run_for)
  show(plan.text, { title = "how long it took, and what it read" })
  artifact("plan-measured.txt", plan.text)
end)

step("Log slow statements for a while", { needs = { "log" } }, function(p)
  local before, began = tuning.logged_from(p.db) or "not set", now()
  confirm { "Log statements above %d ms on %s for %s? It was: %s. Their values are logged with them", p.log_ms, p.db, p.log_for, before }
  note("open sessions, which do not notice: %d; those that begin from here on do", tuning.open_sessions(p.db))
  local logging = tuning.log_slow(p.db, p.log_ms)
  sleep(p.log_for)
  if p.read then
    local seen = logs(p.read):scan { window = time.window(began, now()), slow = { match = "LOG:  duration: " } }
    note("%d statements took longer than %d ms meanwhile, see log '%s'", seen.slow.count, p.log_ms, p.read)
  end
  logging.back()
  check("statements are logged from", tuning.logged_from(p.db) or "not set", { expect = before })
end)

step("Propose what is to be done", { optional = true }, function()
  manual { "Open a ticket with the tables of this run: an index, a join in place of many statements, a cache", required = false }
end)
