--- Indexes of a PostgreSQL database: unused, doubled, not valid, mostly empty, missing; and how one is made, dropped and
--- rebuilt while everybody writes on. What is made and dropped has a way back.

local indexes = {}

--- What one of them spends of a header's `limits = { indexes = … }`.
local ONE = { indexes = 1 }
--- SQLSTATE: a relation of that name is there.
local EXISTS = "42P07"

-- Whose expected size is guessed: a row of a B-tree takes its columns and twelve bytes, and a page is nine tenths full.
local ALL = [[
SELECT n.nspname::text AS schema, t.relname::text AS "table", x.relname::text AS name, pg_get_indexdef(i.indexrelid) AS definition,
       pg_relation_size(i.indexrelid) AS bytes, greatest(x.reltuples, 0)::float8 AS rows, coalesce(s.idx_scan, 0) AS scans,
       i.indisvalid AS valid, i.indexrelid IN (SELECT b.index_relid FROM pg_stat_progress_create_index AS b) AS building,
       i.indisunique OR i.indisreplident OR x.relispartition
         OR EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid) AS needed,
       concat_ws(' ', i.indrelid, x.relam, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
                 pg_get_expr(i.indexprs, i.indrelid), '/', pg_get_expr(i.indpred, i.indrelid), i.indisunique) AS alike,
       CASE WHEN a.amname = 'btree' THEN 16384 + (1.12 * greatest(x.reltuples, 0) * (12 + (
         SELECT coalesce(sum(w.avg_width), 8) FROM pg_attribute AS c JOIN pg_stats AS w ON w.attname = c.attname
           AND w.schemaname = n.nspname AND w.tablename IN (t.relname, x.relname)
         WHERE c.attrelid = i.indexrelid)))::bigint END AS expected
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace JOIN pg_am AS a ON a.oid = x.relam
LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND x.relkind = 'i'
ORDER BY pg_relation_size(i.indexrelid) DESC, n.nspname, x.relname]]

-- A negative n_distinct is a share of the rows: of a unique column it is -1.
local COLUMNS = [[
SELECT s.tablename::text AS "table", s.attname::text AS "column", round(abs(s.correlation)::numeric, 2)::float8 AS correlation,
       (CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(t.reltuples, 0) ELSE s.n_distinct END)::bigint AS values
FROM pg_stats AS s JOIN pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_class AS t ON t.relname = s.tablename AND t.relnamespace = n.oid
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attname = s.attname
WHERE n.nspname || '.' || t.relname = ANY ($1::text[]) AND abs(s.correlation) < $3
  AND CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(t.reltuples, 0) ELSE s.n_distinct END > $2
  AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = t.oid AND i.indisvalid AND i.indkey[0] = a.attnum)
ORDER BY 1, 4 DESC]]

local AGE = [[
SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::bigint
FROM pg_stat_database WHERE datname = current_database()]]

--- All indexes of the database's own tables, the largest first.
---@param db string the connection's name in the environment
---@return table rows schema, table, name, definition, what (its columns), bytes, mb, rows, scans, valid, building (now), needed
--- (unique, of a constraint or a partitioned one, or what tells rows apart for replication), alike (the same text: the same
--- index), expected (bytes; nil when not known)
function indexes.all(db)
  local list = sql(db):query(ALL)
  for _, one in ipairs(list) do
    one.mb = math.floor(10 * one.bytes / 1024 ^ 2 + 0.5) / 10
    one.what = (one.definition:find "^CREATE UNIQUE" and "unique " or "") .. one.definition:match " USING (.+)$"
  end
  return list
end

local function pick(list, test)
  local found = { columns = { "table", "name", "mb", "scans", "what" } }
  for _, one in ipairs(list) do
    if test(one) then found[#found + 1] = one end
  end
  return found
end

--- Those that no statement used. One that makes rows unique, or belongs to a constraint, is needed all the same.
---@param list table of `all`
function indexes.unused(list)
  return pick(list, function(one) return one.scans == 0 and not one.needed and one.valid end)
end

--- Those that a broken CREATE INDEX CONCURRENTLY or REINDEX left behind: they cost, and are never used.
---@param list table of `all`
function indexes.invalid(list)
  return pick(list, function(one) return not one.valid and not one.building end)
end

--- Those of which there is another one just like it, which stays: one that is needed, or else the one most used.
---@param list table of `all`
function indexes.doubled(list)
  local best = {}
  for _, one in ipairs(list) do
    local other = best[one.alike]
    if one.valid and (not other or one.needed and not other.needed or one.needed == other.needed and one.scans > other.scans) then
      best[one.alike] = one
    end
  end
  return pick(list, function(one) return one.valid and not one.needed and best[one.alike] ~= one end)
end

--- Those of which more than so much is empty.
---@param list table of `all`
---@param percent number
---@param least integer bytes: smaller ones are left out
function indexes.bloated(list, percent, least)
  local found = pick(list, function(one)
    one.empty = one.expected and math.max(0, math.floor(100 * (1 - one.expected / math.max(one.bytes, 1)))) or 0
    return one.valid and one.bytes >= least and one.empty > percent
  end)
  found.columns = { "table", "name", "mb", "empty", "what" }
  return found
end

--- Those of a list that are named: by name, or `schema.name` where two schemas have one. Raises on any other.
---@param list table of `all`
---@param names string[]
---@param what string what the list's are, for the error
---@return table rows
function indexes.named(list, names, what)
  local found, known = { columns = list.columns }, {}
  for _, one in ipairs(list) do
    local full, other = one.schema .. "." .. one.name, known[one.name]
    known[one.name], known[full] = other and other ~= full and "two" or full, one
  end
  for _, name in ipairs(names) do
    local one = known[name]
    if one == "two" then fail("there are several of the name '%s': say SCHEMA.%s", name, name) end
    if not one then fail("'%s' is not %s: nothing is done with it", name, what) end
    found[#found + 1] = known[one] or one
  end
  return found
end

--- How long the server has counted what is used.
---@param db string
---@return integer seconds
function indexes.counted_for(db)
  return sql(db):value(AGE)
end

--- Columns of some tables that an index might begin with. A hint: what is looked for is in the statements.
---@param db string
---@param tables string[] "schema.table"
---@param distinct integer so many different values at least
---@param correlation number rows lie in the column's order by less than this, 0 to 1
---@return table rows table, column, values, correlation
function indexes.hints(db, tables, distinct, correlation)
  return sql(db):query(COLUMNS, { tables, distinct, correlation })
end

--- What is to be made: takes `NAME ON TABLE (COLUMNS) …` apart.
---@param db string
---@param text string
---@return table wanted name, schema, table (both of the table that is there), bytes, rows, text
function indexes.wanted(db, text)
  local name, rest = text:match '^%s*"([^"]+)"%s+[Oo][Nn]%s+(.*)$'
  if not name then
    name, rest = text:match "^%s*([%a_][%w_$]*)%s+[Oo][Nn]%s+(.*)$"
    name = name and name:lower()
  end
  local target = rest and rest:match '^([%w_$."]+)'
  if not target then fail("'%s' is no 'NAME ON TABLE (COLUMNS)', as it stands behind CREATE INDEX CONCURRENTLY", text) end
  local found = sql(db):one([[SELECT n.nspname::text AS schema, t.relname::text AS "table", pg_relation_size(t.oid) AS bytes,
    greatest(t.reltuples, 0)::bigint AS rows FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.oid = to_regclass($1) AND t.relkind IN ('r', 'm')]], { target })
  if not found then fail("there is no table %s in %s", target, db) end
  found.name, found.text = name, text
  return found
end

--- One index, or nil.
---@param db string
---@param schema string
---@param name string
---@return table? index of `all`
function indexes.find(db, schema, name)
  for _, one in ipairs(indexes.all(db)) do
    if one.schema == schema and one.name == name then return one end
  end
end

--- Transactions that are open for long: to make, drop or rebuild an index CONCURRENTLY waits for every one of them.
---@param db string
---@param longer_than any a duration
---@return table rows pid, application, seconds, state; longest first
function indexes.holders(db, longer_than)
  return sql(db):query([[SELECT pid, application_name AS application, state, extract(epoch FROM now() - xact_start)::bigint AS seconds
    FROM pg_stat_activity WHERE xact_start < now() - $1::interval AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
    ORDER BY xact_start]], { longer_than })
end

--- Drops one that is not valid, once nobody builds it any more: the session that did may have died a moment ago. A change.
local function drop_rest(db, schema, name, within)
  wait_until(("nobody builds %s"):format(name), { every = "1s", within = within }, function()
    local there = indexes.find(db, schema, name)
    return not there or not there.building
  end)
  local there = indexes.find(db, schema, name)
  if there and not there.valid then
    sql(db):exec(sql.format("DROP INDEX CONCURRENTLY IF EXISTS %I.%I", schema, name), nil, { autocommit = true })
  end
end

--- Makes an index; what fails on the way leaves none behind. One of that name that is not valid, from an attempt that
--- was killed, is dropped, and it is made then. A change.
local function build(db, schema, name, text, within)
  drop_rest(db, schema, name, within)
  local why, code
  for _ = 1, 2 do
    local made
    made, why, code = try(function() return sql(db):exec(text, nil, { autocommit = true, timeout = within, costs = ONE }) end)
    if made then return end
    drop_rest(db, schema, name, within)
    if code ~= EXISTS then break end
  end
  fail("%s", why)
end

--- Makes an index while everybody writes on. It is dropped again when the run fails. A change.
---@param db string
---@param wanted table of `wanted`
---@param within any a duration: it may take so long
---@return table handle of ensure: .ours, .back()
function indexes.create(db, wanted, within)
  local schema, name = wanted.schema, wanted.name
  undo(("no index %s that is not valid stays"):format(name), function() drop_rest(db, schema, name, within) end)
  return ensure(("index %s is there, and valid"):format(name), {
    is = function()
      local there = indexes.find(db, schema, name)
      return there ~= nil and there.valid
    end,
    make = function() build(db, schema, name, "CREATE INDEX CONCURRENTLY " .. wanted.text, within) end,
    back = function() sql(db):exec(sql.format("DROP INDEX CONCURRENTLY %I.%I", schema, name), nil, { autocommit = true }) end,
  })
end

--- Drops an index while everybody writes on. When the run fails it is made again, if it was valid. A change.
---@param db string
---@param one table of `all`
---@param within any a duration: making it again may take so long
function indexes.drop(db, one, within)
  ensure(("index %s is gone"):format(one.name), {
    is = function() return indexes.find(db, one.schema, one.name) == nil end,
    make = function()
      sql(db):exec(sql.format("DROP INDEX CONCURRENTLY %I.%I", one.schema, one.name), nil, { autocommit = true, costs = ONE })
    end,
    back = one.valid and function()
      build(db, one.schema, one.name, one.definition:gsub(" INDEX ", " INDEX CONCURRENTLY ", 1), within)
    end or nil,
  })
end

--- Builds an index anew while everybody writes on; what an attempt that was killed left behind is dropped. A change that
--- needs no way back: it holds the same.
---@param db string
---@param one table of `all`
---@param within any a duration: it may take so long
function indexes.rebuild(db, one, within)
  sql(db):exec(sql.format("REINDEX INDEX CONCURRENTLY %I.%I", one.schema, one.name), nil,
    { autocommit = true, timeout = within, costs = ONE })
  for _, ending in ipairs { "_ccnew", "_ccold" } do drop_rest(db, one.schema, one.name .. ending, within) end
end

return indexes
