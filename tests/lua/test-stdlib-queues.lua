--- stdlib/queues and stdlib/workers over pretend primitives: sums, rates, what fails, who is read when nobody tells.
local t = require "harness"

--- A module of the standard library with some of the sandbox, and what is given in its place.
local function load_module(name, more)
  local env = {
    require = function(module) return more[module] or {} end,
    try = function(fn, ...)
      local found = table.pack(pcall(fn, ...))
      if found[1] then return table.unpack(found, 2, found.n) end
      return nil, found[2]
    end,
    fail = function(text, ...) error(text:format(...), 0) end,
    batches = function(list, n, fn)
      for first = 1, #list, n do fn(table.move(list, first, math.min(first + n - 1, #list), 1, {})) end
    end,
    sleep = function() end, note = function() end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, string = string, tostring = tostring, tonumber = tonumber,
  }
  for key, value in pairs(more) do
    env[key] = value
  end
  return assert(loadfile("stdlib/" .. name .. ".lua", "t", env))()
end

--- An application whose answers are data.queues of one look after the other, the last one again and again.
local function telling(looks, more)
  local at = 0
  return {
    ask = function()
      at = math.min(at + 1, #looks)
      local list = looks[at]
      if type(list) == "string" then error(list, 0) end
      return { at = function() return list end, need = function() return list end }
    end,
    facts = function() return more or {} end,
  }
end

local function queue(more)
  local row = { name = "media", waiting = 10, active = 1, failed = 2, oldest_seconds = 30, added = 100, completed = 87 }
  for name, value in pairs(more or {}) do row[name] = value end
  return row
end

local WHERE = { api = "api", stats = "/stats", oldest = { seconds = 300 } }

t.test("queues are summed, and the oldest job of all counts", function()
  local health = telling({ { queue(), queue { name = "mail", waiting = 5, oldest_seconds = 400 } } }, { in_time = 91 })
  local seen = load_module("queues", { health = health }).look(WHERE)
  t.equal({ seen.depth, seen.oldest, seen.failed, seen.in_time }, { 15, 400, 4, 91 })
end)

t.test("a figure the application does not tell is no nought", function()
  local row = queue()
  row.oldest_seconds = nil
  local ok, why = pcall(load_module("queues", { health = telling { { row } } }).look, WHERE)
  t.equal(ok, false)
  t.contains(why, "api does not tell 'oldest_seconds' of queue 'media'")
end)

--- A module whose machine's clock stands `seconds` later at every look.
local function measuring(looks, seconds)
  local now = 100
  return load_module("queues", { health = telling(looks), files = { read = function()
    now = now + seconds
    return ("%.2f 1.0"):format(now)
  end } })
end

t.test("rates are by the machine's clock; of what ended so many percent failed", function()
  local seen = measuring({ { queue() }, { queue { added = 140, completed = 102, failed = 7 } } }, 10).measure(WHERE, "10s")
  t.equal({ seen.added_rate, seen.done_rate, seen.failed_rate, seen.failing }, { 4.0, 1.5, 0.5, 25.0 })
end)

t.test("rates are told of each queue; a new one has none yet", function()
  local mail = queue { name = "mail", added = 5, completed = 3, failed = 0 }
  local rows = measuring({ { queue() }, { queue { added = 140, completed = 102, failed = 7 }, mail } }, 10).measure(WHERE, "10s").rows
  t.equal({ rows[1].come, rows[1].done, rows[1].fail }, { 4.0, 1.5, 0.5 })
  t.equal({ rows[2].come, rows[2].done, rows[2].fail }, { 0.0, 0.0, 0.0 })
end)

t.test("where no job ended nobody knows how many fail", function()
  t.equal(measuring({ { queue() } }, 1).measure(WHERE, "10s").failing, nil)
end)

t.test("retried jobs make the failed ones fewer, which is no negative rate", function()
  local seen = measuring({ { queue() }, { queue { completed = 107, failed = 0 } } }, 10).measure(WHERE, "10s")
  t.equal({ seen.failed_rate, seen.failing }, { 0.0, 0.0 })
end)

t.test("a rehearsal, which does not wait, looks until jobs have ended", function()
  local looks = {}
  for n = 0, 20 do looks[n + 1] = { queue { completed = 87 + n } } end
  t.equal(measuring(looks, 1).measure(WHERE, "10s").completed, 97)
end)

--- A Redis with Bull's keys of queue media.
local function bull()
  local values = { wait = 3, active = 1, failed = 2, delayed = 4, id = "50" }
  return {
    pipeline = function(_, commands)
      t.equal(commands[1], { "LLEN", "bull:media:wait" })
      return { values.wait, values.active, values.failed, values.delayed, values.id, "48", { "40", "41" } }
    end,
    hget = function(_, key, field)
      t.equal({ key, field }, { "bull:media:48", "timestamp" })
      return "1000000"
    end,
    hmget = function(_, key) return { "0", key == "bull:media:40" and "300000" or "300001" } end,
  }
end

t.test("when the application does not answer, the jobs are read where they lie", function()
  local queues = load_module("queues", {
    health = telling { "refused" }, redis = bull, now = function() return { epoch = 1400 } end,
  })
  local seen = queues.look { api = "api", stats = "/", jobs = "cache", queues = { "media" }, oldest = { seconds = 300 } }
  t.equal({ seen.depth, seen.failed, seen.oldest, seen.completed, seen.in_time }, { 3, 2, 400, 40, 50.0 })
  t.equal(seen.instead_of, "refused")
  local ok, why = pcall(queues.look, { api = "api", stats = "/", oldest = { seconds = 300 } })
  t.equal({ ok, why }, { false, "refused" })
end)

local JOBS = {
  { id = "1", name = "charge", reason = "declined", failed_at = 1 }, { id = "2", name = "transcode", reason = "store", failed_at = 1 },
  { id = "3", name = "transcode", reason = "store", failed_at = 2 },
}

local function failing(list)
  return { ask = function() return { need = function() return table.move(list(), 1, #list(), 1, {}) end } end }
end

t.test("failed jobs are grouped by name and reason; only those of the names are ours", function()
  local queues = load_module("queues", { health = failing(function() return JOBS end) })
  local jobs = queues.failed("api", "/failed")
  t.equal(jobs.reasons[1], { name = "transcode", reason = "store", jobs = 2 })
  t.equal(#queues.of_names(jobs, { "transcode" }), 2)
  t.equal(#queues.of_names(jobs, { "mail" }), 0)
end)

t.test("a batch in doubt was tried again when none of its failures is listed; one that failed once more is another", function()
  local listed, sent = JOBS, {}
  local queues = load_module("queues", { health = failing(function() return listed end), http = function()
    return { post = function(_, path, opts) sent[#sent + 1] = { path, opts } end }
  end })
  queues.retry("api", "/retry", { JOBS[2], JOBS[3] }, "/failed")
  t.equal(sent[1][2].json, { ids = { "2", "3" } })
  t.equal(sent[1][2].costs, { jobs = 2 })
  t.equal(sent[1][2].happened(), false)
  listed = { JOBS[1], { id = "2", name = "transcode", reason = "store", failed_at = 9 } }
  t.equal(sent[1][2].happened(), true)
end)

t.test("room is counted with all connections the new workers open", function()
  local workers = load_module("workers", { postgres = { connections = function() return { used = 60, limit = 100 } end } })
  t.equal(workers.connections("primary", 4, 5), { used = 60, limit = 100, after = 80, percent = 80.0 })
end)

t.test("each machine of a service is looked at, and this one when it has none", function()
  local asked = {}
  local workers = load_module("workers", {
    processes = { machine = function(_, host)
      asked[#asked + 1] = host or "here"
      return { cores = 4, busy = 75 }
    end },
    shell = { read = function() return { text = "MemTotal: 100 kB\nMemAvailable: 20 kB\n" } end },
    files = { read = function() return "MemTotal: 100 kB\nMemAvailable: 50 kB\n" end },
  })
  t.equal(workers.machines({ "web1" }, "1s")[1], { host = "web1", processors = 1.0, memory = 20.0 })
  t.equal(workers.machines({}, "1s")[1], { host = "this machine", processors = 1.0, memory = 50.0 })
  t.equal(asked, { "web1", "here" })
end)

t.test("how many run of a service that is not there cannot be told", function()
  local state = "missing"
  local workers = load_module("workers", { service = function()
    return { status = function() return { state = state, running = 0, hosts = { { host = "web1" } } } end }
  end })
  t.equal(pcall(workers.count, "worker"), false)
  state = "inactive"
  t.equal(workers.count("worker"), { running = 0, state = "inactive", hosts = { "web1" } })
end)
