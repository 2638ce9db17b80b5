--- Kept connections of the named servers: made when first needed, several only when branches of a
--- playbook ask at once, closed with the run. A protocol adds how a name is looked up and connected.
local connections = {}

--- Connections of one name kept while idle; a server short of slots is a server in trouble.
local KEEP = 4

local methods = {}

--- The pool of a protocol, to which it adds two methods:
---   look_up(self, name) -> table what is known of a name; raises when the environment has none of it
---   connect(self, entry) -> conn with usable() and close(); raises "not sent"
---@return table pool pool.new(services) makes one for a run
function connections.pool()
  local pool = setmetatable({}, { __index = methods })
  pool.__index = pool
  ---@param services {host: table, environment: table, run: table, context: (fun(): table?)?}
  function pool.new(services)
    return setmetatable({ services = services, names = {} }, pool)
  end
  return pool
end

--- What is known of a named connection. Raises when the environment has none of that name.
---@return table entry what look_up said, with its idle sessions
function methods:entry(name)
  local entry = self.names[name]
  if not entry then
    entry = self:look_up(name)
    entry.idle = {}
    self.names[name] = entry
  end
  return entry
end

--- A session that is free now, made if there is none. Raises "not sent".
---@return { conn: table, fresh: boolean? } session fresh: nothing was asked on it before
function methods:acquire(entry)
  while #entry.idle > 0 do
    local session = table.remove(entry.idle)
    if session.conn:usable() then
      return session
    end
    session.conn:close()
  end
  return { conn = self:connect(entry), fresh = true }
end

--- Gives a session back; one that is broken, or not clean, is closed.
function methods:release(entry, session)
  session.fresh = false
  if session.conn:usable() and #entry.idle < KEEP and not self.closed then
    entry.idle[#entry.idle + 1] = session
  else
    session.conn:close()
  end
end

function methods.drop(_, session)
  session.conn:close()
end

--- Runs fn(session) on a kept session. One that turns out to have died while it was idle is replaced,
--- where doing it again does no harm.
---@param fn fun(session: table): any, table? returns a result, or nil and the binding's error
---@param may_repeat fun(err: table): boolean? whether the error says that the session was gone, and that fn may run again
---@return any? result, table? error
function methods:with(entry, fn, may_repeat)
  for _ = 1, KEEP + 1 do
    local session = self:acquire(entry)
    local fresh = session.fresh
    local ok, result, err = pcall(fn, session)
    if not ok then
      self:drop(session)
      error(result, 0)
    end
    self:release(entry, session)
    if fresh or result ~= nil or not err or not may_repeat(err) then
      return result, err
    end
  end
end

function methods:close()
  self.closed = true
  for _, entry in pairs(self.names) do
    for _, session in ipairs(entry.idle) do
      session.conn:close()
    end
    entry.idle = {}
  end
end

return connections
