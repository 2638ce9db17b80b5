--- Database unreachable: is it the server or the way to it, evidence, started once, waited for, clients back.
---@usage opsrun play incident/database-down.lua -e production -p service=postgres -p data=/var/lib/postgresql
local docker = require "docker"
local outage = require "outage"
local postgres = require "postgres"
local reach = require "reach"

playbook {
  title    = "Database unreachable",   kind = "incident",   severity = "critical",   respond = "2m",   lock = true,
  about    = "Looks, saves the log, starts the server once: never while it recovers, never on a full disk. No undo: it belongs up.",
  params   = {
    db        = { type = "sql",      default = "primary",   help = "the database, as named in the environment" },
    api       = { type = "http",     optional = true,       help = "the application that uses it" },
    health    = { type = "string",   default = "/health",   help = "where the application gives its status" },
    status_at = { type = "string",   default = "services.database", help = "where its word on the database stands" },
    expect    = { type = "string",   default = "connected", help = "the word that means well" },
    service   = { type = "string",   optional = true,       help = "service of the environment that is the server" },
    container = { type = "string",   optional = true,       help = "container it runs in, for its log" },
    log       = { type = "logs",     optional = true,       help = "the server's log, as named in the environment" },
    log_lines = { type = "integer",  default = 100,         help = "so many last lines of it are kept" },
    data      = { type = "list", of = "string", optional = true, help = "directories of its data: their disks must have room" },
    host      = { type = "hosts",    optional = true,       help = "machine it runs on; without it: this one" },
    standby   = { type = "boolean",  default = false,       help = "it is a replica: that it takes no writes is well" },
    provider  = { type = "http",     optional = true,       help = "the provider's page of status" },
    page      = { type = "string",   default = "/api/v2/status.json", help = "where that page gives status.indicator" },
    clients   = { type = "list", of = "string", optional = true, help = "services that are restarted if they stay away from it" },
    reconnect = { type = "duration", default = "30s",       help = "clients have so long to come back by themselves" },
    pause     = { type = "duration", default = "2s",        help = "between the two failed looks that count as down" },
    wait      = { type = "duration", default = "5m",        help = "recovery may take so long before a person decides" },
    poll      = { type = "duration", default = "2s",        help = "look this often" },
    escalate  = { type = "duration", default = "2m",        help = "on-call hears again that it lasts after this" },
    team      = { type = "string",   optional = true,       help = "who always hears how it ended" },
    oncall    = { type = "string",   optional = true,       help = "who hears at once, and when it stays so" },
    dba       = { type = "string",   optional = true,       help = "database administrator: hears when it stays critical" },
  },
  uses     = { shell = { "docker logs", "df" }, notify = { "{oncall}" } },
  calls    = { "incident/disk-space.lua", "incident/db-exhaustion.lua", "recovery/restore-database.lua" },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical", ["{dba}"] = "critical" },
  sources  = { "runbook 002: Complete Service Outage", "runbook 003: Service Providers" },
}

--- Percent of a disk on which the server ends; and what a start may help against.
local FULL, HELPS = 98, { down = true, silent = true, ["no way"] = true }

local function is_back(p)
  local seen = reach.look(p.db)
  return seen.state == "answers" and (p.standby or not seen.standby)
end

local function ask_app(p) return reach.app(p.api, p.health, p.status_at, p.expect) end

local first = step("See who reaches it", { fresh = "1m" }, function(p)
  local seen, app, said = reach.look(p.db, 2, p.pause), nil, "not named"
  if p.api then app, said = ask_app(p) end
  show({ { from = "here", says = seen.why or seen.state }, { from = p.api or "the application", says = said } })
  note("%s: %s", p.db, reach.WORDS[seen.state])
  check("database answers", seen.state == "answers", { expect = true })
  if seen.state ~= "answers" and app then fail("%s has its database: it is the way from here, or this login, not the server", p.api) end
  if seen.state == "answers" and app ~= false and (p.standby or not seen.standby) then finish("%s answers: it is not down", p.db) end
  return seen
end)

step("Tell that it is down", { needs = { "oncall" } }, function(p)
  clock("Escalate", { at = { "1s", p.escalate } }, function(tick)      -- beside the steps: nothing waits for it
    local text = ("%s: %s; that for %s now"):format(p.db, reach.WORDS[first().state], tick.since)
    if not is_back(p) then notify(p.oncall)(text, { title = "Database unreachable", severity = "critical" }) end
  end)
end)

local server = step("Look at the server", { fresh = "2m" }, function(p)
  local seen = { began = now() }
  if p.service then show(outage.services { p.service }) end
  if not p.host then check("memory used", outage.memory(), "memory_used") end
  for _, disk in ipairs(reach.disks(p.data or {}, p.host)) do
    check("disk " .. disk.mount, disk.percent, "disk_used")
    if disk.percent >= FULL then seen.full = disk.mount end
  end
  return seen
end)

step("Save its log", function(p)
  if p.container then docker.keep_logs(p.container, p.log_lines) end
  if not p.log then return skip "parameter 'log' is not given" end
  local said = reach.log(p.log, "last 24h", p.log_lines, "server.log")
  check("messages of damage in its log", said.damage, { above = { critical = 0 } })
  check("messages of a full disk", said.room, { above = { warning = 0 } })
  check("messages of missing memory, or of a kill", said.memory + said.killed, { above = { warning = 0 } })
end)

step("Ask its provider", { needs = { "provider" } }, function(p)
  check("the provider says", reach.provider(p.provider, p.page), { expect = "none" })
end)

step("Look inside it", { when = function() return first().state == "answers" or first().state == "full" end }, function(p)
  if first().state == "full" then
    fail("not one connection is left to look from: a superuser's login has some of its own; then play incident/db-exhaustion.lua")
  end
  if check("connections used", postgres.connections(p.db).percent, "connections_used") ~= "critical" then return end
  call("incident/db-exhaustion.lua", { db = p.db, api = p.api, team = p.team })
end)

step("Make room on its disk", { when = function() return server().full ~= nil end }, function(p)
  if p.host then fail("%s of %s is full: play incident/disk-space.lua there, then this one again", server().full, p.host) end
  call("incident/disk-space.lua", { mount = server().full, team = p.team, asked = false })
  if reach.disks({ server().full })[1].percent >= FULL then fail("%s is still full: the server would end again", server().full) end
end)

step("Start it, once", { needs = { "service" } }, function(p)
  local seen, runs = reach.look(p.db), service(p.service):status().state == "active"
  if not HELPS[seen.state] or runs and seen.state ~= "silent" then return skip("%s", reach.WORDS[seen.state]) end
  confirm("%s %s? %s", runs and "Restart" or "Start", p.service, seen.why)
  local _, why = try(outage.bring_up, p.service, runs, p.wait)
  if why then note("%s", why) end
end)

local left = step("Wait for it", function(p)
  local seen = reach.look(p.db)
  if seen.state == "gone" or seen.state == "denied" then return seen end
  try(wait_until, p.db .. " answers, its recovery over", { every = p.poll, within = p.wait }, function() return is_back(p) end)
  return reach.look(p.db)
end)

step("Decide what else", { when = function(p) return left().state ~= "answers" or left().standby and not p.standby end }, function(p)
  local why = left().why or "it is in recovery, and takes no writes"
  local what = choose(("%s is not back: %s. What now?"):format(p.db, why), {
    { "stop", "leave it to a person", function() return "stop" end },
    { "provider", "call the provider", function() manual { "Call the provider: is it theirs?", id = "called", required = true } end },
    { "failover", "to the replica", function() reach.fail_over(p.db) end },
    { "restore", "restore it", function() call("recovery/restore-database.lua", { db = p.db, team = p.team }) end },
  }, { default = "stop" })
  if what == "stop" then fail("%s is not back: %s", p.db, why) end
  wait_until(p.db .. " answers, its recovery over", { every = p.poll, within = p.wait }, function() return is_back(p) end)
end)

step("Restart clients that stay away", { needs = { "api", "clients" }, optional = true }, function(p)
  try(wait_until, p.api .. " has its database", { every = p.poll, within = p.reconnect }, function() return (ask_app(p)) end)
  for _, name in ipairs(p.clients) do
    if ask_app(p) then return note("%s has its database", p.api) end
    confirm { "Restart %s? It did not come back to %s within %s", name, p.db, p.reconnect, id = "restart-" .. name }
    service(name):restart { timeout = p.wait }
  end
end)

step("See that all is well", function(p)
  check("database answers", is_back(p), { expect = true })
  if p.log then
    check("messages of damage since then", reach.log(p.log, time.window(server().began, now())).damage, { above = { critical = 0 } })
  end
  if p.api then check("the application's database", select(2, ask_app(p)), { expect = p.expect, missing = "critical" }) end
end)
