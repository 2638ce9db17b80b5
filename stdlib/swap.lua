--- A restored database put into the place of the one that is there, on the same server: made beside it, proved, and
--- exchanged with it by two renames in one transaction. The old one is kept under another name, closed; both ways back.
-- A `place` says which: { db, maintenance, name, oid, beside, kept, aside, … } of `look`. Databases are renamed from
-- outside, so all of it is asked on the server's maintenance database.

local disks = require "disks"

local swap = {}

--- Longest name a database may have, in bytes.
local LONGEST = 63

local LOOK = [[
SELECT d.oid::int8 AS oid, d.datallowconn AS open, pg_database_size(d.oid) AS bytes,
       (SELECT count(*) FROM pg_stat_activity AS a WHERE a.datid = d.oid AND a.backend_type = 'client backend'
          AND a.application_name NOT LIKE 'opsrun%') AS sessions
FROM pg_database AS d WHERE d.datname = $1]]

local SESSIONS = [[
SELECT pid, usename::text AS "user", application_name AS application, state, coalesce(host(client_addr), 'local') AS client
FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' AND application_name NOT LIKE 'opsrun%'
ORDER BY pid]]

-- Ours among them: they are only kept for later looks, which get new ones.
local TERMINATE = [[
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = ANY ($1::text[]) AND pid <> pg_backend_pid() AND backend_type = 'client backend']]

local function server(place)
  return sql(place.db):database(place.maintenance)
end

local function exists(place, name)
  return server(place):value("SELECT count(*) FROM pg_database WHERE datname = $1", { name }) > 0
end

--- One statement on the maintenance database, named for people.
local function alter(place, summary, text, alone)
  server(place):exec(text, {}, { summary = ("%s on %s"):format(summary, place.db), autocommit = alone })
end

--- Several statements there as one change.
local function together(place, summary, texts)
  server(place):transaction(function(tx)
    for _, text in ipairs(texts) do tx:exec(text) end
  end, { summary = ("%s on %s"):format(summary, place.db) })
end

--- The name alone, which needs no server.
---@param db string the connection's name in the environment
---@return table place db, name
function swap.names(db)
  return { db = db, name = sql(db):environment().PGDATABASE or fail("the url of '%s' names no database", db) }
end

--- The database a connection names, and the names it gets. That it is not there any more is no failure.
---@param db string the connection's name in the environment
---@param maintenance string a database of the same server that is renamed from: "postgres"
---@return table place db, maintenance, name, beside, kept, aside (names: of the one that is made, of the old one when
--- it is replaced, of the restored one when that is taken back); and of a database that is there: oid, open (it takes
--- connections), bytes, sessions (of others than opsrun)
function swap.look(db, maintenance)
  local place = swap.names(db)
  local name = place.name
  if name == maintenance then fail("'%s' cannot be renamed from within: -p maintenance=, another database of its server", name) end
  place.maintenance = maintenance
  local stamp = server(place):value "SELECT to_char(now(), 'YYYYMMDD_HH24MISS')"
  for field, word in pairs { beside = "restore", kept = "old", aside = "undone" } do
    place[field] = ("%s_%s_%s"):format(name, word, stamp)
  end
  if #place.beside > LONGEST then fail("'%s' is too long a name for a database", place.beside) end
  for _, taken in ipairs { place.beside, place.kept, place.aside } do
    if exists(place, taken) then fail("there is a database '%s' already", taken) end
  end
  for field, value in pairs(server(place):one(LOOK, { name }) or {}) do
    place[field] = value
  end
  return place
end

--- Shows what is there, and sees to it that a second one fits beside it, as far as that is to be seen from here.
---@param place table of `look`
---@return table place the same
function swap.check_room(place)
  if not place.oid then
    note("%s is not there any more: it is made anew", place.name)
    return place
  end
  show(place, { columns = { "name", "bytes", "sessions" } })
  local dir = try(function() return server(place):value "SHOW data_directory" end)
  if dir and try(files.stat, dir) then
    check("free on its disk", disks.look(dir).free, { unit = "bytes", below = { critical = place.bytes },
      or_fail = "there is no room for a second one" })
  else
    note "how much is free on the server's disk cannot be seen from here"
  end
  return place
end

-- made beside it ----------------------------------------------------------------------------------------

--- What a database was made with, as CREATE DATABASE has it; "" for one that is gone: the server's defaults.
local function made_with(place)
  local has = place.oid and server(place):value([[
    SELECT to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(datdba), 'charset', pg_encoding_to_char(encoding))
    FROM pg_database AS d WHERE oid = $1]], { place.oid })
  if not has then return "" end
  local text = sql.format(" OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L CONNECTION LIMIT %s", has.owner, has.charset,
    has.datcollate, has.datctype, has.datconnlimit)
  local icu = has.datlocprovider == "i" and (has.daticulocale or has.datlocale)
  return icu and text .. sql.format(" LOCALE_PROVIDER icu ICU_LOCALE %L", icu) or text
end

--- Makes the empty database beside it, with the same owner, encoding and locale. A change; the way back drops it.
---@param place table of `look`
function swap.create(place)
  undo(("drop database %s"):format(place.beside), function()
    if exists(place, place.beside) then
      alter(place, "drop database " .. place.beside, sql.format("DROP DATABASE IF EXISTS %I WITH (FORCE)", place.beside), true)
    end
  end)
  alter(place, "create database " .. place.beside,
    sql.format("CREATE DATABASE %I TEMPLATE template0", place.beside) .. made_with(place), true)
end

-- Lists in settings are kept as lists; everything else is one value. What everybody may is taken away first, when it
-- was ever said who may.
local SETTINGS = [[
SELECT format(CASE WHEN s.setrole = 0 THEN 'ALTER DATABASE %2$I SET %3$I TO %4$s'
              ELSE 'ALTER ROLE %1$I IN DATABASE %2$I SET %3$I TO %4$s' END,
              pg_get_userbyid(nullif(s.setrole, 0)), $2::text, split_part(c.said, '=', 1),
              CASE WHEN split_part(c.said, '=', 1) ~ '(^search_path|_tablespaces|_libraries)$' THEN substr(c.said, strpos(c.said, '=') + 1)
                   ELSE quote_literal(substr(c.said, strpos(c.said, '=') + 1)) END) AS text
FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c (said) WHERE s.setdatabase = $1::oid
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text) FROM pg_database WHERE oid = $1::oid AND datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, $2::text,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database AS d, aclexplode(d.datacl) AS a WHERE d.oid = $1::oid]]

--- Gives the database beside it the settings and grants that hang on the database itself, which no dump holds. A change.
---@return integer count statements
function swap.copy_settings(place)
  local list = place.oid and server(place):query(SETTINGS, { place.oid, place.beside }) or {}
  if #list == 0 then return 0 end
  local texts = {}
  for i, row in ipairs(list) do texts[i] = row.text end
  together(place, ("give %s the settings and grants of %s"):format(place.beside, place.name), texts)
  return #list
end

local GRANTS = [[
SELECT format('%s %s.%s', CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, n.nspname, c.relname) AS object,
       pg_get_userbyid(c.relowner)::text AS owner,
       coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) AS a), '') AS grants
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'schema ' || nspname, pg_get_userbyid(nspowner)::text,
       coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(nspacl) AS a), '')
FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema']]

--- Checks whether objects belong to another, or are granted to others, in the restored database. Objects that only one of
--- them has do not count.
---@param place table
function swap.check_grants(place)
  local rows, before = { columns = { "object", "before", "restored" } }, {}
  for _, row in ipairs(sql(place.db):query(GRANTS)) do
    before[row.object] = row.owner .. ": " .. row.grants
  end
  for _, row in ipairs(sql(place.db):database(place.beside):query(GRANTS)) do
    local is = row.owner .. ": " .. row.grants
    if before[row.object] and before[row.object] ~= is then
      rows[#rows + 1] = { object = row.object, before = before[row.object], restored = is }
    end
  end
  if check("owners and grants that differ", #rows, { above = { warning = 0 } }) == "warning" then show(rows) end
end

-- exchanged ---------------------------------------------------------------------------------------------

--- Shows who would be cut off.
---@return integer count sessions
function swap.show_sessions(place)
  local sessions = server(place):query(SESSIONS, { place.name })
  if #sessions > 0 then show(sessions, { title = "in it now" }) end
  return #sessions
end

--- Closes the old database: nobody comes into it any more, not even its owner; whoever is in it is not touched yet.
--- At the end of the run, whatever happens, it is open again if it still has its name. A change.
---@param place table
function swap.close(place)
  local function set(word)
    alter(place, ("%s database %s"):format(word == "true" and "open" or "close", place.name),
      sql.format("ALTER DATABASE %I ALLOW_CONNECTIONS %s", place.name, word))
  end
  always(("open %s again, if it still has its name"):format(place.name), function()
    local closed = server(place):value("SELECT count(*) FROM pg_database WHERE oid = $1 AND datname = $2 AND NOT datallowconn",
      { place.oid, place.name })
    if closed > 0 then set "true" end
  end)
  set "false"
end

--- Ends all sessions of databases. A change with no way back: what they had not committed is rolled back.
local function empty(place, names)
  server(place):exec(TERMINATE, { names }, {
    summary = ("end all sessions of %s on %s"):format(table.concat(names, ", "), place.db),
    happened = function() return false end,      -- again is as good
  })
end

local function rename(from, to) return sql.format("ALTER DATABASE %I RENAME TO %I", from, to) end

--- Sees to it that the restored database has the name, and the old one its other name: two renames in one transaction.
--- Taken back when the run fails, or by opsrun undo: the restored one is kept aside, closed, with what was written into it.
---@param place table
---@return table handle of ensure
function swap.exchanged(place)
  local there, back = { rename(place.beside, place.name) }, { rename(place.name, place.aside) }
  if place.oid then
    table.insert(there, 1, rename(place.name, place.kept))
    back[2], back[3] = rename(place.kept, place.name), sql.format("ALTER DATABASE %I ALLOW_CONNECTIONS true", place.name)
  end
  local function is_exchanged()
    return exists(place, place.name) and not exists(place, place.beside) and (not place.oid or exists(place, place.kept))
  end
  return ensure(("%s is the restored one"):format(place.name), {
    is = is_exchanged,
    make = function()
      empty(place, { place.name, place.beside })
      together(place, ("put %s in the place of %s"):format(place.beside, place.name), there)
    end,
    back = function()
      if not is_exchanged() then return end      -- it did not come so far, and what has the name is the old one
      alter(place, "close database " .. place.name, sql.format("ALTER DATABASE %I ALLOW_CONNECTIONS false", place.name))
      empty(place, { place.name })
      together(place, ("put the old %s back, and keep the restored one as %s"):format(place.name, place.aside), back)
    end,
  })
end

--- Drops the old database under its other name. A change with no way back: `settle` first.
function swap.drop_old(place)
  alter(place, "drop database " .. place.kept, sql.format("DROP DATABASE %I", place.kept), true)
end

return swap
