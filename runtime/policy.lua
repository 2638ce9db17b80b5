--- Stage 3 of the gate: may this effect happen at all? Pure: header, environment and what was spent
--- so far in, a refusal or nothing out. The same in a dry run, so that a rehearsal shows refusals.
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local policy = {}

--- Is `argv` covered by the prefix "docker restart"? Word by word, so "docker rest" is not.
local function argv_has_prefix(argv, prefix)
  local index = 0
  for word in prefix:gmatch "%S+" do
    index = index + 1
    if argv[index] ~= word then
      return false
    end
  end
  return index > 0
end

--- Is `path` the directory or file `prefix`, or below it?
local function path_has_prefix(path, prefix)
  prefix = prefix:gsub("/+$", "")
  if ("/" .. path .. "/"):find("/../", 1, true) then
    return false -- it may lead out again
  end
  return path == prefix or path:sub(1, #prefix + 1) == prefix .. "/"
end

--- How an item of each section of `uses` is compared with what the effect wants.
local matches = {
  shell = function(wanted, item)
    return argv_has_prefix(wanted, item)
  end,
  files = path_has_prefix,
  http = function(wanted, item)
    return wanted == item:gsub("/+$", "")
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

--- Items of `uses` may name parameters: "{dir}" is that parameter's value.
local function expand(item, params)
  return (
    item:gsub("{([%w_]+)}", function(name)
      local value = params[name]
      return value ~= nil and tostring(value) or nil
    end)
  )
end

--- Parameter types whose values count as used, where the header declares the parameter.
local counted = { files = "path", http = "url" }

--- What a section of the header's `uses` allows, without what was set aside.
local function listed(run, section)
  local allowed = {}
  for _, item in ipairs((run.header.uses or {})[section] or {}) do
    allowed[#allowed + 1] = expand(item, run.params)
  end
  for name, value in pairs(run.params) do
    local spec = (run.header.params or {})[name]
    local counts = section ~= "shell" and section ~= "notify"
      and (not spec or not counted[section] or spec.type == counted[section] or spec.of == counted[section])
    for _, text in ipairs(counts and (type(value) == "table" and getmetatable(value) == nil and value or { value }) or {}) do
      if type(text) == "string" then
        allowed[#allowed + 1] = section == "http" and text:match "^(https?://[^/?#]+)" or text
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

--- Raises `refused` unless all that the effect wants is allowed.
---@param effect table described effect; `effect.uses` = {section, wanted} when it needs an entry; of
--- files a list of paths
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
end

--- Adds an effect's costs to what was spent, unchecked.
local function spend(run, costs)
  for name, amount in pairs(costs) do
    run.spent[name] = (run.spent[name] or 0) + amount
  end
end

--- Counts the costs of an effect that the journal holds: they were allowed when it was made.
---@param effect {costs: table<string, number>?}
function policy.count(run, effect)
  if effect.costs then
    spend(run, effect.costs)
    if run.caller then
      spend(run.caller, effect.costs)
    end
  end
end

--- Reserves the effect's costs, `{sessions = 20}`, against the header's `limits`.
local function reserve(run, effect)
  local limits = run.header.limits or {}
  for name, amount in pairs(effect.costs) do
    local limit = limits[name]
    local sum = (run.spent[name] or 0) + amount
    if limit and sum > limit then
      error(errors.refused {
        message = ("over budget: %s would be %g of at most %g %s"):format(effect.summary, sum, limit, name),
        hint = ("the header's limits.%s is the most one run may touch; --override limits.%s --because TEXT goes beyond"):format(
          name, name),
        rule = "limits." .. name,
        beyond = effect.costs,
      }, 0)
    end
  end
  spend(run, effect.costs)
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

--- Raises `refused` or returns. Costs are reserved here, before anything is sent.
---@return table[] set_aside {rule, because, effect, refusal} of each rule that was set aside
function policy.check(run, effect)
  local set_aside = {}
  local function pass(check, of)
    local ok, err = pcall(check, of, effect)
    if not ok then
      err = errors.wrap(err)
      set_aside[#set_aside + 1] = overridden(run, effect, err)
      if err.beyond then
        spend(of, effect.costs)
      end
    end
  end
  local tells = effect.uses and effect.uses[1] == "notify" and policy.tells(run) or {}
  if effect.uses and not tells[effect.uses[2]] then
    pass(check_uses, run)
  end
  if effect.costs then
    pass(reserve, run)
    if run.caller then -- a called playbook spends of its caller's budget as well
      pass(reserve, run.caller)
    end
  end
  return set_aside
end

return policy
