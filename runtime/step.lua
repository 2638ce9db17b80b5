--- The life of one step: when, needs, attempts with their time-out, what came of it. Never calls the
--- host's clients.
local author_report = require "runtime.author.report"
local context = require "runtime.context"
local errors = require "runtime.errors"
local flow = require "runtime.author.flow"
local journal = require "runtime.journal"
local offline = require "runtime.offline"
local plan = require "runtime.plan"
local rehearsal = require "runtime.rehearsal"
local replay = require "runtime.replay"
local report = require "runtime.report"
local resumed = require "runtime.resumed"
local seconds_of = require "runtime.seconds"
local step_by_step = require "runtime.step_by_step"
local tasks = require "runtime.tasks"
local step = {}

local host

function step.open(given)
  host = given
end

--- What a `when` function says, asked in a task of its own: it may read, and ask for results of steps.
local function ask_when(run, node, parent)
  local ctx = context.branch(parent, "when-" .. node.id)
  ctx.reads_only = ("the `when` of '%s'"):format(node.name)
  ctx.step = parent.step or { id = node.id, shown = { key = "when", number = node.number, name = node.name, attempt = 1 } }
  return tasks.join(ctx, tasks.spawn(ctx, function()
    return node.opts.when(run.params)
  end))
end

--- Is a check at least this bad? In a dry run checks after the first planned change do not tell.
local function verdict_holds(run, level)
  if author_report.rank[step.worst(run)] >= author_report.rank[level] then
    return true
  end
  for _, name in ipairs(run.check_order) do
    if run.checks[name].undetermined then
      return false, ("whether a check is %s depends on changes that were not made"):format(level), true
    end
  end
  return false, ("no check is %s"):format(level)
end

--- Should the step or group run? true; or false, the reason it is skipped, and whether a dry run cannot
--- tell; or false, nil and the failure of its `when`.
---@return boolean should, string? reason, table? failure, boolean? undetermined
function step.wanted(run, node, parent)
  if node.skip_reason then
    return false, node.skip_reason, nil, node.skip_undetermined
  end
  for _, name in ipairs(node.opts.needs or {}) do
    if run.params[name] == nil then
      return false, ("parameter '%s' is not given"):format(name)
    end
  end
  local when = node.opts.when
  if type(when) == "function" then
    local ok, value = ask_when(run, node, parent)
    if not ok and (errors.is(value, "skip") or errors.is(value, "planned")) then
      return false, value.message, nil, value.kind == "planned"
    elseif not ok then
      return false, nil, errors.wrap(value, node.where)
    end
    when = value
  end
  if when == "warning" or when == "critical" then
    local holds, why, undetermined = verdict_holds(run, when)
    return holds, why, nil, undetermined
  elseif when ~= nil and not when then
    return false, "its condition does not hold"
  end
  return true
end

--- The worst of the checks' last values: "ok", "warning", "unknown" or "critical".
function step.worst(run)
  local worst = "ok"
  for _, name in ipairs(run.check_order) do
    local entry = run.checks[name]
    if not entry.undetermined and author_report.rank[entry.verdict] > author_report.rank[worst] then
      worst = entry.verdict
    end
  end
  return worst
end

--- One attempt, in a task of its own so that a time-out can end it. Returns pcall-like results.
local function attempt(run, node, ctx)
  local task = tasks.spawn(ctx, function()
    return node.fn(run.params)
  end)
  local seconds = node.opts.timeout and seconds_of(node.opts.timeout, "timeout", node.where) or nil
  ctx.ends_at = seconds and math.min(host.clock.monotonic() + seconds, ctx.ends_at or math.huge) or ctx.ends_at -- for time.left()
  local results = table.pack(tasks.join(ctx, task, seconds))
  if results[1] == nil then
    local err = errors.timeout {
      message = ("step '%s' took longer than its timeout of %s"):format(node.name, tostring(node.opts.timeout)),
      code = "timeout",
      where = node.where,
    }
    tasks.cancel(ctx, task, err, true)
    results = table.pack(tasks.join(ctx, task))
    if results[1] or not errors.is(results[2], "unknown") then
      results = { false, err, n = 2 }
    end
  end
  return results[1], results[2]
end

--- May this failure be tried again? Never over a change already made, unless the step is idempotent;
--- never over refusals, typos, unknown outcomes.
---@param changes integer how many the attempt made
---@param number integer of the attempt
function step.may_retry(node, err, changes, number)
  local retry = node.opts.retry
  if not retry or number > retry.times then
    return false
  end
  if not flow.catchable(err) and not errors.is(err, "timeout") then
    return false
  end
  return changes == 0 or node.opts.idempotent or false
end

--- Tells that an attempt failed and waits before the next.
function step.retrying(run, node, err, number, ctx, shown)
  journal.write(run, { type = "step.retry", step = node.id, attempt = number, error = { message = err.message } })
  report.emit {
    event = "note",
    step = shown,
    text = ("%sattempt %d failed: %s; trying again"):format(shown and "" or ("'%s': "):format(node.name), number, err.message),
  }
  rehearsal.let_go(run, ctx, "a wait")
  tasks.pause(ctx, seconds_of(node.opts.retry.after or 1, "retry.after", node.where))
end

--- What the end of an attempt means: state, reason, failure, value.
local function judge(run, node, record, ok, value)
  if ok then
    if record.planned then
      return "planned", nil, nil, value
    end
    return record.undetermined and "undetermined" or record.rehearsed and "rehearsed" or "done", nil, nil, value
  end
  local err = errors.wrap(value, node.where)
  if err.kind == "skip" then
    return "skipped", err.message
  elseif err.kind == "planned" then
    if err.undetermined and not record.planned then
      return "undetermined", err.message
    end
    return record.planned and "planned" or "undetermined", err.where and ("%s (%s)"):format(err.message, err.where) or err.message
  elseif err.kind == "finish" then
    return "done", nil, err, nil
  elseif err.kind == "suspended" then
    return "suspended", nil, err
  elseif err.kind == "refused" then
    if node.opts.optional and err.declined then
      return "declined", err.message
    end
    return "refused", nil, err
  elseif plan.undetermined(run) and (flow.catchable(err) or err.kind == "timeout") then
    return "undetermined", "would fail now, after changes that were not made: " .. err.message
  end
  return err.kind == "cancelled" and "cancelled" or "failed", nil, err
end

local function start(run, node, record, number)
  journal.write(run, {
    type = "step.start",
    path = record.path,
    step = node.id,
    name = node.name,
    attempt = number,
    parent = record.parent and { path = record.parent.path, step = record.parent.id } or nil,
    inner = node.inner,
  })
  report.emit {
    event = "step.start",
    step = record.shown,
    id = node.id,
    number = record.shown.number,
    name = node.name,
    attempt = number,
    total = run.total_steps,
  }
end

--- What the step kept for later runs is written once it ended well; if that fails, so does the step.
local function keep_state(run, record)
  if not run.commit_state or not (record.state_pending or record.samples) then
    return
  elseif record.state ~= "done" and record.state ~= "planned" and record.state ~= "rehearsed" then
    return
  end
  local ok, err = pcall(run.commit_state, record)
  if not ok then
    record.state, record.failure = "failed", errors.wrap(err)
  end
end

local function finish(run, node, record, began)
  keep_state(run, record)
  record.seconds = host.clock.monotonic() - began
  local value, not_kept = journal.plain(not plan.is_planned(record.value) and record.value or nil)
  journal.write(run, {
    type = "step.end",
    path = record.path,
    step = node.id,
    attempt = record.attempt,
    state = record.state,
    reason = record.reason,
    value = value,
    not_kept = not_kept,
    error = record.failure and { kind = record.failure.kind, message = record.failure.message, code = record.failure.code } or nil,
    seconds = record.seconds,
  })
  local finished = errors.is(record.failure, "finish")
  report.emit {
    event = "step.end",
    step = record.shown,
    id = node.id,
    name = node.name,
    state = record.state,
    reason = record.reason or (finished and record.failure.message) or nil,
    failure = not finished and record.failure or nil,
    seconds = record.seconds,
  }
end

--- A record for a step that is about to run. Attempts are counted on when its group tries again, so that
--- their effects keep apart.
local function make_record(run, node, parent, scope)
  local before = run.records[node]
  local attempt_number = before and before.attempt + 1 or resumed.attempt(run, node, parent, scope)
  local record = { id = node.id, node = node, path = parent.path, attempt = attempt_number, changes = 0 }
  record.parent = parent.step
  if before then
    for i, other in ipairs(run.step_records) do
      if other == before then
        table.remove(run.step_records, i)
        break
      end
    end
  end
  run.records[node] = record
  run.step_records[#run.step_records + 1] = record
  run.step_keys = (run.step_keys or 0) + 1
  local number = (run.number_prefix or "") .. node.number
  record.shown = { key = tostring(run.step_keys), number = number, name = node.name, attempt = record.attempt }
  return record
end

---@param scope table? what of the first attempt is taken from the journal
local function run_attempts(run, node, parent, record, scope)
  for number = 1, math.huge do
    record.planned, record.undetermined, record.changes = nil, nil, 0
    local ctx = setmetatable({}, { __index = parent })
    ctx.step, ctx.attempt, ctx.branch, ctx.ordinal, ctx.parent = record, record.attempt, parent.branch, 0, parent
    ctx.replay = number == 1 and scope or false
    ctx.anew = run.recording ~= nil and not ctx.replay
    start(run, node, record, record.attempt)
    local ok, value = attempt(run, node, ctx)
    if ok or not step.may_retry(node, value, record.changes, number) then
      if not ok and node.opts.retry and record.changes > 0 and flow.catchable(value) and not value.hint then
        value.hint = "not tried again: the step had changed something and is not marked idempotent"
      end
      record.state, record.reason, record.failure, record.value = judge(run, node, record, ok, value)
      if record.state == "declined" then
        run.open[#run.open + 1] = ("step '%s' was declined"):format(node.name)
      end
      return
    end
    step.retrying(run, node, value, record.attempt, ctx, record.shown)
    record.attempt = record.attempt + 1
    record.shown.attempt = record.attempt
  end
end

--- The record of a step that is over by the journal; its ways back are there again. Of a run whose ways back are
--- all that is wanted, also of a step that was cut short or never began.
local function take_over(run, node, parent, entry)
  local record = make_record(run, node, parent, entry)
  if not entry then
    record.state = "skipped"
    return record
  end
  resumed.fill(run, entry, record)
  resumed.rebuild(run, entry, parent, setmetatable({ samples = {} }, { __index = record }), function(ctx)
    return tasks.join(parent, tasks.spawn(ctx, function()
      return node.fn(run.params)
    end))
  end)
  if run.ways_only then
    record.failure = nil
  else
    report.emit { event = "step.before", step = record.shown, state = record.state, reason = record.reason, at = record.at }
  end
  return record
end

--- A step of a run that is played from its journal alone.
local function play_offline(run, node, parent, entry)
  local record = make_record(run, node, parent, entry)
  record.attempt, record.shown.attempt = entry and entry.attempt or 1, entry and entry.attempt or 1
  start(run, node, record, record.attempt)
  if not entry then
    offline.beyond(run, record)
    return record
  end
  offline.play(run, entry, parent, record, function(ctx)
    return tasks.join(parent, tasks.spawn(ctx, function()
      return node.fn(run.params)
    end))
  end)
  local ended = errors.is(record.failure, "finish")
  report.emit {
    event = "step.end",
    step = record.shown,
    id = node.id,
    name = node.name,
    state = record.state,
    reason = record.reason or ended and record.failure.message or nil,
    failure = not ended and record.failure or nil,
    seconds = record.seconds,
  }
  return record
end

--- Runs a step to its end. Returns its record {state, value, failure, reason, seconds, …}; raises
--- nothing of the step's own.
---@param parent opsrun.Context the run's or the enclosing step's context
function step.run(run, node, parent)
  local entry = resumed.entry(run, node, parent)
  if not entry and not run.offline and parent.replay and parent.replay.offline then
    replay.end_here(("step '%s'"):format(node.name)) -- nothing is played where only records are gone through
  elseif run.offline then
    return play_offline(run, node, parent, entry)
  elseif entry and resumed.is_over(entry, parent) or run.ways_only then
    return take_over(run, node, parent, entry)
  end
  local scope = entry and resumed.scope(run, entry, parent) or nil
  local record = make_record(run, node, parent, scope)
  local began = host.clock.monotonic()
  local should, why, failure, undetermined = true, nil, nil, nil
  if not scope or scope == parent.replay then -- what changed something was wanted, and is not asked again
    should, why, failure, undetermined = step.wanted(run, node, parent)
  end
  if should then
    should, why, failure = step_by_step.wanted(run, node, parent, record.shown)
  end
  if should then
    run_attempts(run, node, parent, record, scope)
  else
    start(run, node, record, record.attempt)
    record.state = failure and (({ cancelled = "cancelled", refused = "refused" })[failure.kind] or "failed")
      or undetermined and "undetermined"
      or "skipped"
    record.reason, record.failure = why, failure
  end
  finish(run, node, record, began)
  return record
end

return step
