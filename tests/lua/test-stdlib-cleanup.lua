--- stdlib/cleanup over pretend `files`: what is found, what is left alone, what may be cut.
local t = require "harness"

local MOUNT = "/full"

--- The module, loaded with only what the sandbox would give it.
---@param listed table<string, table[]> directory -> entries
---@param open table<string, table[]>? path -> {pid, fd, command, flags}
local function load_cleanup(listed, open)
  local said = {}
  local env = {
    require = function(name)
      if name == "disks" then
        return { look = function(path) return { mount = path:sub(1, #MOUNT) == MOUNT and MOUNT or "/" } end }
      end
      return {}
    end,
    files = {
      stat = function(dir) return listed[dir] end,
      list = function(dir) return listed[dir] end,
      open = function(path) return open[path] end,
      read = function(path)
        for _, holders in pairs(open) do
          for _, held in ipairs(holders) do
            if path == ("/proc/%d/fdinfo/%d"):format(held.pid, held.fd) then return "pos:\t0\nflags:\t" .. held.flags .. "\n" end
          end
        end
      end,
    },
    note = function(fmt, ...) said[#said + 1] = fmt:format(...) end,
    ipairs = ipairs, pairs = pairs, math = math, tonumber = tonumber,
  }
  return assert(loadfile("stdlib/cleanup.lua", "t", env))(), said
end

local function entry(path)
  return { path = path, name = path:match "[^/]+$", size = 10, disk = 16, age = { seconds = 5 } }
end

local function paths(list)
  local found = {}
  for i, file in ipairs(list) do
    found[i] = file.path
  end
  return table.concat(found, " ")
end

t.test("what lies on another file system, or is not there, frees nothing and is left out", function()
  local cleanup = load_cleanup { ["/full/logs"] = { entry "/full/logs/a.log" }, ["/other"] = { entry "/other/b.log" } }
  local found = cleanup.find(MOUNT, { "/full/logs", "/other", "/full/gone" }, { protect = {} })
  t.equal(paths(found), "/full/logs/a.log")
  t.equal(table.concat(found.elsewhere, " "), "/other /full/gone")
  t.equal(found.count, 1)
  t.equal(found.disk, 16)
end)

t.test("a protected path is left with all below it, and not what only begins like it", function()
  local cleanup = load_cleanup {
    ["/full"] = { entry "/full/keep/a", entry "/full/keeper", entry "/full/one", entry "/full/ones" },
  }
  t.equal(paths(cleanup.find(MOUNT, { "/full" }, { protect = { "/full/keep", "/full/one" } })), "/full/keeper /full/ones")
end)

t.test("compressed files are told from others by their ending", function()
  local cleanup = load_cleanup {
    ["/full"] = { entry "/full/a.log", entry "/full/a.log.gz", entry "/full/a.log.xz", entry "/full/a.log.1" },
  }
  t.equal(paths(cleanup.find(MOUNT, { "/full" }, { protect = {}, packed = true })), "/full/a.log.gz /full/a.log.xz")
  t.equal(paths(cleanup.find(MOUNT, { "/full" }, { protect = {}, packed = false })), "/full/a.log /full/a.log.1")
end)

t.test("a log is cut only when all that write it append; who only reads does not count", function()
  local cleanup, said = load_cleanup({}, {
    ["/full/a"] = { { pid = 1, fd = 3, command = "app", flags = "0102001" }, { pid = 2, fd = 4, command = "tail", flags = "0100000" } },
    ["/full/b"] = { { pid = 1, fd = 5, command = "app", flags = "0102001" }, { pid = 3, fd = 3, command = "old", flags = "0100001" } },
  })
  local fit = cleanup.cuttable { entry "/full/a", entry "/full/b" }
  t.equal(paths(fit), "/full/a")
  t.equal(said[1], "/full/b stays: old (3) writes it without appending and has to open it anew")
end)

t.test("bytes are told as people say them", function()
  local cleanup = load_cleanup {}
  t.equal(cleanup.size(0), "0 bytes")
  t.equal(cleanup.size(1536), "1.5 KB")
  t.equal(cleanup.size(12 * 1024 ^ 2), "12.0 MB")
  t.equal(cleanup.size(3 * 1024 ^ 4), "3.0 TB")
end)
