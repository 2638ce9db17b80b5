--- Claims about changes that were begun and whose end nobody wrote down; called by main.lua, last: the
--- server is restarted, killed and promoted here.
local pool_of = require "runtime.sql.pool"
local settle = require "runtime.sql.settle"

local tests = {}

local begin_script = [[cd /; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
as=; [ "$(id -u)" = 0 ] && as='runuser -u postgres --'
]]

local function control(words)
  return os.execute(begin_script .. ("$as $bin/pg_ctl -D $DIR/data -l $DIR/server.log -w %s >>$DIR/log 2>&1"):format(words))
end

--- A change of the adapter as it is when a run is killed after its begin was written.
local function begin(adapter, verb, name, ...)
  local args = { name = name, ... }
  args.opts = args[verb == "transaction" and 2 or 3] or {}
  local effect = adapter.describe(verb, args)
  local token = adapter.prepare(verb, effect.request)
  return { target = effect.target, body = effect.body, token = token }, effect.request
end

local function through_json(t, record)
  return t.host.json.decode(t.host.json.encode(record))
end

function tests.transactions_in_doubt(t)
  local claim, host = t.claim, t.host
  t.setup { "CREATE TABLE doubts (n int)", "INSERT INTO doubts VALUES (0)", "GRANT ALL ON doubts TO plain" }
  local adapter, later = t.open { db = { url = t.url } }, t.open { db = { url = t.url } }
  local record, request = begin(adapter, "exec", "db", "UPDATE doubts SET n = n + 1")
  record = through_json(t, record)
  adapter.perform("exec", request, record.token)
  local word, why = later.settle("exec", record)
  claim(word == "done", "a change that was committed is done", word or why)

  record, request = begin(adapter, "exec", "db", "UPDATE doubts SET n = n + 1")
  adapter.abandon("exec", request)
  word, why = later.settle("exec", through_json(t, record))
  claim(word == "not done", "one whose transaction never came to its COMMIT is not", word or why)

  record, request = begin(adapter, "exec", "db", "UPDATE doubts SET n = n + 1 FROM pg_sleep(0.7)")
  local task = host.task.spawn(adapter.perform, "exec", request, record.token)
  local started = host.clock.monotonic()
  word, why = later.settle("exec", through_json(t, record))
  claim(word == "done" and host.clock.monotonic() - started > 0.4, "one that still runs is waited for, and then is done", word or why)
  host.task.join(task)

  record, request = begin(adapter, "transaction", "db", function(tx)
    tx:exec "UPDATE doubts SET n = n + 1 FROM pg_sleep(0.3)"
    tx:exec "UPDATE doubts SET n = 1 / 0"
  end)
  task = host.task.spawn(adapter.perform, "transaction", request, record.token)
  word, why = later.settle("transaction", through_json(t, record))
  claim(word == "not done", "one that fails meanwhile is not done", word or why)
  host.task.join(task)

  record, request = begin(adapter, "copy_in", "db", "doubts", { { n = 7 } }, {})
  adapter.perform("copy_in", request, record.token)
  word, why = later.settle("copy_in", through_json(t, record))
  claim(word == "done", "a copy is a transaction like any other", word or why)

  local login = t.open { db = { url = t.url:gsub("postgres@", "plain@") } }
  record, request = begin(login, "exec", "db", "UPDATE doubts SET n = n + 1")
  login.perform("exec", request, record.token)
  word, why = login.settle("exec", through_json(t, record))
  claim(word == "done", "a login without rights finds out, too", word or why)
  login.close()

  local count = t.call(later, "value", "db", "SELECT sum(n)::int FROM doubts")
  claim(count == 11, "to look changes nothing", count)
  adapter.close()
  later.close()
end

function tests.unknown_for_good(t)
  local claim, host = t.claim, t.host
  local adapter = t.open { db = { url = t.url } }
  local record, request = begin(adapter, "exec", "db", "UPDATE doubts SET n = 0")
  local pool = pool_of.new {
    host = host, run = { id = "later" },
    environment = { name = "test", connection = function() return { url = t.url } end },
  }
  local status, why = settle.transaction(pool, pool:entry "db", record.token, 0.3)
  claim(status == nil and why:find(("pid %d) is still there, idle in transaction"):format(record.token.backend_pid), 1, true)
    and why:find(("pg_terminate_backend(%d)"):format(record.token.backend_pid), 1, true),
    "a session that does not end is named, and what ends it", why)
  adapter.abandon("exec", request)
  local word
  record.token.xid = "99999999"
  word, why = adapter.settle("exec", record)
  claim(word == nil and why:find "in the future", "an id that was never given says nothing while the server lives", word or why)
  word, why = adapter.settle("exec", { target = "db", body = {}, token = { xid = "900", backend_pid = 1 } })
  claim(word == nil and why:find "did not say which", "nor does an id of a server without a name", word or why)
  word, why = adapter.settle("exec", { target = "db" })
  claim(word == nil and why:find "not say enough", "nor a record without a token", word or why)
  local ok, err = pcall(adapter.settle, "exec", { target = "nosuch", token = { xid = "900" } })
  claim(not ok and err.kind == "effect", "a connection that is not there any more: nothing was seen", err)
  adapter.close()
  local down = t.open { db = { url = "postgres://u@127.0.0.1:1/x" } }
  ok, err = pcall(down.settle, "exec", record)
  claim(not ok and err.kind == "effect" and err.code == "refused", "nor is a server that is down", err)
  down.close()
end

local alone = { autocommit = true }

function tests.without_a_transaction(t)
  local claim = t.claim
  local adapter = t.open { db = { url = t.url } }
  local function expect(word, text, statement, make)
    local record, request = begin(adapter, "exec", "db", statement, {}, alone)
    if make then
      pcall(adapter.perform, "exec", request, record.token)
    else
      adapter.abandon("exec", request)
    end
    local said, why = adapter.settle("exec", through_json(t, record))
    claim(said == word and (word or why), text, said or why)
    return why
  end
  expect("not done", "a database that is not there was not made", "CREATE DATABASE doubtful", false)
  expect("done", "one that is there was", "CREATE DATABASE doubtful", true)
  expect("not done", "one that was there before was not made", "CREATE DATABASE doubtful", true)
  expect("not done", "a database that is there was not dropped", "DROP DATABASE doubtful", false)
  expect("done", "one that is gone was", "DROP DATABASE doubtful", true)
  t.setup { "CREATE TABLE twice (n int)", "INSERT INTO twice VALUES (1), (1)" }
  expect("not done", "an index that is not there was not made", "CREATE INDEX CONCURRENTLY doubt_n ON twice (n)", false)
  expect("done", "one that is valid was", "CREATE INDEX CONCURRENTLY doubt_n ON public.twice (n)", true)
  expect("not done", "one that is there was not dropped", "DROP INDEX CONCURRENTLY doubt_n", false)
  expect("done", "one that is gone was", "DROP INDEX CONCURRENTLY public.doubt_n", true)
  local why = expect(nil, "half an index is said to be one", "CREATE UNIQUE INDEX CONCURRENTLY doubt_u ON twice (n)", true)
  claim(why:find "not valid: DROP INDEX CONCURRENTLY", "and what to do with it", why)
  expect("repeat", "VACUUM may be made again", "VACUUM twice", true)
  expect("repeat", "so may REINDEX", "REINDEX TABLE CONCURRENTLY twice", true)
  expect(nil, "of others nobody knows", "ALTER SYSTEM RESET work_mem", true)
  expect(nil, "nor of what need not stand alone and does", "UPDATE twice SET n = 2", true)
  adapter.close()
end

--- Restarts the server by `how` between a change and the question; `perform` makes the change first.
local function over_a_restart(t, how, perform)
  local adapter = t.open { db = { url = t.url } }
  local record, request = begin(adapter, "exec", "db", "UPDATE doubts SET n = n + 1")
  if perform then
    adapter.perform("exec", request, record.token)
  end
  how()
  if not perform then
    adapter.abandon("exec", request)
  end
  adapter.close()
  return through_json(t, record)
end

function tests.restarts(t)
  local claim = t.claim
  local function asked(record)
    local adapter = t.open { db = { url = t.url } }
    local word, why = adapter.settle("exec", record)
    adapter.close()
    return word, why
  end
  local function restart()
    claim(control "-m fast restart", "the server restarts")
  end
  local function crash()
    claim(control "-m immediate restart", "the server crashes and comes back")
  end
  local word, why = asked(over_a_restart(t, restart, true))
  claim(word == "done", "what was committed is known over a restart", word or why)
  word, why = asked(over_a_restart(t, restart, false))
  claim(word == "not done", "so is what was not", word or why)
  word, why = asked(over_a_restart(t, crash, false))
  claim(word == "not done", "what was not committed is known over a crash", word or why)
  word, why = asked(over_a_restart(t, crash, true))
  claim(word == nil and why:find "crashed since", "after a crash an id that says 'committed' is not believed", word or why)

  local record = over_a_restart(t, crash, false)
  local again
  for _ = 1, 5 do
    local adapter = t.open { db = { url = t.url } }
    local _, _, token = t.call(adapter, "exec", "db", "UPDATE doubts SET n = n + 100")
    again = again or token.xid == record.token.xid
    adapter.close()
  end
  claim(again, "after a crash the server gives an id again")
  word, why = asked(record)
  claim(word ~= "done", "and another's transaction is not taken for ours", word or why)

  record = over_a_restart(t, function()
    claim(control "-m fast stop" and os.execute "touch $DIR/data/standby.signal" and control "start", "it comes back as a standby")
  end, true)
  word, why = asked(record)
  claim(word == nil and why:find "a standby answers", "a standby is not believed", word or why)
  claim(control "promote", "it is promoted")
  word, why = asked(record)
  claim(word == nil and why:find "promoted or restored", "nor is a promoted server", word or why)
end

function tests.another_server(t)
  local record = over_a_restart(t, function() end, true)
  local port = t.host.sql.place(t.url).port
  t.claim(control "-m fast stop" and os.execute(begin_script .. [[as="$as env PGOPTIONS="
    [ "$(id -u)" = 0 ] && mkdir $DIR/other && chown postgres $DIR/other
    $as $bin/initdb -D $DIR/other -A trust -U postgres --no-sync >>$DIR/log 2>&1 &&
    $as $bin/pg_ctl -D $DIR/other -o "-c listen_addresses=127.0.0.1 -c unix_socket_directories=$DIR -p $PORT" \
      -l $DIR/other.log -w start >>$DIR/log 2>&1]]), "another server takes its place", port)
  local adapter = t.open { db = { url = t.url } }
  local word, why = adapter.settle("exec", record)
  t.claim(word == nil and why == "another server answers now", "another server on the same port is told from it", word or why)
  adapter.close()
  t.claim(os.execute(begin_script .. "$as $bin/pg_ctl -D $DIR/other -m immediate -w stop >>$DIR/log 2>&1"), "it goes")
  t.claim(control "start", "and the first one comes back")
end

return tests
