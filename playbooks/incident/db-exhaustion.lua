--- Database connection exhaustion: see who holds the connections, free the idle ones, watch the pool recover.
---@usage opsrun play incident/db-exhaustion.lua -e production -p idle=10m
local docker = require "docker"
local postgres = require "postgres"

playbook {
  title    = "Database connection exhaustion",
  about    = "Evidence first, then idle sessions are ended from a list somebody agreed to, then the pool is watched.",
  kind     = "incident",
  severity = "high",   respond = "5m",
  params   = {
    db      = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    idle    = { type = "duration", default = "5m",      help = "terminate sessions idle longer than this" },
    healthy = { type = "percent",  default = 80,        help = "the pool counts as recovered below this" },
    pool    = { type = "string",   optional = true,     help = "container to restart if the pool stays full" },
    team    = { type = "string",   optional = true,     help = "who is told how it ended, as named in the environment" },
    api     = { type = "http",     optional = true,     help = "the application that can tell of its own pool" },
    status  = { type = "route",    default = "/api/admin/pool", help = "where the application tells it" },
    warn    = { type = "percent",  default = 80,        help = "connections used: warning above this" },
    crit    = { type = "percent",  default = 95,        help = "connections used: critical above this" },
    keep    = { type = "list", of = "string", default = { "pgbouncer", "odyssey", "pg_dump", "pg_restore" },
                help = "application names whose sessions are never ended" },
    roles   = { type = "list", of = "string", default = {}, help = "end sessions of these roles only" },
    pause   = { type = "duration", default = "10s",     help = "wait this long before a second and third round" },
    poll    = { type = "duration", default = "5s",      help = "look this often while the pool recovers" },
    watch   = { type = "duration", default = "5m",      help = "wait this long for it" },
    fit     = { type = "boolean",  optional = true,     help = "while it stays full, measure the application's pools and set their size" },
  },
  uses     = { shell = { "docker restart" }, notify = { "{team}" } },
  calls    = { "scale/connection-pool.lua" },
  limits   = { sessions = 200 },
  sources  = { "runbook 000: Response Procedures", "runbook 001: Database Metrics", "runbook 002: Database Connection Exhaustion",
               "runbook 003: 4. Database Issues", "runbook 004: Connection Pool Management" },
}

local SHOWN = { "pid", "user", "application", "state", "seconds", "query" }
local CHAIN = { "pid", "application", "seconds", "waits_for", "holder_state", "holder_application", "holder_query" }

local function check_connections(p)
  local pool = postgres.connections(p.db)
  check("connections used", pool.percent, { unit = "%", above = { warning = p.warn, critical = p.crit } })
  return pool
end

step("Count connections", function(p)
  local pool = check_connections(p)
  note("%d of %d connections are used; %d of %d are reserved", pool.used, pool.limit, pool.reserved,
    pool.max_connections)
  if pool.hidden > 0 then note("%d sessions cannot be seen: this role needs pg_read_all_stats", pool.hidden) end
  show(pool.by_state, { title = "by state" })
  show(pool.by_application, { title = "by application" })
  show(pool.by_user, { title = "by user" })
  show(pool.by_database, { title = "by database" })
  show(pool.by_client, { title = "by client address" })
end)

step("Ask the application for its pool", { needs = { "api" } }, function(p)
  -- an application that cannot get a connection may not answer either: that is no reason to stop
  local pool, why = try(function() return http(p.api):get(p.status, { timeout = "10s" }):need("data") end)
  if not pool then return note("%s does not tell: %s", p.api, why) end
  check("clients waiting in the pool", pool.waiting, { above = { warning = 0 } })
  show(pool, { title = "pool of " .. p.api })
end)

step("Save the evidence", function(p)
  local silent = postgres.idle_in_transaction(p.db)
  local chains = postgres.blocked_chains(p.db)
  artifact("idle-sessions.csv", postgres.idle_sessions(p.db))
  artifact("idle-in-transaction.csv", silent)
  artifact("blocked-chains.csv", chains)
  if #silent > 0 then show(silent, { title = "idle in transaction", columns = SHOWN }) end
  if #chains > 0 then show(chains, { title = "who waits for whom", columns = CHAIN }) end
end)

local idle = step("Find idle sessions", function(p)
  return postgres.idle_sessions(p.db, { longer_than = p.idle, keep = p.keep, roles = p.roles })
end)

--- Ends what the operator saw and agreed to; returns how many.
local function terminate_shown(p, sessions)
  show(sessions, { columns = SHOWN })
  confirm("Terminate %d sessions idle longer than %s on %s?", #sessions, p.idle, p.db)
  return postgres.terminate(p.db, sessions)
end

local ended = step("Terminate idle sessions", function(p)
  local sessions = idle()
  if #sessions == 0 then return skip("no session has been idle longer than %s", p.idle) end
  local count = terminate_shown(p, sessions)
  note("%d of %d sessions ended%s", count, #sessions, count < #sessions and "; the others had moved on" or "")
  return count
end)

step("Recount, and repeat", function(p)
  ended()      -- nothing was ended: nothing to repeat
  for _ = 1, 2 do
    if postgres.connections(p.db).percent < p.healthy then return note("below %s %%", p.healthy) end
    sleep(p.pause)
    local again = postgres.idle_sessions(p.db, { longer_than = p.idle, keep = p.keep, roles = p.roles })
    if #again == 0 then return note("no more idle sessions; what is left is at work") end
    terminate_shown(p, again)
  end
end)

step("Restart the leaking container", { needs = { "pool" } }, function(p)
  local percent = postgres.connections(p.db).percent
  if percent < p.healthy then return skip("%s %% of the connections are used, below %s %%", percent, p.healthy) end
  confirm("Restart container %s? %s %% of the connections are still used", p.pool, percent)
  docker.restart(p.pool)
end)

step("Fit the pool", { optional = true }, function(p)
  if postgres.connections(p.db).percent < p.healthy then return skip("the pool is below %s %%", p.healthy) end
  if p.fit then return call("scale/connection-pool.lua", { db = p.db, set = true }).status end
  manual { "Play scale/connection-pool.lua: raise the pool of a server, lower it for serverless functions" }
end)

step("Watch the pool recover", function(p)
  wait_until("connections below " .. p.healthy .. " %", { every = p.poll, within = p.watch }, function()
    return postgres.connections(p.db).percent < p.healthy
  end)
  check_connections(p)
end)

step("Note the leak", { optional = true }, function()
  ended()
  manual { "Open a ticket for the leak, with the evidence of this run" }
end)

step("Tell the team", { needs = { "team" } }, function(p)
  notify(p.team)(("%d sessions were ended, %s %% of the connections are used"):format(ended(),
    postgres.connections(p.db).percent), { title = "Database connection exhaustion", severity = "warning" })
end)
