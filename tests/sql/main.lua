--- The SQL primitive against a real server: started by tests/c/test_sql.c with the host's libraries,
--- the urls of an empty server's superuser, of a plain role and of the one that will own the probes' tables.
local host, superuser, plain, owner = ...
local adapter_of = require "runtime.primitives.sql"
local comparisons = require "tests.sql.comparisons"
local diagnostics = require "tests.sql.diagnostics"
local errors = require "runtime.errors"
local probes = require "tests.sql.probes"
local reads = require "tests.sql.reads"
local settle = require "tests.sql.settle"
local transactions = require "tests.sql.transactions"
local types = require "tests.sql.types"

local failures, passed = {}, 0

local function claim(ok, text, detail)
  if ok then
    passed = passed + 1
  else
    failures[#failures + 1] = ("%s: %s"):format(text, tostring(detail))
  end
end

--- An adapter over connections: name -> config.
local function open(connections)
  return adapter_of {
    host = host,
    run = { id = "test" },
    context = function()
      return { step = { id = "probe" } }
    end,
    environment = {
      name = "test",
      connection = function(_, name)
        return connections[name] or error(errors.usage { message = ("unknown sql connection '%s'"):format(name) }, 0)
      end,
    },
  }
end

--- Takes a call through the adapter's part of the gate.
local function call(adapter, verb, name, ...)
  local args = { name = name, ... }
  args.opts = args[verb == "each" and 4 or verb == "transaction" and 2 or 3] or {}
  local effect = adapter.describe(verb, args)
  local token = adapter.prepare(verb, effect.request)
  return adapter.perform(verb, effect.request, token), effect, token
end

local function try(adapter, ...)
  local ok, result, effect = pcall(call, adapter, ...)
  if not ok then
    return nil, errors.wrap(result)
  end
  return result, effect
end

local function setup(list)
  local conn = assert(host.sql.connect { url = superuser })
  for _, text in ipairs(list) do
    local ok, err = conn:run { { text } }
    claim(ok, "setup: " .. text, not ok and err.message)
  end
  conn:close()
end

--- The host's own connect, with every statement that is sent written down.
local sent = {}
local function watched()
  local copy = {}
  for key, value in pairs(host) do
    copy[key] = value
  end
  copy.sql = {
    place = host.sql.place,
    connect = function(options)
      local conn, err = host.sql.connect(options)
      if not conn then
        return nil, err
      end
      return setmetatable({}, {
        __index = function(_, key)
          return function(_, ...)
            if key == "run" then
              for _, item in ipairs((...)) do
                if type(item) == "table" then
                  sent[item[1]] = true
                end
              end
            end
            return conn[key](conn, ...)
          end
        end,
      })
    end,
  }
  return copy
end

local plain_host = host
local function with_connections(connections)
  host = watched()
  local adapter = open(connections)
  host = plain_host
  return adapter
end

local tests = {}

function tests.reads()
  setup(reads.setup)
  setup(diagnostics.setup)
  setup { "CREATE EXTENSION IF NOT EXISTS pg_stat_statements" }
  local adapter = with_connections { db = { url = superuser, statement_timeout = "30s" } }
  local asked, refused = 0, {}
  for _, list in ipairs { reads.statements, diagnostics.statements } do
    for _, text in ipairs(list) do
      local rows, err = try(adapter, "query", "db", text)
      asked = asked + 1
      if not rows and err.kind == "refused" then
        refused[#refused + 1] = text .. ": " .. err.message
      else
        claim(rows, "a real read passes: " .. text, err)
      end
    end
  end
  print(("%d real reads, %d refused %s"):format(asked, #refused, table.concat(refused, "\n")))
  claim(asked >= 200 and #refused <= asked * 0.02, "at most 2 % of 200 real reads are refused", table.concat(refused, "\n"))
  adapter.close()
end

--- What the server itself would show of a probe that acted: a transaction's number taken, a table's rows, a lock.
local function traces()
  local conn = assert(host.sql.connect { url = superuser })
  local results = assert(conn:run { {
    [[SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next, (SELECT count(*) FROM canary) AS rows,
      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks, (SELECT count(*) FROM pg_largeobject_metadata) AS large,
      (SELECT count(*) FROM pg_replication_slots) AS slots, (SELECT last_value FROM counter) AS counter,
      pg_conf_load_time()::text AS loaded, (SELECT count(*) FROM pg_class) AS relations]],
  } })
  conn:close()
  return host.json.canonical(results[1].rows[1])
end

function tests.probes()
  setup(probes.setup)
  setup(probes.hand_over)
  local probed = 0
  for _, url in ipairs { superuser, owner, plain } do
    sent = {}
    local before = traces()
    local adapter = with_connections { db = { url = url } }
    local list = { table.unpack(probes.statements) }
    if url ~= superuser then
      table.move(probes.plain_role, 1, #probes.plain_role, #list + 1, list)
    end
    for _, text in ipairs(list) do
      local rows, err = try(adapter, "query", "db", text)
      claim(not rows and err.kind == "refused", "a probe is refused: " .. text, rows and "it ran" or err)
      claim(not sent[text], "a refused probe is not sent: " .. text, "it was sent")
      probed = probed + 1
    end
    adapter.close()
    claim(traces() == before, "the probes leave no trace on the server", url)
  end
  print(("%d probes as superuser, owner and plain role, 0 sent"):format(probed))
end

function tests.comparisons()
  local probed = 0
  for _, case in ipairs(comparisons.cases) do
    setup { "SET client_min_messages = error", table.unpack(case.setup) }
    sent = {}
    local adapter = with_connections { db = { url = superuser } }
    for _, text in ipairs(case.refused) do
      local rows, err = try(adapter, "query", "db", text)
      claim(not rows and err.kind == "refused", "what compares with somebody's function is refused: " .. text, rows and "it ran" or err)
      claim(not sent[text], "and not sent: " .. text, "it was sent")
      probed = probed + 1
    end
    for _, text in ipairs(case.fine) do
      local rows, err = try(adapter, "query", "db", text)
      claim(rows, "what does not, passes: " .. text, err)
    end
    adapter.close()
    setup(comparisons.teardown)
  end
  print(("%d probes of comparisons, 0 sent"):format(probed))
end

function tests.values()
  local adapter = open { db = { url = superuser } }
  local row = call(adapter, "one", "db", [[SELECT $1::int + 1 AS i, $2::text AS t, $3::int[] AS a, $4::text AS n,
    $5::interval AS d, 9007199254740993::bigint AS big, 1.10::numeric AS num, '{"a": [1, null]}'::jsonb AS j,
    '\x00ff'::bytea AS b, array['x', NULL] AS texts, 'NaN'::float8 AS nan, true AS yes]],
    { 41, 'a"b\\c', { 1, 2, 3 }, nil, "5 minutes" })
  claim(row.i == 42 and math.type(row.i) == "integer", "an integer is bound and comes back", row.i)
  claim(row.t == 'a"b\\c', "text is bound as it is", row.t)
  claim(#row.a == 3 and row.a[3] == 3, "a list is bound as an array", row.a)
  claim(row.n == nil, "NULL is an absent field", row.n)
  claim(row.d == "00:05:00", "an interval is text", row.d)
  claim(row.big == 9007199254740993, "64-bit integers are exact", row.big)
  claim(row.num == 1.1, "numeric is a number", row.num)
  claim(row.j.a[1] == 1 and row.j.a[2] == host.json.null, "json is decoded", row.j)
  claim(row.b == "\0\255", "bytea is bytes", row.b)
  claim(row.texts[1] == "x" and row.texts[2] == host.json.null, "NULL in an array is json.null", row.texts[2])
  claim(row.nan ~= row.nan, "NaN comes back", row.nan)
  claim(call(adapter, "value", "db", "SELECT 1.10::numeric", {}, { exact = true }) == "1.10", "exact numeric is text")
  local rows = call(adapter, "query", "db", "SELECT g AS a, g * 2 AS b FROM generate_series(1, 3) g")
  claim(rows.count == 3 and #rows == 3 and rows.columns[2] == "b" and rows[3].b == 6, "rows have columns and count")
  local kept = adapter.keep("query", rows)
  local back = adapter.revive("query", host.json.decode(host.json.encode(kept)))
  claim(back.count == 3 and back[3].b == 6 and back.columns[1] == "a", "kept rows come back from the journal")
  local sum = 0
  local count = call(adapter, "each", "db", "SELECT g FROM generate_series(1, 20000) g", {}, function(r)
    sum = sum + r.g
  end)
  claim(count == 20000 and sum == 200010000, "each hands over every row", count)
  count = call(adapter, "each", "db", "SELECT g FROM generate_series(1, 20000) g", {}, function(r)
    return r.g < 10
  end)
  claim(count == 10, "each stops at false", count)
  local _, err = try(adapter, "query", "db", "SELECT g FROM generate_series(1, 100001) g")
  claim(err and err.code == "cap" and err.hint:find ":each", "too many rows are an error that names each", err)
  adapter.close()
end

function tests.changes()
  setup { "CREATE TABLE accounts (id int PRIMARY KEY, n int CHECK (n >= 0))", "INSERT INTO accounts VALUES (1, 5)" }
  local adapter = open { db = { url = superuser } }
  local result, _, token = call(adapter, "exec", "db", "UPDATE accounts SET n = n - $1 RETURNING id, n", { 1 })
  claim(result.count == 1 and result.rows[1].n == 4, "a change returns its count and rows", result.count)
  claim(token.xid:match "^%d+$" and token.backend_pid > 0 and token.backend_start, "its token names the transaction")
  local status = call(adapter, "value", "db", "SELECT pg_xact_status($1::xid8)", { token.xid })
  claim(status == "committed", "the token's transaction is the one that committed", status)
  local _, err = try(adapter, "exec", "db", "UPDATE accounts SET n = -1")
  claim(err and err.code == "23514" and err.outcome == "failed", "a failed change says so", err)
  claim(call(adapter, "value", "db", "SELECT n FROM accounts") == 4, "a failed change changes nothing")
  _, err = try(adapter, "exec", "db", "VACUUM accounts")
  claim(err and err.message:find "autocommit", "VACUUM wants autocommit", err)
  claim(try(adapter, "exec", "db", "VACUUM accounts", {}, { autocommit = true }), "VACUUM runs with autocommit")
  _, err = try(adapter, "exec", "db", "COMMIT")
  claim(err and err.message:find "transaction of its own", "COMMIT is the program's, not the author's", err)
  call(adapter, "exec", "db", "SET search_path TO nowhere")
  claim(call(adapter, "value", "db", "SHOW search_path") ~= "nowhere", "a SET reaches no later statement")
  local effect = adapter.describe("exec", { name = "db", "UPDATE accounts SET n = $1 WHERE id = 1", { 2 }, opts = {} })
  local preview = adapter.preview("exec", effect.request)
  claim(preview.lines[1] == "parameters: integer", "a change is described by the server", preview.lines[1])
  claim(call(adapter, "value", "db", "SELECT n FROM accounts") == 4, "a preview changes nothing")
  effect = adapter.describe("exec", { name = "db", "DROP TABLE accounts", opts = {} })
  claim(adapter.preview("exec", effect.request).not_checked, "a utility statement says not checked")
  call(adapter, "query", "db", "SELECT upper('a')")
  call(adapter, "exec", "db", "CREATE FUNCTION public.initcap(varchar) RETURNS text LANGUAGE sql AS 'SELECT null'")
  _, err = try(adapter, "query", "db", "SELECT initcap('a')")
  claim(err and err.kind == "refused", "what a change made is seen by the next read", err)
  adapter.close()
end

function tests.trust()
  setup { "CREATE FUNCTION public.known(int) RETURNS int LANGUAGE sql AS 'SELECT $1'" }
  local adapter = open {
    db = { url = superuser, trusted_functions = { "public.known" }, trusted_statements = { "SELECT pg_sleep(0);" } },
  }
  local rows, effect = try(adapter, "query", "db", "SELECT known(1)")
  claim(rows and effect.declared, "a trusted function passes as declared", effect)
  rows, effect = try(adapter, "query", "db", " SELECT pg_sleep(0)")
  claim(rows and effect.declared, "a trusted statement passes as declared", effect)
  adapter.close()
end

function tests.bad_input()
  local place = host.sql.place(superuser)
  local adapter = open {
    db = { url = superuser },
    down = { url = "postgres://u:geheim@127.0.0.1:1/x" },
    nowhere = { url = "postgres://u@no-such-host.invalid/x" },
    password = { url = ("postgres://locked:wrong@127.0.0.1:%s/postgres"):format(place.port) },
    tls = { url = ("postgres://postgres@127.0.0.1:%s/postgres?sslmode=verify-full"):format(place.port) },
  }
  local function expect(name, text, message, code)
    local _, err = try(adapter, "query", name, text or "SELECT 1")
    claim(err and err.message:find(message, 1, true) and (not code or err.code == code), "says: " .. message, err)
    claim(err and not err.message:find "geheim", "no password in a message", err)
  end
  expect("down", nil, "cannot connect to 'down' (127.0.0.1:1): connection refused", "refused")
  expect("nowhere", nil, "cannot connect to 'nowhere' (no-such-host.invalid:5432): name", "resolve")
  expect("password", nil, 'password authentication failed for user "locked"', "28P01")
  expect("tls", nil, "cannot connect to 'tls'", "tls")
  expect("db", "SELECT nosuch FROM\n  pg_class", "(42703, line 1 column 8: SELECT nosuch FROM)", "42703")
  expect("db", "SELECT 1,\n  * FROM nosuch", "(42P01, line 2 column 10: * FROM nosuch)", "42P01")
  expect("db", "SELEC 1", 'syntax error at or near "SELEC" (42601, line 1 column 1: SELEC 1)', "42601")
  expect("db", "SELECT 1" .. ("+1"):rep(100000), "the statement is nested too deeply to be judged", "54001")
  expect("db", "SELECT 1" .. (" "):rep(1 << 20), "the statement is longer than 1 MiB", "42601")
  expect("unknown", nil, "unknown sql connection 'unknown'")
  local endless = "SELECT count(*) FROM generate_series(1, 1000000000)"
  local _, err = try(adapter, "query", "db", endless, {}, { timeout = 0.2 })
  claim(err and err.code == "timeout" and err.message:find "no answer within 0.2s", "a timeout is told", err)
  claim(call(adapter, "value", "db", "SELECT 1") == 1, "the connection works after a timeout")
  adapter.close()
end

function tests.lost_sessions()
  local adapter = open { db = { url = superuser } }
  local pid = call(adapter, "value", "db", "SELECT pg_backend_pid()")
  setup { ("SELECT pg_terminate_backend(%d, 2000)"):format(pid) }
  claim(call(adapter, "value", "db", "SELECT 1") == 1, "a session that died idle is replaced")
  local _, err = try(adapter, "exec", "db", "SELECT pg_terminate_backend(pg_backend_pid())")
  claim(err and err.outcome == "failed", "a change that lost its session is asked for: aborted", err and err.outcome)
  adapter.close()
end

function tests.reviewed_lists()
  local refused = require "runtime.sql.refused"
  local reviewed = require "runtime.sql.reviewed"
  local conn = assert(host.sql.connect { url = superuser })
  local results = assert(conn:run { {
    [[SELECT p.proname AS name, bool_or(p.provolatile = 'v') AS volatile FROM pg_proc p
      WHERE p.oid < 16384 AND p.pronamespace = 'pg_catalog'::regnamespace GROUP BY 1]],
  } })
  local seen = {}
  for _, row in ipairs(results[1].rows) do
    seen[row.name] = true
    claim(not row.volatile or not reviewed.functions[row.name] or reviewed.volatile[row.name],
      "a volatile function is on the list of the volatile ones that were looked at one by one", row.name)
  end
  for name in pairs(refused) do
    claim(not reviewed.functions[name], "no function is both reviewed and refused", name)
  end
  local known = 0
  for name in pairs(reviewed.functions) do
    known = known + (seen[name] and 1 or 0)
  end
  claim(known > 600, "the reviewed names are names of the server's functions", known)
  conn:close()
end

transactions.types = types.test
for name, test in pairs(settle) do
  transactions[name] = test
end
for name, test in pairs(transactions) do
  tests[name] = function()
    test {
      claim = claim, open = open, call = call, try = try, setup = setup, host = host, url = superuser,
      locked = superuser:gsub("postgres@", "locked:right@"),
    }
  end
end

local order = {
  "reviewed_lists", "values", "changes", "trust", "bad_input", "lost_sessions",
  "types", "transactions", "rehearsals", "copies", "databases", "reads", "probes", "comparisons",
  "transactions_in_doubt", "unknown_for_good", "without_a_transaction", "restarts", "another_server",
}
for _, name in ipairs(order) do
  local ok, err = pcall(tests[name])
  claim(ok, name, err)
end
return failures, passed
