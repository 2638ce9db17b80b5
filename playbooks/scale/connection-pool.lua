--- Connection pools: how full they are, what the database has room for, which size fits, then set, one instance after another.
---@usage opsrun play scale/connection-pool.lua -e production
---@usage opsrun play scale/connection-pool.lua -e production -p set=yes
local pools = require "pools"
local postgres = require "postgres"

playbook {
  title    = "Connection pools",
  about    = "A report, unless -p set=yes. All pools together never get more than the database has; a size that does not help goes back.",
  kind     = "change",   lock = true,
  params   = {
    apis       = { type = "list", of = "http",   default = { "api" }, help = "the application's instances, which tell of their pools" },
    stats      = { type = "route",               default = "/api/admin/pool", help = "where" },
    stats_at   = { type = "string",              default = "data", help = "where in the answer: size, overflow, waiting, checked_out …" },
    services   = { type = "list", of = "string", default = {}, help = "the instances as services of the environment, in the same order" },
    configs    = { type = "list", of = "path",   default = {}, help = "the file each of them reads its pool's size from" },
    size_name  = { type = "string",   default = "DB_POOL_MAX",      help = "what the size is called there" },
    more_name  = { type = "string",   optional = true,              help = "what the overflow is called there, where there is one" },
    instances  = { type = "integer",  optional = true, help = "so many instances; without it: those of -p apis. Functions: at the peak" },
    workers    = { type = "integer",  optional = true, help = "processes of each, which have a pool each; without it: counted, or 1" },
    serverless = { type = "boolean",  optional = true, help = "they are functions: one connection each" },
    app        = { type = "string",   default = "api", help = "application_name of their sessions in the database" },
    db         = { type = "sql",      default = "primary", help = "the database" },
    sample     = { type = "duration", default = "60s", help = "looked at so often" },
    watch      = { type = "duration", default = "15m", help = "for so long, to see what is most" },
    warn       = { type = "percent",  default = 80,    help = "of a pool used: warning above this" },
    crit       = { type = "percent",  default = 95,    help = "of a pool used: critical above this" },
    target     = { type = "percent",  default = 70,    help = "of a pool that fits, used at the peak" },
    db_max     = { type = "percent",  default = 80,    help = "of the database's connections, for all of them together" },
    least      = { type = "integer",  default = 5,     help = "no pool of a server is smaller than this" },
    set        = { type = "boolean",  optional = true, help = "set it, too" },
    size       = { type = "integer",  optional = true, help = "this size, not the one recommended" },
    overflow   = { type = "integer",  optional = true, help = "and this overflow" },
    recover    = { type = "duration", default = "2m",  help = "an instance comes up again within this" },
    settles    = { type = "duration", default = "5m",  help = "nobody waits any more within this" },
    calm       = { type = "duration", default = "1m",  help = "and it has to stay so for this long" },
    poll       = { type = "duration", default = "5s",  help = "look this often meanwhile" },
    team       = { type = "string",   optional = true, help = "who always hears the result" },
  },
  uses     = { shell = { "ps", "cat", "sed" } },
  tell     = { ["{team}"] = "always" },
  sources  = {
    "runbook 000: Database Optimization (Weekly)", "runbook 001: Connection Pooling", "runbook 003: 4. Database Issues",
    "runbook 004: Connection Pool Management",
  },
}

local function check_pool(p, row)
  local most = (row.size or 0) + (row.overflow or 0)
  local percent = most > 0 and 100 * row.checked_out / most or nil
  check("pool of " .. row.api .. " used", percent, { unit = "%", above = { warning = p.warn, critical = p.crit } })
  check("waiting for the pool of " .. row.api, row.waiting, { above = { warning = 0 } })
end

local seen = step("Watch pools and database", { fresh = "30m" }, function(p)
  local found = pools.watch(p)
  show(found.pools, { title = ("pools, the most of %s"):format(p.watch) })
  for _, row in ipairs(found.pools) do check_pool(p, row) end
  show(found.applications, { title = "sessions in the database by application, the most of each" })
  note("%d of %d connections for clients were used at most, %d of them by others", found.used, found.limit, found.others)
  check("connections used", 100 * found.used / found.limit, { unit = "%", above = { warning = p.db_max, critical = 95 } })
  artifact("pools.csv", found.pools)
  artifact("sessions.csv", found.applications)
  return found
end)

local places = step("Count who has a pool", { fresh = "30m" }, function(p)
  local rows, instances = pools.places(p.services, not p.workers), p.instances or #p.apis
  if #p.services > 0 then show(rows, { title = "instances, and processes of each" }) end
  local processes = instances * (p.workers or 1)
  for i, row in ipairs(rows) do
    row.api, row.path = #rows == #p.apis and p.apis[i] or nil, p.configs[i]
    if not p.instances and not p.workers then processes = (i == 1 and 0 or processes) + row.processes end
  end
  note("%d instances, %d processes with a pool each", instances, processes)
  return { rows = rows, processes = processes }
end)

local fitting = step("Say which size fits", function(p)
  local found, processes, now = seen(), places().processes, { needed = 0 }
  for _, row in ipairs(found.pools) do
    now.needed = math.max(now.needed, row.needed)
    if row.size and (not now.size or row.size < now.size) then now.size, now.overflow = row.size, row.overflow or 0 end
  end
  if not now.size then now.size, now.overflow = pools.told(places().rows, p) end
  now.others, now.limit, now.processes = found.others, found.limit, processes
  local said = pools.recommend(now, p)
  local rows = {
    { what = "now", size = now.size, overflow = now.overflow, together = (now.size + now.overflow) * processes },
    { what = p.size and "as you said" or "recommended", size = said.size, overflow = said.overflow, together = said.most },
    columns = { "what", "size", "overflow", "together" },
  }
  show(rows, { title = ("pools of %d processes; the database has room for %d"):format(processes, said.room) })
  artifact("recommended.csv", rows)
  check("of that room, should all be open", 100 * said.most / math.max(1, said.room), { unit = "%", above = { critical = 100 } })
  if said.short then
    note("they want %d each, and there is room for less: a pooler such as pgbouncer, a larger database, or fewer processes", said.wanted)
  end
  if said.fits then finish("%d + %d fits", now.size, now.overflow) end
  said.former = ("%d + %d"):format(now.size, now.overflow)
  return said
end)

local wanted = step("Agree on it", function(p)
  local fit = fitting()
  if not p.set then return skip "a report: -p set=yes sets it" end
  if fit.size < 1 then fail("the database has no room for a connection of each process") end
  if fit.most > fit.room then fail("%d connections are more than the %d there is room for", fit.most, fit.room) end
  local names = #p.services > 0 and table.concat(p.services, ", ") or "the instances"
  confirm { "Set each pool from %s to %d + %d, %d connections of %d there is room for, and restart %s one after another?",
            fit.former, fit.size, fit.overflow, fit.most, fit.room, names, id = "set", impact = math.max(1, #places().rows) }
  return { { name = p.size_name, number = fit.size }, p.more_name and { name = p.more_name, number = fit.overflow } or nil }
end)

step("Set it", function(p)
  local values, rows = wanted(), places().rows
  if #rows == 0 or #p.configs < #rows then return skip "-p services and -p configs do not name each instance and its file" end
  for _, place in ipairs(rows) do
    place.values = values
    pools.set(place, p)
  end
end)

step("Set it where a platform keeps it", { when = function(p) return #p.configs == 0 end }, function(p)
  manual { ("Set %s to %d, such as by 'vercel env', and deploy"):format(p.size_name, wanted()[1].number) }
end)

step("Watch nobody wait", function(p)
  wanted()
  local function is_calm()
    for _, api in ipairs(p.apis) do
      local facts = pools.ask(api, p)
      local most = (facts.size or 0) + (facts.overflow or 0)
      if facts.waiting > 0 or most > 0 and 100 * facts.checked_out / most > p.warn then return false end
    end
    return 100 * postgres.connections(p.db).used / postgres.connections(p.db).limit <= p.db_max
  end
  wait_until("nobody waits for a connection", { every = p.poll, within = p.settles }, is_calm)
  hold(p.calm, { every = p.poll, tolerate = 1 }, is_calm)
  for _, api in ipairs(p.apis) do
    local row = pools.ask(api, p)
    row.api = api
    check_pool(p, row)
  end
end)
