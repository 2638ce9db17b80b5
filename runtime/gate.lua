--- The effect gate: every effect of every playbook passes this one function, in nine stages; the
--- first with an answer ends it. It knows no protocol and names no primitive: it branches on the
--- class of an effect and on facts in its row.
local budget = require "runtime.budget"
local context = require "runtime.context"
local doubt = require "runtime.doubt"
local effects = require "runtime.effects"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local plan = require "runtime.plan"
local policy = require "runtime.policy"
local rehearsal = require "runtime.rehearsal"
local replay = require "runtime.replay"
local report = require "runtime.report"

local gate = {}

local services

--- Is asked before the first change of a run that is gone on with: does it rest on what is too old?
---@type fun(run: table)?
gate.before_first_change = nil

--- Hands the gate what it works with. Once a run, before the first step.
---@param given {host: table, run: table, adapters: table<string, table>}
function gate.open(given)
  services = given
end

--- 1. describe: pure, no I/O. What would happen, in one line, and its digest.
local function describe(row, args, where)
  local effect = services.adapters[row.module].describe(row.verb, args)
  effect.kind = row.kind
  effect.class = effect.class or row.class
  effect.where = where
  local opts = effect.opts or {}
  effect.costs, effect.costs_by = budget.costs(opts.costs, row.label or row.kind)
  effect.on_dry = opts.on_dry
  if opts.summary then -- the author's words first; what is really sent stays beside them
    effect.detail, effect.summary = effect.summary, tostring(opts.summary)
  end
  local canonical, why = services.host.json.canonical { row.kind, effect.target or "", effect.body or {} }
  if not canonical then
    error(errors.wrap(("%s: an argument is no plain data: %s"):format(row.label or row.kind, why)), 0)
  end
  effect.digest = services.host.digest.sha256(canonical)
  return effect
end

--- Does this effect alter something outside the run's own folder?
local function alters(effect)
  return effect.class == "change" or effect.class == "tell"
end

--- A rule that --override sets aside is set aside aloud: in the journal, in the report, at the end.
local function set_aside(run, current, override)
  journal.write(run, {
    type = "override",
    step = current.step.id,
    rule = override.rule,
    because = override.because,
    by = run.operator,
    summary = override.effect,
    refusal = override.refusal,
  }, not run.dry)
  local text = ("rule %s was set aside by %s, because: %s"):format(override.rule, run.operator, override.because)
  run.open[#run.open + 1] = ("%s (%s)"):format(text, override.refusal)
  report.emit { event = "override", step = current.step.shown, text = text, refusal = override.refusal }
end

--- 4. plan: in a dry run a change is shown, not made.
local function show_plan(run, current, row, effect)
  local adapter = services.adapters[row.module]
  local ok, preview = true, nil
  if run.rehearse and adapter.rehearse then
    ok, preview = pcall(adapter.rehearse, row.verb, effect.request, effect)
    if ok and preview.made then
      return rehearsal.made(run, current, effect, preview)
    end
  elseif adapter.preview then
    ok, preview = pcall(adapter.preview, row.verb, effect.request)
  end
  if not ok and errors.is(preview, "effect") and plan.undetermined(run) then
    -- it may lean on a change that was not made, such as the table to insert into
    preview = { lines = { "undetermined: " .. preview.message } }
  elseif not ok then
    error(preview, 0)
  end
  plan.note(run, current, effect)
  journal.planned(run, effect)
  report.emit { event = "planned", step = current.step.shown, effect = effect, preview = preview }
  return plan.result(effect, effect.on_dry)
end

--- 5. ask: a protected environment is confirmed by name, once, before its first change; what the environment's rules
--- want to be asked about, once a step. A dry run shows both.
---@param asked table? the entry of the rules that means this effect
local function ask(run, current, effect, asked)
  if not alters(effect) then
    return
  end
  local look = gate.before_first_change
  if look then
    look(run)
    gate.before_first_change = nil
  end
  local people = services.adapters.people
  if run.environment.protected and not run.environment_confirmed then
    people.confirm_environment(run, effect)
    run.environment_confirmed = true
  end
  if asked then
    people.confirm_rule(run, current.step, effect, asked)
  end
end

--- "cancelled" alone does not say why: the signal, the deadline, the branch that failed.
local function name_cause(current, err)
  if err.kind == "cancelled" and err.message == "cancelled" and current.cancelled then
    err.message = tostring(current.cancelled)
  end
  return err
end

--- Where in the author's files this call stands, as "db-exhaustion.lua:42", if known; and its key, under which
--- the journal says that somebody caught it.
local function add_where(err, effect)
  err.where = err.where or effect.where
  err.effect = err.effect or effect.summary
  err.key = err.key or effect.key
  return err
end

--- A change in doubt that is made again and was not sent now may have been sent before: it stays in doubt.
local function still_in_doubt(effect, err)
  if effect.repeated and err.outcome == "not sent" then
    err.kind, err.outcome = "unknown", "unknown"
  end
end

--- 6. prepare: connects, proves a claimed read, returns the token by which the outcome can be found.
--- Nothing has changed yet, so a failure here is "not sent".
local function prepare(row, effect)
  local adapter = services.adapters[row.module]
  if not adapter.prepare then
    return nil
  end
  return adapter.prepare(row.verb, effect.request, effect)
end

--- 7. journal.begin: intent and token are on disk before the change is made. If they cannot be, or
--- the task was told to stop meanwhile, what was prepared is given up: nothing was sent.
local function begin(run, row, effect, token)
  local ok, err = pcall(function()
    context.need(row.label)
    journal.begin(run, effect, token)
  end)
  if ok then
    return
  end
  local adapter = services.adapters[row.module]
  if adapter.abandon then
    adapter.abandon(row.verb, effect.request)
  end
  error(err, 0)
end

--- 5 to 7: everything before the effect is made. Returns its token.
local function make_ready(run, current, row, effect, asked)
  ask(run, current, effect, asked)
  if run.rehearse and (row.interactive or row.waits) then
    rehearsal.let_go(run, current, row.interactive and "a question" or "a wait")
  end
  report.underway(current.step.shown, effect)
  local prepared, token = pcall(prepare, row, effect) -- 6
  if not prepared then
    local err = add_where(name_cause(current, errors.wrap(token)), effect)
    err.outcome = err.outcome or "not sent"
    still_in_doubt(effect, err)
    journal.finish(run, current, effect, { outcome = effect.repeated and err.outcome or "not sent", failure = err })
    report.emit { event = "effect", step = current.step.shown, effect = effect, ok = false, failure = err }
    error(err, 0)
  end
  current.step.reads = (current.step.reads or 0) + (alters(effect) and 0 or 1)
  if effect.declared then
    current.step.declared = (current.step.declared or 0) + 1
  end
  if effect.unproved then
    current.step.unproved = (current.step.unproved or 0) + 1
  end
  if alters(effect) then
    begin(run, row, effect, token) -- 7
  end
  return token
end

--- 8. the primitive: the only place in the program where one is called.
local function perform(current, row, effect, token)
  local adapter = services.adapters[row.module]
  local outer = rawget(current, "in_change") -- a read inside an author's function that is part of a change
  current.in_change = outer or alters(effect)
  local ok, result = pcall(adapter.perform, row.verb, effect.request, token, effect)
  current.in_change = outer
  if ok then
    return true, result
  end
  local err = name_cause(current, errors.wrap(result))
  err.key = err.key or effect.key
  if err.kind == "script" and not err.author then
    err = errors.bug { message = err.message, outcome = alters(effect) and "unknown" or "failed" }
  end
  if err.kind == "effect" and err.outcome == "unknown" and alters(effect) then
    err.kind = "unknown"
  end
  still_in_doubt(effect, err)
  return false, err
end

--- 9. finish: the outcome is recorded, then shown.
local function finish(run, current, row, effect, ok, result)
  local kept, not_kept
  if effect.costs then
    budget.settle(run, effect, ok and "done" or result.outcome or "failed", result)
  end
  if ok and services.adapters[row.module].keep then
    kept, not_kept = services.adapters[row.module].keep(row.verb, result)
  elseif ok then
    kept = result
  end
  journal.finish(run, current, effect, {
    outcome = ok and "done" or result.outcome or "failed",
    value = kept,
    not_kept = not_kept,
    failure = not ok and result or nil,
  })
  if alters(effect) then
    run.begun = run.begun - 1 -- its outcome is on record
  end
  if effect.class == "change" and not ok and result.outcome == "unknown" then
    run.unknown = run.unknown or result -- decides the exit code, whatever else fails
  end
  if alters(effect) and (ok or result.outcome ~= "not sent") then
    run.changes = run.changes + 1
    local record = current.step
    while record do -- a child step's changes are its parent's too: neither is tried again over them
      record.changes = (record.changes or 0) + 1
      record = record.parent
    end
    run.changed[#run.changed + 1] = {
      summary = effect.summary,
      target = effect.target,
      class = effect.class,
      outcome = ok and "done" or result.outcome or "failed",
    }
  end
  report.emit {
    event = "effect",
    step = current.step.shown,
    effect = effect,
    ok = ok,
    result = ok and result or nil,
    failure = not ok and result or nil,
  }
end

--- A change whose outcome nobody knows: found out, or asked. Returns true and its result when it happened; nothing
--- when it is to be made.
local function settle(run, current, row, effect, known)
  local answer = doubt.resolve(services, run, current, row, effect, known.begin)
  budget.count(run, effect)
  if not answer.happened then
    budget.give_back(run, { costs = known.begin.costs or {} })
  end
  if not answer.again then -- what is made again stays in doubt until then: a second resume needs the same key
    journal.finish(run, current, effect, {
      outcome = answer.happened and "done" or "not sent",
      value = answer.value,
      not_kept = answer.happened and answer.value == nil and "its outcome was found out later" or nil,
      resolved = answer.by,
    })
  end
  known.finish = { outcome = answer.happened and "done" or "not sent" } -- in doubt no more, whoever counts at the end
  report.emit {
    event = "resolved",
    step = current.step.shown,
    effect = effect,
    happened = answer.happened,
    again = answer.again,
    by = answer.by,
  }
  if not answer.happened then
    return false
  end
  run.changes = run.changes + 1
  run.changed[#run.changed + 1] = { summary = effect.summary, target = effect.target, class = effect.class, outcome = "done" }
  if answer.value == nil then
    return true, replay.lost(effect, "its outcome was found out later")
  end
  local adapter = services.adapters[row.module]
  return true, adapter.revive and adapter.revive(row.verb, answer.value) or answer.value
end

--- 2. replay: what the journal holds. Returns true, the result, and whether the effect is one of the run's own that
--- is made again; or nothing; raises a recorded failure.
local function replayed(run, current, row, effect)
  local adapter = services.adapters[row.module]
  local known = replay.find(effect.key, effect, adapter, row.verb)
  if not known then
    return false
  elseif known.failure then
    budget.count(run, effect)
    error(add_where(known.failure, effect), 0)
  elseif known.doubt then
    return settle(run, current, row, effect, known.doubt)
  end
  budget.count(run, effect)
  if run.offline and effect.class == "ask" then
    local said = type(known.value) == "table" and known.value or { answer = known.value }
    report.emit {
      event = "gate",
      step = current.step.shown,
      id = effect.target,
      text = effect.summary:gsub("^ask: ", ""),
      answer = said.answer or said.note or "",
      by = said.by,
    }
  elseif run.offline then
    report.emit { event = "effect", step = current.step.shown, effect = effect, ok = true, result = known.value }
  end
  return true, known.value, known.again and not run.offline
end

--- Takes one effect through the gate. Returns what the primitive returned; raises an error value.
---@param kind string a row of runtime/effects.lua
---@param args table the call's arguments, as the face checked them
---@param where string? the author's file and line
function gate.call(kind, args, where)
  local row = effects.row(kind)
  local current = context.need(row.label or kind)
  local run = current.run
  local can_wait, why = pcall(services.host.task.check_can_wait)
  if not can_wait then
    error(errors.wrap(("%s: %s: %s"):format(where or row.label, row.label or kind, why), where), 0)
  end
  local described, effect = pcall(describe, row, args, where) -- 1
  if not described then
    local err = errors.wrap(effect)
    err.where = err.where or where
    error(err, 0)
  end
  if current.reads_only and (alters(effect) or row.interactive) then
    error(errors.wrap(("'%s' inside %s: only reads are allowed there"):format(effect.summary, current.reads_only), where), 0)
  end
  local key = context.key(current)
  effect.key = key
  local known, value, again = replayed(run, current, row, effect) -- 2
  if again then
    perform(current, row, effect)
  end
  if known then
    return value
  end
  local ok, answer, asked = pcall(policy.check, run, effect, current.undo) -- 3
  if not ok then
    journal.refused(run, effect, answer)
    error(add_where(errors.wrap(answer), effect), 0)
  end
  for _, override in ipairs(answer) do
    set_aside(run, current, override)
  end
  if run.dry and alters(effect) then -- 4
    ask(run, current, effect, asked)
    ok, answer = pcall(show_plan, run, current, row, effect)
    if not ok then
      error(add_where(errors.wrap(answer), effect), 0)
    end
    return answer
  end
  local ready, token = pcall(make_ready, run, current, row, effect, asked) -- 5, 6, 7
  if not ready then
    if effect.costs then
      budget.give_back(run, effect)
    end
    error(token, 0)
  end
  local done, result = perform(current, row, effect, token) -- 8
  finish(run, current, row, effect, done, result) -- 9
  if run.rehearse then
    rehearsal.looked(run, current, row, effect)
  end
  if not done then
    error(add_where(result, effect), 0)
  end
  return result
end

return gate
