--- Weekly backup verification: the newest backup is really restored, and compared with what it was made of.
---@usage opsrun play weekly/backup-verification.lua -e production --answer agree=yes
local backups = require "backups"
local restores = require "restores"

playbook {
  title  = "Weekly backup verification",   kind = "routine",   owner = "operations",
  about  = "Restores the newest backup into a scratch database on staging, compares it with production, drops it whatever happens.",
  params = {
    bucket      = { type = "string",   optional = true,      help = "S3 bucket the backups are in" },
    prefix      = { type = "string",   default = "postgres/", help = "what the names of the database's backups begin with" },
    media       = { type = "string",   optional = true,      help = "prefix of the media files; a directory where there is no bucket" },
    dir         = { type = "string",   optional = true,      help = "directory the backups are in, where there is no bucket" },
    endpoint    = { type = "url",      optional = true,      help = "of an S3 server that is not Amazon's" },
    region      = { type = "string",   default = "us-east-1", help = "of the bucket" },
    profile     = { type = "string",   optional = true,      help = "of the aws command's configuration" },
    access_key  = { type = "string",   optional = true,      help = "key id; without one the aws command finds its own" },
    secret_key  = { type = "secret",   optional = true,      help = "the key that belongs to it" },
    db          = { type = "sql",      optional = true,      help = "production: what the backups are made of" },
    staging     = { type = "sql",      optional = true,      help = "server the scratch database is made on" },
    same_server = { type = "boolean",  default = false,      help = "staging may be production's own server" },
    scratch     = { type = "string",   default = "test_restore", help = "what the scratch database's name begins with" },
    workdir     = { type = "path",     default = "/var/tmp", help = "where the backup is fetched to" },
    every       = { type = "duration", default = "6h",       help = "a backup is made so often" },
    max_age     = { type = "duration", default = "7h",       help = "newest backup: critical when older" },
    unproved    = { type = "duration", default = "7d",       help = "on-call hears when none was restored for so long" },
    tables      = { type = "list", of = "string", default = {}, help = "key tables to compare; without any the 20 largest" },
    same        = { type = "list", of = "string", default = {}, help = "tables that must hold the very same rows" },
    stamps      = { type = "list", of = "string", default = { "updated_at", "created_at" }, help = "columns that say how new a row is" },
    tolerance   = { type = "percent",  default = 5,          help = "rows that may have come or gone since the backup" },
    lag         = { type = "duration", default = "2h",       help = "rows this much older than the backup must be in it" },
    media_loss  = { type = "percent",  default = 5,          help = "media files gone since last time: critical above, warning above 0" },
    jobs        = { type = "integer",  default = 1,          help = "pg_restore works on so many tables at once" },
    within      = { type = "duration", default = "4h",       help = "fetching and restoring may take so long, each" },
    log         = { type = "path",     optional = true,      help = "verification log: a line for each run" },
    report      = { type = "string",   optional = true,      help = "who always hears the result" },
    team        = { type = "string",   optional = true,      help = "who hears of a warning or a failure" },
    oncall      = { type = "string",   optional = true,      help = "who hears when nothing was restored for too long" },
  },
  uses   = { notify = { "{oncall}" },
             shell = { "aws s3api list-objects-v2", "aws s3api get-object", "cp --", "gzip --decompress", "pg_restore" } },
  tell   = { ["{report}"] = "always", ["{team}"] = "warning" },
  sources = { "runbook 000: Backup Procedures", "runbook 002: Monday: Backup Verification" },
}

local function store(p)
  return {
    bucket = p.bucket, prefix = p.prefix, dir = p.dir, endpoint = p.endpoint, region = p.region, profile = p.profile,
    access_key = p.access_key, secret_key = p.secret_key,
  }
end

--- At the end, whatever happened: a line in the log, and on-call hears when no backup was proved for too long.
local function conclude(p, began, newest)
  local last = state():get "restored"
  local went_well = last and last.began == began.epoch
  if p.log then
    local what = newest and ("%s %d bytes"):format(newest.name, newest.bytes) or "no backup"
    files.append(p.log, ("%s %s %s %s\n"):format(began, went_well and "verified" or "NOT VERIFIED", what, now() - began))
  end
  if p.oncall and not went_well and (not last or now().epoch - last.began > p.unproved.seconds) then
    notify(p.oncall)(("no backup in %s was restored in the last %s"):format(backups.place(store(p)), p.unproved),
      { title = "No backup is proved", severity = "critical", once = "backup-verification" })
  end
end

local newest = step("List the backups", function(p)
  if not p.bucket and not p.dir then return skip "neither parameter 'bucket' nor 'dir' is given" end
  local began, found = now(), nil
  always("write down the result", function() conclude(p, began, found) end)
  local list = backups.list(store(p))
  found = list[1]
  show(backups.first(list, 5), { title = "last 5 in " .. backups.place(store(p)) })
  check("age of the newest backup", found.age, { above = { critical = p.max_age } })
  check("longest gap among the last 5", backups.longest_gap(backups.first(list, 5)), { above = { warning = p.every * 1.5 } })
  check("size of the newest backup", found.bytes, { unit = "bytes", below = { critical = 1 } })
  return { backup = found, began = began }
end)

step("Media files", { needs = { "media" } }, function(p)
  local sum, last = backups.total(store(p), p.media), state():get("media", { count = 0, bytes = 0 })
  check("media files", sum.count, { below = { critical = 1 } })
  for _, what in ipairs { "count", "bytes" } do
    local lost = 100 * math.max(0, last[what] - sum[what]) / math.max(1, last[what])
    check(("media %s lost since last time"):format(what), math.floor(10 * lost + 0.5) / 10, { unit = "%",
      above = { warning = 0, critical = p.media_loss } })
  end
  note("%d files, %d bytes; last time %d files, %d bytes", sum.count, sum.bytes, last.count, last.bytes)
  state():set("media", sum)
end)

local scratch = step("Agree on the restore", { id = "agree", needs = { "db", "staging" } }, function(p)
  local backup = newest().backup
  if restores.is_same_server(p.db, p.staging) and not p.same_server then
    fail("'%s' and '%s' are one server: a restore belongs on another one (-p same_server=true allows it)", p.db, p.staging)
  end
  local name = restores.scratch_name(p.staging, p.scratch)
  confirm("Restore %s (%d bytes) into %s on %s, compare it with %s, and drop it?", backup.name, backup.bytes, name, p.staging, p.db)
  return name
end)

local copy = step("Fetch the newest", function(p)
  local began = newest().began
  local dir = ("%s/opsrun-backup-%s-%06d"):format(p.workdir, began:format "%Y%m%d_%H%M%S", math.floor(began.epoch % 1 * 1e6))
  return backups.fetch(store(p), newest().backup, dir, p.within)
end)

step("Look into it", function(p) backups.look_into(store(p), newest().backup, copy()) end)

step("Create the scratch database", { needs = { "staging" } }, function(p) restores.create_scratch(p.staging, scratch()) end)

step("Restore into it", { needs = { "staging" } }, function(p)
  local began, name = now(), scratch()
  restores.restore(p.staging, name, copy(), { within = p.within, jobs = p.jobs })
  check("restore time", math.ceil((now() - began).seconds), { unit = "s" })
end)

local is_right = step("Compare with production", { needs = { "db", "staging" } }, function(p)
  local production, restored, worst = sql(p.db), sql(p.staging):database(scratch()), { off = 0, behind = 0, differing = 0 }
  local there, here = restores.shape(restored), restores.shape(production)
  local rows = restores.compare(production, restored, { tables = p.tables, same = p.same, stamps = p.stamps, at = newest().backup.at })
  show(rows, { title = "rows, and how far the newest lag behind" })
  for _, row in ipairs(rows) do
    worst.off, worst.behind = math.max(worst.off, row.off), math.max(worst.behind, row.behind or 0)
    worst.differing = worst.differing + (row.content == "differs" and 1 or 0)
  end
  local verdicts = {
    check("tables missing", #restores.missing(here.tables, there.tables), { above = { critical = 0 } }),
    check("constraints restored", there.constraints, { expect = here.constraints }),
    check("constraints not valid", there.unproved_constraints, { above = { critical = here.unproved_constraints } }),
    check("indexes not valid", there.invalid_indexes, { above = { critical = 0 } }),
    check("extensions missing", #restores.missing(here.extensions, there.extensions), { above = { critical = 0 } }),
    check("rows that differ", worst.off, { unit = "%", above = { critical = p.tolerance } }),
    check("newest rows behind the backup", worst.behind, { unit = "s", above = { critical = p.lag.seconds } }),
    check("tables whose content differs", worst.differing, { above = { critical = 0 } }),
  }
  return not table.concat(verdicts, " "):find "critical"
end)

step("Drop the scratch database", { needs = { "staging" } }, function(p) restores.drop_scratch(p.staging, scratch()) end)

step("Note that it is proved", function()
  if not is_right() then return skip "what was restored is not what production holds" end
  state():set("restored", { began = newest().began.epoch, name = newest().backup.name })
end)
