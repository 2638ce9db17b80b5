--- Kept connections of the environment's redis servers.
local connections = require "runtime.connections"
local seconds_of = require "runtime.seconds"
local texts = require "runtime.redis.texts"

local pool = connections.pool()

--- Seconds, where the environment says nothing.
local TIMEOUT, CONNECT_TIMEOUT = 10, 10

function pool:look_up(name)
  local config = self.services.environment.connection("redis", name)
  local trusted = {}
  for _, command in ipairs(config.trusted_commands or {}) do
    trusted[command:lower():gsub("%s+", "|")] = true
  end
  return {
    name = name,
    config = config,
    place = config.url and self.services.host.redis.place(config.url) or nil,
    proved = {},
    trusted = trusted,
    timeout = config.timeout and seconds_of(config.timeout, "timeout") or TIMEOUT,
    connect_timeout = config.connect_timeout and seconds_of(config.connect_timeout, "connect_timeout")
      or CONNECT_TIMEOUT,
  }
end

function pool:connect(entry)
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
  return conn
end

--- Runs commands on a kept connection. One that turns out to have been closed while it was idle is
--- replaced: always when nothing was sent, and for reads also when no answer came.
---@param entry table
---@param commands any[][]
---@param timeout number? seconds
---@param reads boolean nothing among the commands changes anything
---@return any[]? replies, table? errors or the failure
function pool:run(entry, commands, timeout, reads)
  return self:with(entry, function(session)
    return session.conn:run(commands, timeout or entry.timeout)
  end, function(err)
    return err.code == "connection lost" and (reads or err.outcome == "not sent")
  end)
end

return pool
