--- Backups of databases, in a bucket or a directory: which there are, one fetched, restored into a scratch
--- database, compared with what it was made of. A store says where they are: { bucket, prefix, endpoint,
--- region, profile, access_key, secret_key } or { dir }; without keys the aws command finds its own.
-- The bucket is asked over the network: declared reads, which the playbook's `uses` must allow as
-- "aws s3api list-objects-v2" and "aws s3api get-object".

local disks = require "disks"

local backups = {}

--- The newest of each page of a listing that are handed over: enough for the last backups with their checksums.
local NEWEST = 60
--- So many tables are compared when none are named.
local TABLES = 20
--- Of a small table a row or two is a large percentage: so many rows more or less are none, unless all are gone.
local FEW = 5

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
---@return table facts format, created, database, server, entries
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
  return {
    format = said "Format", created = said "Archive created at", database = said "dbname",
    server = said "Dumped from database version", entries = entries,
  }
end

-- restored ----------------------------------------------------------------------------------------------

--- Which running server that is: two connections may reach one server by different names.
local function identity(db)
  return sql(db):value "SELECT system_identifier || ' since ' || pg_postmaster_start_time() FROM pg_control_system()"
end

--- Do two connections end at one and the same server?
---@param one string
---@param other string
---@return boolean
function backups.is_same_server(one, other)
  return one == other or identity(one) == identity(other)
end

--- A name no database there has: with the server's time and the session that asked, so two runs never share one.
---@param db string
---@param prefix string
---@return string
function backups.scratch_name(db, prefix)
  return prefix .. sql(db):value "SELECT to_char(now(), '_YYYYMMDD_HH24MISS_') || pg_backend_pid()"
end

local function drop(db, name)
  local text = sql.format("DROP DATABASE IF EXISTS %I WITH (FORCE)", name)
  sql(db):exec(text, {}, { autocommit = true, summary = ("drop database %s on %s"):format(name, db) })
end

--- Is there a database of that name?
---@return boolean
function backups.has_database(db, name)
  return sql(db):value("SELECT count(*) FROM pg_database WHERE datname = $1", { name }) > 0
end

--- Makes an empty database, which is dropped at the end of the run, whatever happens. A change.
---@param db string
---@param name string of `scratch_name`; one that is there already fails and is left alone
function backups.create_scratch(db, name)
  if backups.has_database(db, name) then fail("there is a database '%s' on %s already", name, db) end
  always(("drop database %s on %s, if it is still there"):format(name, db), function()
    if backups.has_database(db, name) then drop(db, name) end
  end)
  local text = sql.format("CREATE DATABASE %I TEMPLATE template0", name)
  sql(db):exec(text, {}, { autocommit = true, summary = ("create database %s on %s"):format(name, db) })
end

--- Drops it, with whoever is still connected to it. A change.
backups.drop_scratch = drop

--- Restores a dump into an empty database: the first error ends it. Owners and grants are left out, since the
--- server may not know the roles. A change; the playbook's `uses` must allow "pg_restore".
---@param db string
---@param name string the database
---@param copy table of `fetch`
---@param opts { within: any?, jobs: integer? }
function backups.restore(db, name, copy, opts)
  shell.run({ "pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password",
    "--jobs=" .. (opts.jobs or 1), "--dbname=" .. name, copy.name },
    { cwd = copy.dir, env = sql(db):environment(), timeout = opts.within,
      summary = ("restore %s into %s on %s"):format(copy.name, name, db) })
end

-- compared ----------------------------------------------------------------------------------------------

local SHAPE = [[
SELECT (SELECT array_agg(n.nspname || '.' || c.relname ORDER BY 1)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') AS tables,
       (SELECT count(*) FROM pg_index WHERE NOT indisvalid) AS invalid_indexes,
       count(*) AS constraints, count(*) FILTER (WHERE NOT o.convalidated) AS unproved_constraints,
       (SELECT array_agg(extname::text ORDER BY 1) FROM pg_extension) AS extensions
FROM pg_constraint o JOIN pg_namespace s ON s.oid = o.connamespace
WHERE o.contype IN ('c', 'f', 'p', 'u', 'x') AND s.nspname !~ '^pg_' AND s.nspname <> 'information_schema']]

-- The first of the named columns that a table has says how new its rows are.
local LARGEST = [[
SELECT n.nspname::text AS schema, c.relname::text AS name,
       (SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = ANY ($1::text[]) AND NOT a.attisdropped
          AND a.atttypid IN ('timestamp'::regtype, 'timestamptz'::regtype)
        ORDER BY array_position($1::text[], a.attname::text) LIMIT 1) AS stamp
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.relpages DESC, 1, 2]]

--- What a database consists of.
---@param database table sql(name) or sql(name):database(other)
---@return table shape tables, extensions (names), constraints, unproved_constraints, invalid_indexes (numbers)
function backups.shape(database)
  return database:one(SHAPE)
end

--- What the first list has and the second lacks.
---@return string[]
function backups.missing(wanted, there)
  local known, missing = {}, {}
  for _, name in ipairs(there or {}) do known[name] = true end
  for _, name in ipairs(wanted or {}) do
    if not known[name] then missing[#missing + 1] = name end
  end
  return missing
end

--- The tables to compare: those named ("orders", "sales.orders"), else the largest; and those that must be equal.
local function chosen(production, opts)
  local all, list, known, taken = production:query(LARGEST, { opts.stamps }), {}, {}, {}
  for _, item in ipairs(all) do
    known[item.schema .. "." .. item.name] = item
    known[item.name] = known[item.name] or item
  end
  local function take(item)
    if not taken[item] then list[#list + 1], taken[item] = item, true end
  end
  local function take_named(names)
    for _, name in ipairs(names) do
      take(known[name] or fail("there is no table '%s' to compare with", name))
    end
  end
  take_named(opts.tables)
  for i = 1, #list == 0 and math.min(TABLES, #all) or 0 do
    take(all[i])
  end
  take_named(opts.same)
  for _, name in ipairs(opts.same) do
    known[name].content = true
  end
  return list
end

--- Rows of a table, its newest time up to a moment, and, if asked for, a sum over all it holds.
local function measure(database, item, moment)
  local newest, sum = "$1::float8 * NULL", "NULL"
  if item.stamp then
    newest = sql.format("extract(epoch FROM max(%I) FILTER (WHERE %I <= to_timestamp($1)))::float8", item.stamp, item.stamp)
  end
  if item.content then
    sum = "sum(('x' || left(md5(t::text), 15))::bit(60)::bigint)::text"
  end
  local text = sql.format("SELECT count(*) AS rows, %s AS newest, %s AS content FROM %I.%I AS t", newest, sum, item.schema, item.name)
  return database:one(text, { moment }, { timeout = "10m" })
end

--- Compares tables of a restored database with those it was made of.
---@param production table sql(name)
---@param restored table sql(name):database(scratch)
---@param opts { tables: string[], same: string[], stamps: string[], at: table } tables: which, {} for the
--- largest; same: of which all content must be equal; stamps: columns that say how new a row is; at: when the
--- backup was written
---@return table rows name, production, restored (numbers of rows), off (percent; 0 for a few rows), behind
--- (seconds: how much newer production's newest row was when the backup was written), content (of those in
--- `same`: "equal" or "differs")
function backups.compare(production, restored, opts)
  local rows = { columns = { "name", "production", "restored", "off", "behind", "content" } }
  for i, item in ipairs(chosen(production, opts)) do
    local here, there = measure(production, item, opts.at.epoch), measure(restored, item, opts.at.epoch)
    local off = math.abs(here.rows - there.rows)
    local is_few = off == 0 or off <= FEW and there.rows > 0
    rows[i] = {
      name = item.schema .. "." .. item.name, production = here.rows, restored = there.rows,
      off = is_few and 0 or math.floor(1000 * off / math.max(here.rows, 1) + 0.5) / 10,
      behind = here.newest and math.max(0, math.floor(here.newest - (there.newest or 0))) or nil,
      content = item.content and (here.content == there.content and "equal" or "differs") or nil,
    }
  end
  return rows
end

return backups
