--- Budgets: what the header's `limits` leave of a run, and what its effects cost. Reserved before anything is sent,
--- so that branches side by side cannot overrun a limit together; settled after; counted once for the whole run,
--- however often it is gone on with. A called playbook spends of its caller's budget as well.
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local recording = require "runtime.recording"
local budget = {}

local function is_amount(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

--- An author's `costs`, read: `{ keys = 20 }`, or `{ rows = { most = 500, by = "count" } }`, of which 500 are reserved
--- and what the result's `count` says is spent. An amount below nothing would give others room: it is refused.
---@param given table?
---@param label string "sql.exec", for the message
---@return table<string, number>? costs what is reserved
---@return table<string, string>? by the fields that settle it
function budget.costs(given, label)
  if given == nil then
    return nil
  end
  local function misuse(message)
    error(errors.wrap(("%s: costs: %s"):format(label, message)), 0)
  end
  if type(given) ~= "table" or getmetatable(given) ~= nil then
    misuse(("expected a table such as { keys = 20 }, got %s"):format(type(given)))
  end
  local costs, by = {}, nil
  for name, value in ordered.pairs(given) do
    local most = value
    if type(value) == "table" then
      most = value.most
      for field in pairs(value) do
        if field ~= "most" and field ~= "by" then
          misuse(("'%s': unknown field '%s' (it takes: most, by)"):format(tostring(name), tostring(field)))
        end
      end
      if value.by ~= nil and type(value.by) ~= "string" then
        misuse(("'%s': by: expected the name of a field of the result, such as \"count\""):format(tostring(name)))
      end
      by = by or {}
      by[name] = value.by
    end
    if type(name) ~= "string" or not is_amount(most) then
      misuse(("'%s': expected a number from 0 on, got %s"):format(tostring(name), tostring(most)))
    end
    costs[name] = most
  end
  return costs, by
end

--- What an effect of the journal has spent: nothing when it was not sent, what it was settled to, else what was
--- reserved for it.
---@param recorded {begin: table?, finish: table?}
---@return table<string, number>
local function spent_by(recorded)
  local finish = recorded.finish
  if finish and finish.outcome == "not sent" then
    return {}
  elseif finish and finish.outcome ~= "unknown" then
    return finish.costs or {}
  end
  return (recorded.begin or finish or {}).costs or {}
end

local function add(spent, costs, sign)
  for name, amount in pairs(costs) do
    spent[name] = math.max(0, (spent[name] or 0) + (sign or 1) * amount)
  end
end

--- What a run has spent so far: of one that is gone on with also what it spent before, in all its attempts.
---@return table<string, number>
local function spent_of(run)
  if run.recording and not run.caller and not run.spent_before then
    run.spent_before = true
    for _, recorded in pairs(run.recording.effects) do
      add(run.spent, spent_by(recorded))
    end
  end
  return run.spent
end

--- A run, its caller, and so on outwards.
local function outwards(run)
  return function(_, inner)
    if inner == nil then
      return run
    end
    return inner.caller
  end
end

local function over(effect, name, sum, limit)
  return {
    message = ("over budget: %s would be %g of at most %g %s"):format(effect.summary, sum, limit, name),
    hint = ("the header's limits.%s is the most one run may touch; --override limits.%s --because TEXT goes beyond"):format(
      name, name),
    rule = "limits." .. name,
  }
end

--- The limits that an effect's costs would overrun, of its run and of all callers, each once: what stands in its way.
---@param effect {summary: string, costs: table<string, number>}
---@return {message: string, hint: string, rule: string}[]
function budget.overruns(run, effect)
  local list, seen = {}, {}
  for of in outwards(run) do
    for name, amount in ordered.pairs(effect.costs) do
      local limit = (of.header.limits or {})[name]
      local sum = (spent_of(of)[name] or 0) + amount
      if limit and sum > limit and not seen[name] then
        seen[name] = true
        list[#list + 1] = over(effect, name, sum, limit)
      end
    end
  end
  return list
end

--- Takes an effect's costs from the budget of its run and of all callers.
function budget.reserve(run, effect)
  for of in outwards(run) do
    add(spent_of(of), effect.costs)
  end
end

--- Nothing was sent: what was reserved is free again.
function budget.give_back(run, effect)
  for of in outwards(run) do
    add(spent_of(of), effect.costs, -1)
  end
  effect.costs = nil
end

--- The amount that a result names: a number, or so many items of a list.
local function amount_in(result, field)
  local value = type(result) == "table" and getmetatable(result) ~= "planned" and rawget(result, field)
  if type(value) == "table" then
    return #value
  end
  return is_amount(value) and value or nil
end

--- The outcome is known: an effect that was not sent gives all back, a done one is settled to what its result says.
--- One that failed keeps what was reserved: a part of it may have happened.
---@param outcome string done, failed, not sent, unknown
---@param result any what a done one returned
function budget.settle(run, effect, outcome, result)
  if outcome == "not sent" then
    budget.give_back(run, effect)
    return
  end
  local real = {}
  for name, amount in pairs(effect.costs) do
    local field = outcome == "done" and (effect.costs_by or {})[name]
    real[name] = field and amount_in(result, field) or amount
  end
  local reserved = effect.costs
  for of in outwards(run) do
    add(spent_of(of), reserved, -1)
    add(spent_of(of), real)
  end
  effect.costs = real
end

--- Counts an effect that the journal holds: it was allowed when it was made. For the run itself all of the journal
--- counts, once; for a called playbook what it comes to again.
---@param given table described effect with its key, or its begin record
function budget.count(run, given)
  spent_of(run)
  if not run.caller then
    return
  end
  local known = run.recording and run.recording.effects[recording.key_of(given.key or given)]
  local of = run
  while of.caller do
    add(of.spent, known and spent_by(known) or given.costs or {})
    of = of.caller
  end
end

--- What was spent of each limit, for the end of the report: {name, spent, limit}, by name.
---@return {name: string, spent: number, limit: number}[]
function budget.lines(run)
  local list = {}
  for name, limit in ordered.pairs(run.header.limits or {}) do
    list[#list + 1] = { name = name, spent = spent_of(run)[name] or 0, limit = limit }
  end
  return list
end

return budget
