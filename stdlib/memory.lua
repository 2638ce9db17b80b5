--- Memory of a machine and of its processes: what is used, who grows, and a heap written down before anything is restarted.
-- What the kernel could give at once, such as its page cache, is not used; what a process has in swap is. Reads by `cat` of
-- files below /proc, here in the jail and as reviewed reads on a host.

local processes = require "processes"

local memory = {}

local MB = 1048576
--- So many processes are read by one command.
local SLICE = 300
--- Signals a program may answer with a snapshot, and their numbers.
local SIGNALS = { USR1 = 10, USR2 = 12 }
--- Servers whose memory has a procedure of its own.
local PLAYBOOKS = {
  ["redis-server"] = "incident/redis-memory.lua", ["valkey-server"] = "incident/redis-memory.lua", postgres = "incident/db-exhaustion.lua",
}
--- A snapshot needs room: so many times what the process holds.
local ROOM = 2

local function cat(words, host)
  local argv = { "cat" }
  for _, word in ipairs(words) do argv[#argv + 1] = word end
  return shell.read(argv, { host = host, codes = { 0, 1 } }).stdout      -- 1: one of them is gone
end

--- Megabytes, to the tenth.
local function megabytes(bytes)
  return math.floor(10 * bytes / MB + 0.5) / 10
end

--- Percent, to the tenth.
local function percent(part, whole)
  return whole == 0 and 0 or math.floor(1000 * part / whole + 0.5) / 10
end

local MACHINE = { "/proc/meminfo", "/proc/vmstat", "/proc/uptime" }

--- What these files say of the machine; uptime: by its own clock, since a rehearsal moves the run's.
local function parse_machine(text)
  local function bytes(name) return 1024 * tonumber(text:match(name .. ":%s+(%d+)") or 0) end
  local total, available, swap = bytes "MemTotal", bytes "MemAvailable", bytes "SwapTotal"
  return {
    total = total, available = available, used = percent(total - available, total), swap_used = percent(swap - bytes "SwapFree", swap),
    oom_kills = tonumber(text:match "\noom_kill (%d+)"), uptime = tonumber(text:match "\n(%d+%.%d+) %d+%.%d+\n"),
  }
end

--- How the memory of a machine is.
---@param host string? a host of the environment; without it: this machine
---@return table facts total, available (bytes); used, swap_used (percent; swap 0 where there is none); oom_kills: processes the
--- kernel ended for want of memory since it began; uptime (seconds)
function memory.look(host)
  return parse_machine(cat(MACHINE, host))
end

--- Takes in what stat and status of some processes say, of those that still are the same.
local function parse_sizes(text, starts, found)
  local pid
  for line in text:gmatch "[^\n]+" do
    local stat = processes.parse(line)
    if stat then pid = stat.start == starts[stat.pid] and stat.pid or nil end
    local name, value = line:match "^(%a+):%s+(%x+)"
    if pid and name == "VmRSS" then found[pid] = { rss = 1024 * tonumber(value), held = 0, catches = 0 } end
    if found[pid] and (name == "RssAnon" or name == "VmSwap") then found[pid].held = found[pid].held + 1024 * tonumber(value) end
    if found[pid] and name == "SigCgt" then found[pid].catches = tonumber(value, 16) end
  end
end

--- Takes the memory of some processes as it is now. Those that are gone, or whose pid is somebody else's, are left out.
---@param rows table with pid, start
---@param host string?
---@return table<integer, table> by pid: held (bytes of its own: not of files, but in swap too), rss (bytes), catches (signals)
---@return table machine as of `look`, at that moment
function memory.sizes(rows, host)
  local found, starts, machine = {}, {}, nil
  for _, row in ipairs(rows) do starts[row.pid] = row.start end
  for first = 1, math.max(1, #rows), SLICE do
    local paths = machine and {} or { MACHINE[1], MACHINE[2], MACHINE[3] }
    for i = first, math.min(first + SLICE - 1, #rows) do
      paths[#paths + 1], paths[#paths + 2] = ("/proc/%d/stat"):format(rows[i].pid), ("/proc/%d/status"):format(rows[i].pid)
    end
    local text = cat(paths, host)
    machine = machine or parse_machine(text)
    parse_sizes(text, starts, found)
  end
  return found, machine
end

--- The processes that hold most memory.
---@param top integer
---@param host string?
---@return table rows as of processes.all, with megabytes
---@return table machine as of `look`, at that moment
function memory.largest(top, host)
  local all, few = processes.all(host), {}
  table.sort(all, function(a, b)
    if a.pages ~= b.pages then return a.pages > b.pages end
    return a.pid < b.pid
  end)
  for i = 1, math.min(top, #all) do few[i] = all[i] end
  local sizes, machine = memory.sizes(few, host)
  local rows = {}
  for _, row in ipairs(few) do
    local size = sizes[row.pid]
    if size then
      row.megabytes = megabytes(size.held)
      rows[#rows + 1] = row
    end
  end
  return rows, machine
end

--- What a process's group may have and has, where it is limited: of a container or unit, by either version of the kernel's
--- control groups.
---@param pid integer
---@param host string?
---@return table? limit bytes, percent (of it used, without the cache of files), oom_kills; nil: it is not limited, or cannot be told
function memory.limit(pid, host)
  local groups = cat({ ("/proc/%d/cgroup"):format(pid) }, host)
  local path, first = groups:match "%d+:memory:(/[^\n]*)", true
  if not path then path, first = groups:match "0::(/[^\n]*)", false end
  local place = path and (first and "/sys/fs/cgroup/memory" or "/sys/fs/cgroup") .. path
  if not place or place:find "[^%w@_.:\\/-]" then return nil end
  local names, paths = first and { "limit_in_bytes", "usage_in_bytes", "stat", "oom_control" } or { "max", "current", "stat", "events" }, {}
  for i, name in ipairs(names) do paths[i] = ("%s/memory.%s"):format(place, name) end
  local text = cat(paths, host)
  local limit, used = text:match "^(%d+)\n(%d+)\n"
  limit, used = tonumber(limit), tonumber(used)
  if not limit or limit > 1 << 60 then return nil end      -- that much is what no limit looks like
  local cache = tonumber(text:match "\ntotal_inactive_file (%d+)" or text:match "\ninactive_file (%d+)" or 0)
  return { bytes = limit, percent = percent(math.max(0, used - cache), limit), oom_kills = tonumber(text:match "\noom_kill (%d+)") }
end

--- Watches who grows. Growth that ends is a program that warms up; so only what went on in the second half counts, as if it
--- had been so all the time.
---@param rows table processes with pid, start
---@param opts { interval: table, watch: table, host: string? } durations
---@param warm table? a duration: younger processes only warm up
---@return table? grown rows with megabytes (at the end) and growth (megabytes over the watch), largest growth first; nil when time
--- did not pass, as in a rehearsal
---@return number least percent of the machine's memory that was used all the while
function memory.growth(rows, opts, warm)
  local first_sizes, began = memory.sizes(rows, opts.host)
  local looks, least, latest = { first_sizes }, began.used, began
  local many = math.max(2, math.ceil(opts.watch.seconds / math.max(opts.interval.seconds, 0.01)))
  for i = 1, many do
    sleep(opts.watch.seconds / many)
    looks[i + 1], latest = memory.sizes(rows, opts.host)
    least = math.min(least, latest.used)
  end
  if latest.uptime - began.uptime < opts.watch.seconds / 2 then return nil, least end
  local list, middle = { columns = { "pid", "growth", "megabytes", "seconds", "program", "belongs" } }, looks[many // 2 + 1]
  for _, row in ipairs(rows) do
    local first, half, last = looks[1][row.pid], middle[row.pid], looks[many + 1][row.pid]
    if first and half and last then
      local late = (last.held - half.held) * many / (many - many // 2)
      row.growth, row.megabytes = megabytes(math.max(0, math.min(last.held - first.held, late))), megabytes(last.held)
      if warm and row.seconds < warm.seconds then row.growth = 0 end
      list[#list + 1] = row
    end
  end
  table.sort(list, function(a, b)
    if a.growth ~= b.growth then return a.growth > b.growth end
    return a.pid < b.pid
  end)
  return list, least
end

--- Watches who grows, shows it, and says who does by more than a limit.
---@param rows table processes with pid, start
---@param opts { interval: table, watch: table, host: string?, growth_mb: number } as of `growth`; growth_mb: the limit
---@param warm table? as of `growth`
---@return table seen measured (false in a rehearsal, where no time goes by), pids: who grew by more, most: megabytes the fastest
--- grew, least: percent of the machine's memory used all the while
function memory.watch(rows, opts, warm)
  local grown, least = memory.growth(rows, opts, warm)
  local seen = { pids = {}, measured = grown ~= nil, least = least }
  if not grown then
    note "who grows was not measured: no time went by, as in a rehearsal"
    return seen
  end
  for _, row in ipairs(grown) do
    if row.growth > opts.growth_mb then
      seen.pids[#seen.pids + 1] = row.pid
      if PLAYBOOKS[row.command] then suggest(PLAYBOOKS[row.command]) end
    end
  end
  seen.most = grown[1] and grown[1].growth
  show(grown, { title = ("megabytes they grew in %s, and have"):format(opts.watch) })
  return seen
end

--- Two lists of processes as one, each process once.
---@param rows table
---@param more table
---@return table rows
function memory.join(rows, more)
  local all, known = {}, {}
  for _, list in ipairs { rows, more } do
    for _, row in ipairs(list) do
      if not known[row.pid] then all[#all + 1] = row end
      known[row.pid] = true
    end
  end
  return all
end

--- The first of some processes that is among some pids.
---@param rows table
---@param pids integer[]
---@return table? row
function memory.among(rows, pids)
  for _, row in ipairs(rows) do
    for _, pid in ipairs(pids) do
      if row.pid == pid then return row end
    end
  end
  return nil
end

--- Snapshots there are below a directory.
local function snapshots(dir, host)
  local found = {}
  for line in shell.read({ "du", "-a", "-b", dir }, { host = host }).stdout:gmatch "[^\n]+" do
    local size, path = line:match "^(%d+)%s+(/.*)$"
    if path and path ~= dir then found[path] = tonumber(size) end
  end
  return found
end

--- Why a process cannot write its heap down now; nil when it can.
---@param row table with pid, start
---@param name string "USR1" or "USR2"
---@param host string?
---@return string? why
---@return integer? bytes it holds
function memory.why_no_snapshot(row, name, host)
  local size = memory.sizes({ row }, host)[row.pid]
  if not size then return ("pid %d is gone"):format(row.pid) end
  if (size.catches >> (SIGNALS[name] - 1)) & 1 == 0 then return ("pid %d does not catch %s: it would end it"):format(row.pid, name) end
  local free = memory.look(host).available
  if free < ROOM * size.held then
    return ("%d MB of memory are free, and %d times the %d MB it holds are needed"):format(free // MB, ROOM, size.held // MB)
  end
  return nil, size.held
end

--- Has a process write its heap down: it stands still meanwhile. A change. The playbook's `uses` must allow "kill".
---@param row table with pid, start
---@param opts { signal: string, dir: string, host: string?, every: table, within: table } dir: where its snapshots appear
---@return string path of the snapshot, on the process's machine
function memory.snapshot(row, opts)
  local before = snapshots(opts.dir, opts.host)
  local function latest()
    for path, size in pairs(snapshots(opts.dir, opts.host)) do
      if not before[path] then return path, size end
    end
  end
  shell.run({ "kill", "-s", opts.signal, "--", tostring(row.pid) }, {
    host = opts.host, summary = ("have pid %d write its heap to %s"):format(row.pid, opts.dir),
    happened = function() return latest() ~= nil end,      -- else once more: one snapshot too many hurts nobody
  })
  local last
  return wait_until("the snapshot is whole", { every = opts.every, within = opts.within }, function()
    local path, size = latest()
    local is_whole = path and size > 0 and size == last
    last = size
    return is_whole and path
  end)
end

return memory
