--- What may go from a full file system: listed by class with what it frees, then done as it was listed.
-- Everything is looked for on the one file system that is full: what lies elsewhere frees nothing there.

local backups = require "backups"
local disks = require "disks"
local systemd = require "systemd"

local cleanup = {}

local DAY = 86400      -- seconds
--- Lines that are kept of a log before it is cut.
local TAIL = 1000
--- What logs are called, rotated and compressed ones too: app.log, app.log.1, app.log-20261121.gz.
local LOGS = "*.log*"
--- So many files of a list are shown.
local SHOWN = 50
local COLUMNS = { "path", "size", "age" }

--- The classes of a plan and what happens to them, in the order of the least loss.
local CLASSES = {
  { "packed", "compressed logs, remove" }, { "logs", "logs, compress" }, { "journal", "journal, vacuum" },
  { "backups", "backups, remove" }, { "tmp", "temporary, remove" }, { "live", "live logs, cut" },
}

--- Endings of files that are compressed already.
local PACKED = { gz = true, xz = true, bz2 = true, zst = true }

local function is_packed(name)
  return PACKED[name:match "%.(%w+)$"] or false
end

local function is_below(path, places)
  for _, place in ipairs(places) do
    if path == place or path:sub(1, #place + 1) == place .. "/" then return true end
  end
  return false
end

--- Files below some directories of one file system.
---@param mount string of the file system; directories that are missing or lie elsewhere are left out
---@param dirs string[]
---@param opts { protect: string[], packed: boolean? } and options of files.list; protect: paths that are never
--- touched; packed: true only compressed files, false only others
---@return table entries of files.list, with .count, .size and .disk, the bytes they take, of them all; .elsewhere:
--- the directories that were left out
function cleanup.find(mount, dirs, opts)
  local list = { count = 0, size = 0, disk = 0, elsewhere = {} }
  local look = { recursive = true, pattern = opts.pattern, open = opts.open, sort = opts.sort or "oldest",
    older_than = opts.older_than, larger_than = opts.larger_than }
  for _, dir in ipairs(dirs) do
    local found = {}
    if files.stat(dir) and disks.look(dir).mount == mount then
      found = files.list(dir, look)
    else
      list.elsewhere[#list.elsewhere + 1] = dir
    end
    for _, file in ipairs(found) do
      if not is_below(file.path, opts.protect) and (opts.packed == nil or is_packed(file.name) == opts.packed) then
        list[#list + 1] = file
        list.count, list.size, list.disk = list.count + 1, list.size + file.size, list.disk + file.disk
      end
    end
  end
  return list
end

--- Bytes for people.
---@param bytes number
---@return string "12.5 MB"
function cleanup.size(bytes)
  for _, unit in ipairs { "bytes", "KB", "MB", "GB" } do
    if bytes < 1024 then return (unit == "bytes" and "%.0f %s" or "%.1f %s"):format(bytes, unit) end
    bytes = bytes / 1024
  end
  return ("%.1f TB"):format(bytes)
end

--- What a class costs, so that the playbook's `limits.files` holds.
local function costs(list)
  return { costs = { files = #list } }
end

--- Removes files as they were listed. A change, with no way back; what changed since is left, and the change names it.
---@param list table of `find`
function cleanup.remove(list)
  files.remove(list, costs(list))
end

--- Compresses files as they were listed, the smallest first: on a full disk each makes room for the next one.
---@param list table of `find`
function cleanup.compress(list)
  files.compress(list, costs(list))
end

--- Cuts logs to nothing while they are written to. A change; `keep_tails` first.
---@param list table of `cuttable`
function cleanup.truncate(list)
  for _, file in ipairs(list) do
    files.truncate(file.path, {      -- by its path: it grew since it was listed
      costs = { files = 1 },
      happened = function()
        local is = files.stat(file.path)
        return is ~= nil and is.size < file.size
      end,
    })
  end
end

--- Of logs that are written to those that can be cut: a program that does not append goes on behind the place it was
--- at, and leaves a file with a hole of that size. The others are named, with who writes them.
---@param list table of `find` with open = true
---@return table list as `find`
function cleanup.cuttable(list)
  local fit = { count = 0, disk = 0 }
  for _, file in ipairs(list) do
    local careless
    for _, held in ipairs(files.open(file.path)) do
      -- flags are octal: the lowest two bits say read, write or both, 02000 is O_APPEND
      local flags = tonumber(files.read(("/proc/%d/fdinfo/%d"):format(held.pid, held.fd)):match "flags:%s*(%d+)", 8)
      if flags & 3 ~= 0 and flags & 1024 == 0 then careless = held end
    end
    if careless then
      note("%s stays: %s (%d) writes it without appending and has to open it anew", file.path, careless.command, careless.pid)
    else
      fit[#fit + 1] = file
      fit.count, fit.disk = fit.count + 1, fit.disk + file.disk
    end
  end
  return fit
end

--- The newest backup of a directory, if it can be relied on: its checksum lies beside it, or pg_restore can read it.
--- Fails otherwise, since then the older ones are all there is.
---@param dir string
---@return table newest path, how (what proves it)
function cleanup.proved_backup(dir)
  local newest = backups.list({ dir = dir })[1]
  local copy = { dir = newest.name:match "^(.*)/", name = newest.name:match "[^/]+$" }
  local is, wanted = backups.checksums({ dir = dir }, newest, copy)
  if wanted and is ~= wanted then fail("the newest backup %s is damaged: no older one is removed", newest.name) end
  local read, why = try(function() return wanted or backups.contents(copy) end)
  if not read then fail("nothing proves the newest backup %s, so no older one is removed: %s", newest.name, why) end
  return { path = newest.name, how = wanted and "its checksum is right" or "pg_restore can read it" }
end

--- A row for the plan: what a class holds and how old it is.
local function row(class, list)
  local oldest, largest
  for _, file in ipairs(list) do
    oldest = (not oldest or file.age > oldest) and file.age or oldest
    largest = (not largest or file.size > largest.size) and file or largest
  end
  return { class = class, files = #list, size = cleanup.size(list.disk),
    oldest = oldest and ("%.0f d"):format(oldest.seconds / 86400), largest = largest and largest.path }
end

--- Everything that may go from a file system, by class; shown, and an artifact with each file.
---@param mount string
---@param p table logs, tmp, protect (lists of paths), backups (path?), journal (path), gz_days,
--- compress_days, backup_days, tmp_days (numbers), journal_keep (duration), live_max (size)
---@return table plan packed, logs, journal, backups, tmp, live: lists of `find`; files: how many; home: a path in the run's folder
function cleanup.plan(mount, p)
  local function find(dirs, days, opts)
    opts.protect, opts.older_than = p.protect, days and days * DAY
    return cleanup.find(mount, dirs, opts)
  end
  local plan = {
    packed  = find(p.logs, p.gz_days, { pattern = LOGS, packed = true, open = false }),
    logs    = find(p.logs, p.compress_days, { pattern = LOGS, packed = false, open = false, sort = "size" }),
    journal = find({ p.journal }, nil, { pattern = "*.journal" }),
    backups = find({ p.backups }, p.backup_days, { pattern = "*.dump*", open = false }),
    tmp     = find(p.tmp, p.tmp_days, { open = false }),
    live    = find(p.logs, nil, { pattern = LOGS, packed = false, larger_than = p.live_max, open = true }),
  }
  plan.journal = systemd.archived(plan.journal, p.journal_keep)
  local rows, listed = { columns = { "class", "files", "size", "oldest", "largest" } }, {}
  for i, class in ipairs(CLASSES) do
    local name, words = class[1], class[2]
    rows[i] = row(words, plan[name])
    for _, file in ipairs(plan[name]) do
      listed[#listed + 1] = { class = words, path = file.path, size = file.size, age = file.age.seconds // 1 }
    end
  end
  show(rows, { title = "what may go from " .. mount })
  plan.files, plan.home = #listed, artifact("plan.csv", listed)
  return plan
end

--- Shows files with what they take; of a long list the first ones, the plan's artifact holds them all.
---@param list table entries
---@param title string?
---@return table list
function cleanup.show(list, title)
  local rows = { columns = COLUMNS }
  for i = 1, math.min(SHOWN, #list) do
    local file = list[i]
    rows[i] = { path = file.path, size = cleanup.size(file.size), age = ("%.0f d"):format(file.age.seconds / DAY) }
  end
  show(rows, { title = title })
  if #list > SHOWN then note("and %d more: plan.csv of this run has them all", #list - SHOWN) end
  return list
end

--- The largest files of a file system, below it and below places on it: shown, and an artifact.
---@param mount string
---@param below string[] one that lies elsewhere, or takes too long, is named and left out
---@param count integer so many of each place
function cleanup.show_largest(mount, below, count)
  local rows, places = { columns = COLUMNS }, { mount }
  for i, place in ipairs(below) do
    places[i + 1] = place
  end
  for _, place in ipairs(places) do
    local list, why = nil, "it lies on another file system"
    if disks.look(place).mount == mount then
      list, why = try(function() return files.largest(place, { limit = count, timeout = "2m" }) end)
    end
    if list then
      cleanup.show(list, "largest below " .. place)
    else
      note("%s is left out: %s", place, why)
    end
    for _, file in ipairs(list or {}) do
      rows[#rows + 1] = { path = file.path, size = file.size, age = file.age.seconds // 1 }
    end
  end
  artifact("largest.csv", rows)
end

--- The last lines of some logs, as artifacts of the run.
---@param list table entries
function cleanup.keep_tails(list)
  for i, file in ipairs(list) do
    artifact(("tail-%d-%s"):format(i, file.name), table.concat(files.tail(file.path, { lines = TAIL }), "\n") .. "\n")
  end
end

return cleanup
