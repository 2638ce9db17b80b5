--- Backups restored: into a scratch database or beside the one that is there, and compared with what they were made of.

local restores = {}

--- So many tables are compared when none are named.
local TABLES = 20
--- Of a small table a row or two is a large percentage: so many rows more or less are none, unless all are gone.
local FEW = 5

--- Which running server that is: two connections may reach one server by different names.
local function identity(db)
  return sql(db):value "SELECT system_identifier || ' since ' || pg_postmaster_start_time() FROM pg_control_system()"
end

--- Do two connections end at one and the same server?
---@param one string
---@param other string
---@return boolean
function restores.is_same_server(one, other)
  return one == other or identity(one) == identity(other)
end

--- A name no database there has: with the server's time and the session that asked, so two runs never share one.
---@param db string
---@param prefix string
---@return string
function restores.scratch_name(db, prefix)
  return prefix .. sql(db):value "SELECT to_char(now(), '_YYYYMMDD_HH24MISS_') || pg_backend_pid()"
end

-- into a scratch database -------------------------------------------------------------------------------

local function drop(db, name)
  local text = sql.format("DROP DATABASE IF EXISTS %I WITH (FORCE)", name)
  sql(db):exec(text, {}, { autocommit = true, summary = ("drop database %s on %s"):format(name, db) })
end

--- Is there a database of that name?
---@return boolean
function restores.has_database(db, name)
  return sql(db):value("SELECT count(*) FROM pg_database WHERE datname = $1", { name }) > 0
end

--- Makes an empty database, which is dropped at the end of the run, whatever happens. A change.
---@param db string
---@param name string of `scratch_name`; one that is there already fails and is left alone
function restores.create_scratch(db, name)
  if restores.has_database(db, name) then fail("there is a database '%s' on %s already", name, db) end
  always(("drop database %s on %s, if it is still there"):format(name, db), function()
    if restores.has_database(db, name) then drop(db, name) end
  end)
  local text = sql.format("CREATE DATABASE %I TEMPLATE template0", name)
  sql(db):exec(text, {}, { autocommit = true, summary = ("create database %s on %s"):format(name, db) })
end

--- Drops it, with whoever is still connected to it. A change.
restores.drop_scratch = drop

--- Is there anything in a database? Of a restore in one transaction that says whether it happened, once its session,
--- which may outlive who began it, is over.
local function is_filled(db, name)
  wait_until("the restore's session is over", { every = "200ms", within = "1m" }, function()
    return sql(db):value([[SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()
      AND backend_type = 'client backend' AND state <> 'idle']], { name }) == 0
  end)
  return #(restores.shape(sql(db):database(name)).tables or {}) > 0
end

--- Restores a dump into an empty database: the first error ends it. A change; the playbook's `uses` must allow
--- "pg_restore". With one job it is one transaction: killed, or failed, it leaves nothing, and is made again.
---@param db string
---@param name string the database
---@param copy table of `backups.fetch`
---@param opts { within: any?, jobs: integer?, owners: boolean? } owners: with owners and grants, for which the server
--- must know the roles; without them it need not
function restores.restore(db, name, copy, opts)
  local argv, jobs = { "pg_restore", "--exit-on-error", "--no-password", "--dbname=" .. name }, opts.jobs or 1
  argv[#argv + 1] = jobs > 1 and "--jobs=" .. jobs or "--single-transaction"
  if not opts.owners then
    argv[#argv + 1], argv[#argv + 2] = "--no-owner", "--no-privileges"
  end
  argv[#argv + 1] = copy.name
  shell.run(argv, {
    cwd = copy.dir, env = sql(db):environment(), timeout = opts.within,
    summary = ("restore %s into %s on %s"):format(copy.name, name, db),
    happened = jobs == 1 and function() return is_filled(db, name) end or nil,
  })
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
function restores.shape(database)
  return database:one(SHAPE)
end

--- What the first list has and the second lacks.
---@return string[]
function restores.missing(wanted, there)
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
function restores.compare(production, restored, opts)
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

--- Shows what a database holds that is newer than a moment: what a backup of that moment lacks.
---@param production table sql(name)
---@param opts { tables: string[], stamps: string[], at: table } as of `compare`
---@return integer? sum of the newer rows, of tables that have such a column; nil without a moment
function restores.show_newer(production, opts)
  if not opts.at then return nil end
  local rows, sum = { columns = { "name", "rows", "newest" } }, 0
  for _, item in ipairs(chosen(production, { tables = opts.tables, same = {}, stamps = opts.stamps })) do
    if item.stamp then
      local text = sql.format("SELECT count(*) AS rows, max(%I)::timestamp(0)::text AS newest FROM %I.%I WHERE %I > to_timestamp($1)",
        item.stamp, item.schema, item.name, item.stamp)
      local seen = production:one(text, { opts.at.epoch }, { timeout = "10m" })
      rows[#rows + 1] = { name = item.schema .. "." .. item.name, rows = seen.rows, newest = seen.newest }
      sum = sum + seen.rows
    end
  end
  show(rows, { title = ("newer than %s"):format(opts.at) })
  return sum
end

--- Fails unless a restored database is whole: as many tables as its backup, each index valid.
---@param database table sql(name):database(restored)
---@param facts table of `backups.contents`
function restores.prove(database, facts)
  local shape = restores.shape(database)
  check("tables restored", #(shape.tables or {}), { below = { critical = facts.tables }, or_fail = "fewer tables than in the backup" })
  check("indexes not valid", shape.invalid_indexes, { above = { critical = 0 }, or_fail = "an index is not valid" })
end

--- Has a person restore at the provider, in the provider's own words.
---@param way { source: string, target: table? } "snapshot" or "pitr", and the moment to go back to, which pitr needs
function restores.at_provider(way)
  local source, target = way.source, way.target
  if source == "snapshot" then
    manual { "Restore it at the provider", required = true, id = "restored", items = { "Supabase Dashboard → Database → Backups",
      "choose the backup" .. (target and (" from before %s"):format(target) or ""),
      "confirm the restore: it overwrites the current database" } }
  else
    manual { "Go back in time at the provider", required = true, id = "restored", items = {
      "the project is on the Pro plan, with PITR on",
      "contact support@supabase.com: the project's ref, and the target time " .. target:format "%F %T %z",
      "support says that it is done" } }
  end
end

return restores
