--- Roll back a deployment: the last release that was good, what the database has learnt since, back to it, and verified.
---@usage opsrun play deploy/rollback.lua -e production -p service=shop
---@usage opsrun play deploy/rollback.lua -e production -p target=dpl_8xQ2
local outage = require "outage"
local rollbacks = require "rollbacks"
local service = require "service"

playbook {
  title    = "Roll back a deployment",
  about    = "Puts an earlier release back: a deployment of Vercel or Netlify, an image's tag, a directory behind a link. If that one "
             .. "turns out no better, what served before serves again. The database stays as it is.",
  kind     = "incident",
  severity = "high",   respond = "5m",   lock = true,
  params   = {
    service   = { type = "string",   default = "app",     help = "service of the environment that is put back" },
    target    = { type = "string",   optional = true,     help = "release to go back to; without: the newest before it that was verified" },
    count     = { type = "integer",  default = 5,         help = "so many releases are looked at" },
    api       = { type = "http",     default = "api",     help = "the application" },
    health    = { type = "route",    default = "/health", help = "where it gives its status" },
    status_at = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect    = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    version_at = { type = "string",  optional = true,     help = "where it tells its version: a release's id, or how its commit begins" },
    db        = { type = "sql",      optional = true,     help = "database whose migrations are looked at" },
    migrations     = { type = "string", default = "_prisma_migrations", help = "table they are written down in" },
    migration_name = { type = "string", default = "migration_name", help = "column with the name" },
    migration_at   = { type = "string", default = "finished_at", help = "column with the time, or with digits that are one" },
    recover   = { type = "duration", default = "5m",      help = "the platform may take so long, and the application after it" },
    watch     = { type = "duration", default = "15m",     help = "verified for so long afterwards" },
    poll      = { type = "duration", default = "5s",      help = "look this often" },
    first     = { type = "duration", default = "10m",     help = "on-call hears that it still lasts after this" },
    team      = { type = "string",   optional = true,     help = "who always hears how it ended" },
    oncall    = { type = "string",   optional = true,     help = "who hears while it lasts, and when it fails" },
  },
  uses     = { notify = { "{oncall}" } },
  calls    = { "deploy/verify.lua" },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 000: Response Procedures", "runbook 003: 1. Service Degradation (Response Time > 2s)",
               "runbook 004: 4. Remediate" },
}

local choice = step("Look at the last releases", { fresh = "5m" }, function(p)
  local rows, found = rollbacks.choose(p.service, p.count, p.target)
  show(rows, { title = "releases of " .. p.service })
  local well, said = outage.is_well(p.api, p)
  note("%s serves %s and says: %s", p.service, found.from and found.from.id or "nothing known", said)
  note("to go back to: %s, %s", found.to.id, found.why)
  return { from = found.from and found.from.id, to = found.to, why = found.why, well = well }
end)

step("Tell while it lasts", { needs = { "oncall" } }, function(p)
  clock("Escalate", { at = p.first }, function(tick)
    notify(p.oncall)(("%s is not back after %s"):format(p.service, tick.since), { title = "Rollback", severity = "critical" })
  end)
end)

local learnt = step("See what the database has learnt since", { needs = { "db" } }, function(p)
  local columns = { table = p.migrations, name = p.migration_name, at = p.migration_at }
  local rows = rollbacks.migrations(p.db, columns, choice().to.time)
  if #rows == 0 then return note("no migration was applied since %s was made", choice().to.id) end
  show(rows, { title = "migrations since " .. choice().to.id })
  return rows
end)

step("Agree on it", function(p)
  local to, since = choice().to, p.db and learnt() or {}
  local move = ("Put %s back from %s to %s (%s)?"):format(p.service, choice().from or "what serves", to.id, choice().why)
  if choice().well then note("it says that it is well: is it the release at all?") end
  if #since == 0 then
    confirm("%s %s", move, p.db and "No migration came between" or "Nobody looked for migrations between")
  else
    local warning = "%s Its code is older than what the database has learnt: migrations since then: %d (deploy/migration-rollback)"
    confirm { warning, move, #since, impact = #since, type = to.id, details = since }
  end
end)

step("Put it back", function(p)
  service.released(p.service, choice().to.id, { timeout = p.recover })
end)

step("See it serve", function(p)
  local to = choice().to
  wait_until(("%s serves %s and is well"):format(p.service, to.id), { every = p.poll, within = p.recover }, function()
    return rollbacks.serves(p, to)
  end)
  check("release that serves", service(p.service):status().release, { expect = to.id })
end)

step("Verify it", function(p)
  call("deploy/verify.lua", { service = p.service, api = p.api, health = { p.health }, status_at = p.status_at, expect = p.expect,
    version_at = p.version_at, watch = p.watch, poll = p.poll })
  settle()      -- it is good: what fails from here on is no reason to take it back
end)

step("Keep the next push from bringing it back", { id = "pause" }, function(p)
  local held = service(p.service):status().held
  if held then return skip("%s", held) end
  manual { ("Pause automatic deployment of the main branch of %s until it is mended"):format(p.service), required = false }
end)
