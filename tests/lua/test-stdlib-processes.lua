--- stdlib/processes and stdlib/jobs over a pretended /proc: whose a process is, what it takes, what is ours to touch.
local t = require "harness"

local KTHREAD = 0x208040

--- A line of /proc/PID/stat with the fields that count.
local function stat(pid, command, ppid, more)
  local field = { more.state or "S", ppid, pid, pid, 0, -1, more.flags or 0, 0, 0, 0, 0, more.ticks or 0, 0, 0, 0, 20, more.nice or 0, 1, 0,
                  more.start or 100 + pid, 0, 0 }
  return ("%d (%s) %s"):format(pid, command, table.concat(field, " "))
end

--- A module over a pretended machine: { ps = text, machine = list of texts, stats = fn(look) -> { [pid] = line } }.
local function load_module(name, world, more)
  world.looks, world.ran, world.slept = 0, {}, 0
  local env = {
    ipairs = ipairs, pairs = pairs, math = math, table = table, string = string, tonumber = tonumber, tostring = tostring,
    fail = function(...) error(string.format(...), 0) end,
    note = function() end,
    sleep = function(seconds) world.slept = world.slept + seconds end,
    require = function() return more end,
    shell = {
      read = function(words)
        if words[1] == "ps" then return { stdout = world.ps } end
        world.looks = world.looks + 1
        local text = {}
        for _, path in ipairs(words) do
          local pid = path:match "^/proc/(%d+)/stat$"
          if path == "/proc/stat" then text[#text + 1] = world.machine[math.min(world.looks, #world.machine)] end
          if path == "/proc/loadavg" then text[#text + 1] = "3.50 2.00 1.25 2/300 4211" end
          text[#text + 1] = pid and world.stats(world.looks)[tonumber(pid)] or nil
        end
        return { stdout = table.concat(text, "\n") .. "\n" }
      end,
      run = function(words, opts) world.ran[#world.ran + 1] = { line = table.concat(words, " "), opts = opts } end,
    },
  }
  return assert(loadfile(("stdlib/%s.lua"):format(name), "t", env))()
end

local function machine(user, nice, idle, iowait, steal)
  return ("cpu  %d %d 0 %d %d 0 0 %d 0 0\ncpu0 1 2\ncpu1 1 2\nintr 5"):format(user, nice, idle, iowait, steal)
end

local PS = [[
    1       900 root     0::/init.scope             /sbin/init splash
    2       900 root     -                          [kthreadd]
   10       800 root     0::/system.slice/cron.service  /usr/sbin/cron -f
   11        60 app      0::/system.slice/cron.service  pg_dump --dbname=postgres://app:geheim@db/shop
   12        30 app      0::/system.slice/cron.service  /usr/bin/python3 -u /srv/jobs/report.py --token=geheim
   13        20 app      0::/system.slice/cron.service  /usr/bin/python3 -u /srv/jobs/report.py --token=geheim
   20       700 app      0::/system.slice/shop.service  node server.js
   30        10 root     0::/user.slice/session-3.scope  opsrun play x.lua
]]

local function stats_at(look)
  return {
    [1] = stat(1, "systemd", 0, {}), [2] = stat(2, "kthreadd", 0, { flags = KTHREAD }), [10] = stat(10, "cron", 1, {}),
    [11] = stat(11, "pg_dump", 10, { ticks = look * 10 }), [12] = stat(12, "a) S 1 (b", 10, { ticks = look * 50, nice = 5 }),
    [13] = stat(13, "python3", 10, {}), [20] = stat(20, "node", 1, {}), [30] = stat(30, "opsrun", 29, {}),
  }
end

local function world(more)
  local made = { ps = PS, machine = { machine(0, 0, 0, 0, 0), machine(50, 30, 80, 20, 20) }, stats = stats_at }
  for name, value in pairs(more or {}) do made[name] = value end
  return made
end

t.test("a control group tells the unit or the container, of whichever version, and nothing where there is none", function()
  local owner = load_module("processes", world()).owner
  local id = ("0123456789abcdef"):rep(4)
  t.equal(owner "0::/system.slice/shop.service", "shop.service")
  t.equal(owner "12:cpu,cpuacct:/shop,1:name=systemd:/system.slice/shop.service", "shop.service")
  t.equal(owner("0::/system.slice/docker-" .. id .. ".scope"), "container 0123456789ab")
  t.equal(owner("4:memory:/docker/" .. id), "container 0123456789ab")
  t.equal(owner("0::/kubepods.slice/cri-containerd-" .. id .. ".scope"), "container 0123456789ab")
  t.equal(owner "-", nil)
  t.equal(owner "0::/", nil)
end)

t.test("a command line is told up to its first option, with the script, and never with what may be a secret", function()
  local program = load_module("processes", world()).program
  t.equal(program "/usr/bin/python3 -u /srv/jobs/report.py --token=geheim", "python3 report.py")
  t.equal(program "mysql -pgeheim shop", "mysql")
  t.equal(program "curl https://app:geheim@shop/x.sh", "curl")
  t.equal(program "node server.js", "node server.js")
  t.equal(program "postgres: app shop 10.0.0.1(4211) SELECT", "postgres: app shop 10.0.0.1(4211) SELECT")
  t.equal(#program("x " .. ("y "):rep(100)) <= 84, true)
end)

t.test("shares of the machine and of each process, from two looks, the kernel's threads aside", function()
  local processes = load_module("processes", world())
  local seen, rows = processes.measure({ seconds = 5 }, nil)
  t.equal(seen.busy, 50)
  t.equal(seen.pressing, 35)
  t.equal(seen.nice, 15)
  t.equal(seen.iowait, 10)
  t.equal(seen.steal, 10)
  t.equal(seen.cores, 2)
  t.equal(seen.load[2], 2)
  t.equal(#rows, 7)
  t.equal(rows[1].pid, 12)
  t.equal(rows[1].percent, 50)      -- 50 ticks of 100 that one processor had
  t.equal(rows[1].command, "a) S 1 (b")
  t.equal(rows[1].program, "python3 report.py")
  t.equal(processes.by_owner(rows)[1].belongs, "cron.service")
  t.equal(processes.by_owner(rows)[1].percent, 60)
  t.equal(#processes.first(rows, 20), 2)
end)

t.test("where time stands still it is looked at until there is enough to measure", function()
  local texts = {}
  for i = 1, 12 do texts[i] = machine(i * 4, 0, i, 0, 0) end
  local made = world { machine = texts }
  local seen = load_module("processes", made).machine({ seconds = 5 }, nil)
  t.equal(seen.busy, 80)
  t.equal(made.looks > 8, true)
end)

t.test("a pid that somebody else has by now is not the same process, and a zombie is gone", function()
  local made = world()
  local processes = load_module("processes", made)
  local rows = { { pid = 12, start = 112 }, { pid = 13, start = 99 }, { pid = 77, start = 1 }, { pid = 20, start = 120 } }
  made.stats = function()
    return { [12] = stat(12, "python3", 1, {}), [13] = stat(13, "python3", 1, {}), [20] = stat(20, "node", 1, { state = "Z" }) }
  end
  local left = processes.still(rows)
  t.equal(#left, 1)
  t.equal(left[1].pid, 12)
end)

local function load_jobs(more)
  local made = world(more)
  local processes = load_module("processes", made)
  return load_module("jobs", made, processes), made, processes
end

t.test("backups and cron jobs are named, also one that is underway twice", function()
  local jobs, _, processes = load_jobs()
  local found = jobs.occasional(processes.all())
  t.equal(#found, 3)
  t.equal(found[1].what .. " " .. found[1].pid, "cron job 11")
  t.equal(found[2].what, "cron job, 2 of it")
  t.equal(found[3].what, "cron job, 2 of it")
end)

t.test("a pid stands for its unit and what it started; a unit for all in it; what is not there is an error", function()
  local jobs = load_jobs()
  t.equal(jobs.pids(jobs.find({ job = "20" }).rows), "20")
  t.equal(jobs.find({ job = "20" }).name, "shop.service")
  local cron = jobs.find { job = "cron.service", keep = { "pg_dump" } }
  t.equal(jobs.pids(cron.rows), "12, 13")
  t.equal(cron.others[1].why, "the system's own")
  t.equal(cron.others[2].why, "pg_dump is kept")
  t.contains(t.raises(jobs.find, { job = "4711" }), "there is no process 4711")
  t.contains(t.raises(jobs.find, { job = "none.service" }), "no process belongs to 'none.service'")
end)

t.test("the first process, the system's own, and opsrun with what started it are nobody's runaway", function()
  local jobs = load_jobs()
  local job = jobs.find { job = "1" }
  t.equal(job.others[1].why, "the machine's first process")
  t.equal(#job.rows + #job.others, 1, "what all others descend from stands for itself alone")
  t.equal(jobs.why_not({ pid = 5, command = "sshd" }, {}), "the system's own")
  t.equal(jobs.why_not({ pid = 5, command = "node" }, { [5] = true }), "opsrun rests on it")
  t.equal(jobs.why_not({ pid = 5, command = "node" }, {}), nil)
  t.equal(jobs.find({ job = "30" }).others[1].why, "opsrun rests on it")
end)

t.test("TERM goes to those that still are there, KILL to those that stay, each by its pid", function()
  local jobs, made = load_jobs()
  local job = jobs.find { job = "cron.service", keep = { "cron" } }
  made.stats = function()
    local left = stats_at(1)
    left[13] = stat(13, "python3", 10, { start = 7 })      -- somebody else
    if #made.ran > 0 then left[11] = nil end               -- heard TERM
    if #made.ran > 1 then left[12] = nil end
    return left
  end
  t.equal(#jobs.stop(job, { seconds = 5 }), 0)
  t.equal(made.ran[1].line, "kill -s TERM -- 11 12")
  t.equal(made.ran[2].line, "kill -s KILL -- 12")
  t.equal(made.ran[1].opts.costs.processes, 2)
  t.equal(made.ran[2].opts.happened(), true)
end)
