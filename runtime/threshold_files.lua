--- Where named thresholds come from, the first that has the name: thresholds/ENVIRONMENT.lua, the playbook's header,
--- thresholds/default.lua of the operator, the one that came with the program.
local errors = require "runtime.errors"
local files = require "runtime.environment_files"
local text = require "runtime.text"
local thresholds = require "runtime.thresholds"
local threshold_files = {}

--- Instructions that a file of data may take.
local LIMIT = 1000000

--- The library that came with the program: beside an installed one, or of the source tree.
local function installed(host)
  local parent = (host.system.executable() or ""):match "^(.*)/[^/]*/[^/]*$" or ""
  return { parent .. "/share/opsrun/thresholds", parent .. "/thresholds" }
end

local function find(host, directories, name)
  for _, directory in ipairs(directories) do
    local path = ("%s/%s.lua"):format(directory, name)
    local facts = host.files.stat(path)
    if facts and facts.type == "file" then
      return path
    end
  end
  return nil
end

local function refuse(path, message, hint)
  error(errors.precondition { message = ("thresholds '%s': %s"):format(path, message), hint = hint }, 0)
end

--- Evaluates a file: pure data, nothing is in reach.
local function evaluate(host, path)
  local source = files.read(host, path, "thresholds")
  local scope = setmetatable({}, {
    __index = function(_, key)
      refuse(path, ("'%s' is not known here"):format(tostring(key)), "thresholds are pure data: texts, numbers, tables")
    end,
    __newindex = function(_, key)
      refuse(path, ("'%s' is assigned: write 'local %s = …'"):format(tostring(key), tostring(key)))
    end,
    __metatable = "thresholds",
  })
  local chunk, err = host.chunk.load(source, path:match "[^/]+$", scope)
  if not chunk then
    refuse(path, "does not load: " .. err.message)
  end
  local ok, value = host.chunk.call(chunk, LIMIT)
  if not ok then
    error(errors.is(value) and value or errors.precondition { message = ("thresholds '%s': %s"):format(path, tostring(value)) }, 0)
  elseif type(value) ~= "table" then
    refuse(path, ("returns %s, no table"):format(value == nil and "nothing" or type(value)), "it looks like: return { disk_used = { … } }")
  end
  local problem, hint = thresholds.problem_of_all(value)
  if problem then
    refuse(path, problem, hint)
  end
  return value
end

--- All thresholds that a playbook has in an environment. Raises precondition errors.
---@param host table
---@param config string? --config DIR
---@param environment string its name
---@param header table the playbook's
---@return table<string, {threshold: table, from: string}> by name; from: a path, or "the header"
function threshold_files.load(host, config, environment, header)
  local directories = files.rooms(host, config, "thresholds")
  local named = {}
  local function add(map, from)
    for name, threshold in pairs(map or {}) do
      named[name] = { threshold = threshold, from = from }
    end
  end
  local shipped, own = find(host, installed(host), "default"), find(host, directories, "default")
  local special = find(host, directories, environment)
  add(shipped and evaluate(host, shipped), shipped)
  if own and host.files.realpath(own) ~= (shipped and host.files.realpath(shipped)) then
    add(evaluate(host, own), own)
  end
  add(header.thresholds, "the header")
  add(special and environment ~= "default" and evaluate(host, special), special)
  return named
end

local host
local of_headers = setmetatable({}, { __mode = "k" }) -- a called playbook has a header of its own

--- Hands over the host, for threshold_files.find.
function threshold_files.open(given)
  host = given
end

--- A threshold of a run by its name; nil, problem and hint when there is none of that name.
---@param run table
---@param name any
---@return table? threshold, string? problem, string? hint
function threshold_files.find(run, name)
  local named = of_headers[run.header]
  if not named then
    named = threshold_files.load(host, run.options.config, run.environment.name, run.header)
    of_headers[run.header] = named
  end
  if type(name) ~= "string" then
    return nil, ("expected the name of a threshold, got %s"):format(type(name))
  elseif named[name] then
    return named[name].threshold
  end
  local known = text.keys(named)
  return nil, ("no threshold '%s'"):format(name), text.suggest(name, known, "there are")
end

return threshold_files
