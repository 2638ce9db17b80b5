--- One job among a machine's processes: found by what it belongs to, given a lower priority, or ended. What opsrun itself
-- rests on, the system's own and databases are nobody's runaway: `why_not` says why, in one place.

local processes = require "processes"

local jobs = {}

--- While processes end, they are looked at so many times.
local LOOKS = 10

--- Work that is done now and then, by the names of its programs.
local KINDS = {
  backup = { "pg_dump", "pg_dumpall", "pg_basebackup", "pgbackrest", "barman", "wal-g", "mysqldump", "mariadb-dump", "mariabackup",
             "xtrabackup", "mongodump", "restic", "borg", "duplicity", "rsnapshot", "rsync", "rclone", "tar" },
  deploy = { "git", "npm", "yarn", "pnpm", "pip", "pip3", "composer", "bundle", "docker-compose", "ansible", "ansible-playbook",
             "terraform", "make", "webpack", "apt", "apt-get", "dpkg", "dnf", "yum", "unattended-upgrade" },
  cron   = { "cron", "crond", "CRON", "anacron", "atd", "fcron" },
}

--- Whose end takes the machine, or the way to it, along.
local SYSTEM = { "systemd", "init", "dbus-daemon", "sshd", "dockerd", "containerd", "containerd-shim", "agetty", "login", "cron", "crond",
                 "atd" }

local function contains(list, value)
  for _, item in ipairs(list or {}) do
    if item == value then return true end
  end
  return false
end

local function by_pid(rows)
  local index = {}
  for _, row in ipairs(rows) do index[row.pid] = row end
  return index
end

--- Calls fn for a process and those above it, as long as it returns nothing true.
local function climb(index, row, fn)
  local seen = {}
  while row and not seen[row.pid] do
    seen[row.pid] = true
    local found = fn(row)
    if found then return found end
    row = index[row.ppid]
  end
  return nil
end

--- What kind of occasional work a process is. The kernel cuts names after 15 bytes.
local function kind_of(row)
  local word = (row.program:match "^%S+" or ""):match "[^/]+$"
  for kind, names in pairs(KINDS) do
    for _, name in ipairs(names) do
      if row.command == name:sub(1, 15) or word == name then return kind end
    end
  end
  return nil
end

--- Deploys, backups, and what cron started, also when it is underway twice.
---@param rows table of processes.all
---@return table rows what ("backup", "deploy", "cron job", "cron job, 2 of it"), pid, program, user, seconds; longest first
function jobs.occasional(rows)
  local index, list, times = by_pid(rows), { columns = { "what", "pid", "user", "seconds", "program" } }, {}
  for _, row in ipairs(rows) do
    local kind = kind_of(row)
    local above = index[row.ppid]
    local is_cron = kind ~= "cron" and above ~= nil and kind_of(above) == "cron"
    if is_cron then times[row.program] = (times[row.program] or 0) + 1 end
    if is_cron or kind == "backup" or kind == "deploy" then
      local what = is_cron and "cron job" or kind
      list[#list + 1] = { what = what, pid = row.pid, user = row.user, seconds = row.seconds, program = row.program }
    end
  end
  for _, job in ipairs(list) do
    if job.what == "cron job" and times[job.program] > 1 then job.what = ("cron job, %d of it"):format(times[job.program]) end
  end
  table.sort(list, function(a, b)
    if a.seconds ~= b.seconds then return a.seconds > b.seconds end
    return a.pid < b.pid
  end)
  return list
end

--- Processes that opsrun rests on: itself, and what started it.
local function own_of(rows)
  local index, own = by_pid(rows), {}
  for _, row in ipairs(rows) do
    if row.command:find "^opsrun" then
      climb(index, row, function(above) own[above.pid] = true end)
    end
  end
  return own
end

--- Why a process is not ours to touch; nil when it is.
---@param row table of processes.all
---@param own table<integer, boolean> pids that opsrun rests on
---@param keep string[]? names of programs that are left alone
---@return string? why
function jobs.why_not(row, own, keep)
  if row.pid == 1 then return "the machine's first process" end
  if own[row.pid] then return "opsrun rests on it" end
  if contains(SYSTEM, row.command) or row.command:find "^systemd%-" then return "the system's own" end
  if contains(keep, row.command) then return ("%s is kept"):format(row.command) end
  return nil
end

--- Where a service runs as one process, for `find`.
local function pid_of_service(name, host)
  local here = host or files.read("/proc/sys/kernel/hostname"):match "%S+"
  local status = service(name):status()
  for _, row in ipairs(status.hosts) do
    if row.host == here then
      return row.pid or fail("service %s is %s, and its process cannot be told: the environment names no pid_file", name, row.state)
    end
  end
  return fail("service %s does not run here, but on %s: -p host=%s", name, status.hosts[1].host, status.hosts[1].host)
end

--- A unit or container holds one job; other groups may hold anything.
local function holds_one(owner)
  return owner and (owner:find "%.service$" or owner:find "^container ") and true or false
end

--- Is this the process, is it below it, or in the unit or container meant?
local function belongs(index, row, pid, owner)
  if owner and row.belongs == owner then return true end
  return pid and climb(index, row, function(above) return above.pid == pid end) or false
end

--- The processes of a job, each as it is now.
---@param what { service: string?, job: string?, keep: string[]? } service: of the environment; job: a pid, or what
--- processes belong to ("report.service", "container 3f2a9c1b7d42"); a pid stands for all that it started
---@param host string?
---@return table job name, rows (of processes.all), others (rows that are not ours to touch, each with `why`)
function jobs.find(what, host)
  local rows = processes.all(host)
  local index, own, ours, others = by_pid(rows), own_of(rows), {}, {}
  local pid = what.service and pid_of_service(what.service, host) or tonumber((what.job or ""):match "^%d+$")
  local owner = not pid and what.job or nil
  if pid and not index[pid] then fail("there is no process %d%s", pid, host and " on " .. host or "") end
  if pid and holds_one(index[pid].belongs) then owner = index[pid].belongs end
  local whole = pid and jobs.why_not(index[pid], own, what.keep)      -- then neither is what it started
  for _, row in ipairs(rows) do
    if belongs(index, row, pid, owner) and (not whole or row.pid == pid) then
      row.why = jobs.why_not(row, own, what.keep)
      table.insert(row.why and others or ours, row)
    end
  end
  if #ours + #others == 0 then fail("no process belongs to '%s'", what.job) end
  local name = what.service or owner or ("%s (pid %d)"):format(index[pid].program, pid)
  return { name = name, rows = ours, others = others }
end

--- The pids of some processes, as one text.
---@param rows table
---@return string
function jobs.pids(rows)
  local words = {}
  for i, row in ipairs(rows) do words[i] = tostring(row.pid) end
  return table.concat(words, ", ")
end

local function run(words, rows, opts)
  for _, row in ipairs(rows) do words[#words + 1] = tostring(row.pid) end
  return shell.run(words, opts)
end

--- Sees to it that a job gives way to others. It stays so after the run; `opsrun undo RUN` gives every process back the
--- value it had, for which another than root has no right. The playbook's `uses` must allow "renice".
---@param job table of `find`
---@param nice integer 1 to 19
---@param host string?
---@return table handle of ensure
function jobs.lower(job, nice, host)
  return ensure(("%s gives way: its %d processes have nice %d"):format(job.name, #job.rows, nice), {
    is = function()
      for _, row in ipairs(processes.still(job.rows, host)) do
        if row.nice < nice then return false end
      end
      return true
    end,
    make = function()
      run({ "renice", "-n", tostring(nice), "-p" }, job.rows, {
        host = host, codes = { 0, 1 },      -- 1: one is gone
        summary = ("%s gives way: nice %d for pid %s"):format(job.name, nice, jobs.pids(job.rows)),
      })
    end,
    back = function()
      local there = by_pid(processes.still(job.rows, host))
      for _, row in ipairs(job.rows) do
        if there[row.pid] then run({ "renice", "-n", tostring(row.nice), "-p" }, { row }, { host = host }) end
      end
    end,
    lasts = "standing",
  })
end

--- Ends a job: TERM, and KILL to what is still there `grace` later. There is no way back. The playbook's `uses` must allow
--- "kill".
---@param job table of `find`
---@param grace table a duration
---@param host string?
---@return table left those that are still there after all
function jobs.stop(job, grace, host)
  local function send(name, rows)
    run({ "kill", "-s", name, "--" }, rows, {
      host = host, codes = { 0, 1 }, costs = { processes = #rows },      -- 1: one is gone
      summary = ("%s %d process%s of %s: pid %s"):format(name, #rows, #rows == 1 and "" or "es", job.name, jobs.pids(rows)),
      happened = function() return #processes.still(rows, host) == 0 end,      -- else once more: it hurts nobody
    })
  end
  if job.name:find "%.service$" then note("%s may be started again by systemd: what stops it for good is systemctl", job.name) end
  local left = processes.still(job.rows, host)
  if #left > 0 then send("TERM", left) end
  for _ = 1, LOOKS do
    if #left == 0 then return left end
    sleep(grace.seconds / LOOKS)
    left = processes.still(job.rows, host)
  end
  if #left > 0 then send("KILL", left) end
  sleep(0.2)      -- what was told to go needs a moment
  return processes.still(job.rows, host)
end

return jobs
