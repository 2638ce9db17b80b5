--- Pools of database connections that applications keep: how full they are, what the server has room for, which size fits,
--- and how it is set. A pool's most is its size and its overflow together; each process of each instance has one.

local health = require "health"
local jobs = require "jobs"
local postgres = require "postgres"

local pools = {}

--- What pools call the same: SQLAlchemy's, node-postgres', and plain words.
local WORDS = {
  size = { "size", "pool_size", "max" }, overflow = { "max_overflow", "overflow" }, total = { "total", "totalCount", "connections" },
  idle = { "idle", "idleCount", "checked_in" }, waiting = { "waiting", "waitingCount", "waiters" },
  checked_out = { "checked_out", "checkedout", "active", "busy" },
}

--- A digit or letter, or what names of settings hold besides.
local NAME = "^[%a_][%w_]*$"

local function number(found, name)
  for _, word in ipairs(WORDS[name]) do
    local value = tonumber(found[word])
    if value then return value end
  end
  return nil
end

--- What an instance tells of its pool. Raises when it does not tell how many wait, or how many are in use.
---@param api string the connection's name in the environment
---@param opts { stats: string, stats_at: string? } the route, and where in the answer it stands
---@return table facts waiting, checked_out, total (open now), idle; size, overflow (nil where it does not tell)
function pools.ask(api, opts)
  local answer = health.ask(api, opts.stats)
  local found = answer.json
  if opts.stats_at then found = answer:at(opts.stats_at) end
  if type(found) ~= "table" then fail("%s%s tells nothing at '%s'", api, opts.stats, opts.stats_at) end
  local facts = {}
  for name in pairs(WORDS) do facts[name] = number(found, name) end
  if not facts.checked_out and facts.total and facts.idle then facts.checked_out = facts.total - facts.idle end
  if not facts.waiting or not facts.checked_out then fail("%s%s does not tell how many wait and how many are in use", api, opts.stats) end
  return facts
end

--- The largest a group of numbers was.
local function keep_most(most, name, value)
  most[name] = math.max(most[name] or 0, value)
end

--- Looks at pools and server again and again, and keeps what was most.
---@param p { apis: string[], stats: string, stats_at: string?, db: string, app: string, sample: table, watch: table } app: the
--- application_name of their sessions
---@return table seen limit (connections the server has for clients), max_connections, others (most that others had), used (most of
--- all), applications (rows application, sessions: its most), pools (rows api, checked_out, waiting, needed: their most, size,
--- overflow: what it tells)
function pools.watch(p)
  local seen, by_name, rows = { others = 0, used = 0 }, {}, { columns = { "api", "size", "overflow", "checked_out", "waiting", "needed" } }
  for i, api in ipairs(p.apis) do rows[i] = { api = api } end
  local many = math.max(1, math.ceil(p.watch.seconds / math.max(p.sample.seconds, 0.01)))
  for look = 0, many do
    if look > 0 then sleep(p.watch.seconds / many) end
    for _, row in ipairs(rows) do
      local facts = pools.ask(row.api, p)
      keep_most(row, "checked_out", facts.checked_out)
      keep_most(row, "waiting", facts.waiting)
      keep_most(row, "needed", facts.checked_out + facts.waiting)
      row.size, row.overflow = facts.size, facts.overflow
    end
    local server, own = postgres.connections(p.db), 0
    for _, group in ipairs(server.by_application) do
      keep_most(by_name, group.application, group.sessions)
      if group.application == p.app then own = group.sessions end
    end
    keep_most(seen, "used", server.used)
    keep_most(seen, "others", server.used - own)
    seen.limit, seen.max_connections = server.limit, server.max_connections
  end
  local list = { columns = { "application", "sessions" } }
  for name, sessions in pairs(by_name) do list[#list + 1] = { application = name, sessions = sessions } end
  table.sort(list, function(a, b)
    if a.sessions ~= b.sessions then return a.sessions > b.sessions end
    return a.application < b.application
  end)
  seen.applications, seen.pools = list, rows
  return seen
end

--- Processes of a service on one of its machines that each have a pool: below its first process those of the same program, as
--- gunicorn has them; a service of one process is one.
local function processes_of(name, host)
  local found = jobs.find({ service = name }, host)
  local first, below = found.rows[1], 0
  for _, row in ipairs(found.rows) do
    if first and row.ppid == first.pid and row.program == first.program then below = below + 1 end
  end
  return math.max(1, below)
end

--- Where services run: one row for each machine of each.
---@param names string[] as the environment calls them
---@param count boolean also count the processes: else 1
---@return table rows service, host (nil: this machine), processes
function pools.places(names, count)
  local rows, here = { columns = { "service", "host", "processes" } }, files.read("/proc/sys/kernel/hostname"):match "%S+"
  for _, name in ipairs(names) do
    for _, row in ipairs(service(name):status().hosts) do
      local host = row.host ~= here and row.host or nil
      rows[#rows + 1] = { service = name, host = host, processes = count and row.state == "active" and processes_of(name, host) or 1 }
    end
  end
  return rows
end

--- The size that fits: what was needed at the peak is `target` percent of it, all pools together and what others have leave the
--- server its reserve, and what fits already is left alone.
---@param now { needed: integer, size: integer, overflow: integer, others: integer, limit: integer, processes: integer } processes: of
--- all instances; needed, size, overflow: of one
---@param p { target: number, db_max: number, least: integer, more_name: string?, size: integer?, overflow: integer?,
--- serverless: boolean? } more_name: nil where the overflow cannot be set
---@return table said size, overflow, most (of all processes), room (connections for them), wanted (of one, had the server room),
--- fits (the present size does), short (the server has less room than is wanted)
function pools.recommend(now, p)
  local room = math.max(0, math.floor(now.limit * p.db_max / 100) - now.others)
  local cap = room // now.processes
  local present = now.size + now.overflow
  -- a function serves one request at a time: what it keeps beyond that, others lack
  local wanted = p.serverless and 1 or math.max(p.least, math.ceil(100 * now.needed / p.target))
  local fits = present <= cap and (p.serverless and present == 1 or not p.serverless and present >= wanted)
  local one = fits and present or math.min(wanted, cap)
  local size = math.max(math.min(1, one), present > 0 and math.ceil(one * now.size / present) or one)
  local overflow = one - size
  if p.size then size, overflow = p.size, p.overflow or 0 end
  if not p.more_name then      -- it stays as it is, and counts
    overflow = now.overflow
    size = p.size or math.max(math.min(1, one), one - overflow)
  end
  return {
    size = size, overflow = overflow, most = (size + overflow) * now.processes, room = room, wanted = wanted,
    fits = size == now.size and overflow == now.overflow, short = wanted > cap,
  }
end

--- The lines of a settings file that give a name a whole number: NAME=20, name = 20, "name": 20.
local function expression(name)
  if not name:find(NAME) then fail("'%s' is no name of a setting", name) end
  return ([[^(\s*(export\s+)?["']?%s["']?\s*[:=]\s*["']?)[0-9]+]]):format(name)
end

--- The number that the text of a settings file gives a name.
local function parse(path, name, text)
  local found, count = nil, 0
  expression(name)
  for line in text:gmatch "[^\n]+" do
    local before, value = line:match("^(.-)" .. name .. "[\"']?%s*[:=]%s*[\"']?(%d+)")
    if before and (before:gsub("^%s*export%s+", ""):find "^%s*[\"']?$") then found, count = tonumber(value), count + 1 end
  end
  if count ~= 1 then fail("%s is set %d times in %s, and not once", name, count, path) end
  return found
end

--- The number a settings file gives a name; raises unless it stands there exactly once.
---@param path string
---@param name string
---@param host string? where the file is; the environment has to vouch for `cat` there
---@return integer
function pools.setting(path, name, host)
  return parse(path, name, shell.read({ "cat", "--", path }, { host = host }).stdout)
end

--- The size that the instances' files say, where they do not tell it themselves. Raises when neither does.
---@param rows table of `places`, with path
---@param p { size_name: string, more_name: string? }
---@return integer size
---@return integer overflow 0 where there is none
function pools.told(rows, p)
  local place = rows[1]
  if not place or not place.path then fail "nobody tells how large the pools are: -p services and -p configs name files that do" end
  return pools.setting(place.path, p.size_name, place.host), p.more_name and pools.setting(place.path, p.more_name, place.host) or 0
end

local function write(place, values)
  local argv = { "sed", "-E", "-i", "--follow-symlinks" }
  for _, value in ipairs(values) do
    argv[#argv + 1], argv[#argv + 2] = "-e", ("s/%s/\\1%d/"):format(expression(value.name), value.number)
  end
  argv[#argv + 1], argv[#argv + 2] = "--", place.path
  local words = {}
  for i, value in ipairs(values) do words[i] = ("%s=%d"):format(value.name, value.number) end
  shell.run(argv, { host = place.host, summary = ("set %s in %s"):format(table.concat(words, ", "), place.path) })
end

--- Sees to it that the pool of one instance has this size: set in its file, and the instance restarted. The way back, when the
--- run fails, is what the file said before, and another restart. The playbook's `uses` must allow "cat" and "sed".
---@param place { service: string, host: string?, path: string, api: string?, values: table[] } values: rows name, number; api: the
--- instance's, which tells when it has come up with them
---@param opts { stats: string, stats_at: string?, recover: table, poll: table }
---@return table handle of ensure
function pools.set(place, opts)
  local function read()
    return shell.read({ "cat", "--", place.path }, { host = place.host }).stdout
  end
  local before, wanted, text = {}, {}, read()
  for i, value in ipairs(place.values) do
    before[i], wanted[i] = { name = value.name, number = parse(place.path, value.name, text) }, value.number
  end
  local function said(values)
    local now = read()
    for _, value in ipairs(values) do
      if parse(place.path, value.name, now) ~= value.number then return false end
    end
    return true
  end
  local function has(values)
    if not place.api then return true end
    local facts = try(pools.ask, place.api, opts)
    if not facts then return false end
    return (facts.size or values[1].number) == values[1].number and (not values[2] or (facts.overflow or 0) == values[2].number)
  end
  local function make(values)
    write(place, values)
    service(place.service):restart { host = place.host, timeout = opts.recover }
    if place.api then
      wait_until(place.service .. " has its pool", { every = opts.poll, within = opts.recover }, function() return has(values) end)
    end
  end
  return ensure(("the pool of %s%s is %s"):format(place.service, place.host and " on " .. place.host or "", table.concat(wanted, " + ")), {
    is = function() return said(place.values) and has(place.values) end,
    make = function() make(place.values) end,
    back = function()
      if not said(before) or not has(before) then make(before) end
    end,
  })
end

return pools
