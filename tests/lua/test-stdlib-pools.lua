--- stdlib/pools over pretend primitives: what pools tell, which size fits, and how files of settings are read and written.
local t = require "harness"

--- world: answer (of the application), files (text by path); what was run is in world.ran.
local function load_pools(world)
  world.ran = {}
  local env = {
    ipairs = ipairs, pairs = pairs, math = math, table = table, string = string, tonumber = tonumber, tostring = tostring, type = type,
    fail = function(...) error(string.format(...), 0) end,
    require = function()
      return { ask = function()
        return { json = world.answer, at = function(_, path) return world.answer[path] end }
      end }
    end,
    shell = {
      read = function(words) return { stdout = world.files[words[#words]] } end,
      run = function(words, opts) world.ran[#world.ran + 1] = { words = words, opts = opts } end,
    },
    ensure = function(_, opts)
      if not opts.is() then opts.make() end
      return opts
    end,
    service = function(name)
      return { restart = function(_, opts) world.ran[#world.ran + 1] = { restarted = name, opts = opts } end }
    end,
  }
  return assert(loadfile("stdlib/pools.lua", "t", env))()
end

local P = { target = 70, db_max = 80, least = 5, more_name = "DB_POOL_OVERFLOW" }

local function recommend(now, more)
  local p = {}
  for name, value in pairs(P) do p[name] = value end
  for name, value in pairs(more or {}) do p[name] = value or nil end
  local facts = { needed = 8, size = 2, overflow = 2, others = 3, limit = 97, processes = 2 }
  for name, value in pairs(now or {}) do facts[name] = value end
  local said = load_pools({}).recommend(facts, p)
  return ("%d+%d, %d of %d%s%s"):format(said.size, said.overflow, said.most, said.room, said.fits and ", fits" or "",
    said.short and ", short" or "")
end

t.test("a pool is so large that its peak is seventy per cent of it, overflow in proportion", function()
  t.equal(recommend(), "6+6, 24 of 74")
  t.equal(recommend { size = 20, overflow = 0, needed = 18 }, "26+0, 52 of 74")
  t.equal(recommend { needed = 0 }, "3+2, 10 of 74")
  t.equal(recommend { size = 0, overflow = 0 }, "12+0, 24 of 74")
end)

t.test("what fits is left alone, also when it is more than is needed now", function()
  t.equal(recommend { size = 10, overflow = 20, needed = 4 }, "10+20, 60 of 74, fits")
  t.equal(recommend { size = 6, overflow = 6 }, "6+6, 24 of 74, fits")
end)

t.test("never more than the database has room for beside others, and that it is less than is wanted is said", function()
  t.equal(recommend { needed = 60 }, "19+18, 74 of 74, short")
  t.equal(recommend { size = 50, overflow = 0, needed = 10, processes = 4 }, "15+0, 60 of 74")
  t.equal(recommend { others = 90 }, "0+0, 0 of 0, short")
end)

t.test("a function gets one connection, however much it had", function()
  t.equal(recommend({ size = 10, overflow = 0, needed = 10, processes = 30 }, { serverless = true }), "1+0, 30 of 74")
  t.equal(recommend({ size = 1, overflow = 0, needed = 10, processes = 30 }, { serverless = true }), "1+0, 30 of 74, fits")
end)

t.test("an overflow that cannot be set stays, and counts", function()
  t.equal(recommend(nil, { more_name = false }), "10+2, 24 of 74")
  t.equal(recommend(nil, { more_name = false, size = 4, overflow = 9 }), "4+2, 12 of 74")
end)

t.test("who names a size gets it, with the overflow named or none", function()
  t.equal(recommend(nil, { size = 9 }), "9+0, 18 of 74")
  t.equal(recommend(nil, { size = 2, overflow = 2 }), "2+2, 8 of 74, fits")
end)

t.test("pools are understood in the words of SQLAlchemy and of node-postgres, and what is left out is no zero", function()
  local function ask(answer, at)
    local facts = load_pools({ answer = answer }).ask("api", { stats = "/pool", stats_at = at })
    return ("%s of %s+%s, %s wait"):format(facts.checked_out, facts.size, facts.overflow, facts.waiting)
  end
  t.equal(ask({ pool_size = 20, max_overflow = 30, checkedout = 50, waiting = 2 }), "50 of 20+30, 2 wait")
  t.equal(ask({ data = { totalCount = 10, idleCount = 4, waitingCount = 0, max = 20 } }, "data"), "6 of 20+nil, 0 wait")
  t.contains(t.raises(function() ask { totalCount = 10, idleCount = 4 } end), "does not tell how many wait")
  t.contains(t.raises(function() ask({}, "data") end), "tells nothing at 'data'")
end)

local FILE = [[
# DB_POOL_MAX=99 was too much
export DB_POOL_MAX="20"
MY_DB_POOL_MAX=7
database_pool_size = 30  # Increase if needed
  "poolMax": 40,
TWICE=1
TWICE=2
]]

t.test("a setting is read where it stands alone, in files of several kinds, and never where it stands twice or not at all", function()
  local pools = load_pools { files = { ["/app.env"] = FILE } }
  t.equal(pools.setting("/app.env", "DB_POOL_MAX"), 20)
  t.equal(pools.setting("/app.env", "database_pool_size"), 30)
  t.equal(pools.setting("/app.env", "poolMax"), 40)
  t.contains(t.raises(function() pools.setting("/app.env", "TWICE") end), "is set 2 times in /app.env, and not once")
  t.contains(t.raises(function() pools.setting("/app.env", "MISSING") end), "is set 0 times")
  t.contains(t.raises(function() pools.setting("/app.env", "A.*;e id") end), "is no name of a setting")
end)

t.test("what is written is what was read: sed changes the one line that counts, and its number only", function()
  local world = { files = { ["/app.env"] = FILE } }
  load_pools(world).set({ service = "app", host = "web1", path = "/app.env", values = { { name = "DB_POOL_MAX", number = 12 } } },
    { recover = "1m" })
  local argv = world.ran[1].words
  t.equal(world.ran[1].opts.host, "web1")
  t.equal(world.ran[2].restarted, "app")
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(FILE)
  file:close()
  for i, word in ipairs(argv) do argv[i] = "'" .. word:gsub("'", [['\'']]) .. "'" end
  argv[#argv] = path
  assert(os.execute(table.concat(argv, " ")))
  local got = assert(io.open(path)):read "a"
  os.remove(path)
  t.equal(got, (FILE:gsub('"20"', '"12"')))
end)
