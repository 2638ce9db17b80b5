--- Kept sessions of the named connections: made when first needed, several only when branches of a
--- playbook ask at once, closed with the run.
local catalogue = require "runtime.sql.catalogue"
local seconds_of = require "runtime.seconds"
local texts = require "runtime.sql.texts"

local pool = {}
pool.__index = pool

--- Sessions of one name kept while idle; a server short of slots is a server in trouble.
local KEEP = 4

---@param services {host: table, environment: table, run: table, context: fun(): table?}
function pool.new(services)
  return setmetatable({ services = services, names = {} }, pool)
end

local function to_set(list)
  local set = {}
  for _, entry in ipairs(list or {}) do
    set[entry] = true
  end
  return set
end

--- Statements are compared as text, whatever their spaces at the ends and the last semicolon.
function pool.normal(text)
  return (text:gsub("^%s+", ""):gsub("[%s;]+$", ""))
end

--- What is known of a named connection, or of another database of its server ("primary/scratch", as
--- :database names it). Raises when the environment has none of that name.
function pool:entry(name)
  local entry = self.names[name]
  if entry then
    return entry
  end
  local connection, database = name:match "^([^/]+)/(.+)$"
  local config = self.services.environment.connection("sql", connection or name)
  if database then -- what the environment vouches for stands in its own database
    local own = { url = config.url, connect_timeout = config.connect_timeout }
    own.statement_timeout, own.lock_timeout = config.statement_timeout, config.lock_timeout
    config = own
  end
  local place = self.services.host.sql.place(config.url)
  local statements = {}
  for _, text in ipairs(config.trusted_statements or {}) do
    statements[pool.normal(text)] = true
  end
  entry = {
    name = name,
    config = config,
    database = database,
    place = place,
    idle = {},
    memory = catalogue.new(),
    trusted = to_set(config.trusted_functions),
    trusted_statements = statements,
    timeout = config.statement_timeout and seconds_of(config.statement_timeout, "statement_timeout") or nil,
  }
  self.names[name] = entry
  return entry
end

function pool:application_name()
  local run, context = self.services.run, self.services.context
  local current = context and context()
  local step = current and current.step
  local id = type(step) == "table" and step.id or step
  return (("opsrun/%s%s"):format(run and run.id or "-", id and ("/" .. id) or "")):sub(1, 63)
end

--- A session of that name that is free now, made if there is none. Raises "not sent".
function pool:acquire(entry)
  while #entry.idle > 0 do
    local session = table.remove(entry.idle)
    if session.conn:usable() then
      return session
    end
    session.conn:close()
  end
  local config = entry.config
  local conn, err = self.services.host.sql.connect {
    url = config.url,
    database = entry.database,
    application_name = self:application_name(),
    timeout = config.connect_timeout and seconds_of(config.connect_timeout, "connect_timeout") or 10,
    statement_timeout = entry.timeout,
  }
  if not conn then
    texts.raise_connect(entry.name, entry.place, self.services.environment.name, err)
  end
  return { conn = conn, fresh = true }
end

--- Gives a session back; one that is not clean is closed.
function pool:release(entry, session)
  session.fresh = false
  if session.conn:usable() and #entry.idle < KEEP and not self.closed then
    entry.idle[#entry.idle + 1] = session
  else
    session.conn:close()
  end
end

function pool.drop(_, session)
  session.conn:close()
end

--- What an error says when the session was gone, not the statement wrong: ended by an administrator,
--- a crash, a restart, or without a word.
pool.gone = { ["connection lost"] = true, ["57P01"] = true, ["57P02"] = true, ["57P03"] = true }

--- Runs fn(session), which only reads, on a kept session. One that turns out to have died while it
--- was idle is replaced.
---@param fn fun(session: table): any, table? returns a result, or nil and the binding's error
function pool:with(entry, fn)
  for _ = 1, KEEP + 1 do
    local session = self:acquire(entry)
    local fresh = session.fresh
    local ok, result, err = pcall(fn, session)
    if not ok then
      self:drop(session)
      error(result, 0)
    end
    local stale = result == nil and err and err.outcome ~= "failed" and pool.gone[err.code]
    self:release(entry, session)
    if not stale or fresh then
      return result, err
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
