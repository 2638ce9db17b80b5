--- Stage 3 of the gate: may this effect happen at all? Pure: header, environment and what was spent
--- so far in, a refusal or nothing out. The same in a dry run, so that a rehearsal shows refusals.
local errors = require "runtime.errors"
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

---@param uses table the header's `uses`
---@param params table the run's parameter values
---@param effect table described effect; `effect.uses` = {section, wanted} when it needs an entry
local function check_uses(uses, params, effect)
  local section, wanted = effect.uses[1], effect.uses[2]
  for _, item in ipairs(uses[section] or {}) do
    if matches[section](wanted, expand(item, params)) then
      return
    end
  end
  for _, value in pairs(params) do
    if type(value) == "string" and section ~= "shell" and section ~= "notify" then
      local origin = section == "http" and value:match "^(https?://[^/?#]+)" or value
      if matches[section](wanted, origin) then
        return
      end
    end
  end
  error(errors.refused {
    message = ("'%s' is not in the playbook's uses.%s"):format(describe_wanted(wanted), section),
    hint = ('to allow it, the header says: uses = { %s = { "%s" } }'):format(
      section,
      suggest_item(section, wanted)
    ),
  }, 0)
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
        hint = ("the header's limits.%s is the most one run may touch"):format(name),
      }, 0)
    end
  end
  for name, amount in pairs(effect.costs) do
    run.spent[name] = (run.spent[name] or 0) + amount
  end
end

--- Raises `refused` or returns. Costs are reserved here, before anything is sent.
function policy.check(run, effect)
  local tells = effect.uses and effect.uses[1] == "notify" and run.header.tell
  if effect.uses and not (tells and tells[effect.uses[2]]) then
    check_uses(run.header.uses or {}, run.params, effect)
  end
  if effect.costs then
    reserve(run, effect)
    if run.caller then -- a called playbook spends of its caller's budget as well
      reserve(run.caller, effect)
    end
  end
end

return policy
