--- stdlib/keyspace over a pretend `redis`: what it adds up, what it leaves alone, what it sends.
local t = require "harness"

local sent, undone, slept

--- The module, loaded with only what the sandbox would give it.
---@param keys table[] {key, ttl, bytes} that a scan gives
---@param more table? answers: info, files (path -> text), pipeline (fn)
local function load_keyspace(keys, more)
  more = more or {}
  sent, undone, slept = {}, {}, 0
  local connection = {
    info = function() return more.info end,
    dbsize = function() return more.dbsize or #keys end,
    scan = function(_, opts)
      sent[#sent + 1] = { "scan", opts }
      local at = 0
      return function()
        at = at + 1
        if keys[at] and (not opts.cap or at <= opts.cap) then
          return table.unpack(keys[at], 1, 3)
        end
      end
    end,
    pipeline = function(_, commands, opts)
      sent[#sent + 1] = { "pipeline", commands, opts }
      return more.pipeline and more.pipeline(commands) or table.move(commands, 1, 0, 1, {})
    end,
    unlink = function(_, slice, opts)
      sent[#sent + 1] = { "unlink", slice, opts }
      return { count = #slice - (more.gone or 0) }
    end,
  }
  local env = {
    redis = function() return connection end,
    files = { read = function(path) return (more.files or {})[path] or error("not there", 0) end },
    try = function(fn)
      local ok, value = pcall(fn)
      if ok then return value end
    end,
    undo = function(text, fn) undone[#undone + 1] = { text, fn } end,
    batches = function(list, n, fn)
      local number = 0
      for first = 1, #list, n do
        number = number + 1
        fn(table.move(list, first, math.min(first + n - 1, #list), 1, {}), number)
      end
    end,
    sleep = function() slept = slept + 1 end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring, tonumber = tonumber,
    type = type, select = select, string = string, utf8 = utf8,
  }
  return assert(loadfile("stdlib/keyspace.lua", "t", env))()
end

local function info(more)
  local facts = {
    used_memory = 90, used_memory_peak = 95, maxmemory = 100, total_system_memory = 1024000, used_memory_rss = 99,
    maxmemory_policy = "noeviction", mem_fragmentation_ratio = 1.1, evicted_keys = 0, keyspace_hits = 3,
    keyspace_misses = 1, connected_clients = 1, blocked_clients = 0, redis_version = "7.0.15", process_id = 4711,
    config_file = "", db0 = { keys = 10, expires = 4 }, db1 = { keys = 5, expires = 5 },
  }
  for name, value in pairs(more or {}) do
    facts[name] = value
  end
  return facts
end

t.test("memory counts all databases, and what the server counts against its limit", function()
  local memory = load_keyspace({}, { info = info { mem_not_counted_for_evict = 10 } }).memory "cache"
  t.equal(memory.keys, 15)
  t.equal(memory.expiring, 9)
  t.equal(memory.percent, 80.0)
  t.equal(memory.hit_percent, 75.0)
  t.equal(memory.config_file, nil)
end)

t.test("without a limit the host's memory is the limit", function()
  local memory = load_keyspace({}, { info = info { maxmemory = 0, used_memory = 512000 } }).memory "cache"
  t.equal(memory.percent, 50.0)
  t.equal(memory.max, 0)
end)

local MEMINFO = "MemTotal:  1000 kB\nMemAvailable:  250 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n"

t.test("the host's memory is told when the server's process and its memory are this machine's", function()
  local here = { ["/proc/meminfo"] = MEMINFO, ["/proc/4711/comm"] = "redis-server\n", ["/proc/vmstat"] = "pswpout 7\n" }
  local host = load_keyspace({}, { info = info(), files = here }).host_memory "cache"
  t.equal(host.free_percent, 25.0)
  t.equal(host.swap_used, 6 * 1024)
  t.equal(host.swapped_out, 7)
end)

t.test("another machine's memory is not guessed", function()
  local other_process = { ["/proc/meminfo"] = MEMINFO, ["/proc/4711/comm"] = "systemd\n" }
  t.equal(load_keyspace({}, { info = info(), files = other_process }).host_memory "cache", nil)
  local no_process = { ["/proc/meminfo"] = MEMINFO }
  t.equal(load_keyspace({}, { info = info(), files = no_process }).host_memory "cache", nil)
  local here = { ["/proc/meminfo"] = MEMINFO, ["/proc/4711/comm"] = "redis-server\n" }
  local larger = info { total_system_memory = 2048000 }
  t.equal(load_keyspace({}, { info = larger, files = here }).host_memory "cache", nil)
end)

t.test("a limit is raised only above the present one and within the host's memory", function()
  local keyspace = load_keyspace {}
  local size = setmetatable({}, {
    __index = function(_, name) return name == "bytes" and 200 end,
    __le = function(_, other) return 200 <= other end,
    __tostring = function() return "200b" end,
  })
  local host = { available = 500, total = 1000 }
  t.equal(keyspace.room({ max = 100, used = 100 }, host, size, 20), 40.0)
  t.equal(select(2, keyspace.room({ max = 0, used = 100 }, host, size, 20)), "no limit is set")
  t.equal(select(2, keyspace.room({ max = 200, used = 100 }, host, size, 20)), "200b is not above the present 200 bytes")
  t.equal((keyspace.room({ max = 100, used = 100 }, nil, size, 20)), nil)
  t.equal((keyspace.room({ max = 100, used = 100 }, host, size, 45)), nil)
end)

t.test("a survey adds up by prefix, finds what lasts, and the biggest", function()
  local keyspace = load_keyspace {
    { "page:1", -1, 100 }, { "page:2", 60, 50 }, { "plain", -1, 700 }, { "gone:1", false, false }, { "tmp:a:b", -1, 10 },
  }
  local survey = keyspace.survey("cache", { top = 2 })
  t.equal(survey.sampled, 4)
  t.equal(survey.lasting, 3)
  t.equal(survey.by_prefix[1].prefix, "(no prefix)")
  t.equal(survey.by_prefix[2], { prefix = "page:", keys = 2, bytes = 150, percent = 17.4, lasting = 1, lasting_bytes = 100 })
  t.equal(#survey.biggest, 2)
  t.equal(survey.biggest[2].key, "page:1")
  t.equal(survey.estimated, false)
end)

t.test("a capped survey estimates the whole from its part", function()
  local keyspace = load_keyspace({ { "a:1", -1, 10 }, { "a:2", 5, 30 }, { "b:1", -1, 10 } }, { dbsize = 20 })
  local survey = keyspace.survey("cache", { cap = 2 })
  t.equal(survey.estimated, true)
  t.equal(survey.by_prefix[1].keys, 20)
  t.equal(survey.by_prefix[1].bytes, 400)
  t.equal(survey.lasting, 10)
end)

t.test("more prefixes than a person reads are one sum; a busy server gets its rest", function()
  local keys = {}
  for i = 1, 20000 do
    keys[i] = { ("p%d:x"):format(i), -1, 1 }
  end
  local survey = load_keyspace(keys).survey("cache", { pause = "1s", top = 1 })
  t.equal(#survey.by_prefix, 1001)
  t.equal(survey.by_prefix[1].prefix, "(others)")
  t.equal(survey.by_prefix[1].keys, 19000)
  t.equal(slept, 2)
end)

t.test("a key that is no UTF-8 is shown by its bytes and changed by its name", function()
  local keyspace = load_keyspace { { "a:\xff", -1, 1 } }
  t.equal(keyspace.survey("cache").biggest[1].key, "a:\\xff")
  local keys = keyspace.find("cache", { "a:" })
  t.equal(keys[1], "a:\xff")
  t.equal(keys.rows[1].key, "a:\\xff")
end)

t.test("signs in a prefix are taken as they are; a key that comes twice counts once", function()
  local keyspace = load_keyspace { { "a*[1]?\\", -1, 5 }, { "a*[1]?\\", -1, 5 }, { "b", 9, 5 } }
  local keys = keyspace.find("cache", { "a*[1]?\\" }, { lasting = true })
  t.equal(sent[1][2].match, "a\\*\\[1\\]\\?\\\\*")
  t.equal(#keys, 1)
  t.equal(keys.bytes, 5)
end)

t.test("expire goes in batches, spread, only where there is none; the way back takes only what it gave", function()
  local keyspace = load_keyspace({}, {
    info = info(),
    pipeline = function(commands)
      local replies = {}
      for i = 1, #commands do
        replies[i] = i == 2 and 0 or 1
      end
      return replies
    end,
  })
  local keys = {}
  for i = 1, 501 do
    keys[i] = "k" .. i
  end
  t.equal(keyspace.expire("cache", keys, 3600), 500)
  t.equal(#sent, 2)
  t.equal(sent[1][2][1][4], "NX")
  t.equal(sent[1][3].costs, { keys = 500 })
  for _, batch in ipairs(sent) do
    for _, command in ipairs(batch[2]) do
      t.equal(command[3] >= 3600 and command[3] <= 3960, true)
    end
  end
  t.equal(#undone, 1)
  undone[1][2]()
  t.equal(#sent[3][2], 499)
  t.equal(sent[3][2][2], { "PERSIST", "k3" })
end)

t.test("a server before 7 knows no NX", function()
  local keyspace = load_keyspace({}, { info = info { redis_version = "6.2.1" }, pipeline = function() return { 1 } end })
  keyspace.expire("cache", { "a" }, 10)
  t.equal(#sent[1][2][1], 3)
end)

t.test("unlink counts what was there", function()
  local keyspace = load_keyspace({}, { gone = 1 })
  t.equal(keyspace.unlink("cache", { "a", "b", "c" }), 2)
end)

t.test("a prefix clashes with what is kept in both directions, whatever the case; an empty one always", function()
  local keyspace = load_keyspace {}
  t.equal(keyspace.clash({ "page:" }, { "session", "queue" }), nil)
  t.equal(keyspace.clash({ "page:", "Session:web" }, { "session" }), "Session:web")
  t.equal(keyspace.clash({ "se" }, { "session" }), "se")
  t.equal(keyspace.clash({ "" }, { "session" }), "")
end)

t.test("sizes are for people", function()
  local keyspace = load_keyspace {}
  t.equal(keyspace.size(12), "12 bytes")
  t.equal(keyspace.size(64 * 1024 * 1024), "64.0 MB")
  t.equal(keyspace.size(2048 * 1024 ^ 3), "2048.0 GB")
end)
