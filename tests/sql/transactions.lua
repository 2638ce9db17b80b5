--- Claims about transactions, their rehearsal, and other databases; called by main.lua.
local errors = require "runtime.errors"
local plan = require "runtime.plan"

local tests = {}

function tests.transactions(t)
  local claim, try = t.claim, t.try
  t.setup { "CREATE TABLE stock (id int PRIMARY KEY, n int CHECK (n >= 0))", "INSERT INTO stock VALUES (1, 5), (2, 0)" }
  local adapter = t.open { db = { url = t.url } }
  local function total()
    return t.call(adapter, "value", "db", "SELECT sum(n)::int FROM stock")
  end
  local result, _, token = t.call(adapter, "transaction", "db", function(tx)
    tx:exec("UPDATE stock SET n = n - $1 WHERE id = 1", { 2 })
    local inside = tx:value "SELECT n FROM stock WHERE id = 1"
    local rows = tx:exec("UPDATE stock SET n = n + 2 WHERE id = 2 RETURNING n").rows
    return { inside = inside, n = rows[1].n, one = tx:one("SELECT id FROM stock WHERE id = $1", { 2 }).id }
  end)
  claim(result.value.inside == 3 and result.value.n == 2 and result.value.one == 2, "a transaction reads what it wrote", result.value)
  claim(result.count == 2 and #result.statements == 2, "its result counts rows and statements", result.count)
  claim(t.call(adapter, "value", "db", "SELECT pg_xact_status($1::xid8)", { token.xid }) == "committed",
    "its token names the transaction that committed", token.xid)
  local gone, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "UPDATE stock SET n = 100"
    error(errors.fail { message = "changed my mind" }, 0)
  end)
  claim(not gone and err.kind == "fail" and err.outcome == "failed", "what the function raises is raised", err)
  claim(total() == 5, "and nothing of it stays", total())
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "UPDATE stock SET n = n + 1 WHERE id = 1"
    pcall(tx.exec, tx, "UPDATE stock SET n = -1")
    tx:exec "UPDATE stock SET n = 7"
  end)
  claim(err and err.code == "23514" and total() == 5, "a failure that was caught still ends the transaction", err)
  _, err = try(adapter, "transaction", "db", function(tx)
    pcall(tx.exec, tx, "UPDATE stock SET n = -1")
  end)
  claim(err and err.code == "23514", "also when the function goes on as if nothing had been", err)
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:query "DELETE FROM stock RETURNING id"
  end)
  claim(err and err.kind == "refused" and total() == 5, "a read in a transaction is proved", err)
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "COMMIT"
  end)
  claim(err and err.message:find "transaction of its own", "COMMIT is not the author's", err)
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "UPDATE stock SET n = 9"
    tx.nosuch()
  end)
  claim(err and err.kind == "script" and err.author and total() == 5, "a typo in the function is the author's", err)
  local kept
  t.call(adapter, "transaction", "db", function(tx)
    kept = tx
  end)
  local ok, why = pcall(kept.value, kept, "SELECT 1")
  claim(not ok and tostring(why):find "is over", "a transaction is over at its end", why)
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "SELECT pg_terminate_backend(pg_backend_pid())"
  end)
  claim(err and err.outcome == "failed", "a session lost before COMMIT changed nothing", err)
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec("SELECT pg_sleep(5)")
  end, { timeout = 0.2 })
  claim(err and err.code == "timeout" and err.outcome == "failed", "a time-out rolls back", err)
  t.call(adapter, "exec", "db", "ALTER TABLE stock ADD CONSTRAINT few CHECK (n < 1000)")
  t.call(adapter, "exec", "db", "CREATE TABLE orders (id int REFERENCES stock DEFERRABLE INITIALLY DEFERRED)")
  _, err = try(adapter, "transaction", "db", function(tx)
    tx:exec "INSERT INTO orders VALUES (77)"
  end)
  claim(err and err.code == "23503" and err.outcome == "failed", "what only COMMIT finds is told", err)
  local level = t.call(adapter, "transaction", "db", function(tx)
    return tx:value "SHOW transaction_isolation"
  end, { isolation = "serializable" }).value
  claim(level == "serializable", "isolation is what was asked for", level)
  _, err = try(adapter, "transaction", "db", function() end, { isolation = "chaos" })
  claim(err and err.message:find "'chaos' is none of", "an unknown isolation is named", err)
  claim(t.call(adapter, "value", "db", "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == 0,
    "no transaction is left open")
  adapter.close()
end

--- What a dry run shows of a transaction.
local function preview(adapter, fn)
  local effect = adapter.describe("transaction", { name = "db", fn, opts = {} })
  local ok, shown = pcall(adapter.preview, "transaction", effect.request)
  return ok and table.concat(shown.lines, "\n") or nil, errors.wrap(shown)
end

function tests.rehearsals(t)
  local claim = t.claim
  local adapter = t.open { db = { url = t.url } }
  local before = t.call(adapter, "value", "db", "SELECT sum(n)::int FROM stock")
  local planned, seen
  local lines = preview(adapter, function(tx)
    seen = tx:value "SELECT n FROM stock WHERE id = 1"
    tx:exec("UPDATE stock SET n = $1 WHERE id = 1", { 50 })
    tx:exec "CREATE TABLE made (id int)"
    tx:exec "INSERT INTO made VALUES (1)"
    planned = plan.is_planned(tx:one "SELECT n FROM stock WHERE id = 1")
    return tx:value("SELECT n FROM stock WHERE id = 1") > 3
  end)
  claim(seen == t.call(adapter, "value", "db", "SELECT n FROM stock WHERE id = 1"),
    "what is read before the first change is read for real", seen)
  claim(planned, "what is read behind it is unknown", planned)
  claim(lines:find("UPDATE stock SET n = $1 WHERE id = 1\n  parameters: integer", 1, true), "a statement is described", lines)
  claim(lines:find("CREATE TABLE made (id int)\n  not checked", 1, true), "a utility statement says not checked", lines)
  claim(lines:find("INSERT INTO made VALUES (1)\n  undetermined: 'db': relation \"made\" does not exist", 1, true),
    "what leans on it is undetermined", lines)
  claim(lines:find("… the rest depends on a change that was not made", 1, true), "the preview ends where it must", lines)
  claim(t.call(adapter, "value", "db", "SELECT sum(n)::int FROM stock") == before, "a rehearsal changes nothing")
  claim(t.call(adapter, "value", "db", "SELECT to_regclass('made') IS NULL"), "and makes nothing")
  local none, err = preview(adapter, function(tx)
    tx:exec "UPDATE nosuch SET n = 1"
  end)
  claim(not none and err.code == "42P01", "a first statement that cannot be fails the rehearsal", none)
  none, err = preview(adapter, function(tx)
    tx:query "SELECT pg_sleep(1)"
  end)
  claim(not none and err.kind == "refused", "an unproved read is refused in a rehearsal too", none)
  none, err = preview(adapter, function()
    error(errors.fail { message = "no stock" }, 0)
  end)
  claim(not none and err.kind == "fail", "a failure before any change is one", none)
  adapter.close()
end

function tests.copies(t)
  local claim, try = t.claim, t.try
  t.setup { "CREATE TABLE copied (id int PRIMARY KEY, name text, tags text[], at float8, ok boolean)" }
  local adapter = t.open { db = { url = t.url } }
  local function one(id)
    return t.call(adapter, "one", "db", "SELECT * FROM copied WHERE id = $1", { id }) or {}
  end
  local nasty = "tab\t newline\n return\r back\\slash \\N \\. quote' ü\b\v\f"
  local result, effect, token = t.call(adapter, "copy_in", "db", "public.copied", {
    { id = 1, name = nasty, tags = { "a b", 'c"d', "e\\f", t.host.json.null }, at = 0.1, ok = true },
    { id = 2, at = -math.huge, ok = false },
    { id = 3, name = "\\N", tags = {}, at = 0 / 0 },
  }, { columns = { "id", "name", "tags", "at", "ok" } })
  claim(result.count == 3 and effect.summary == "copy 3 rows into public.copied on db", "rows are copied", effect.summary)
  claim(token.xid and effect.body.rows == 3 and #effect.body.data == 64, "the journal has transaction, count and digest", token.xid)
  local row = one(1)
  claim(row.name == nasty, "text comes as it was", row.name)
  claim(row.tags[1] == "a b" and row.tags[2] == 'c"d' and row.tags[3] == "e\\f" and row.tags[4] == t.host.json.null,
    "arrays come as they were", row.tags[3])
  claim(row.at == 0.1 and row.ok == true, "numbers and booleans, too", row.at)
  row = one(2)
  claim(row.name == nil and row.at == -math.huge and row.ok == false, "what a row lacks is NULL", row.name)
  row = one(3)
  claim(row.name == "\\N" and #row.tags == 0 and row.at ~= row.at, "a text that looks like NULL is none", row.name)
  local n = 10
  result = t.call(adapter, "copy_in", "db", "copied", function()
    n = n + 1
    return n <= 50010 and { n, "row " .. n } or nil
  end, { columns = { "id", "name" } })
  claim(result.count == 50000 and one(50010).name == "row 50010", "a function hands over row after row", result.count)
  local before = t.call(adapter, "value", "db", "SELECT count(*) FROM copied")
  local function refused(text, rows, opts, target)
    local _, err = try(adapter, "copy_in", "db", target or "copied", rows, opts)
    claim(err and tostring(err.message):find(text, 1, true), "says: " .. text, err and err.message)
    return err or {}
  end
  local err = refused("duplicate key", { { id = 99 }, { id = 1 } })
  claim(err.code == "23505" and err.outcome == "failed", "a copy that fails changes nothing", err.code)
  err = refused("invalid input syntax", { { id = "x" } })
  claim(err.hint and err.hint:find("COPY copied, line 1", 1, true), "the line is named", err.hint)
  refused("'nmae' is none of the columns", { { id = 98 }, { id = 97, nmae = "x" } }, { columns = { "id", "name" } })
  refused("3 values for 2 columns", { { 1, 2, 3 } }, { columns = { "id", "name" } })
  refused("which columns?", { { 1, 2 } })
  refused("row 1, name: it holds a NUL byte", { { id = 96, name = "a\0b" } })
  refused("does not exist", { { id = 1 } }, nil, "nosuch")
  refused("expected \"name\"", { { id = 1 } }, nil, "a.b.c")
  err = refused("no more", function()
    n = n + 1
    return n < 100000 and { id = n } or error(errors.fail { message = "no more" }, 0)
  end)
  claim(err.kind == "fail" and err.outcome == "failed", "what the function raises is raised", err.kind)
  err = refused("attempt to", function()
    return nil + 1
  end)
  claim(err.kind == "script" and err.author, "a typo in it is the author's", err.kind)
  claim(t.call(adapter, "value", "db", "SELECT count(*) FROM copied") == before, "none of these left a row")
  result = t.call(adapter, "copy_in", "db", "copied", {})
  claim(result.count == 0, "no rows are no trouble", result.count)
  result = t.call(adapter, "copy_in", "db", "copied", t.call(adapter, "query", "db", "SELECT 200000 AS id, 'q' AS name"))
  claim(result.count == 1 and one(200000).name == "q", "rows of a query say their columns", result.count)
  t.setup { 'CREATE TABLE "Odd.name" ("select" int)' }
  claim(t.call(adapter, "copy_in", "db", { "public", "Odd.name" }, { { ["select"] = 1 } }).count == 1, "odd names are names")
  effect = adapter.describe("copy_in", { name = "db", "copied", { { id = 1 } }, opts = {} })
  local shown = adapter.preview("copy_in", effect.request)
  claim(shown.lines[1] == 'COPY "copied" ("id") FROM STDIN' and shown.lines[2] == "1 row", "a rehearsal shows it", shown.lines[1])
  effect = adapter.describe("copy_in", { name = "db", "copied", { { nosuch = 1 } }, opts = {} })
  local ok, why = pcall(adapter.preview, "copy_in", effect.request)
  claim(not ok and why.code == "42703", "and finds a column that is not there", why)
  claim(t.call(adapter, "value", "db", "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' OR query LIKE 'COPY%'") == 0,
    "no copy is left open")
  adapter.close()
end

function tests.databases(t)
  local claim = t.claim
  t.setup { "CREATE DATABASE elsewhere", "CREATE FUNCTION public.vouched(int) RETURNS int LANGUAGE sql AS 'SELECT $1'" }
  local adapter = t.open {
    db = { url = t.url, trusted_functions = { "public.vouched" } },
    login = { url = t.locked },
    remote = { url = "postgres://who@db.example.com:5433/shop?connect_timeout=3&options=-c%20jit%3Doff" },
  }
  claim(t.call(adapter, "value", "db/elsewhere", "SELECT current_database()") == "elsewhere", "another database of the same server")
  claim(t.call(adapter, "value", "db", "SELECT current_database()") == "postgres", "the connection's own stays its own")
  t.call(adapter, "exec", "db/elsewhere", "CREATE FUNCTION public.vouched(int) RETURNS int LANGUAGE sql AS 'SELECT $1'")
  local _, err = t.try(adapter, "value", "db/elsewhere", "SELECT vouched(1)")
  claim(err and err.kind == "refused", "what the environment vouches for stands in its own database", err)
  claim(t.call(adapter, "value", "db", "SELECT vouched(1)") == 1, "there it holds")
  _, err = t.try(adapter, "value", "db/nosuch", "SELECT 1")
  claim(err and err.code == "3D000", "a database that is not there is named", err)
  local variables = t.call(adapter, "environment", "login/elsewhere")
  local place = t.host.sql.place(t.url)
  claim(variables.PGHOST == "127.0.0.1" and variables.PGPORT == place.port and variables.PGUSER == "locked"
    and variables.PGDATABASE == "elsewhere" and variables.PGSSLMODE == "prefer", "an environment names the server", variables.PGHOST)
  claim(t.host.secret.is(variables.PGPASSWORD) and tostring(variables.PGPASSWORD) == "‹secret:PGPASSWORD›",
    "its password is a secret", tostring(variables.PGPASSWORD))
  claim(variables.PGAPPNAME:find "^opsrun/", "the server sees who asks", variables.PGAPPNAME)
  local kept = adapter.keep("environment", variables)
  claim(t.host.json.encode(kept) == '{"name":"login/elsewhere"}', "the journal keeps no more than the name", t.host.json.encode(kept))
  claim(adapter.revive("environment", kept).PGUSER == "locked", "from which it comes again")
  variables = t.call(adapter, "environment", "remote")
  claim(variables.PGSSLMODE == "verify-full" and variables.PGCONNECT_TIMEOUT == "3" and variables.PGOPTIONS == "-c jit=off"
    and variables.PGDATABASE == "shop", "a remote server proves who it is", variables.PGSSLMODE)
  adapter.close()
end

return tests
