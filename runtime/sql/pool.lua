--- Kept sessions of the environment's databases.
local catalogue = require "runtime.sql.catalogue"
local connections = require "runtime.connections"
local seconds_of = require "runtime.seconds"
local texts = require "runtime.sql.texts"

local pool = connections.pool()

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

--- A named connection, or another database of its server ("primary/scratch", as :database names it).
function pool:look_up(name)
  local connection, database = name:match "^([^/]+)/(.+)$"
  local config = self.services.environment.connection("sql", connection or name)
  if database then -- what the environment vouches for stands in its own database
    local own = { url = config.url, connect_timeout = config.connect_timeout }
    own.statement_timeout, own.lock_timeout = config.statement_timeout, config.lock_timeout
    config = own
  end
  local statements = {}
  for _, text in ipairs(config.trusted_statements or {}) do
    statements[pool.normal(text)] = true
  end
  return {
    name = name,
    config = config,
    database = database,
    place = self.services.host.sql.place(config.url),
    memory = catalogue.new(),
    trusted = to_set(config.trusted_functions),
    trusted_statements = statements,
    timeout = config.statement_timeout and seconds_of(config.statement_timeout, "statement_timeout") or nil,
  }
end

function pool:application_name()
  local run, context = self.services.run, self.services.context
  local current = context and context()
  local step = current and current.step
  local id = type(step) == "table" and step.id or step
  return (("opsrun/%s%s"):format(run and run.id or "-", id and ("/" .. id) or "")):sub(1, 63)
end

function pool:connect(entry)
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
  return conn
end

--- What an error says when the session was gone, not the statement wrong: ended by an administrator,
--- a crash, a restart, or without a word.
pool.gone = { ["connection lost"] = true, ["57P01"] = true, ["57P02"] = true, ["57P03"] = true }

local with = pool.with

--- Runs fn(session), which only reads, on a kept session; again on another one when that had died.
---@param fn fun(session: table): any, table? returns a result, or nil and the binding's error
function pool:with(entry, fn)
  while entry.rehearsal do -- runtime/sql/rehearse.lua: there it sees what was rehearsed
    local result, err, lost = entry.rehearsal.look(fn)
    if not lost then
      return result, err
    end
  end
  return with(self, entry, fn, function(err)
    return err.outcome ~= "failed" and pool.gone[err.code]
  end)
end

return pool
