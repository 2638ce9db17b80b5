--- Whether there is room for more of a service: on its machine, and among the connections of the database it uses. Reads only.

local postgres = require "postgres"
local processes = require "processes"

local workers = {}

--- How many of a service run, and where. Raises when it is not there.
---@param name string as the environment calls it
---@return table facts running, state, hosts (a list of names, {} for this machine)
function workers.count(name)
  local status, hosts = service(name):status(), {}
  if status.state == "missing" or status.state == "unknown" then
    fail("how many of '%s' run cannot be told: it is %s", name, status.state)
  end
  for _, row in ipairs(status.hosts) do
    hosts[#hosts + 1] = row.host
  end
  return { running = status.running, state = status.state, hosts = hosts }
end

--- Memory that a machine could still give.
---@param host string? a host of the environment; without it: this machine
---@return number percent
local function free_memory(host)
  local text = host and shell.read({ "cat", "/proc/meminfo" }, { host = host }).text or files.read "/proc/meminfo"
  local total, free = text:match "MemTotal:%s+(%d+)", text:match "MemAvailable:%s+(%d+)"
  return math.floor(1000 * tonumber(free) / tonumber(total) + 0.5) / 10
end

--- What the machines a service runs on could still give.
---@param hosts string[] of `count`
---@param over any a duration: the processors are measured over so long
---@return table rows host, processors (free), memory (percent free)
function workers.machines(hosts, over)
  local rows = { columns = { "host", "processors", "memory" } }
  for i, host in ipairs(#hosts > 0 and hosts or { false }) do
    local seen = processes.machine(over, host or nil)
    rows[i] = {
      host = host or "this machine", memory = free_memory(host or nil),
      processors = math.floor(seen.cores * (100 - seen.busy) / 10 + 0.5) / 10,
    }
  end
  return rows
end

--- The connections of a database with so many workers more.
---@param db string
---@param more integer
---@param pool integer connections that each opens
---@return table facts used, limit, after, percent (of the limit, after)
function workers.connections(db, more, pool)
  local now = postgres.connections(db)
  local after = now.used + more * pool
  return { used = now.used, limit = now.limit, after = after, percent = math.floor(1000 * after / now.limit + 0.5) / 10 }
end

return workers
