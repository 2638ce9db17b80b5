--- Restore a database: a dump beside the one that is there, proved, then exchanged with it; the old one is kept, closed.
---@usage opsrun play recovery/restore-database.lua -e production -p dir=/backups -p services=worker,app
---@usage opsrun play recovery/restore-database.lua -e production -p source=pitr -p target='2026-11-21 03:00'
local backups = require "backups"
local restores = require "restores"
local services = require "service"
local swap = require "swap"

playbook {
  title  = "Restore a database",   kind = "incident",   severity = "critical",   lock = true,
  about  = "The database stays as it is until its restored twin is proved. Failed, or by opsrun undo, the old one has its name again.",
  params = {
    db         = { type = "sql",      default = "primary",  help = "the database, as named in the environment" },
    source     = { type = "choice",   of = { "dump", "snapshot", "pitr" }, default = "dump", help = "our dump, or the provider's ways" },
    target     = { type = "time",     optional = true,      help = "snapshot, pitr: the moment to go back to" },
    backup     = { type = "string",   optional = true,      help = "name of the dump; without it the newest" },
    bucket     = { type = "string",   optional = true,      help = "S3 bucket the dumps are in" },
    prefix     = { type = "string",   default = "postgres/", help = "what their names begin with" },
    dir        = { type = "string",   optional = true,      help = "directory they are in, where there is no bucket" },
    endpoint   = { type = "url",      optional = true,      help = "of an S3 server that is not Amazon's" },
    region     = { type = "string",   default = "us-east-1", help = "of the bucket" },
    profile    = { type = "string",   optional = true,      help = "of the aws command's configuration" },
    access_key = { type = "string",   optional = true,      help = "key id; without one the aws command finds its own" },
    secret_key = { type = "secret",   optional = true,      help = "the key that belongs to it" },
    workdir    = { type = "path",     default = "/var/tmp", help = "where the dump is fetched to" },
    present    = { type = "path",     optional = true,      help = "directory the present state is dumped into first" },
    services   = { type = "list", of = "string", optional = true, help = "stopped meanwhile, started again whatever happens" },
    flag       = { type = "path",     optional = true,      help = "file that is there while maintenance is on" },
    maintenance = { type = "string",  default = "postgres", help = "another database of the server, to rename from" },
    tables     = { type = "list", of = "string", default = {}, help = "key tables to look at; without any the 20 largest" },
    stamps     = { type = "list", of = "string", default = { "updated_at", "created_at" }, help = "columns that say how new a row is" },
    jobs       = { type = "integer",  default = 1,          help = "more are faster, and no longer one transaction" },
    within     = { type = "duration", default = "4h",       help = "fetching, dumping, restoring may take so long, each" },
    api        = { type = "http",     optional = true,      help = "the application, asked afterwards" },
    health     = { type = "string",   default = "/health",  help = "what must answer 2xx" },
    flows      = { type = "list", of = "string", default = {}, help = "more pages that must" },
    settle     = { type = "duration", default = "5s",       help = "after the start, before the application is asked" },
    well       = { type = "duration", default = "60s",      help = "it must be well by then" },
    drop_after = { type = "duration", optional = true,      help = "wait for so long, ask, and drop the old one; 7d is usual" },
    team       = { type = "string",   optional = true,      help = "who always hears how it ended" },
    oncall     = { type = "string",   optional = true,      help = "who hears when it failed" },
    dba        = { type = "string",   optional = true,      help = "database administrator: hears when it failed" },
  },
  uses   = { shell = { "aws s3api list-objects-v2", "aws s3api get-object", "cp --", "gzip --decompress", "pg_restore", "pg_dump", "mv" } },
  sources = { "runbook 000: Recovery Procedures", "runbook 001: Restore Procedure", "runbook 003: Application Recovery",
    "runbook 004: Recovery Procedures" },
  tell   = { ["{team}"] = "always", ["{oncall}"] = "critical", ["{dba}"] = "critical" },
}

local function is_dump(p) return p.source == "dump" end

local chosen = step("Find the backup", { when = is_dump }, function(p)
  local list = backups.list(p)
  show(backups.first(list, 5), { title = "last 5 in " .. backups.place(p) })
  local backup = backups.pick(list, p.backup)
  note("%s, written %s ago", backup.name, backup.age)
  check("size of the backup", backup.bytes, { unit = "bytes", below = { critical = 1 }, or_fail = "the backup is empty" })
  return backup
end)

local place = step("Look at the database", { fresh = "1h" }, function(p)
  if p.source == "pitr" and not p.target then fail "to which moment? -p target='2026-11-21 03:00'" end
  if not is_dump(p) then return swap.names(p.db) end
  return swap.check_room(swap.look(p.db, p.maintenance))
end)

local began = step("Agree on what is lost", { id = "agree" }, function(p)
  local what, at = is_dump(p) and chosen().name or p.source, is_dump(p) and chosen().at or p.target
  local count, why = try(function() return restores.show_newer(sql(p.db), { tables = p.tables, stamps = p.stamps, at = at }) end)
  if why then note("what is newer cannot be seen: %s", why) end
  confirm { "Restore %s from %s, as of %s? What came later is lost: %s", place().name, what, at or "its time",
    count and ("%d rows, as far as can be seen"):format(count) or "nobody knows how much", type = place().name, impact = count }
  return now()
end)

local copy = step("Fetch the backup", { when = is_dump }, function(p)
  return backups.fetch(p, chosen(), ("%s/opsrun-%s"):format(p.workdir, place().beside), p.within)
end)

local facts = step("Look into it", { when = is_dump }, function(p)
  local said = backups.look_into(p, chosen(), copy())
  check("it is a backup of", said.database, { expect = place().name, or_fail = "this is the backup of another database" })
  return said
end)

step("Dump the present state", { needs = { "present" }, when = is_dump }, function(p)
  if not place().oid then return skip "there is none" end
  backups.dump(p.db, ("%s/%s.dump"):format(p.present, place().kept), p.within)
end)

local shut = step("Close the doors", function(p)
  local ours = { flag = p.flag and services.flagged(p.flag, "a database is restored\n").ours, services = {} }
  for _, name in ipairs(p.services or {}) do
    if services.stopped(name).ours then table.insert(ours.services, 1, name) end      -- started the other way round
  end
  if not (p.flag or p.services) then note "neither 'services' nor 'flag' is given: what is written now is lost" end
  return ours
end)

step("Restore it beside", { when = is_dump }, function(p)
  swap.create(place())
  restores.restore(p.db, place().beside, copy(), { within = p.within, jobs = p.jobs, owners = true })
  swap.copy_settings(place())
  sql(p.db):database(place().beside):exec("ANALYZE", {}, { timeout = p.within })
end)

step("Prove it", { when = is_dump }, function(p)
  local twin = sql(p.db):database(place().beside)
  restores.prove(twin, facts())
  local _, why = try(function()
    local rows = restores.compare(sql(p.db), twin, { tables = p.tables, same = {}, stamps = p.stamps, at = chosen().at })
    show(rows, { title = "rows of the old one and of the restored one", columns = { "name", "production", "restored" } })
    swap.check_grants(place())
  end)
  if why then note("they cannot be compared: %s", why) end
end)

step("Spot check", { when = is_dump }, function() manual { "Look into %s: is what was missed in it?", place().beside, required = true } end)

step("Put it in place", { when = is_dump, fresh = "1h" }, function()
  local count = swap.show_sessions(place())
  confirm { "Put %s in place of %s? Sessions that end: %d; the old one is kept as %s", place().beside, place().name, count, place().kept,
    type = place().name, id = "put-in-place", impact = count }
  if place().oid then swap.close(place()) end
  swap.exchanged(place())
end)

step("Restore it at the provider", { when = function(p) return not is_dump(p) end }, function(p) restores.at_provider(p) end)

step("Open the doors", function(p)
  for _, name in ipairs(shut().services) do service(name):start() end
  if shut().flag then files.remove(p.flag) end
end)

step("See that all is well", { needs = { "api" } }, function(p)
  sleep(p.settle)
  local function answers(path) return http(p.api):get(path, { timeout = "10s" }).status end
  wait_until(p.api .. " is well", { every = "1s", within = p.well }, function() return answers(p.health) end)
  for _, path in ipairs(p.flows) do check(path, answers(path), { between = { 200, 299 } }) end
end)

step("Keep the old one", { when = is_dump }, function(p)
  check("recovery time", math.ceil((now() - began()).seconds), { unit = "s" })
  if not place().oid then return skip "there was none" end
  if not p.drop_after then return note("%s is kept, closed: opsrun undo puts it back, DROP DATABASE ends it", place().kept) end
  pause_until(began() + p.drop_after)
  confirm { "Drop %s? From then on the restore cannot be taken back", place().kept, type = place().kept, id = "drop" }
  settle()
  swap.drop_old(place())
end)
