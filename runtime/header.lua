--- The header of a playbook: which fields there are, what each may hold. Unknown fields and wrong types
--- name the nearest valid one and the line.
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local params = require "runtime.params"
local schedule = require "runtime.schedule"
local text = require "runtime.text"
local thresholds = require "runtime.thresholds"
local units = require "runtime.units"
local header = {}

local kinds = { "incident", "routine", "monitor", "change" }
local severities = { "critical", "high", "medium", "low" }
local sections = { "files", "hosts", "http", "logs", "notify", "redis", "shell", "sql", "state" }
local levels = { "always", "critical", "ok", "warning" }

local function expected(what, value)
  return ("expected %s, got %s"):format(what, type(value))
end

local function rule_string(value)
  if type(value) ~= "string" or value == "" then
    return value == "" and "expected a text, got an empty one" or expected("a string", value)
  end
end

local function rule_choice(list)
  return function(value)
    if not text.has(list, value) then
      local hint = type(value) == "string" and text.nearest(value, list)
      return ("'%s' is none of %s"):format(tostring(value), table.concat(list, ", ")), hint and ("did you mean '%s'?"):format(hint)
    end
  end
end

local function rule_duration(value)
  if not units.duration(value) then
    return ("'%s' is no duration"):format(tostring(value)), 'for example "5m" or "1h30m"'
  end
end

local function rule_list(value)
  if type(value) ~= "table" then
    return expected("a list of strings", value)
  end
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or type(item) ~= "string" then
      return ("expected a list of strings, found '%s'"):format(tostring(math.type(key) and item or key))
    end
  end
end

local function rule_uses(value)
  if type(value) ~= "table" then
    return expected("a table such as { shell = { \"docker restart\" } }", value)
  end
  for section, list in ordered.pairs(value) do
    if not text.has(sections, section) then
      return ("'%s' is nothing that can be used"):format(tostring(section)), text.suggest(tostring(section), sections, "sections")
    end
    local problem = rule_list(list)
    if problem then
      return ("%s: %s"):format(section, problem)
    end
  end
end

local function rule_limits(value)
  if type(value) ~= "table" then
    return expected("a table such as { sessions = 200 }", value)
  end
  for name, limit in ordered.pairs(value) do
    if type(name) ~= "string" or type(limit) ~= "number" or limit < 0 then
      return ("'%s': expected a number, got %s"):format(tostring(name), tostring(limit))
    end
  end
end

local function rule_tell(value)
  if type(value) ~= "table" then
    return expected('a table such as { team = "warning" }', value)
  end
  for name, level in ordered.pairs(value) do
    if not text.has(levels, level) then
      return ("'%s': '%s' is none of %s"):format(tostring(name), tostring(level), table.concat(levels, ", "))
    end
  end
end

local function rule_schedule(value, clock)
  local _, problem, hint = schedule.read(value, clock)
  return problem, hint
end

local function rule_thresholds(value)
  return thresholds.problem_of_all(value)
end

local function rule_sources(value)
  return type(value) ~= "string" and rule_list(value) or nil
end

local function is_count(value)
  return math.type(value) == "integer" and value >= 1
end

local function is_age(value)
  local duration = type(value) == "string" and units.duration(value)
  return duration and duration.seconds > 0
end

local function rule_keep(value)
  if type(value) ~= "table" then
    return not is_count(value) and not is_age(value) and "expected a number of runs or a duration" or nil
  end
  for name, item in ordered.pairs(value) do
    if not (name == "count" and is_count(item)) and not (name == "age" and is_age(item)) then
      return ("'%s': expected count, a number of runs, and age, a duration"):format(tostring(name))
    end
  end
  return next(value) == nil and "expected a number of runs or a duration" or nil
end

local function rule_params(value)
  if type(value) ~= "table" then
    return expected("a table", value)
  end
end

local function rule_lock(value)
  if type(value) ~= "boolean" and type(value) ~= "string" then
    return expected("true or a name", value)
  end
end

local rules = {
  title = rule_string,
  about = rule_string,
  kind = rule_choice(kinds),
  severity = rule_choice(severities),
  respond = rule_duration,
  owner = rule_string,
  params = rule_params,
  uses = rule_uses,
  calls = rule_list,
  limits = rule_limits,
  lock = rule_lock,
  tell = rule_tell,
  schedule = rule_schedule,
  sources = rule_sources,
  thresholds = rule_thresholds,
  keep_runs = rule_keep,
}

--- The fields of a header, sorted.
header.fields = text.keys(rules)

--- Validates what the author wrote. Raises a load error, or returns the header: the same fields,
--- `params` declared (a table by name, possibly empty), `respond` a duration.
---@param raw any the argument of `playbook`
---@param at fun(field: string?): string where it, or a field of it, stands: "db-exhaustion.lua:12"
---@param clock table the host's, for windows and times
function header.validate(raw, at, clock)
  local function refuse(field, message, hint)
    error(errors.load { message = message, hint = hint, where = at(field) }, 0)
  end
  if type(raw) ~= "table" then
    refuse(nil, ("playbook: expected a table, got %s"):format(type(raw)), 'a header is playbook { title = "…", … }')
  end
  local result = {}
  for field, value in ordered.pairs(raw) do
    local rule = rules[field]
    if not rule then
      refuse(
        type(field) == "string" and field or nil,
        ("unknown header field '%s'"):format(tostring(field)),
        text.suggest(tostring(field), header.fields, "fields")
      )
    end
    local problem, hint = rule(value, clock)
    if problem then
      refuse(field, ("header field '%s': %s"):format(field, problem), hint)
    end
    result[field] = value
  end
  if result.title == nil then
    refuse(nil, "the header has no 'title'", 'a title is what an operator reads: title = "Database connection exhaustion"')
  end
  result.respond = result.respond and units.duration(result.respond)
  result.params = params.declare(result.params or {}, at, clock)
  for name in ordered.pairs(result.tell or {}) do
    local param = tostring(name):match "^{(.*)}$"
    if param and not result.params[param] then
      local hint = text.suggest(param, text.keys(result.params), "parameters")
      refuse("tell", ("header field 'tell': '%s': there is no parameter '%s'"):format(name, param), hint)
    end
  end
  return result
end

return header
