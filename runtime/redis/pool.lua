--- Kept connections of the named servers: made when first needed, several only when branches of a playbook
--- ask at once, closed with the run.
local seconds_of = require "runtime.seconds"
local texts = require "runtime.redis.texts"

local pool = {}
pool.__index = pool

--- Connections of one name kept while idle.
local KEEP = 4
--- Seconds, where the environment says nothing.
local TIMEOUT, CONNECT_TIMEOUT = 10, 10

---@param services {host: table, environment: table, run: table}
function pool.new(services)
  return setmetatable({ services = services, names = {} }, pool)
end

--- What is known of a named connection. Raises when the environment has none of that name.
function pool:entry(name)
  local entry = self.names[name]
  if entry then
    return entry
  end
  local config = self.services.environment.connection("redis", name)
  local trusted = {}
  for _, command in ipairs(config.trusted_commands or {}) do
    trusted[command:lower():gsub("%s+", "|")] = true
  end
  entry = {
    name = name,
    config = config,
    place = config.url and self.services.host.redis.place(config.url) or nil,
    idle = {},
    proved = {},
    trusted = trusted,
    timeout = config.timeout and seconds_of(config.timeout, "timeout") or TIMEOUT,
    connect_timeout = config.connect_timeout and seconds_of(config.connect_timeout, "connect_timeout")
      or CONNECT_TIMEOUT,
  }
  self.names[name] = entry
  return entry
end

--- A connection that is free now, made if there is none. Raises "not sent".
function pool:acquire(entry)
  while #entry.idle > 0 do
    local session = table.remove(entry.idle)
    if session.conn:usable() then
      return session
    end
    session.conn:close()
  end
  local run, config = self.services.run, entry.config
  local conn, err = self.services.host.redis.connect {
    url = config.url,
    user = config.user,
    password = config.password,
    ca = config.ca,
    name = "opsrun-" .. (run and run.id or "doctor"),
    timeout = entry.connect_timeout,
  }
  if not conn then
    texts.raise_connect(entry.name, entry.place, self.services.environment.name, err)
  end
  return { conn = conn, fresh = true }
end

--- Gives a connection back; one that is broken is closed.
function pool:release(entry, session)
  session.fresh = false
  if session.conn:usable() and #entry.idle < KEEP and not self.closed then
    entry.idle[#entry.idle + 1] = session
  else
    session.conn:close()
  end
end

--- Runs commands on a kept connection. One that turns out to have been closed while it was idle is
--- replaced: always when nothing was sent, and for reads also when no answer came.
---@param entry table
---@param commands any[][]
---@param timeout number? seconds
---@param reads boolean nothing among the commands changes anything
---@return any[]? replies, table? errors or the failure
function pool:run(entry, commands, timeout, reads)
  for _ = 1, KEEP + 1 do
    local session = self:acquire(entry)
    local fresh = session.fresh
    local ok, replies, err = pcall(session.conn.run, session.conn, commands, timeout or entry.timeout)
    if not ok then
      session.conn:close()
      error(replies, 0)
    end
    self:release(entry, session)
    local lost = replies == nil and err.code == "connection lost" and (reads or err.outcome == "not sent")
    if fresh or not lost then
      return replies, err
    end
  end
end

function pool:close()
  self.closed = true
  for _, entry in pairs(self.names) do
    for _, session in ipairs(entry.idle) do
      session.conn:close()
    end
    entry.idle = {}
  end
end

return pool
