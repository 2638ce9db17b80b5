--- A change that was begun and whose outcome nobody wrote down. First the adapter looks for it by the token of the
--- begin record; then the playbook's `happened` says; then a person; else it stays unknown and the run stops.
local context = require "runtime.context"
local errors = require "runtime.errors"
local trace = require "runtime.trace"
local doubt = {}

--- The function by which the playbook says of it: the option of the effect, of the ensure around it, of its step.
---@return function? happened
function doubt.author(current, effect)
  local opts = effect.opts or {}
  return opts.happened or current.happened or current.step.node and current.step.node.opts.happened
end

--- What that function says, with reads only: true, false, or nil when it does not say.
local function author_says(run, current, effect, fn)
  if not fn then
    return nil
  end
  local ctx = context.branch(current, "d" .. effect.key.ordinal)
  ctx.reads_only, ctx.replay, ctx.unrecorded = "`happened`", false, true
  local before = context.enter(ctx)
  local ok, value = pcall(fn, run.params)
  context.enter(before)
  if not ok then
    error(value, 0)
  elseif value == nil then
    return nil
  end
  return value and true or false
end

--- What the adapter can find out by itself.
---@return string? word "done", "not done", "repeat", string? why, any value
local function adapter_says(adapter, verb, begin)
  if not adapter.settle then
    return nil, "it cannot be found out afterwards"
  end
  local ok, word, why, value = pcall(adapter.settle, verb, begin)
  if not ok then
    local err = errors.wrap(word)
    if err.kind ~= "effect" then
      error(err, 0)
    end
    return nil, err.message
  end
  return word, why, value
end

--- Finds out without asking whether a change happened: before it is taken back, since nothing else depends on it.
---@param met {effect: table, adapter: table, verb: string, happened: function?} where the playbook came to it
---@param begin table its begin record
---@return {happened: boolean, by: string, value: any}? answer nil: nobody can say
function doubt.find_out(run, met, begin)
  local word, _, value = trace.beside("look for " .. met.verb, adapter_says, met.adapter, met.verb, begin)
  if word == "done" or word == "not done" then
    return { happened = word == "done", by = "found out", value = value }
  end
  local said = author_says(run, context.current(), met.effect, met.happened)
  return said ~= nil and { happened = said, by = "by the playbook's `happened`" } or nil
end

--- Finds out, or asks, whether a change happened. Raises `unknown` when nobody can say.
---@param services {adapters: table}
---@param effect table described effect
---@param begin table its begin record
---@return {happened: boolean, by: string, value: any, again: boolean?} again: it may have happened, and is made again
function doubt.resolve(services, run, current, row, effect, begin)
  local adapter = services.adapters[row.module]
  local word, why, value = adapter_says(adapter, row.verb, begin)
  if word == "done" then
    return { happened = true, by = "found out", value = value }
  elseif word == "not done" then
    return { happened = false, by = "found out" }
  elseif word == "repeat" then
    effect.repeated = begin.token or {} -- the same key again: who got it can tell that it is the same
    if adapter.mark_repeat then
      adapter.mark_repeat(effect.request, begin.token)
    end
    return { happened = false, again = true, by = adapter.mark_repeat and "with the same key" or why or "which does no harm" }
  end
  local said = author_says(run, current, effect, doubt.author(current, effect))
  if said ~= nil then
    return { happened = said, by = "by the playbook's `happened`" }
  end
  local answer, by = services.adapters.people.ask_outcome(run, effect, begin, why)
  if answer ~= nil then
    return { happened = answer, by = by }
  end
  local gate = services.adapters.people.outcome_gate(begin)
  error(errors.unknown {
    message = ("nobody knows whether this happened: %s"):format(effect.summary),
    hint = (why and why .. "; " or "") .. ("look for it, then say so: --answer %s=happened or --answer %s=not"):format(gate, gate),
    outcome = "unknown",
    code = "in doubt",
    where = effect.where,
  }, 0)
end

return doubt
