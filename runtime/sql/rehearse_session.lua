--- The transaction a rehearsal is made in: one a connection, opened with its first rehearsed change, and never
--- committed. Between two changes it only looks, read-only. Branches of a playbook share it in turn. The server
--- itself ends it when it stands idle: whoever waits for one of its locks does not wait for long, whatever becomes
--- of opsrun.
local catalogue = require "runtime.sql.catalogue"
local errors = require "runtime.errors"
local facts = require "runtime.sql.rehearse_facts"
local texts = require "runtime.sql.texts"

local session_of = { lock = 2, grace = 3 }

--- Seconds: to wait for a lock; that the transaction may stand idle; beyond the server's own limits.
local LOCK, IDLE, GRACE = session_of.lock, 10, session_of.grace

--- Seconds as the server takes them.
function session_of.milliseconds(seconds)
  return math.ceil(seconds * 1000)
end

local milliseconds = session_of.milliseconds

--- The items by which reads are kept read-only between two rehearsed changes; undone with their savepoint.
function session_of.looks(entry)
  return {
    { "SAVEPOINT opsrun_looks" },
    { "SET LOCAL transaction_read_only = on" },
    { ("SET LOCAL statement_timeout = %d"):format(milliseconds(entry.timeout or 0)) },
  }
end

local looks = session_of.looks

local function restore(entry)
  local items = looks(entry)
  items[1] = { "ROLLBACK TO SAVEPOINT opsrun_looks" }
  return items
end

local frame = { ["BEGIN READ ONLY"] = "SAVEPOINT opsrun_look", ROLLBACK = "ROLLBACK TO SAVEPOINT opsrun_look" }

--- Did the server answer, so that the transaction is still there?
local function alive(pool, err)
  return err.outcome == "failed" and not err.stopped and #err.code == 5 and not pool.gone[err.code] and err.code ~= "25P03"
end

--- Runs items on the rehearsal's own connection; marks it lost when its session or transaction is gone.
function session_of.run(pool, rehearsal, items, options)
  local results, err = rehearsal.session.conn:run(items, options)
  if not results and not alive(pool, err) then
    rehearsal.lost = err
  end
  return results, err
end

local run = session_of.run

--- Waits until `what` of the rehearsal is nobody's.
local function wait_for(pool, rehearsal, what)
  while rehearsal[what] do
    local ok, err = pool.services.host.task.sleep(0.01)
    if not ok then
      error(errors.from_host(err, "read"), 0)
    end
  end
end

--- Branches inside one transaction(fn) talk to the server in turn.
function session_of.one_by_one(pool, rehearsal, fn)
  wait_for(pool, rehearsal, "talking")
  rehearsal.talking = true
  local results = table.pack(pcall(fn))
  rehearsal.talking = false
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

local one_by_one = session_of.one_by_one

--- The connection as proofs and reads use it: what they wrap in a transaction of their own is wrapped in a
--- savepoint of the rehearsal's. Results stand where they would stand without.
local function inner(pool, rehearsal)
  local conn, proxy = rehearsal.session.conn, {}
  function proxy.run(_, items, options)
    local mapped, framed = {}, false
    for i, item in ipairs(items) do
      local other = type(item) == "table" and frame[item[1]]
      mapped[i] = other and { other } or item
      framed = framed or other
    end
    if framed then
      mapped[#mapped + 1] = { "RELEASE SAVEPOINT opsrun_look" }
    end
    return one_by_one(pool, rehearsal, function()
      local inside = not rehearsal.looking -- a rehearsed transaction(fn): looks come one by one
      if inside then
        run(pool, rehearsal, looks(rehearsal.entry), { timeout = GRACE })
      end
      local results, err = run(pool, rehearsal, mapped, options)
      if inside and not rehearsal.lost then
        run(pool, rehearsal, { { "ROLLBACK TO SAVEPOINT opsrun_looks" }, { "RELEASE SAVEPOINT opsrun_looks" } }, { timeout = GRACE })
      elseif not results and not rehearsal.lost then
        run(pool, rehearsal, restore(rehearsal.entry), { timeout = GRACE })
      end
      return results, err
    end)
  end
  function proxy.version()
    return conn:version()
  end
  return proxy
end

--- The transaction is over, whoever ended it: what was rehearsed in it is gone.
---@return integer made how many changes are gone
function session_of.over(pool, entry, why)
  local rehearsal = entry.rehearsal
  entry.rehearsal = nil
  catalogue.forget(entry.memory)
  pool:drop(rehearsal.session)
  if rehearsal.made > 0 and why then
    pool.rehearsal_lost(why)
  end
  return rehearsal.made
end

local over = session_of.over

--- One at a time: branches of a playbook share the transaction. What stands inside a rehearsed transaction(fn)
--- is a part of it.
local function alone(pool, rehearsal, fn)
  local current = pool.services.context and pool.services.context()
  if current and current.rehearsing == rehearsal then
    return fn()
  end
  wait_for(pool, rehearsal, "busy")
  local before = current and rawget(current, "rehearsing")
  rehearsal.busy = true
  if current then
    current.rehearsing = rehearsal
  end
  local results = table.pack(pcall(fn))
  rehearsal.busy = false
  if current then
    current.rehearsing = before
  end
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- Which constraints wait for COMMIT: asked again after each definition.
---@return boolean ok, table? err
function session_of.learn_deferred(rehearsal)
  local rows, err = catalogue.ask(rehearsal.conn, { facts.deferred })
  if not rows then
    return false, err
  end
  rehearsal.deferred = {}
  for i, row in ipairs(rows) do
    rehearsal.deferred[i] = row.name
  end
  return true
end

--- Opens the transaction. Raises what a first connect would.
local function open(pool, entry)
  local session = pool:acquire(entry)
  local results, err = session.conn:run({
    { "BEGIN" },
    { ("SET LOCAL lock_timeout = %d"):format(milliseconds(LOCK)) },
    { ("SET LOCAL idle_in_transaction_session_timeout = %d"):format(milliseconds(IDLE)) },
    table.unpack(looks(entry)),
  }, { timeout = GRACE + LOCK })
  local rehearsal = { session = session, entry = entry, made = 0, looking = true, deferred = {} }
  local ok = results ~= nil
  if ok then
    rehearsal.conn = inner(pool, rehearsal)
    ok, err = session_of.learn_deferred(rehearsal)
  end
  if not ok then
    pool:drop(session)
    return nil, err
  end
  --- For the pool: fn(session) as a read, within the rehearsal. nil, nil, true: it was gone.
  function rehearsal.look(fn)
    return alone(pool, rehearsal, function()
      if entry.rehearsal ~= rehearsal then
        return nil, nil, true
      end
      local result, failure = fn { conn = rehearsal.conn }
      if rehearsal.lost then
        over(pool, entry, rehearsal.lost.message)
        return nil, failure, not rehearsal.lost.stopped
      end
      return result, failure
    end)
  end
  entry.rehearsal = rehearsal
  catalogue.forget(entry.memory)
  return rehearsal
end

--- Runs fn(rehearsal) alone in the connection's rehearsal, opened if there is none; once more when the server had
--- ended it meanwhile.
function session_of.within(pool, entry, fn)
  for turn = 1, 3 do
    wait_for(pool, entry, "opening") -- another branch's
    local rehearsal, err = entry.rehearsal, nil
    if not rehearsal then
      entry.opening = true
      local ok
      ok, rehearsal, err = pcall(open, pool, entry)
      entry.opening = false
      if not ok then
        error(rehearsal, 0)
      end
    end
    if rehearsal then
      local made, why = alone(pool, rehearsal, function()
        if entry.rehearsal ~= rehearsal then
          return nil, "gone"
        end
        return fn(rehearsal)
      end)
      if made ~= nil then
        return made, why
      end
      if entry.rehearsal == rehearsal then
        over(pool, entry, "its session ended")
      end
    elseif not pool.gone[err.code] or turn == 3 then
      texts.raise_statement(entry.name, "", err, "read")
    end
  end
  return false, "its session ended again and again"
end

--- Ends every rehearsal, once nobody is at work in it: nothing of it stays.
---@return integer made how many rehearsed changes are gone
function session_of.let_go(pool)
  local made = 0
  for _, entry in pairs(pool.names) do
    local rehearsal = entry.rehearsal
    if rehearsal then
      wait_for(pool, rehearsal, "busy")
    end
    if rehearsal and entry.rehearsal == rehearsal then
      made = made + over(pool, entry)
    end
  end
  return made
end

return session_of
