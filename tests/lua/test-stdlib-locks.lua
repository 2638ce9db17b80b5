--- stdlib/locks and stdlib/activity over pretended sessions: whose queue it is, who may be ended, how often it happens.
local t = require "harness"

--- A module of the standard library with only what the sandbox would give it, over one answer to every query.
local function load_module(name, rows, more)
  local env = {
    sql = function() return { query = function() return rows end, one = function() return rows[1] end } end,
    require = function() return {} end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring,
  }
  for key, value in pairs(more or {}) do env[key] = value end
  return assert(loadfile("stdlib/" .. name .. ".lua", "t", env))()
end

local function session(pid, blockers, since)
  return {
    pid = pid, application = "app" .. pid, user = "u", state = "active", kind = "client backend", here = true,
    superuser = false, seconds = since or 0, since = since or 0, query = "q", backend_start = "b", state_change = "c",
    waits = #blockers > 0 and "ShareLock on t" or nil, blockers = blockers,
  }
end

t.test("everybody stands below the one all wait for, however far down", function()
  local locks = load_module("locks", { session(1, {}), session(2, { 1 }, 5), session(3, { 2 }, 9), session(4, {}) })
  local tree = locks.tree "primary"
  t.equal(#tree.rows, 3)
  t.equal(tree.rows[1].who, "1")
  t.equal(tree.rows[2].who, "| 2")
  t.equal(tree.rows[3].who, "| | 3")
  t.equal(#tree.roots, 1)
  t.equal(tree.roots[1].held_up, 2)
  t.equal(tree.roots[1].longest, 9)
  t.equal(tree.waiting, 2)
end)

t.test("who waits for two stands below the first of them and counts once", function()
  local locks = load_module("locks", { session(1, {}), session(2, {}), session(3, { 1, 2 }, 4) })
  local tree = locks.tree "primary"
  t.equal(#tree.rows, 3)
  t.equal(tree.roots[1].held_up + tree.roots[2].held_up, 1)
end)

t.test("a circle has no root, and is counted", function()
  local locks = load_module("locks", { session(1, { 2 }, 1), session(2, { 1 }, 1), session(3, { 1 }, 1) })
  local tree = locks.tree "primary"
  t.equal(#tree.roots, 0)
  t.equal(tree.circle, 3)
  t.equal(#tree.rows, 3)
end)

t.test("a prepared transaction is a root without a session", function()
  local locks = load_module("locks", { session(2, { 0 }, 40) })
  local root = locks.tree "primary".roots[1]
  t.equal(root.pid, 0)
  t.equal(root.held_up, 1)
  t.equal(load_module("activity", {}).why_not(root, {}), "no client: prepared transaction")
end)

t.test("a holder that is gone since makes no row", function()
  local tree = load_module("locks", { session(2, { 99 }, 4) }).tree "primary"
  t.equal(#tree.rows, 0)
  t.equal(tree.waiting, 1)
end)

t.test("a rate needs two samples of the same counters, a minute apart", function()
  local locks = load_module("locks", {})
  local before = { count = 3, reset = "monday", at = 0 }
  t.equal(locks.per_hour(before, { count = 9, reset = "monday", at = 7200 }), 3.0)
  t.equal(locks.per_hour(nil, before), nil)
  t.equal(locks.per_hour(before, { count = 9, reset = "tuesday", at = 7200 }), nil)
  t.equal(locks.per_hour(before, { count = 1, reset = "monday", at = 7200 }), nil)
  t.equal(locks.per_hour(before, { count = 3, reset = "monday", at = 59 }), nil)
  t.equal(locks.per_hour(before, { count = 3, reset = "monday", at = -60 }), nil)
end)

t.test("only clients of this database are ours to end, and none that is kept or a superuser's", function()
  local why_not = load_module("activity", {}).why_not
  local function with(changes)
    local one = session(1, {})
    for key, value in pairs(changes) do one[key] = value end
    return one
  end
  local opts = { keep = { "pg_dump" }, roles = {} }
  t.equal(why_not(session(1, {}), opts), nil)
  t.equal(why_not(with { kind = "walsender" }, opts), "no client: walsender")
  t.equal(why_not(with { here = false }, opts), "in another database")
  t.equal(why_not(with { application = "opsrun health-check" }, opts), "opsrun's own")
  t.equal(why_not(with { application = "pg_dump" }, opts), "pg_dump is kept")
  t.equal(why_not(with { superuser = true }, opts), "a superuser's")
  t.equal(why_not(with { superuser = true }, { roles = { "u" } }), nil)
  t.equal(why_not(session(1, {}), { roles = { "v" } }), "u is none of the roles")
  local hidden = { pid = 1, here = true }
  t.equal(why_not(hidden, opts), "cannot be seen: this role needs pg_read_all_stats")
end)

t.test("pids that are given leave all others alone", function()
  local ours, others = load_module("activity", {}).divide({ session(1, {}), session(2, {}) }, { pids = { 2 } })
  t.equal(#ours, 1)
  t.equal(ours[1].pid, 2)
  t.equal(others[1].why, "not among the pids given")
end)

--- stop() over sessions of which `left` survive their cancellation; what was sent, in words.
local function stop(sessions, left)
  local sent, slept = {}, 0
  local activity = load_module("activity", {}, {
    sql = function()
      return {
        exec = function(_, _, names) sent[#sent + 1] = "cancel " .. table.concat(names[1], " ") end,
        query = function() return left end, value = function() return false end,
      }
    end,
    batches = function(list, _, fn) if #list > 0 then fn(list) end end,
    sleep = function(seconds) slept = slept + seconds end,
    require = function()
      return { terminate = function(_, list)
        local pids = {}
        for i, one in ipairs(list) do pids[i] = one.pid end
        sent[#sent + 1] = "terminate " .. table.concat(pids, " ")
      end }
    end,
  })
  activity.stop("primary", sessions, { seconds = 10 })
  return sent, slept
end

t.test("a statement is cancelled, and its session ended only when that did not help", function()
  local silent = session(3, {})
  silent.state = "idle in transaction"
  local sent, slept = stop({ session(1, {}), session(2, {}), silent }, { { pid = 2 } })
  t.equal(table.concat(sent, "; "), "cancel 1 2; terminate 3 2")
  t.equal(slept > 9.9, true)
end)

t.test("when all statements ended nobody waits for the rest of the grace", function()
  local sent, slept = stop({ session(1, {}) }, {})
  t.equal(table.concat(sent, "; "), "cancel 1; terminate ")
  t.equal(slept < 2, true)
end)
