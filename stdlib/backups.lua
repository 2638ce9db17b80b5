--- Backups of databases, in a bucket or a directory: which there are, one fetched, what it says of itself; restored
--- they are by `restores`. A store says where they are: { bucket, prefix, endpoint, region, profile, access_key,
--- secret_key } or { dir }; without keys the aws command finds its own.
-- The bucket is asked over the network: declared reads, which the playbook's `uses` must allow as
-- "aws s3api list-objects-v2" and "aws s3api get-object".

local disks = require "disks"

local backups = {}

--- The newest of each page of a listing that are handed over: enough for the last backups with their checksums.
local NEWEST = 60

--- The newest backup, by the time of its last write, not by its name.
---@param where string a directory, or what is looked for in it: "/backups/*.dump"
---@return table entry path, name, size (bytes), age; raises when there is none
function backups.newest(where)
  local dir, pattern = where:match "^(.*)/([^/]*%*[^/]*)$"
  local newest = files.list(dir or where, { pattern = pattern, sort = "newest", limit = 1 })[1]
  return newest or fail("there is no backup: nothing in '%s'", where)
end

-- where they are ----------------------------------------------------------------------------------------

--- The aws command's words and options for a store.
local function aws(store, verb, words, more)
  local argv = { "aws", "s3api", verb, "--bucket", store.bucket, "--region", store.region or "us-east-1",
    "--cli-connect-timeout", "10", "--output", "text" }
  if store.endpoint then
    argv[#argv + 1], argv[#argv + 2] = "--endpoint-url", store.endpoint
  end
  if store.profile then
    argv[#argv + 1], argv[#argv + 2] = "--profile", store.profile
  end
  for _, word in ipairs(words) do
    argv[#argv + 1] = word
  end
  local env = { AWS_MAX_ATTEMPTS = 2, AWS_EC2_METADATA_SERVICE_TIMEOUT = 2 }
  if store.access_key then
    env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY = store.access_key, store.secret_key
  end
  local opts = { env = env }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  return argv, opts
end

--- What is below a prefix, each page of the listing through a query that gives one JSON text a line.
local function listing(store, prefix, query)
  local argv, opts = aws(store, "list-objects-v2", { "--prefix", prefix, "--query", query }, { net = true, timeout = "5m" })
  return shell.read(argv, opts):rows()
end

--- Files of checksums belong to the backup whose name they begin with: "x.dump.sha256".
local function with_checksums(found)
  local list, names = { columns = { "name", "bytes", "at", "age" } }, {}
  for _, item in ipairs(found) do
    names[item.name] = true
  end
  for _, item in ipairs(found) do
    if not item.name:find "%.sha256$" then
      item.checksum = names[item.name .. ".sha256"] and item.name .. ".sha256" or nil
      list[#list + 1] = item
    end
  end
  return list
end

--- Where a store is, for people.
---@param store table
---@return string
function backups.place(store)
  return store.bucket and ("s3://%s/%s"):format(store.bucket, store.prefix or "") or store.dir
end

--- The backups of a store, newest first by the time they were written, whatever their names.
---@param store table
---@return table rows name (key in the bucket, path of a file), bytes, at (time), age (duration), checksum
--- (the same of the file of its checksum; nil when there is none); raises when there is no backup
function backups.list(store)
  local found, moment = {}, now()
  moment = moment - moment.epoch % 1
  if store.bucket then
    local query = ("reverse(sort_by(Contents || `[]`, &LastModified))[:%d].[to_string({name: Key, bytes: Size, at: LastModified})]")
    for i, object in ipairs(listing(store, store.prefix or "", query:format(NEWEST))) do
      found[i] = { name = object.name, bytes = object.bytes, at = time.parse(object.at) }
    end
  else
    for i, file in ipairs(files.list(store.dir, { sort = "newest", limit = NEWEST })) do
      found[i] = { name = file.path, bytes = file.size, at = moment - file.age }
    end
  end
  table.sort(found, function(a, b)
    if a.at.epoch ~= b.at.epoch then return a.at > b.at end
    return a.name < b.name
  end)
  local list = with_checksums(found)
  for _, item in ipairs(list) do
    item.age = moment - item.at
  end
  return #list > 0 and list or fail("there is no backup: nothing in %s", backups.place(store))
end

--- The first so many of a list, with its columns.
---@param list table rows
---@param count integer
function backups.first(list, count)
  local head = { columns = list.columns }
  for i = 1, math.min(count, #list) do
    head[i] = list[i]
  end
  return head
end

--- One of a list by its name, or its last part; without a name the newest.
---@param list table of `list`
---@param name string?
---@return table row raises when none has that name
function backups.pick(list, name)
  for _, item in ipairs(list) do
    if not name or item.name == name or item.name:match "[^/]+$" == name then return item end
  end
  fail("none of the last %d backups is called '%s'", #list, name)
end

--- The longest time between two backups that follow each other; nil for fewer than two.
---@param list table of `list`
---@return table? duration
function backups.longest_gap(list)
  local longest
  for i = 2, #list do
    local gap = list[i - 1].at - list[i].at
    longest = (not longest or gap > longest) and gap or longest
  end
  return longest
end

--- How many objects or files are below a place, and how large they are together.
---@param store table
---@param where string a prefix in the bucket, or a directory
---@return table sum count, bytes
function backups.total(store, where)
  if not store.bucket then
    local found = files.list(where, { recursive = true })
    return { count = found.count, bytes = found.size }
  end
  local sum = { count = 0, bytes = 0 }
  local query = "[[to_string({count: length(Contents || `[]`), bytes: sum((Contents || `[]`)[].Size)})]]"
  for _, page in ipairs(listing(store, where, query)) do
    sum.count, sum.bytes = sum.count + page.count, sum.bytes + page.bytes
  end
  return sum
end

-- one of them -------------------------------------------------------------------------------------------

--- Makes a backup readable on this machine: from a bucket it is fetched into dir, NAME.gz is unpacked there, and
--- dir is removed at the end of the run, whatever happens. A plain file stays where it is. Changes.
---@param store table
---@param backup table a row of `list`
---@param dir string a directory to make; the header's `uses.files` must allow it
---@param within any? how long it may take
---@return table copy dir, name; packed: the name before it was unpacked
function backups.fetch(store, backup, dir, within)
  local packed = backup.name:find "%.gz$" ~= nil
  if not store.bucket and not packed then
    return { dir = backup.name:match "^(.*)/", name = backup.name:match "[^/]+$" }
  end
  local above = dir:match "^(.*)/"
  local room = disks.holding(files.filesystems(), above)
  if room and room.free < 1.1 * backup.bytes then
    fail("%s has %d bytes free, the backup is %d", above, room.free, backup.bytes)
  end
  always("remove the copy in " .. dir, function()
    if files.stat(dir) then files.remove(dir, { recursive = true }) end
  end)
  files.mkdir(dir, { mode = "0700" })
  local name = packed and "backup.dump.gz" or "backup.dump"
  if store.bucket then
    shell.run(aws(store, "get-object", { "--key=" .. backup.name, dir .. "/" .. name },
      { timeout = within, summary = ("fetch %s from %s into %s"):format(backup.name, store.bucket, dir) }))
  else
    shell.run({ "cp", "--", backup.name, dir .. "/" .. name }, { timeout = within })
  end
  if packed then
    shell.run({ "gzip", "--decompress", "--keep", name }, { cwd = dir, timeout = within })
  end
  return { dir = dir, name = "backup.dump", packed = packed and name or nil }
end

--- Compares a copy with the checksum that lies beside the backup, as sha256sum writes it.
---@param store table
---@param backup table a row of `list`
---@param copy table of `fetch`
---@return string? digits of the copy, string? wanted nil when none lies there
function backups.checksums(store, backup, copy)
  if not backup.checksum then return nil, nil end
  local text
  if store.bucket then
    text = shell.read(aws(store, "get-object", { "--key=" .. backup.checksum, "/dev/stdout" }, { net = true, timeout = "1m" })).stdout
  else
    text = files.read(backup.checksum, { cap = 4096 })
  end
  local wanted = text:match "^%x+" or fail("'%s' holds no checksum", backup.checksum)
  return files.checksum(copy.dir .. "/" .. (copy.packed or copy.name)), wanted:lower()
end

--- What a dump says of itself, by pg_restore --list; raises when it is none that pg_restore can read.
---@param copy table of `fetch`
---@return table facts format, created, database, server, entries, tables (numbers)
function backups.contents(copy)
  -- relative to its directory, which a jailed look is shown; its first bytes say what it is, its name does not
  local head = shell.read({ "head", "--bytes=5", copy.name }, { cwd = copy.dir }).stdout
  if head:find "^\31\139" then
    fail("'%s' is packed by gzip, though its name does not end in .gz", copy.name)
  elseif head ~= "PGDMP" then
    fail("'%s' is no dump in custom format: make backups with pg_dump --format=custom", copy.name)
  end
  local text = shell.read({ "pg_restore", "--list", copy.name }, { cwd = copy.dir, timeout = "5m" }).stdout
  local function said(name)
    return text:match("\n;%s*" .. name .. ":?%s+([^\n]*)") or "not said"
  end
  local _, entries = text:gsub("\n%d+; ", "")
  local tables = 0
  for word in text:gmatch "\n%d+; %d+ %d+ TABLE (%S+) " do
    tables = tables + ((word == "DATA" or word == "ATTACH") and 0 or 1)
  end
  return {
    format = said "Format", created = said "Archive created at", database = said "dbname",
    server = said "Dumped from database version", entries = entries, tables = tables,
  }
end

--- Shows what a backup says of itself; one whose checksum is not the one beside it fails.
---@param store table
---@param backup table a row of `list`
---@param copy table of `fetch`
---@return table facts of `contents`
function backups.look_into(store, backup, copy)
  local is, wanted = backups.checksums(store, backup, copy)
  if wanted then
    check("checksum", is, { expect = wanted, or_fail = "the backup is damaged: its checksum is not the one beside it" })
  else
    note "no checksum lies beside it: only the restore can tell"
  end
  local facts = backups.contents(copy)
  show(facts)
  return facts
end

--- Dumps a database as it is, in custom format, beside its checksum. A change; the playbook's `uses` must allow
--- "pg_dump". It is written under another name first: what has the name is whole.
---@param db string the connection's name in the environment
---@param path string of the file to make; the header's `uses.files` must allow it
---@param within any? how long it may take
function backups.dump(db, path, within)
  shell.run({ "pg_dump", "--format=custom", "--no-password", "--file=" .. path .. ".part" }, {
    env = sql(db):environment(), timeout = within, summary = ("dump %s into %s"):format(db, path),
    happened = function() return false end,      -- again is as good
  })
  shell.run({ "mv", "--no-clobber", "--", path .. ".part", path }, { happened = function() return files.stat(path) ~= nil end })
  files.write(path .. ".sha256", ("%s  %s\n"):format(files.checksum(path), path:match "[^/]+$"))
end

return backups
