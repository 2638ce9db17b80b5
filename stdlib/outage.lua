--- What to look at while a service is down: who answers, what runs, what the logs said, who is connected. All but `bring_up`
--- read only.

local health = require "health"

local outage = {}

--- Nobody waits longer for a look.
local SOON = "10s"
--- So many peers are shown.
local PEERS = 20

--- Causes, and what is done about each.
outage.CAUSES = {
  application = "the application itself: restart it",
  disk = "a full disk: make room",
  database = "the database: incident/database-down.lua",
  redis = "redis: restart it",
  deploy = "a deploy: deploy/rollback.lua",
  overload = "too many requests: incident/traffic-anomaly.lua",
}

--- Causes that have a playbook of their own.
outage.PLAYBOOKS = {
  database = "incident/database-down.lua", deploy = "deploy/rollback.lua", overload = "incident/traffic-anomaly.lua",
}

--- Whether an application says it is well. That it does not answer is an answer, no failure.
---@param api string the connection's name in the environment
---@param opts { health: string, status_at: string, expect: string[] }
---@return boolean well, string said, string word the one that `check` shall expect
function outage.is_well(api, opts)
  local answer, why = try(function() return health.ask(api, opts.health) end)
  local said = answer and tostring(answer:at(opts.status_at)) or why
  for _, word in ipairs(opts.expect) do
    if said == word then return true, said, word end
  end
  return false, said, opts.expect[1]
end

--- Whether a front end answers its first page with 2xx.
---@param site string
---@return boolean
function outage.answers(site)
  return try(function() return http(site):get("/", { timeout = SOON }) end) ~= nil
end

--- Whether a database answers a query.
---@param db string
---@return boolean
function outage.reaches_sql(db)
  return try(function() return sql(db):value("SELECT 1", nil, { timeout = SOON }) end) == 1
end

--- Whether a redis answers.
---@param cache string
---@return boolean
function outage.reaches_redis(cache)
  return try(function() return redis(cache):ping() end) == "PONG"
end

--- Memory in use on this machine, as the kernel counts what it could still give.
---@return number percent
function outage.memory()
  local text = files.read "/proc/meminfo"
  local total, free = text:match "MemTotal:%s+(%d+)", text:match "MemAvailable:%s+(%d+)"
  return 100 * (tonumber(total) - tonumber(free)) // tonumber(total)
end

--- How services of the environment are; one that cannot be asked is "unknown".
---@param names string[]
---@return table rows name, state, detail
function outage.services(names)
  local rows = { columns = { "name", "state", "detail" } }
  for i, name in ipairs(names) do
    local status, why = try(function() return service(name):status() end)
    rows[i] = { name = name, state = status and status.state or "unknown", detail = status and status.detail or why }
  end
  return rows
end

--- The first of them that is not up, since what comes later may only lack it.
---@param rows table of `services`
---@return table row {} when all are up
function outage.down(rows)
  for _, row in ipairs(rows) do
    if row.state ~= "active" then return { name = row.name, state = row.state } end
  end
  return {}
end

--- The last lines of some files, as artifacts; one that cannot be read is named.
---@param paths string[]
---@param lines integer
function outage.keep_logs(paths, lines)
  for i, path in ipairs(paths) do
    local found, why = try(function() return files.tail(path, { lines = lines }) end)
    if found then
      artifact(("log-%d-%s"):format(i, path:match "[^/]+$"), table.concat(found, "\n") .. "\n")
    else
      note("%s is no evidence: %s", path, why)
    end
  end
end

--- Who is connected to a port of this machine. What only waits for its end (TIME_WAIT) does not count.
---@param port integer
---@return table rows address, connections, most first; .count of them all
function outage.peers(port)
  local rows, by = { columns = { "address", "connections" }, count = 0 }, {}
  local lines = shell.read({ "ss", "-H", "-t", "-n", "state", "established", ("sport = :%d"):format(port) }):lines()
  for _, line in ipairs(lines) do
    local address = line:match "%s(%S+):%d+%s*$"
    if address then
      by[address] = by[address] or { address = address, connections = 0 }
      by[address].connections = by[address].connections + 1
      rows.count = rows.count + 1
    end
  end
  for _, row in pairs(by) do
    rows[#rows + 1] = row
  end
  table.sort(rows, function(a, b)
    if a.connections ~= b.connections then return a.connections > b.connections end
    return a.address < b.address
  end)
  for i = #rows, PEERS + 1, -1 do
    rows[i] = nil
  end
  return rows
end

--- Restarts a service that runs, starts one that does not. A change.
---@param name string as the environment calls it
---@param runs boolean
---@param within any how long it may take
function outage.bring_up(name, runs, within)
  if runs then service(name):restart { timeout = within } else service(name):start { timeout = within } end
end

--- How many connections there are to a port, counted in the kernel's own tables: also on a host.
---@param port integer
---@param host string? a host of the environment; without it: this machine
---@return integer
function outage.connections(port, host)
  local text, count = shell.read({ "cat", "/proc/net/tcp", "/proc/net/tcp6" }, { host = host, codes = { 0, 1 } }).stdout, 0
  for own, state in text:gmatch "%d+: %x+:(%x+) %x+:%x+ (%x+) " do
    if tonumber(own, 16) == port and state == "01" then count = count + 1 end      -- 01: established
  end
  return count
end

--- Has nginx test its configuration: with a broken one a restart ends what still runs. Raises when it is broken.
function outage.prove_nginx()
  shell.read({ "nginx", "-t", "-q" }, { net = true })
end

return outage
