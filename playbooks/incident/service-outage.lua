--- Complete service outage: what is down, evidence before anything is restarted, the one remedy for the cause, and watched until it holds.
---@usage opsrun play incident/service-outage.lua -e production -p services=nginx,app -p log_files=/var/log/syslog
local disks = require "disks"
local docker = require "docker"
local outage = require "outage"

playbook {
  title    = "Complete service outage",
  about    = "Looks, saves logs, then restarts the one service that is down. A start has no undo: it belongs up. Databases are left alone.",
  kind     = "incident",
  severity = "critical",   respond = "5m",   lock = true,
  params   = {
    api        = { type = "http",     default = "api",     help = "the application" },
    health     = { type = "route",    default = "/health", help = "where it gives its status" },
    status_at  = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect     = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    site       = { type = "http",     optional = true,     help = "the front end" },
    services   = { type = "list", of = "string", optional = true, help = "services of the environment; the application's last" },
    proxy      = { type = "string",   default = "nginx",   help = "of these the one whose configuration is tested before a restart" },
    containers = { type = "list", of = "string", optional = true, help = "containers whose logs are evidence" },
    log_files  = { type = "list", of = "string", optional = true, help = "log files that are evidence" },
    log_lines  = { type = "integer",  default = 100,       help = "so many last lines of each" },
    port       = { type = "integer",  default = 443,       help = "who is connected there" },
    conn_warn  = { type = "integer",  default = 1000,      help = "connections: warning above" },
    db         = { type = "sql",      optional = true,     help = "database that must answer" },
    cache      = { type = "redis",    optional = true,     help = "redis that must answer" },
    cache_service = { type = "string", optional = true,    help = "service of the environment that is that redis" },
    stack      = { type = "string",   optional = true,     help = "last resort: compose service that is the whole stack" },
    calm       = { type = "duration", default = "20s",     help = "well for so long is well" },
    poll       = { type = "duration", default = "10s",     help = "look this often" },
    first      = { type = "duration", default = "5m",      help = "on-call hears that it still lasts after this" },
    recover    = { type = "duration", default = "30m",     help = "and once more after this; a remedy may take so long" },
    remind     = { type = "duration", default = "30m",     help = "the status page hears so often" },
    status     = { type = "string",   optional = true,     help = "the status page, as named in the environment" },
    team       = { type = "string",   optional = true,     help = "who always hears how it ended" },
    oncall     = { type = "string",   optional = true,     help = "who hears while it lasts, and when it stays so" },
  },
  uses     = { shell = { "docker ps", "docker logs", "nginx -t" }, notify = { "{status}", "{oncall}" } },
  calls    = { "incident/disk-space.lua" },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 002: Complete Service Outage", "runbook 003: 2. Service Outage (5xx Errors)" },
}

local function is_well(p) return outage.is_well(p.api, p) end

local scope = step("See how far it reaches", function(p)
  local well, said = is_well(p)
  local seen = { api = well, site = p.site and outage.answers(p.site) }
  show({ { part = p.api, says = said }, { part = "front end", says = p.site and (seen.site and "answers" or "down") or "not named" } })
  if well and seen.site ~= false then finish("%s says '%s': no outage", p.api, said) end
  return seen
end)

step("Tell while it lasts", function(p)
  local function still(who)
    return function(tick) notify(who)(("still down after %s"):format(tick.since), { title = "Service outage", severity = "critical" }) end
  end
  if p.status then clock("Status page", { every = p.remind }, still(p.status)) end
  if p.oncall then clock("Escalate", { at = { p.first, p.recover } }, still(p.oncall)) end
end)

local found = step("Look at services and host", function(p)
  local full = disks.look()
  check("disk " .. full.mount, full.percent, "disk_used")
  check("memory used", outage.memory(), "memory_used")
  local rows = outage.services(p.services or {})
  show(rows, { title = "services" })
  return { down = outage.down(rows), full = disks.fullness(full) > 95 and full.mount }
end)

step("Save the logs", function(p)
  outage.keep_logs(p.log_files or {}, p.log_lines)
  if p.containers then show(docker.containers()) end
  for _, name in ipairs(p.containers or {}) do docker.keep_logs(name, p.log_lines) end
end)

step("See who is connected", function(p)
  local peers = outage.peers(p.port)
  check(("connections on :%d"):format(p.port), peers.count, { above = { warning = p.conn_warn } })
  if #peers > 0 then show(peers, { title = "most connections" }) end
end)

local reachable = step("Ask database and redis", function(p)
  local seen = { db = p.db and outage.reaches_sql(p.db), cache = p.cache and outage.reaches_redis(p.cache) }
  if p.db then check("database answers", seen.db, { expect = true }) end
  if p.cache then check("redis answers", seen.cache, { expect = true }) end
  return seen
end)

local remedy = step("Name the cause", { id = "cause" }, function()
  local seen, by = reachable(), found()
  local likely = by.full and "disk" or seen.db == false and "database" or seen.cache == false and "redis" or "application"
  note("what was seen speaks for: %s", likely)
  local function is(word) return { word, outage.CAUSES[word], function() return word end } end
  return choose("What is the cause?", { is "application", is "disk", is "database", is "redis", is "deploy", is "overload" },
    { default = likely })
end)

step("Make room on the disk", { when = function() return remedy() == "disk" end }, function(p)
  call("incident/disk-space.lua", { mount = found().full or nil, team = p.team })
end)

step("Restart redis", { needs = { "cache_service" }, when = function() return remedy() == "redis" end }, function(p)
  confirm("Restart %s? What it keeps in memory alone is gone", p.cache_service)
  service(p.cache_service):restart { timeout = p.recover }
end)

step("Leave it to its own playbook", { when = function() return outage.PLAYBOOKS[remedy()] ~= nil end }, function()
  fail("the cause is '%s': play %s, then this one again", remedy(), outage.PLAYBOOKS[remedy()])
end)

step("Restart what failed", { needs = { "services" } }, function(p)
  if is_well(p) then return skip("%s is well again", p.api) end
  local name, state = found().down.name or p.services[#p.services], found().down.state or "active"
  if name == p.proxy then outage.prove_nginx() end
  confirm("%s %s? It is %s; its logs are in the run", state == "inactive" and "Start" or "Restart", name, state)
  outage.bring_up(name, state ~= "inactive", p.recover)
end)

step("Restart the whole stack", { needs = { "stack" }, optional = true }, function(p)
  if try(wait_until, p.api .. " is well", { every = p.poll, within = p.calm }, function() return is_well(p) end) then
    return skip("%s is well again", p.api)
  end
  confirm { "Last resort: restart the whole stack %s? Its containers and their logs stay", p.stack, type = p.stack }
  service(p.stack):restart { timeout = p.recover }
end)

step("Watch it hold", function(p)
  scope()
  wait_until(p.api .. " is well", { every = p.poll, within = p.recover }, function() return is_well(p) end)
  hold(p.calm, { every = p.poll }, function() return is_well(p) end)
  local _, said, word = is_well(p)
  check("application status", said, { expect = word, missing = "critical" })
  if p.site then check("front end answers", outage.answers(p.site), { expect = true }) end
end)
