--- Parameters of a playbook: their types, the values a run gets and where each comes from: -p, then the
--- environment's `params`, then the default.
local closed = require "runtime.closed"
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local types = require "runtime.param_types"
local params = {}

local declaration_fields = { "default", "help", "of", "optional", "type" }

--- The table a header's `params` becomes: sorted by nothing but the names. Raises load errors.
---@param raw table as the author wrote it
---@param at fun(field: string): string where a field stands: "db-exhaustion.lua:12"
---@param clock table
function params.declare(raw, at, clock)
  local declared = {}
  for name, spec in ordered.pairs(raw) do
    local function refuse(message, hint) -- only then is the line looked for: that reads the whole source
      local where = at(tostring(name))
      error(errors.load { message = ("parameter '%s': %s"):format(tostring(name), message), hint = hint, where = where }, 0)
    end
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      refuse("a parameter's name is letters, digits and '_'")
    elseif type(spec) ~= "table" then
      refuse(("expected a table, got %s"):format(type(spec)), 'for example: { type = "duration", default = "5m", help = "…" }')
    end
    for field in ordered.pairs(spec) do
      if not text.has(declaration_fields, field) then
        refuse(("unknown field '%s'"):format(tostring(field)), text.suggest(tostring(field), declaration_fields, "fields"))
      end
    end
    params.check_declaration(name, spec, refuse, clock)
    declared[name] =
      { name = name, type = spec.type, of = spec.of, default = spec.default, optional = spec.optional or false, help = spec.help }
  end
  return declared
end

--- Type, `of`, help, default of one declaration.
function params.check_declaration(_, spec, refuse, clock)
  local names = types.names
  if spec.type == nil then
    refuse("'type' is missing", "types: " .. table.concat(names, ", "))
  elseif not text.has(names, spec.type) then
    refuse(("unknown type '%s'"):format(tostring(spec.type)), text.suggest(tostring(spec.type), names, "types"))
  end
  if spec.type == "choice" and (type(spec.of) ~= "table" or #spec.of == 0) then
    refuse("a choice needs 'of', the list of what there is to choose from")
  elseif spec.type == "list" and (not text.has(names, spec.of or "string") or spec.of == "list" or spec.of == "choice") then
    refuse(("a list cannot be of '%s'"):format(tostring(spec.of)), text.suggest(tostring(spec.of), names, "types"))
  elseif spec.of ~= nil and spec.type ~= "choice" and spec.type ~= "list" then
    refuse(("'of' belongs to choice and list, not to %s"):format(spec.type))
  end
  if spec.help ~= nil and type(spec.help) ~= "string" then
    refuse(("help: expected a string, got %s"):format(type(spec.help)))
  elseif spec.optional ~= nil and type(spec.optional) ~= "boolean" then
    refuse(("optional: expected true or false, got %s"):format(type(spec.optional)))
  end
  if spec.default ~= nil then
    if spec.type == "secret" then
      refuse("a secret has no default: the environment names it")
    end
    local value, why = types.parse(spec, spec.default, { clock = clock, zone = "Etc/UTC" })
    if value == nil then
      refuse(("default: %s"):format(why))
    end
  end
end

--- -p words as name -> text; a name that is not declared names the nearest valid one.
local function parse_words(book, words)
  if #words == 0 then
    return words -- values by name, or nothing
  end
  local given = {}
  for _, word in ipairs(words) do
    local name, value = word:match "^([^=]+)=(.*)$"
    if not name then
      error(errors.usage { message = ("-p '%s': expected NAME=VALUE"):format(word), hint = "for example: -p idle=10m" }, 0)
    elseif not book.header.params[name] then
      local known = text.keys(book.header.params)
      error(errors.usage {
        message = ("'%s' has no parameter '%s'"):format(book.name, name),
        hint = text.suggest(name, known, "parameters") or "it has no parameters",
      }, 0)
    end
    given[name] = value
  end
  return given
end

--- The value of one parameter, and where it comes from.
local function effective(spec, given, from_environment, context)
  local raw, source = given[spec.name], "-p"
  if raw == nil then
    raw, source = from_environment[spec.name], "environment"
    raw = context.environment and context.environment.setting and context.environment.setting(raw, spec.name) or raw
  end
  if raw == nil then
    raw, source = spec.default, "default"
  end
  if raw == nil then
    return { source = spec.optional and "not given" or "missing" }
  end
  context.command_line = source == "-p"
  local value, why = types.parse(spec, raw, context)
  if value == nil then
    local make = source == "environment" and errors.precondition or errors.usage
    local place = source == "environment" and ("environment '%s', parameter '%s'"):format(context.environment.name, spec.name)
      or ("parameter '%s'"):format(spec.name)
    error(make { message = ("%s: %s"):format(place, why), hint = types.examples[spec.type] }, 0)
  end
  if types.is_connection[spec.type] and context.environment then
    local ok, err = pcall(context.environment.has, spec.type, value)
    if not ok then
      err.message = ("parameter '%s': %s"):format(spec.name, err.message)
      if source == "-p" then
        err.kind = "usage"
      end
      error(err, 0)
    end
  end
  return { value = value, source = source }
end

--- What the environment says under this playbook's path must be parameters of it: a typo would count for nothing.
local function unknown_names(book, environment, own)
  local problems, known = {}, text.keys(book.header.params)
  for name in ordered.pairs(own) do
    if not book.header.params[name] then
      problems[#problems + 1] = {
        name = tostring(name),
        source = "environment",
        own = true,
        type = "",
        problem = errors.precondition {
          message = ("environment '%s': '%s' has no parameter '%s'"):format(environment.name, book.name, tostring(name)),
          hint = text.suggest(tostring(name), known, "parameters") or "it has no parameters",
        },
      }
    end
  end
  return problems
end

--- Every parameter with value and source, by name. A missing one has the source "missing"; one whose value is
--- wrong has a `problem`, an error to be raised.
---@param services {host: table}
---@param book table what loader.load returned
---@param environment table? what environment.load returned
---@param words string[] "name=value"
---@return table[] list of {name, type, value, source, own, help, optional, problem}; own: said for this playbook alone
function params.effective(services, book, environment, words)
  local given = parse_words(book, words)
  local from_environment, own = {}, {}
  if environment then
    from_environment, own = environment.params_for(book.name)
  end
  local context = {
    clock = services.host.clock,
    zone = environment and environment.timezone or "Etc/UTC",
    secret = services.host.secret,
    environment = environment,
    read_secret = environment and environment.read_secret,
  }
  local list = unknown_names(book, environment, own or {})
  for name, spec in ordered.pairs(book.header.params) do
    local ok, entry = pcall(effective, spec, given, from_environment, context)
    if not ok then
      local source = given[name] ~= nil and "-p" or from_environment[name] ~= nil and "environment" or "default"
      entry = { problem = errors.wrap(entry), source = source }
    end
    entry.own = entry.source == "environment" and own ~= nil and own[name] ~= nil
    entry.name, entry.type, entry.help, entry.optional = name, types.described(spec), spec.help, spec.optional
    list[#list + 1] = entry
  end
  return list
end

--- The table `p` that steps get: read only; a name that is not declared is an error at the author's line.
local function strict(values, declared)
  return setmetatable({}, {
    __index = function(_, name)
      local value = values[name]
      if value == nil and not declared[name] then
        error(
          ("'%s' is no parameter of this playbook%s"):format(
            tostring(name),
            (" (%s)"):format(text.suggest(tostring(name), text.keys(declared), "it has") or "it has none")
          ),
          2
        )
      end
      return closed.own(value) -- a list is every step's own
    end,
    __newindex = function(_, name)
      error(("parameter '%s' cannot be assigned"):format(tostring(name)), 2)
    end,
    __pairs = function()
      return ordered.pairs(closed.own(values))
    end,
    __metatable = "params",
    __name = "params",
  })
end

--- The values a called playbook gets: what the caller gave, as values or texts; else as for a run.
---@param given table<string, any>
---@return table p
function params.of_call(services, book, environment, given)
  for name in pairs(given) do
    if not book.header.params[name] then
      local hint = text.suggest(tostring(name), text.keys(book.header.params), "parameters")
      error(errors.wrap(("call: '%s' has no parameter '%s' (%s)"):format(book.name, tostring(name), hint or "it has none")), 0)
    end
  end
  local ok, values = pcall(params.resolve, services, book, environment, given)
  if not ok and errors.is(values, "usage") then -- nobody typed it: the calling playbook is wrong
    values = errors.fail { message = "call: " .. values.message, hint = values.hint }
  end
  return ok and values or error(values, 0)
end

--- The values of a run. Missing required ones are listed in one usage error.
---@param words string[]|table<string, any> "name=value", or values by name
---@return table p
function params.resolve(services, book, environment, words)
  local values, missing = {}, {}
  for _, entry in ipairs(params.effective(services, book, environment, words)) do
    if entry.problem then
      error(entry.problem, 0)
    end
    values[entry.name] = entry.value
    if entry.source == "missing" then
      missing[#missing + 1] = entry.name
    end
  end
  if #missing > 0 then
    local example = {}
    for _, name in ipairs(missing) do
      example[#example + 1] = ("-p %s=…"):format(name)
    end
    error(errors.usage {
      message = ("'%s' needs %s: '%s'"):format(
        book.name,
        #missing == 1 and "a parameter" or "parameters",
        table.concat(missing, "', '")
      ),
      hint = ("give %s: %s"):format(#missing == 1 and "it" or "them", table.concat(example, " ")),
    }, 0)
  end
  return strict(values, book.header.params)
end

--- Times and windows as they were when the run began: "last 24h" is not resolved anew when it is gone on with.
---@param values table what resolve returned
---@return table<string, any> moments by name
function params.moments(values)
  local moments = {}
  for name, value in pairs(values) do
    local kind = getmetatable(value)
    if kind == "time" or kind == "window" then
      moments[name] = value
    end
  end
  return moments
end

--- The same values with others in the place of some.
---@param moments table<string, any>
function params.with(values, moments, declared)
  local all = {}
  for name, value in pairs(values) do
    all[name] = value
  end
  for name, value in pairs(moments) do
    all[name] = value
  end
  return strict(all, declared)
end

--- Values as plain data for journal and report: durations and the like as text, secrets by name.
function params.shown(values)
  local shown = {}
  for name, value in pairs(values) do
    shown[name] = types.shown(value)
  end
  return shown
end

return params
