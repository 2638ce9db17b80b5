--- Environments: finds the file, evaluates it as pure data, checks its shape, resolves its secrets when
--- they are needed. A secret that is not set is no error until a connection that needs it is opened.
local errors = require "runtime.errors"
local files = require "runtime.environment_files"
local host_settings = require "runtime.host_settings"
local ordered = require "runtime.ordered"
local rules = require "runtime.rules"
local secrets = require "runtime.environment_secrets"
local service_settings = require "runtime.service_settings"
local text = require "runtime.text"
local environment = {}

--- Sections that name connections, and the fields that each connection may have; nil: any.
local sections = {
  sql = { "connect_timeout", "lock_timeout", "statement_timeout", "trusted_functions", "trusted_statements", "url" },
  redis = { "ca", "connect_timeout", "password", "timeout", "trusted_commands", "url", "user" },
  http = { "base", "basic", "bearer", "ca", "connect_timeout", "headers", "reads", "timeout" },
  logs = {},
  notify = {},
}
local fields = {
  "hosts", "http", "label", "logs", "notify", "params", "protected", "redis", "rules", "services", "smtp", "sql", "timezone",
}
local smtp_fields = { "ca", "clear", "from", "password", "url", "user" }

--- Runs the file with nothing but `secret` in reach, at most so many instructions.
local function evaluate(host, path, name)
  local source = files.read(host, path)
  local function problem(message, hint)
    error(errors.precondition { message = message, hint = hint, where = host.where and host.where() }, 0)
  end
  local secret, setting = secrets.constructors(problem)
  local scope = setmetatable({ secret = secret, env = setting }, {
    __index = function(_, key)
      if key == "playbook" then
        problem(
          ("'%s' is a playbook, not an environment"):format(path),
          "an environment is DIR/NAME.lua or DIR/environments/NAME.lua: has a playbook the same name?"
        )
      end
      problem(
        ("'%s' is not known here"):format(tostring(key)),
        "an environment is pure data: texts, numbers, tables, env and secret.env, .file, .command, .prompt"
      )
    end,
    __newindex = function(_, key)
      problem(("'%s' is assigned: write 'local %s = …'"):format(tostring(key), tostring(key)))
    end,
    __metatable = "environment",
  })
  local chunk, err = host.chunk.load(source, name, scope)
  if not chunk then
    error(errors.precondition { message = ("environment '%s' does not load: %s"):format(path, err.message) }, 0)
  end
  local ok, value = host.chunk.call(chunk, 1000000)
  if not ok then
    if errors.is(value) then
      error(value, 0)
    end
    error(errors.precondition { message = ("environment '%s' does not load: %s"):format(path, tostring(value)) }, 0)
  elseif type(value) ~= "table" or secrets.is_placeholder(value) then
    error(errors.precondition {
      message = ("environment '%s' returns %s, no table"):format(path, value == nil and "nothing" or type(value)),
      hint = 'it looks like: return { label = "staging" }',
    }, 0)
  end
  return value
end

local function expect(path, what, value, kind)
  if value ~= nil and type(value) ~= kind then
    error(errors.precondition {
      message = ("environment '%s': %s: expected %s, got %s"):format(path, what, text.article(kind), type(value)),
    }, 0)
  end
end

local function refuse_unknown(path, what, map, known)
  for key in ordered.pairs(map) do
    if not text.has(known, key) then
      error(errors.precondition {
        message = ("environment '%s': unknown %s '%s'"):format(path, what, tostring(key)),
        hint = text.suggest(tostring(key), known, "known"),
      }, 0)
    end
  end
end

local function validate(path, raw)
  refuse_unknown(path, "field", raw, fields)
  expect(path, "label", raw.label, "string")
  expect(path, "protected", raw.protected, "boolean")
  expect(path, "timezone", raw.timezone, "string")
  expect(path, "params", raw.params, "table")
  expect(path, "smtp", raw.smtp, "table")
  expect(path, "hosts", raw.hosts, "table")
  expect(path, "services", raw.services, "table")
  rules.read(raw.rules, ("environment '%s'"):format(path))
  local hosts = host_settings.read(raw.hosts, path)
  for name, config in ordered.pairs(raw.services or {}) do
    local place = ("services.%s"):format(tostring(name))
    expect(path, place, config, "table")
    service_settings.read(("environment '%s': %s"):format(path, place), config, hosts, raw.http or {})
  end
  refuse_unknown(path, "field of smtp", raw.smtp or {}, smtp_fields)
  for section, known in ordered.pairs(sections) do
    expect(path, section, raw[section], "table")
    for name, config in ordered.pairs(raw[section] or {}) do
      local place = ("%s.%s"):format(section, tostring(name))
      expect(path, place, config, "table")
      if #known > 0 then
        refuse_unknown(path, ("field of %s"):format(place), config, known)
      end
    end
  end
end

--- An address that an environment variable gives, as plain text: it is shown to the operator, and only a
--- password in it is a secret.
local function read_address(host, read, value, place)
  local plain = value.source == "env" and host.system.env(value.name)
  if plain and plain ~= "" and not plain:find("@", 1, true) then
    return plain
  end
  return read(value, place)
end

--- A copy of a connection's configuration with its secrets read.
local function resolve(host, read, value, place)
  if secrets.is_placeholder(value) then
    return read(value, place)
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in next, value do
    copy[key] = key == "base" and secrets.is_placeholder(item) and read_address(host, read, item, place)
      or resolve(host, read, item, place)
  end
  return copy
end

--- A copy with every secret as its name.
local function by_name(value)
  if type(value) ~= "table" then
    return value
  elseif getmetatable(value) ~= nil then
    return tostring(value)
  end
  local copy, names = {}, false
  for key in next, value do
    names = names or type(key) == "string"
  end
  for key, item in next, value do
    copy[names and tostring(key) or key] = by_name(item) -- a group of hosts has items and names: JSON has either
  end
  return copy
end

--- The object that the run gets.
---@param can_ask boolean a person may be asked for a secret
local function build(host, name, path, raw, can_ask)
  local self = {
    name = name,
    path = path,
    label = raw.label or name,
    protected = raw.protected or false,
    timezone = raw.timezone or "Etc/UTC",
    services = raw.services or {},
  }
  local resolved, read, known_hosts = {}, secrets.reader(host, can_ask), nil
  local place = ("environment '%s'"):format(path)
  self.rules = rules.bind(host, rules.read(raw.rules, place), name, self.timezone, place)

  --- The names of a kind's connections, sorted.
  function self.names(kind)
    return text.keys(raw[kind] or {})
  end

  --- The hosts and their groups, see runtime/host_settings.lua; settings of the process read.
  function self.hosts()
    known_hosts = known_hosts or host_settings.read(resolve(host, read, raw.hosts or {}, "hosts"), path)
    return known_hosts
  end

  --- The settings of one host, by its name or that of a group that holds no other. Raises a precondition error.
  function self.find_host(wanted)
    self.has("hosts", wanted)
    local hosts = self.hosts()
    local members = host_settings.members(hosts, wanted)
    if #members > 1 then
      error(errors.precondition {
        message = ("'%s' is a group of %d hosts: %s"):format(wanted, #members, table.concat(members, ", ")),
        hint = ("name one, or do it on each: each(hosts \"%s\", function(host) … end)"):format(wanted),
      }, 0)
    end
    return hosts.hosts[members[1]]
  end

  --- Raises a precondition error when there is no such connection.
  function self.has(kind, wanted)
    if raw[kind] and raw[kind][wanted] ~= nil or kind == "hosts" and host_settings.members(self.hosts(), wanted) then
      return true
    end
    local known = kind == "hosts" and host_settings.names(self.hosts()) or self.names(kind)
    local near = text.nearest(tostring(wanted), known)
    error(errors.precondition {
      message = ("environment '%s' has no %s connection '%s'"):format(name, kind, tostring(wanted)),
      hint = near and ("did you mean '%s'?"):format(near)
        or #known > 0 and ("it has: " .. table.concat(known, ", "))
        or ("its file says of %s nothing: %s"):format(kind, path),
    }, 0)
  end

  --- The configuration of a connection, its secrets read.
  function self.connection(kind, wanted)
    self.has(kind, wanted)
    local key = kind .. "\0" .. wanted
    resolved[key] = resolved[key] or resolve(host, read, raw[kind][wanted], ("%s connection '%s'"):format(kind, wanted))
    return resolved[key]
  end

  --- A section that is one thing, such as smtp, its secrets read; nil where the file does not have it.
  function self.section(kind)
    resolved[kind] = resolved[kind] or raw[kind] and resolve(host, read, raw[kind], kind)
    return resolved[kind]
  end

  --- The configuration as written, secrets unread: for list, check and doctor.
  function self.raw(kind, wanted)
    return raw[kind] and raw[kind][wanted]
  end

  --- Parameter values for a playbook: those for all, overridden by those under its path.
  function self.params_for(playbook)
    local values, own = {}, nil
    for key, value in next, raw.params or {} do
      if key == playbook or key == playbook:gsub("%.lua$", "") then
        expect(path, ("params of '%s'"):format(key), value, "table")
        own = value
      elseif not tostring(key):find "/" then
        values[key] = value
      end
    end
    for key, value in next, own or {} do
      values[key] = value
    end
    return values, own or {}
  end

  --- Where a secret is, not the secret: for who only shows parameters, nobody is asked and nothing is run.
  function self.unread_secret(secret)
    return secrets.is_placeholder(secret) and secret or nil, secrets.expected
  end

  --- Every secret and every variable it names, and whether each is there: {source, name, places, is_there, why, hint}.
  --- Runs no command and asks nobody: of those `is_there` is false.
  function self.secrets()
    local list = {}
    for i, entry in ipairs(secrets.named(raw)) do
      local is_there, why, hint = secrets.look(host, entry.secret)
      list[i] = {
        source = entry.secret.source, name = entry.secret.name, places = entry.places, is_there = is_there, why = why, hint = hint,
      }
    end
    return list
  end

  --- All of it as plain data, secrets by name: for the copy a run keeps.
  function self.plain()
    return by_name(raw)
  end

  function self.read_secret(secret)
    return read(secret, "a parameter")
  end

  --- The text of env "NAME" where a parameter's value stands; any other value as it is.
  function self.setting(value, parameter)
    local is_setting = secrets.is_placeholder(value) and value.source == "setting"
    return is_setting and read(value, ("parameter '%s'"):format(parameter)) or value
  end

  return self
end

--- Loads an environment. No name: $OPSRUN_ENV, else the only one there is, else an error that lists them.
---@param services {host: table, options: table}
---@param name string?
---@return table
function environment.load(services, name)
  local host = services.host
  local config = services.options.flags.config
  local flags = services.options.flags
  name = name or host.system.env "OPSRUN_ENV"
  if name == nil or name == "" then
    name = files.only_one(host, config)
  end
  local path, candidates = files.find(host, config, name)
  if not path then
    error(files.unknown(host, config, name), 0)
  end
  local can_ask = not flags.no_input and not flags.json and host.term ~= nil and host.term.is_terminal()
  -- what /etc/opsrun says of an environment that is protected or has rules cannot be shadowed by a file that happens
  -- to be here
  for _, candidate in ipairs(candidates) do
    if files.is_system(candidate) then
      local raw = evaluate(host, candidate, name .. ".lua")
      if raw.protected == true or raw.rules ~= nil then
        validate(candidate, raw)
        return build(host, name, candidate, raw, can_ask)
      end
    end
  end
  local raw = evaluate(host, path, name .. ".lua")
  validate(path, raw)
  return build(host, name, path, raw, can_ask)
end

--- The names of all environments there are, sorted.
function environment.names(services)
  return files.names(services.host, services.options.flags.config)
end

--- Like load, but nil where no environment is named and there is not exactly one: for commands that can
--- do without.
function environment.load_if_any(services, name)
  local host = services.host
  name = name or host.system.env "OPSRUN_ENV"
  if name or #environment.names(services) == 1 then
    return environment.load(services, name)
  end
  return nil
end

return environment
