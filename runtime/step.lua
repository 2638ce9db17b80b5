--- The life of one step: when, needs, attempts with their time-out, what came of it. Never calls the
--- host's clients.
local author_report = require "runtime.author.report"
local errors = require "runtime.errors"
local flow = require "runtime.author.flow"
local journal = require "runtime.journal"
local plan = require "runtime.plan"
local report = require "runtime.report"
local seconds_of = require "runtime.seconds"
local tasks = require "runtime.tasks"
local step = {}

local host

function step.open(given)
  host = given
end

--- Should the step run? true, or false and the reason it is skipped.
local function wanted(run, node)
  if node.skip_reason then
    return false, node.skip_reason
  end
  local when = node.opts.when
  if type(when) == "function" then
    when = when(run.params)
  end
  if when == "warning" or when == "critical" then
    local worst = step.worst(run)
    if author_report.rank[worst] < author_report.rank[when] then
      return false, ("no check is %s"):format(when)
    end
  elseif when ~= nil and not when then
    return false, "its condition does not hold"
  end
  for _, name in ipairs(node.opts.needs or {}) do
    if run.params[name] == nil then
      return false, ("parameter '%s' is not given"):format(name)
    end
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
local function may_retry(run, node, err, changes_before, number)
  local retry = node.opts.retry
  if not retry or number > (retry.times or 0) then
    return false
  end
  if not flow.catchable(err) and not errors.is(err, "timeout") then
    return false
  end
  return run.changes == changes_before or node.opts.idempotent or false
end

--- What the end of an attempt means: state, reason, failure, value.
local function judge(run, node, record, ok, value)
  if ok then
    if record.planned then
      return "planned", nil, nil, value
    end
    return record.undetermined and "undetermined" or "done", nil, nil, value
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
  })
  report.emit {
    event = "step.start",
    step = record.shown,
    id = node.id,
    number = node.number,
    name = node.name,
    attempt = number,
    total = run.total_steps,
  }
end

local function finish(run, node, record, began)
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

--- Runs a step to its end. Returns its record {state, value, failure, reason, seconds, …}; raises
--- nothing of the step's own.
---@param parent opsrun.Context the run's or the enclosing step's context
function step.run(run, node, parent)
  local record = { id = node.id, node = node, path = parent.path, attempt = 1 }
  run.records[node] = record
  run.step_records[#run.step_records + 1] = record
  record.shown = { key = tostring(#run.step_records), number = node.number, name = node.name, attempt = 1 }
  local began = host.clock.monotonic()
  local should, why = wanted(run, node)
  if not should then
    record.state, record.reason = "skipped", why
    start(run, node, record, 1)
    finish(run, node, record, began)
    return record
  end
  for number = 1, math.huge do
    record.attempt, record.shown.attempt = number, number
    record.planned, record.undetermined = nil, nil
    local ctx = setmetatable({}, { __index = parent })
    ctx.step, ctx.attempt, ctx.branch, ctx.ordinal, ctx.parent = record, number, parent.branch, 0, parent
    start(run, node, record, number)
    local changes_before = run.changes
    local ok, value = attempt(run, node, ctx)
    if ok or not may_retry(run, node, value, changes_before, number) then
      record.state, record.reason, record.failure, record.value = judge(run, node, record, ok, value)
      break
    end
    journal.write(run, { type = "step.retry", step = node.id, attempt = number, error = { message = value.message } })
    report.emit {
      event = "note",
      step = record.shown,
      text = ("attempt %d failed: %s; trying again"):format(number, value.message),
    }
    tasks.pause(ctx, seconds_of(node.opts.retry.after or 1, "retry.after", node.where))
  end
  finish(run, node, record, began)
  return record
end

return step
