--- stdlib/caches over pretend modules: what counts as weak, as short of room, as changed, as pressure.
local t = require "harness"

--- The module with what it asks for: health, keyspace, postgres, and some of the sandbox.
local function load_caches(more)
  more = more or {}
  local env = {
    require = function(name) return more[name] or {} end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring, tonumber = tonumber,
    sleep = function() end,
  }
  for name, value in pairs(more) do
    env[name] = value
  end
  return assert(loadfile("stdlib/caches.lua", "t", env))()
end

--- A health module whose application answers with these endpoints or figures.
local function telling(data)
  local answer = { at = function(_, path) return path == "data.endpoints" and data.endpoints or nil end }
  return {
    ask = function() return answer end,
    number = function(_, name) return data[name] or error(name .. " is not there", 0) end,
    facts = function() return data end,
  }
end

t.test("endpoints below the limit come worst first, and what has no rate is none of them", function()
  local caches = load_caches { health = telling { endpoints = {
    { endpoint = "b", hit_rate = 0.5 }, { endpoint = "a", hit_rate = 0.5 }, { endpoint = "well", hit_rate = 0.8 },
    { endpoint = "worst", hit_rate = 0 }, { endpoint = "unasked" },
  } } }
  local names = {}
  for i, row in ipairs(caches.weak("api", "/analytics", "24h", 0.8)) do
    names[i] = row.endpoint
  end
  t.equal(names, { "worst", "a", "b" })
end)

t.test("a hit rate is told to a tenth, and one that is not there raises", function()
  t.equal(load_caches { health = telling { hit_rate = 12.3456, total_requests = 7 } }.look("api", "/a", "1h").hit_rate, 12.3)
  t.equal(pcall(load_caches { health = telling { total_requests = 7 } }.look, "api", "/a", "1h"), false)
end)

--- Whether a redis is short of room, by its memory before and after.
local function is_short(before, after)
  local calls = 0
  local keyspace = { memory = function()
    calls = calls + 1
    return calls == 1 and before or after
  end }
  return load_caches { keyspace = keyspace }.room("cache", "1s").is_short
end

t.test("a full redis that evicts nothing is well; one that refuses, evicts, or may not evict is short of room", function()
  local function memory(policy, percent, evicted, refused)
    return { policy = policy, percent = percent, evicted = evicted, refused = refused }
  end
  t.equal(is_short(memory("allkeys-lru", 100, 5, 0), memory("allkeys-lru", 100, 5, 0)), false)
  t.equal(is_short(memory("allkeys-lru", 100, 5, 0), memory("allkeys-lru", 100, 6, 0)), true)
  t.equal(is_short(memory("noeviction", 60, 0, 3), memory("noeviction", 60, 0, 3)), false)
  t.equal(is_short(memory("noeviction", 60, 0, 3), memory("noeviction", 60, 0, 4)), true)
  t.equal(is_short(memory("noeviction", 96, 0, 0), memory("noeviction", 96, 0, 0)), true)
end)

t.test("what changed since the last look is told; the first look has nothing to compare with", function()
  local kept = {}
  local caches = load_caches { state = function()
    return { get = function(_, key) return kept[key] end, set = function(_, key, value) kept[key] = value end }
  end }
  local rows, is_first = caches.changes("api", { version = "1", prefixes = "a: b:" })
  t.equal(#rows, 0)
  t.equal(is_first, true)
  rows, is_first = caches.changes("api", { version = "2", prefixes = "a: b:" })
  t.equal(#rows, 1)
  t.equal(rows[1], { what = "version", before = "1", now = "2" })
  t.equal(is_first, false)
  t.equal(#caches.changes("api", { prefixes = "a: b:" }), 0)
end)

t.test("pressure is named by its measure, and nobody named is none", function()
  local caches, most = load_caches(), { db_max = 80, origin_ms = 500 }
  t.equal(caches.pressure({}, most), nil)
  t.equal(caches.pressure({ percent = 80, query_ms = 500 }, most), nil)
  t.equal(caches.pressure({ percent = 81 }, most), "81 % of the database's connections are used, more than 80 %")
  t.equal(caches.pressure({ query_ms = 501 }, most), "a query takes 501 ms in the mean, more than 500 ms")
end)
