--- What `step` and `group` are given: name, options and function, checked while the playbook loads, so that
--- a misspelt option is not found at 3 a.m.
local context = require "runtime.context"
local errors = require "runtime.errors"
local text = require "runtime.text"
local units = require "runtime.units"
local step_options = {}

local verdicts = { "warning", "critical" }
local of_step = { "id", "when", "needs", "timeout", "retry", "fresh", "idempotent", "optional", "happened" }
local of_group = { "id", "together", "keep_going", "retry", "when" }
local known = { step = of_step, group = of_group }

--- A mistake of the author: while the playbook loads it does not load; inside a step the step fails.
local function refuse(where, message, hint)
  local current = context.current()
  if current and current.step then
    local err = errors.wrap(message, where)
    err.hint = hint
    error(err, 0)
  end
  error(errors.load { message = message, where = where, hint = hint }, 0)
end
step_options.refuse = refuse

local function typed(wanted, said)
  return function(value)
    if type(value) ~= wanted then
      return ("expected %s, got %s"):format(said or wanted, type(value))
    end
  end
end

local function duration(value)
  local found = units.duration(value)
  if not found or found.seconds <= 0 then
    return ("'%s' is no duration"):format(tostring(value)), 'for example "30s" or "5m"'
  end
end

local rules = {
  together = typed("boolean", "true or false"),
  keep_going = typed("boolean", "true or false"),
  idempotent = typed("boolean", "true or false"),
  optional = typed("boolean", "true or false"),
  happened = typed "function",
  timeout = duration,
  fresh = duration,
}

function rules.id(value)
  if type(value) ~= "string" or not value:find "^[%w\128-\255][%w\128-\255._/-]*$" then
    return ("'%s' is no id"):format(tostring(value)), "letters, digits, '.', '_', '-' and '/'"
  end
end

function rules.when(value)
  local kind = type(value)
  if kind == "string" and not text.has(verdicts, value) then
    return ("'%s' is no verdict"):format(value), text.suggest(value, verdicts, "verdicts") or "verdicts: warning, critical"
  elseif kind ~= "string" and kind ~= "boolean" and kind ~= "function" then
    return ('expected true, false, a function, "warning" or "critical", got %s'):format(kind)
  end
end

function rules.needs(value)
  if type(value) ~= "table" or #value == 0 then
    return 'expected a list of parameters, such as { "pool" }'
  end
  for _, name in ipairs(value) do
    if type(name) ~= "string" then
      return ("expected names of parameters, found a %s"):format(type(name))
    end
  end
end

function rules.retry(value)
  if type(value) ~= "table" or math.type(value.times) ~= "integer" or value.times < 1 then
    return 'expected {times = 3, after = "5s"}'
  end
  for name in pairs(value) do
    if name ~= "times" and name ~= "after" then
      return ("unknown field '%s'"):format(tostring(name)), "it takes: times, after"
    end
  end
  if value.after ~= nil and not units.duration(value.after) then
    return ("after: '%s' is no duration"):format(tostring(value.after)), 'for example "5s"'
  end
end

--- "Terminate idle sessions" -> "terminate-idle-sessions"
local function slug(name)
  local id = name:lower():gsub("[^%w\128-\255]+", "-"):gsub("^%-+", ""):gsub("%-+$", "")
  return id ~= "" and id or "step"
end

local function check(what, kind, opts, where)
  for option, value in pairs(opts) do
    if not text.has(known[kind], option) then
      refuse(where, ("%s: unknown option '%s'"):format(what, tostring(option)), text.suggest(tostring(option), known[kind], "it takes"))
    end
    local problem, hint = rules[option](value)
    if problem then
      refuse(where, ("%s: %s: %s"):format(what, option, problem), hint)
    end
  end
end

--- step(name, [opts,] fn) as a node. Raises at the author's line.
---@param kind "step"|"group"
---@return table node {kind, name, id, opts, fn, where}
function step_options.node(kind, where, name, opts, fn)
  if fn == nil and type(opts) == "function" then
    opts, fn = {}, opts
  end
  if type(name) ~= "string" or name == "" then
    refuse(where, ("%s: expected a name first, got %s"):format(kind, name == "" and "an empty one" or type(name)))
  end
  local what = ("%s '%s'"):format(kind, name)
  if type(opts) ~= "table" then
    refuse(where, ("%s: expected a table of options, got %s"):format(what, type(opts)))
  elseif type(fn) ~= "function" then
    refuse(where, ("%s: expected a function last, got %s"):format(what, type(fn)))
  end
  check(what, kind, opts, where)
  return { kind = kind, name = name, opts = opts, fn = fn, where = where, id = opts.id or slug(name) }
end

--- Raises a load error when a step needs a parameter that the header does not declare.
---@param nodes table[]
---@param header table
function step_options.verify(nodes, header)
  for _, node in ipairs(nodes) do
    for _, name in ipairs(node.opts.needs or {}) do
      if not header.params[name] then
        refuse(
          node.where,
          ("step '%s' needs '%s', which is no parameter of this playbook"):format(node.name, name),
          text.suggest(name, text.keys(header.params), "it has") or "the header declares no parameters"
        )
      end
    end
    step_options.verify(node.nodes or {}, header)
  end
end

return step_options
