--- Stage 3 of the gate: may this effect happen at all? Header, the environment's rules and what was spent
--- so far in; a refusal, something to ask, or nothing out. The same in a dry run, so that a rehearsal shows refusals.
local budget = require "runtime.budget"
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local prefixes = require "runtime.prefixes"
local policy = {}

--- Variables that decide which program a name means, or what it loads before its own first line. Whoever sets one
--- runs what he likes, whatever the words of the command are.
local steering = {
  "BASHOPTS", "BASH_ENV", "BASH_FUNC_%", "CDPATH", "CLASSPATH", "DYLD_%", "ENV", "GCONV_PATH", "GLOBIGNORE", "IFS",
  "JAVA_TOOL_OPTIONS", "LD_%", "LUA_INIT%", "LUA_%PATH", "NODE_OPTIONS", "NODE_PATH", "PATH", "PERL5DB", "PERL5LIB",
  "PERL5OPT", "PERLLIB", "PROMPT_COMMAND", "PS4", "PYTHONHOME", "PYTHONINSPECT", "PYTHONPATH", "PYTHONSTARTUP",
  "PYTHONUSERBASE", "RUBYLIB", "RUBYOPT", "SHELLOPTS", "ZDOTDIR", "_JAVA_OPTIONS",
}

--- Is this a variable that steers which program runs?
local function steers(name)
  for _, known in ipairs(steering) do
    if name:find("^" .. known:gsub("%%", ".*") .. "$") then
      return true
    end
  end
  return false
end

--- How an item of each section of `uses` is compared with what the effect wants.
local matches = {
  shell = prefixes.command,
  files = prefixes.path,
  http = function(wanted, item)
    return wanted == prefixes.origin(item)
  end,
  notify = function(wanted, item)
    return wanted == item
  end,
  state = function(wanted, item)
    return wanted == item
  end,
}

local function describe_wanted(wanted)
  return type(wanted) == "table" and table.concat(wanted, " ") or tostring(wanted)
end

--- What `uses` would have to say, short: a command's first two words, an origin, a name.
local function suggest_item(section, wanted)
  if section == "shell" then
    return wanted[2] and not wanted[2]:find "^%-" and (wanted[1] .. " " .. wanted[2]) or wanted[1]
  end
  return tostring(wanted)
end

--- Items of `uses` may name parameters: "{dir}" is that parameter's value. nil when one has none, or an empty one: a
--- prefix that lost its end would allow more than its author wrote.
local function expand(item, params)
  local whole = true
  local text = item:gsub("{([%w_]+)}", function(name)
    local value = params[name]
    local words = value ~= nil and tostring(value) or ""
    whole = whole and words:find "%S" ~= nil
    return words
  end)
  return whole and text or nil
end

--- Parameter types whose values count as used.
local counted = { files = "path", http = "url" }

--- What a section of the header's `uses` allows, without what was set aside.
local function listed(run, section)
  local allowed = {}
  for _, item in ipairs((run.header.uses or {})[section] or {}) do
    allowed[#allowed + 1] = expand(item, run.params)
  end
  for name, spec in pairs(counted[section] and run.header.params or {}) do
    local value = run.params[name]
    local counts = value ~= nil and (spec.type == counted[section] or spec.of == counted[section])
    for _, text in ipairs(counts and (type(value) == "table" and getmetatable(value) == nil and value or { value }) or {}) do
      if type(text) == "string" then
        allowed[#allowed + 1] = text
      end
    end
  end
  return allowed
end

--- What a section of the header's `uses` allows in this run: its items, parameters put in, and the
--- values of parameters that count as used.
---@param run {header: table, params: table}
---@return string[]
function policy.allowed(run, section)
  if section == "files" and (run.overrides_met or {})["uses.files"] then
    return { "/" } -- set aside, aloud, by the effect that is made now
  end
  return listed(run, section)
end

--- A variable that steers which program runs needs what a text for bash needs: "bash" in uses.shell.
local function check_variables(allowed, effect)
  for _, item in ipairs(allowed) do
    if item:find "^%s*bash%s*$" then
      return
    end
  end
  for _, name in ipairs(effect.uses.variables or {}) do
    if steers(name) then
      error(errors.refused {
        message = ("'%s' decides what '%s' runs: uses.shell does not allow to set it"):format(name, effect.uses[2][1]),
        hint = "leave it out, or allow any command: uses = { shell = { \"bash\" } }; or, this once: --override uses.shell --because TEXT",
        rule = "uses.shell",
      }, 0)
    end
  end
end

--- Raises `refused` unless all that the effect wants is allowed.
---@param effect table described effect; `effect.uses` = {section, wanted} when it needs an entry; of
--- files a list of paths; of shell also `variables`, the names a command's env sets
local function check_uses(run, effect)
  local section, wanted = effect.uses[1], effect.uses[2]
  local allowed = listed(run, section)
  local function is_allowed(one)
    for _, item in ipairs(allowed) do
      if matches[section](one, item) then
        return true
      end
    end
  end
  for _, one in ipairs(section == "files" and type(wanted) == "table" and wanted or { wanted }) do
    if not is_allowed(one) then
      error(errors.refused {
        message = ("'%s' is not in the playbook's uses.%s"):format(describe_wanted(one), section),
        hint = ('to allow it, the header says: uses = { %s = { "%s" } }; or, this once: --override uses.%s --because TEXT'):format(
          section, suggest_item(section, one), section),
        rule = "uses." .. section,
      }, 0)
    end
  end
  check_variables(allowed, effect)
end

--- How bad an end has to be for a level of the header's `tell`.
policy.tell_rank = { always = 0, ok = 0, warning = 1, critical = 2 }

--- The header's `tell` with parameters put in: who hears of which end, and the parameters without a value.
---@return table<string, string> names, string[] missing
function policy.tells(run)
  local names, missing = {}, {}
  for item, level in ordered.pairs(run.header.tell or {}) do
    local param = tostring(item):match "^{([%w_]+)}$"
    local name = param and run.params[param] or not param and item or nil
    if not name then
      missing[#missing + 1] = param
    elseif not names[name] or policy.tell_rank[level] < policy.tell_rank[names[name]] then
      names[name] = level
    end
  end
  return names, missing
end

--- A rule that the operator set aside for this run with --override: returns what is to be written down, else raises.
local function overridden(run, effect, refusal)
  if not (refusal.rule and run.overrides and run.overrides[refusal.rule]) then
    error(refusal, 0)
  end
  run.overrides_met[refusal.rule] = true
  return { rule = refusal.rule, because = run.options.because, effect = effect.summary, refusal = refusal.message }
end

local function check_rules(run, effect, situation, pass)
  local bound = run.environment and run.environment.rules
  if not bound or effect.class ~= "change" and effect.class ~= "tell" then
    return nil
  end
  local refusals, asked = bound.judge(effect, situation)
  for _, refusal in ipairs(refusals) do
    local said = refusal.rule == "rules.within" and run.overrides_met[refusal.rule] -- of all changes, so once is aloud
    if not said then
      pass(errors.refused(refusal))
    end
  end
  return asked
end

local function check_costs(run, effect, pass)
  for _, overrun in ipairs(budget.overruns(run, effect)) do
    pass(errors.refused(overrun))
  end
  budget.reserve(run, effect)
end

--- Raises `refused` or returns. Costs are reserved here, before anything is sent; last, so that what is refused
--- reserves nothing.
---@param run table
---@param effect table described effect
---@param back boolean? a way back is worked off
---@return table[] set_aside {rule, because, effect, refusal} of each rule that was set aside
---@return table? asked the entry of the environment's `ask` that means this effect
function policy.check(run, effect, back)
  local set_aside = {}
  local function pass(refusal)
    set_aside[#set_aside + 1] = overridden(run, effect, refusal)
  end
  local asked = check_rules(run, effect, { offset = run.dry and run.clock_offset or 0, back = back or false }, pass)
  local tells = effect.uses and effect.uses[1] == "notify" and policy.tells(run) or {}
  if effect.uses and not tells[effect.uses[2]] then
    local ok, err = pcall(check_uses, run, effect)
    if not ok then
      pass(errors.wrap(err))
    end
  end
  if effect.costs then
    check_costs(run, effect, pass)
  end
  return set_aside, asked
end

return policy
