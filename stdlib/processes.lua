--- Processes of a machine: whose they are, what they belong to, what they take of its processors. Reads only: `ps`, and
-- `cat` of files below /proc, in the jail here and as reviewed reads on a host of the environment. A process is its pid
-- together with its start: a pid alone may be somebody else's by now.

local processes = {}

--- Ticks of the machine's clock, over all its processors, that make a measure; and looks for so many of them, since a
--- rehearsal does not wait.
local TICKS, LOOKS = 40, 200
--- So many processes are read by one command: what it prints stays below what a read keeps.
local SLICE = 1500
--- PF_KTHREAD of the kernel: no program of anybody.
local KERNEL_THREAD = 0x200000

--- Ends of words that are scripts, for which an interpreter's name says nothing.
local SCRIPTS = { py = true, js = true, mjs = true, jar = true, rb = true, sh = true, pl = true, php = true, lua = true }

--- Text of files below /proc; what is gone meanwhile is left out.
local function cat(paths, host)
  local words = { "cat" }
  for _, path in ipairs(paths) do words[#words + 1] = path end
  return shell.read(words, { host = host, codes = { 0, 1 } }).stdout      -- 1: one of them is gone
end

--- Seconds, to the tenth.
local function tenth(number)
  return math.floor(10 * number + 0.5) / 10
end

--- What a control group says of whose a process is: "app.service", "container 3f2a9c…", or nil where it says nothing.
---@param text string as ps shows it, one group or more: "0::/system.slice/app.service"
---@return string?
function processes.owner(text)
  local best
  for path in text:gmatch "%d+:[^:,]*:(/[^,]*)" do
    local id = path:match "[/-](%x+)%.scope$" or path:match "/(%x+)$"
    if id and #id == 64 then return "container " .. id:sub(1, 12) end
    local last = path:match "([^/]+)$"
    if last and (not best or last:find "%.service$") then best = last end
  end
  return best
end

--- What runs, without what may be a secret: a command line up to its first option, or the script an interpreter runs.
---@param line string the whole command line
---@return string
function processes.program(line)
  local words, plain = {}, true
  for word in line:gmatch "%S+" do
    plain = plain and not word:find "^%-" and not word:find "[=@]" and not word:find "://"
    local is_script = SCRIPTS[word:match "%.(%l+)$" or ""] and not word:find "[=@]" and not word:find "://"
    if is_script then word = word:match "[^/]+$" end
    if #words == 0 then word = word:match "^/.*/([^/]+)$" or word end
    if #words == 0 or plain or (is_script and #words == 1) then words[#words + 1] = word end
  end
  local said = table.concat(words, " ")
  return #said > 80 and said:sub(1, 79) .. "…" or said
end

--- One line of /proc/PID/stat. The name may hold blanks and brackets; the last bracket ends it.
---@param line string
---@return table? stat pid, command, state, ppid, kernel, ticks, nice, start, pages; nil for another line
function processes.parse(line)
  local pid, command, rest = line:match "^(%d+) %((.*)%) (%a .*)$"
  if not pid then return nil end
  local field = {}
  for word in rest:gmatch "%S+" do field[#field + 1] = word end
  if #field < 22 then return nil end
  return {
    pid = tonumber(pid), command = command, state = field[1], ppid = tonumber(field[2]),
    kernel = tonumber(field[7]) & KERNEL_THREAD ~= 0, ticks = tonumber(field[12]) + tonumber(field[13]),
    nice = tonumber(field[17]), start = tonumber(field[20]), pages = tonumber(field[22]),
  }
end

--- Takes in what some lines of /proc/PID/stat say, by pid; a zombie is gone.
local function take_stats(text, found)
  for line in text:gmatch "[^\n]+" do
    local stat = processes.parse(line)
    if stat and stat.state ~= "Z" and stat.state ~= "X" then found[stat.pid] = stat end
  end
end

--- Ticks of the machine so far, by what they went to, with its processors and its load.
local function parse_machine(text)
  local sums, total = {}, 0
  for number in text:match "^cpu +([%d ]+)":gmatch "%d+" do
    sums[#sums + 1] = tonumber(number)
    if #sums <= 8 then total = total + sums[#sums] end      -- the rest is counted in these already
  end
  local _, cores = text:gsub("\ncpu%d+ ", "")
  local one, five, fifteen = text:match "\n([%d.]+) ([%d.]+) ([%d.]+) %d+/%d+ %d+"
  return {
    total = total, nice = sums[2], idle = sums[4], iowait = sums[5], steal = sums[8] or 0, cores = math.max(1, cores),
    load = { tonumber(one), tonumber(five), tonumber(fifteen) },
  }
end

--- The machine and some of its processes at one moment, as near as can be; for many processes by several commands.
local function look(pids, host)
  local machine, found, paths = nil, {}, { "/proc/stat", "/proc/loadavg" }
  local function take()
    local text = cat(paths, host)
    machine = machine or parse_machine(text)
    take_stats(text, found)
    paths = {}
  end
  for _, pid in ipairs(pids) do
    paths[#paths + 1] = ("/proc/%d/stat"):format(pid)
    if #paths >= SLICE then take() end
  end
  if not machine or #paths > 0 then take() end
  return machine, found
end

--- The same once more, `over` later; in a rehearsal, which does not wait, as soon as can be measured.
local function look_after(before, over, pids, host)
  sleep(over.seconds)
  local machine, found = look(pids, host)
  if machine.total - before.total >= TICKS then return machine, found end
  for _ = 1, LOOKS do
    sleep(0.01)
    if look({}, host).total - before.total >= TICKS then break end
  end
  return look(pids, host)
end

--- Shares of the processors between two looks.
local function shares(before, after)
  local all = math.max(1, after.total - before.total)
  local function percent(name) return tenth(100 * math.max(0, after[name] - before[name]) / all) end
  local busy = tenth(100 - percent "idle" - percent "iowait")
  return {
    busy = math.max(0, busy), pressing = math.max(0, tenth(busy - percent "nice")), nice = percent "nice", iowait = percent "iowait",
    steal = percent "steal", cores = after.cores, load = after.load, ticks = all / after.cores,
  }
end

--- What the processors of a machine do.
---@param over table a duration: measured over so long (in a dry run as short as can be measured)
---@param host string? a host of the environment; without it: this machine
---@return table machine percent of all processors: busy, of it pressing (what does not give way, since it has no nice
--- value) and nice, iowait, steal (taken by other guests); cores, load = averages over 1, 5 and 15 minutes
function processes.machine(over, host)
  local before = look({}, host)
  return shares(before, (look_after(before, over, {}, host)))
end

--- All processes but the kernel's own threads, and the machine at the same moment.
local function look_at_all(host)
  local said, pids = {}, {}
  local words = { "ps", "-e", "-o", "pid=,etimes=,user:32=,cgroup:300=,args=", "--cols", "600" }
  for line in (shell.read(words, { host = host }).stdout):gmatch "[^\n]+" do
    local pid, seconds, user, rest = line:match "^ *(%d+) +(%d+) +(%S+) +(.*)$"
    local group, args = (rest or ""):match "^(%S+) +(.*)$"
    if args then
      pid = tonumber(pid)
      said[pid] = { seconds = tonumber(seconds), user = user, owner = processes.owner(group), program = processes.program(args) }
      pids[#pids + 1] = pid
    end
  end
  local machine, found = look(pids, host)
  local rows = {}
  for _, pid in ipairs(pids) do
    local stat, more = found[pid], said[pid]
    if stat and not stat.kernel then
      stat.seconds, stat.user, stat.belongs, stat.program = more.seconds, more.user, more.owner, more.program
      rows[#rows + 1] = stat
    end
  end
  return rows, machine, pids
end

--- All processes but the kernel's own threads.
---@param host string? a host of the environment; without it: this machine
---@return table rows pid, ppid, start, command, program, user, belongs, nice, seconds (since it began), pages (in memory)
function processes.all(host)
  return (look_at_all(host))
end

--- Those of some processes that still are the same.
---@param rows table with pid, start
---@param host string?
---@return table rows with pid, start, command, nice as they are now
function processes.still(rows, host)
  local pids, left = {}, {}
  for i, row in ipairs(rows) do pids[i] = row.pid end
  local _, found = look(pids, host)
  for _, row in ipairs(rows) do
    local now_there = found[row.pid]
    if now_there and now_there.start == row.start then left[#left + 1] = now_there end
  end
  return left
end

--- Sorts by a number, largest first; the same order each time.
local function by(name)
  return function(a, b)
    if a[name] ~= b[name] then return a[name] > b[name] end
    return (a.pid or a.belongs) < (b.pid or b.belongs)
  end
end

--- What the processors do, and which processes take them.
---@param over table a duration
---@param host string?
---@return table machine as of `machine`
---@return table rows as of `all`, with percent: of one processor, as top counts; most first
function processes.measure(over, host)
  local rows, before, pids = look_at_all(host)
  local machine, after = look_after(before, over, pids, host)
  local seen = shares(before, machine)
  for _, row in ipairs(rows) do
    local stat = after[row.pid]
    local ticks = stat and stat.start == row.start and stat.ticks - row.ticks or 0
    row.percent = tenth(100 * math.max(0, ticks) / seen.ticks)
  end
  table.sort(rows, by "percent")
  return seen, rows
end

--- Processes put together by what they belong to; those that belong to nothing by their user.
---@param rows table of `measure`
---@return table rows belongs, processes, percent (of one processor); most first
function processes.by_owner(rows)
  local groups, list = {}, { columns = { "belongs", "processes", "percent" } }
  for _, row in ipairs(rows) do
    local name = row.belongs or "user " .. row.user
    local group = groups[name]
    if not group then
      group = { belongs = name, processes = 0, percent = 0 }
      groups[name], list[#list + 1] = group, group
    end
    group.processes, group.percent = group.processes + 1, tenth(group.percent + row.percent)
  end
  table.sort(list, by "percent")
  return list
end

--- The first few of some rows, as far as they take anything.
---@param rows table with percent, most first
---@param many integer
---@return table rows
function processes.first(rows, many)
  local few = { columns = rows.columns }
  for i = 1, math.min(many, #rows) do
    if rows[i].percent > 0 then few[i] = rows[i] end
  end
  return few
end

return processes
