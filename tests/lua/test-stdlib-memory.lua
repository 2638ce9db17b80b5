--- stdlib/memory over a pretended machine: what is used, who grows and who only warms up, limits of groups, and when no heap
--- can be written down.
local t = require "harness"

local MB = 1048576

--- A module over files = { [path] = text, or a function of how often the machine was looked at }.
local function load_memory(files)
  local world = { looks = 0, slept = 0, suggested = {}, files = files }
  local function stat_of(line)
    local pid, start = line:match "^(%d+) stat (%d+)$"
    return pid and { pid = tonumber(pid), start = tonumber(start) }
  end
  local env = {
    ipairs = ipairs, pairs = pairs, math = math, table = table, string = string, tonumber = tonumber, tostring = tostring,
    require = function() return { parse = stat_of } end,
    note = function() end,
    show = function() end,
    suggest = function(playbook) world.suggested[#world.suggested + 1] = playbook end,
    sleep = function(seconds) world.slept = world.slept + seconds end,
    shell = { read = function(words)
      if words[2] == "/proc/meminfo" then world.looks = world.looks + 1 end
      local text = {}
      for i = 2, #words do
        local file = files[words[i]]
        text[#text + 1] = type(file) == "function" and file(world) or file
      end
      return { stdout = table.concat(text, "\n") .. "\n" }
    end },
  }
  return assert(loadfile("stdlib/memory.lua", "t", env))(), world
end

local function meminfo(total, available, swap, swap_free)
  return ("MemTotal: %d kB\nMemFree: 1 kB\nMemAvailable: %d kB\nSwapTotal: %d kB\nSwapFree: %d kB"):format(total, available, swap or 0,
    swap_free or 0)
end

local function status(anon_mb, swap_mb, catches)
  return ("VmPeak: 9999 kB\nVmRSS: %d kB\nRssAnon: %d kB\nRssFile: 900 kB\nVmSwap: %d kB\nSigCgt: %016x"):format(
    1024 * anon_mb + 900, 1024 * anon_mb, 1024 * (swap_mb or 0), catches or 0)
end

--- A machine whose clock goes by what was slept.
local function machine(more)
  local files = {
    ["/proc/meminfo"] = meminfo(1000, 250, 100, 75), ["/proc/vmstat"] = "pgfault 5\noom_kill 3\nthp 1",
    ["/proc/uptime"] = function(world) return ("%.2f 9.00"):format(500 + world.slept) end,
  }
  for path, text in pairs(more or {}) do files[path] = text end
  return files
end

--- One process that has so many megabytes at each look, the last of them from then on.
local function process(files, pid, sizes)
  files["/proc/" .. pid .. "/stat"] = ("%d stat %d"):format(pid, 100 + pid)
  files["/proc/" .. pid .. "/status"] = function(world) return status(sizes[math.min(world.looks, #sizes)]) end
  return { pid = pid, start = 100 + pid, seconds = 5000, command = "node", program = "node" }
end

local TEN = { interval = { seconds = 60 }, watch = { seconds = 600 }, growth_mb = 50 }

t.test("what the kernel could give is not used, and a machine without swap uses none of it", function()
  local seen = load_memory(machine()).look()
  t.equal(seen.used, 75)
  t.equal(seen.swap_used, 25)
  t.equal(seen.oom_kills, 3)
  t.equal(seen.uptime, 500)
  t.equal(load_memory(machine { ["/proc/meminfo"] = meminfo(1000, 250) }).look().swap_used, 0)
end)

t.test("what lies in swap is held, what belongs to files is not, and a pid that is somebody else's does not count", function()
  local files = machine { ["/proc/7/stat"] = "7 stat 107", ["/proc/7/status"] = status(30, 12, 1 << 11), ["/proc/8/stat"] = "8 stat 999",
                          ["/proc/8/status"] = status(30) }
  local sizes, seen = load_memory(files).sizes { { pid = 7, start = 107 }, { pid = 8, start = 108 }, { pid = 9, start = 109 } }
  t.equal(sizes[7].held, 42 * MB)
  t.equal(sizes[7].catches, 1 << 11)
  t.equal(sizes[8], nil)
  t.equal(sizes[9], nil)
  t.equal(seen.used, 75)
end)

t.test("who grows all the while is told, fastest first; who stopped growing only warmed up", function()
  local files = machine()
  local rows = {
    process(files, 1, { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110 }), process(files, 2, { 10, 100, 200, 200 }),
    process(files, 3, { 10, 30, 50, 70, 90, 110, 130, 150, 170, 190, 210 }), process(files, 4, { 90, 50, 10 }),
  }
  local memory, world = load_memory(files)
  local grown, least = memory.growth(rows, TEN)
  t.equal(world.slept, 600)
  t.equal(grown[1].pid, 3)
  t.equal(grown[1].growth, 200)
  t.equal(grown[1].megabytes, 210)
  t.equal(grown[2].pid, 1)
  t.equal(grown[3].growth, 0)
  t.equal(grown[4].growth, 0)
  t.equal(least, 75)
end)

t.test("a young process warms up, unless nobody says how long that takes", function()
  local files = machine()
  local row = process(files, 1, { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110 })
  row.seconds = 30
  local memory = load_memory(files)
  t.equal(memory.growth({ row }, TEN, { seconds = 600 })[1].growth, 0)
  t.equal(load_memory(files).growth({ row }, TEN)[1].growth, 100)
end)

t.test("where no time goes by nobody is said to grow, and a redis that does is left to its own procedure", function()
  local files = machine { ["/proc/uptime"] = "500.00 9.00" }
  local row = process(files, 1, { 10, 200, 900 })
  t.equal(load_memory(files).watch({ row }, TEN).measured, false)
  files = machine()
  row = process(files, 1, { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110 })
  row.command = "redis-server"
  local memory, world = load_memory(files)
  local seen = memory.watch({ row }, TEN)
  t.equal(seen.measured, true)
  t.equal(seen.pids[1], 1)
  t.equal(seen.most, 100)
  t.equal(world.suggested[1], "incident/redis-memory.lua")
end)

t.test("a limit is read by either version of control groups, its cache aside, and what is no limit is none", function()
  local two = "/sys/fs/cgroup/system.slice/app.service/memory."
  local files = { ["/proc/7/cgroup"] = "0::/system.slice/app.service", [two .. "max"] = "1000", [two .. "current"] = "950",
                  [two .. "stat"] = "anon 600\ninactive_file 200\nfile 300", [two .. "events"] = "low 0\noom 2\noom_kill 2" }
  local limit = load_memory(files).limit(7)
  t.equal(limit.bytes, 1000)
  t.equal(limit.percent, 75)
  t.equal(limit.oom_kills, 2)
  files[two .. "max"] = "max"
  t.equal(load_memory(files).limit(7), nil)
  local one = "/sys/fs/cgroup/memory/docker/abc/memory."
  files = { ["/proc/7/cgroup"] = "5:cpu:/\n4:memory:/docker/abc\n0::/", [one .. "limit_in_bytes"] = "1000",
            [one .. "usage_in_bytes"] = "500",
            [one .. "stat"] = "cache 1\ntotal_inactive_file 100", [one .. "oom_control"] = "under_oom 0\noom_kill 1" }
  t.equal(load_memory(files).limit(7).percent, 40)
  t.equal(load_memory(files).limit(7).oom_kills, 1)
  files[one .. "limit_in_bytes"] = "9223372036854771712"
  t.equal(load_memory(files).limit(7), nil)
  t.equal(load_memory({}).limit(7), nil)
end)

t.test("a heap is not asked for where the signal would end the process, nor where there is no room for it", function()
  local function why(catches, available)
    local files = machine { ["/proc/meminfo"] = meminfo(9000000, available), ["/proc/7/stat"] = "7 stat 107",
                            ["/proc/7/status"] = status(100, 0, catches) }
    return load_memory(files).why_no_snapshot({ pid = 7, start = 107 }, "USR2")
  end
  t.equal(why(1 << 11, 300 * 1024), nil)
  t.contains(why(1 << 9, 300 * 1024), "does not catch USR2: it would end it")
  t.contains(why(1 << 11, 150 * 1024), "150 MB of memory are free, and 2 times the 100 MB it holds are needed")
  t.contains(load_memory(machine()).why_no_snapshot({ pid = 7, start = 107 }, "USR2"), "pid 7 is gone")
end)
