--- Disk space emergency: what takes the room, a plan by class, then each class as it was listed, until it is enough.
---@usage opsrun play incident/disk-space.lua -e production -p mount=/var -p logs=/var/log/shop,/logs
local cleanup = require "cleanup"
local disks = require "disks"
local docker = require "docker"
local health = require "health"
local postgres = require "postgres"
local systemd = require "systemd"

playbook {
  title    = "Disk space emergency",
  about    = "Measures first, asks for each class with its list, stops at the target. What is removed is gone: there is no undo.",
  kind     = "incident",
  severity = "high",   respond = "5m",   lock = true,
  params   = {
    mount         = { type = "string",   optional = true,  help = "the full file system; without it the fullest one" },
    logs          = { type = "list", of = "path", default = { "/var/log" }, help = "where logs are" },
    compress_days = { type = "integer",  default = 7,     help = "logs that nobody wrote to for so long are compressed" },
    gz_days       = { type = "integer",  default = 30,    help = "compressed logs that are older are removed" },
    journal       = { type = "string",   default = "/var/log/journal", help = "where systemd's journal is" },
    journal_keep  = { type = "duration", default = "2d",  help = "of the journal this stays" },
    docker        = { type = "boolean",  optional = true, help = "containers that ended and nameless images go" },
    docker_age    = { type = "duration", default = "24h", help = "if they are older than this" },
    images        = { type = "list", of = "string", optional = true, help = "unused images that may go, by name" },
    volumes       = { type = "list", of = "string", optional = true, help = "unused volumes that may go, by name" },
    backups       = { type = "path",     optional = true, help = "directory of backups on this machine" },
    backup_days   = { type = "integer",  default = 30,    help = "older ones go, if the newest one is proved" },
    tmp           = { type = "list", of = "path", default = { "/tmp" }, help = "where temporary files are" },
    tmp_days      = { type = "integer",  default = 7,     help = "older ones that nobody holds open go" },
    live_max      = { type = "size",     default = "1gb", help = "a log that is written to is cut when larger" },
    protect       = { type = "list", of = "string", default = {}, help = "paths that are never touched" },
    top           = { type = "integer",  default = 20,    help = "so many of the largest files are shown" },
    target        = { type = "percent",  default = 75,    help = "enough is free below this" },
    api           = { type = "http",     optional = true, help = "the application, asked afterwards" },
    health        = { type = "route",    default = "/health", help = "where it gives its status" },
    db            = { type = "sql",      optional = true, help = "the database, which must write afterwards" },
    asked         = { type = "boolean",  default = true,  help = "application and database are asked; not while they are down" },
    team          = { type = "string",   optional = true, help = "who always hears the result" },
    oncall        = { type = "string",   optional = true, help = "who hears when it stays critical" },
  },
  uses     = { shell = { "journalctl", "docker system df", "docker ps", "docker container inspect", "docker rm", "docker image ls",
                         "docker image inspect", "docker image rm", "docker volume inspect", "docker volume rm" } },
  limits   = { files = 20000 },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 001: System Metrics", "runbook 001: Issue: Disk Space Full", "runbook 002: Disk Space Emergency" },
}

local size = cleanup.size
local function check_room(path)
  local system = disks.look(path)
  local verdict = check("disk " .. system.mount, system.percent, "disk_used")
  return system, check("inodes " .. system.mount, system.inodes_percent, "disk_used") == "ok" and verdict == "ok"
end

local full = step("Look at the file systems", function(p)
  show(disks.own())
  local system, has_room = check_room(p.mount)
  if has_room then finish("%s is %s %% full: nothing to do", system.mount, disks.fullness(system)) end
  return system
end)

step("Find the largest files", function(p) cleanup.show_largest(full().mount, { "/var/log", "/var/lib" }, p.top) end)
step("Find what others hold", function(p)
  show(disks.deleted(full().mount), { title = "deleted, and free only when their holders restart" })
  if p.docker then docker.show_use() end
  if p.db and p.asked then postgres.show_wal(p.db) end
end)

local plan = step("Plan", function(p) return cleanup.plan(full().mount, p) end)
step("Agree on the plan", function() confirm { "Free %s like this? Each class is asked for", full().mount, impact = plan().files } end)

--- Of the plan what a step may touch; ends the step when that is nothing, or enough is free already.
local function take(p, class)
  local used = disks.fullness(disks.look(full().mount))
  if used < p.target then return skip("%s is %s %% full, less than %s %%: enough", full().mount, used, p.target) end
  local list = class and plan()[class]
  if class and #list == 0 then return skip("there is nothing of the kind on %s", full().mount) end
  return list and cleanup.show(list)
end

local function remove(p, class, what, days)
  local list = take(p, class)
  confirm("Remove %d %s older than %d days, %s? There is no way back", #list, what, days, size(list.disk))
  cleanup.remove(list)
end

step("Remove old compressed logs", { optional = true }, function(p) remove(p, "packed", "compressed logs", p.gz_days) end)

step("Compress old logs", { optional = true }, function(p)
  local list = take(p, "logs")
  confirm("Compress %d logs that nobody wrote to for %d days, %s?", #list, p.compress_days, size(list.disk))
  cleanup.compress(list)
end)

step("Vacuum the journal", { optional = true }, function(p)
  local list = take(p, "journal")
  local fits = disks.look(plan().home).free > list.disk
  if fits then systemd.export(p.journal, p.journal_keep) end
  confirm("Remove what the journal has from before %s, %s%s? There is no way back", p.journal_keep, size(list.disk),
    fits and ", exported into the run" or " and NOT exported: the disk of the run has no room for it")
  systemd.vacuum(p.journal, p.journal_keep)
end)

step("Remove leftovers of docker", { optional = true, needs = { "docker" } }, function(p)
  local left = take(p) or docker.leftovers { age = p.docker_age, images = p.images }
  if #left == 0 then return skip "no container ended and no image lost its name so long ago" end
  show(left)
  confirm("Remove these %d containers and images? A rollback may need them; there is no way back", #left)
  docker.remove(left)
end)

step("Remove volumes", { optional = true, needs = { "volumes" } }, function(p)
  take(p)
  for _, name in ipairs(p.volumes) do
    docker.show_volume(name)
    confirm { "Remove volume %s with all it holds? There is no way back", name, type = name, id = "volume-" .. name }
    docker.remove_volume(name)
  end
end)

step("Remove old backups", { optional = true, needs = { "backups" } }, function(p)
  local list, newest = take(p, "backups"), cleanup.proved_backup(p.backups)
  confirm { "Remove %d backups older than %d days, %s? %s stays, and %s. There is no way back", #list, p.backup_days,
    size(list.disk), newest.path, newest.how, type = "remove backups" }
  cleanup.remove(list)
end)

step("Remove old temporary files", { optional = true }, function(p) remove(p, "tmp", "temporary files", p.tmp_days) end)

step("Cut oversized live logs", { optional = true }, function(p)
  local list = cleanup.cuttable(take(p, "live"))
  if #list == 0 then return skip "none of them is written to at its end: their programs have to open them anew" end
  cleanup.keep_tails(list)
  confirm("Cut %d logs that are written to, %s? Their last lines are in the run; the rest is gone", #list, size(list.disk))
  cleanup.truncate(list)
end)

step("Look again", function() note("free: %s, before: %s", size(check_room(full().mount).free), size(full().free)) end)
local function are_asked(p) return p.asked end
step("See that the database writes", { needs = { "db" }, when = are_asked }, function(p) postgres.prove_writes(p.db) end)

step("See that the application is well", { needs = { "api" }, when = are_asked }, function(p)
  local _, word, expected = health.status(p.api, { path = p.health, at = "status", expect = { "healthy", "ok" } })
  check("application status", word, { expect = expected, missing = "critical" })
end)

step("Keep it from coming back", { optional = true }, function()
  manual { "Set up rotation of the logs (maintenance/log-rotation.lua), ship them, or give it a larger disk", required = false }
end)
