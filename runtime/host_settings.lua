--- The section `hosts` of an environment: names, or groups of them, made into settings for ssh. Pure.
---   hosts = { db = "db1.internal", web = { "web1", { name = "web2", port = 2222 }, user = "deploy" } }
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local host_settings = {}

--- What may be said of a host, and of a group for all its hosts.
local fields = {
  "address", "config", "connect_timeout", "jump", "key", "known_hosts", "name", "port", "reads", "user",
}
--- What cannot be the same for all hosts of a group.
local own_fields = { address = true, name = true }

local function problem(place, message, hint)
  error(errors.precondition { message = ("%s: %s"):format(place, message), hint = hint }, 0)
end

--- env "NAME", which is read when the host is first used; what it says is checked then.
local function is_deferred(value)
  return type(value) == "table" and getmetatable(value) == "secret"
end

--- A word that goes to ssh: it must not be taken for an option, for a second word, or by a shell.
local function check_word(place, field, value)
  if type(value) ~= "string" or not value:find "^[%w_:][%w_.:@%%-]*$" then
    local got = type(value) == "string" and ("'%s'"):format(value) or type(value)
    problem(place, ("%s: expected a name such as 'web1' or 'db1.internal', got %s"):format(field, got))
  end
end

local function check_path(place, field, value)
  if type(value) ~= "string" or value == "" or value:find "[%c\"]" then
    problem(place, ("%s: expected the path of a file"):format(field))
  end
end

local checks = {
  address = check_word,
  name = check_word,
  user = check_word,
  jump = check_word,
  config = check_path,
  key = check_path,
  known_hosts = check_path,
  port = function(place, _, value)
    value = math.tointeger(tonumber(value)) -- env "PORT" gives a text
    if not value or value < 1 or value > 65535 then
      problem(place, "port: expected a number from 1 to 65535")
    end
  end,
  connect_timeout = function() end, -- a duration: read when it is used
  reads = function(place, _, value)
    for i, item in ipairs(type(value) == "table" and value or problem(place, "reads: expected a list of commands")) do
      if type(item) ~= "string" or not item:find "%S" then
        problem(place, ("reads: item %d: expected a command such as \"systemctl status\""):format(i))
      end
    end
  end,
}

local function check_fields(place, given)
  for field, value in ordered.pairs(given) do
    if math.type(field) ~= "integer" then
      if not checks[field] then
        problem(place, ("unknown field '%s'"):format(tostring(field)), text.suggest(tostring(field), fields, "known"))
      end
      if not is_deferred(value) then
        checks[field](place, field, value)
      end
    end
  end
end

--- "deploy@web1:2222" as {address, user, port}.
local function parse_address(place, given)
  local user, rest = given:match "^([^@]+)@(.+)$"
  rest = rest or given
  local bracketed, bracket_port = rest:match "^%[([%x:.]+)%]:?(%d*)$"
  local address, port = rest:match "^([^:]+):(%d+)$"
  local host = { user = user, address = bracketed or address or rest, port = tonumber(bracket_port or port) }
  check_word(place, "address", host.address)
  if user then
    check_word(place, "user", user)
  end
  if host.port then
    checks.port(place, "port", host.port)
  end
  return host
end

--- The settings of one entry of a group.
---@param defaults table the group's own fields
local function read_host(place, given, defaults, otherwise)
  local host = {}
  for field, value in pairs(defaults) do
    if type(field) == "string" and not own_fields[field] then
      host[field] = value
    end
  end
  if type(given) == "string" then
    given = parse_address(place, given)
  elseif is_deferred(given) then
    given = { address = given }
  elseif type(given) ~= "table" then
    problem(place, ("expected a name or a table, got %s"):format(type(given)))
  else
    check_fields(place, given)
    if given[1] ~= nil then
      problem(place, "a group stands in no group")
    end
  end
  for field, value in pairs(given) do
    host[field] = value
  end
  host.address = host.address or otherwise
  if not host.address then
    problem(place, "address: it is missing")
  end
  host.name = host.name or tostring(host.address)
  return host
end

local function same(a, b)
  for _, field in ipairs(fields) do
    local left, right = a[field], b[field]
    if type(left) == "table" then
      left, right = table.concat(left, "\0"), table.concat(type(right) == "table" and right or {}, "\0")
    end
    if left ~= right then
      return false
    end
  end
  return true
end

--- Adds a host under its name; one name is one host.
local function add(known, host, place)
  local other = known.hosts[host.name]
  if other and not same(other, host) then
    problem(place, ("'%s' is another host here than in %s"):format(host.name, known.places[host.name]),
      "give one of them a name of its own: { name = \"…\", address = \"…\" }")
  end
  if not other then
    known.hosts[host.name], known.places[host.name] = host, place
  end
end

--- What a section `hosts` names. Raises a precondition error that says where it is wrong.
---@param section table? as the environment wrote it
---@param file string for messages: the environment's path
---@return {hosts: table<string, table>, groups: table<string, string[]>} settings by name; names by group
function host_settings.read(section, file)
  local known = { hosts = {}, places = {}, groups = {} }
  local function place_of(name)
    return ("environment '%s': hosts.%s"):format(file, name)
  end
  for name, given in ordered.pairs(section or {}) do -- single ones first: groups may name them
    if type(name) ~= "string" then
      problem(place_of(tostring(name)), "expected a name: hosts = { web = { \"web1\", \"web2\" } }")
    elseif type(given) == "string" or (type(given) == "table" and given[1] == nil) then
      local host = read_host(place_of(name), given, {}, name)
      host.name = name
      add(known, host, place_of(name))
      known.groups[name] = { name }
    elseif type(given) ~= "table" then
      problem(place_of(name), ("expected a name, a table or a list of them, got %s"):format(type(given)))
    end
  end
  for name, given in ordered.pairs(section or {}) do
    if not known.groups[name] then
      local place, members, seen = place_of(name), {}, {}
      check_fields(place, given)
      for i, item in ipairs(given) do
        local host = known.hosts[item] or read_host(place, item, given)
        add(known, host, place)
        if seen[host.name] then
          problem(place, ("item %d: '%s' is in it twice"):format(i, host.name))
        end
        seen[host.name], members[i] = true, host.name
      end
      known.groups[name] = members
    end
  end
  return known
end

--- Every name that can be asked for, sorted.
function host_settings.names(known)
  local names = {}
  for name in pairs(known.groups) do
    names[name] = true
  end
  for name in pairs(known.hosts) do
    names[name] = true
  end
  return text.keys(names)
end

--- The names of the hosts that a group's, or a host's, name stands for; nil when there is none.
function host_settings.members(known, name)
  return known.groups[name] or known.hosts[name] and { name } or nil
end

return host_settings
