--- skip, fail, finish, try, wait_until, parallel, each: the course of a step.
local arguments = require "runtime.author.arguments"
local author_report = require "runtime.author.report"
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local plain = require "runtime.plain"
local plan = require "runtime.plan"
local replay = require "runtime.replay"
local rehearsal = require "runtime.rehearsal"
local report = require "runtime.report"
local report_text = require "runtime.report_text"
local seconds_of = require "runtime.seconds"
local tasks = require "runtime.tasks"
local flow = {}

--- May `try`, `attempt` and polls catch this error? Failed effects and `fail` only: not typos, plan
--- signals, refusals, cancellation, unknown outcomes.
local function catchable(err)
  return errors.is(err) and (err.kind == "effect" or err.kind == "fail")
end
flow.catchable = catchable

--- In a dry run after the first planned change a caught failure would enter a branch that the live
--- run may never take.
local function end_preview(run, err)
  if plan.undetermined(run) then
    error(errors.planned {
      message = ("the rest depends on whether this fails: %s"):format(err.message),
      where = err.where,
      undetermined = true,
    }, 0)
  end
end
flow.end_preview = end_preview

--- Writes down that a failure was caught, and of which call: a resume gives the same failure back.
function flow.caught(current, err)
  local key = err.key or {}
  journal.write(current.run, {
    type = "caught",
    path = key.path,
    step = key.step or current.step.id,
    attempt = key.attempt,
    branch = key.branch,
    ordinal = key.ordinal,
    message = err.message,
    code = err.code,
  })
end

--- One sample of a poll: its value, or false and the failed read's text.
local function sample(ctx, fn)
  local before = context.enter(ctx)
  local ok, value = pcall(fn)
  context.enter(before)
  if ok then
    return value
  end
  if catchable(value) then
    return false, value.message
  end
  error(value, 0)
end

flow.sample = sample

function flow.build(host)
  local api = {}

  --- Ends the step: nothing to do here, and why.
  function api.skip(fmt, ...)
    context.need "skip"
    error(errors.skip { message = author_report.format(fmt or "nothing to do", ...) }, 0)
  end

  --- Ends the step failed.
  function api.fail(fmt, ...)
    context.need "fail"
    error(errors.fail { message = author_report.format(fmt or "failed", ...), where = host.where() }, 0)
  end

  --- Ends the whole run well.
  function api.finish(fmt, ...)
    context.need "finish"
    error(errors.finish { message = author_report.format(fmt or "finished", ...) }, 0)
  end

  --- Calls fn; a failed effect or fail() becomes nil, message, code.
  function api.try(fn, ...)
    local current = context.need "try"
    arguments.need_function("try", fn, host.where())
    local results = table.pack(pcall(fn, ...))
    if results[1] then
      return table.unpack(results, 2, results.n)
    end
    local err = results[2]
    if not catchable(err) then
      error(err, 0)
    end
    end_preview(current.run, err)
    flow.caught(current, err)
    return nil, err.message, err.code
  end

  --- Calls fn until it returns something true; returns that. Its reads are not journaled one by one.
  ---@param opts {every: any, within: any} durations; every defaults to 5s
  function api.wait_until(what, opts, fn)
    local current = context.need "wait_until"
    local where = host.where()
    if type(what) ~= "string" or type(opts) ~= "table" or type(fn) ~= "function" then
      error(errors.wrap('wait_until: expected wait_until("what", {every = "5s", within = "5m"}, function() … end)', where), 0)
    end
    if opts.within == nil then
      error(errors.wrap("wait_until: 'within' is missing: how long may it take?", where), 0)
    end
    arguments.options("wait_until", opts, { "every", "within" }, where)
    local every = seconds_of(opts.every or 5, "wait_until: every", where)
    if every <= 0 then
      arguments.misuse(where, "wait_until: every: a pause longer than nothing is needed between two looks")
    end
    local within = seconds_of(opts.within, "wait_until: within", where)
    local run = current.run
    local key = context.key(current)
    local ctx = context.branch(current, "w" .. key.ordinal)
    ctx.unrecorded, ctx.reads_only = true, "wait_until"
    local known = replay.take(key, what)
    if known and run.offline then
      local message = ("%s: true after %s"):format(what, report_text.seconds_text(known.wait.seconds))
      report.emit {
        event = "wait", step = current.step.shown, over = true, ok = known.wait.ok, text = what,
        message = known.wait.ok and message or known.wait.error,
      }
    end
    if known and not known.wait.not_kept then
      if known.wait.ok then
        return plain.revive(known.wait.value)
      end
      error(errors.effect { message = known.wait.error or what, code = "timeout", outcome = "failed", where = where, key = key }, 0)
    end
    local start = host.clock.monotonic()
    local polls = 0
    local function over(ok, value, message)
      local kept, not_kept = journal.plain(value)
      journal.write(run, {
        type = "wait",
        path = key.path,
        step = key.step,
        attempt = key.attempt,
        branch = key.branch,
        ordinal = key.ordinal,
        text = what,
        ok = ok,
        value = kept,
        not_kept = not_kept,
        error = not ok and message or nil,
        polls = polls,
        seconds = host.clock.monotonic() - start,
      })
      report.emit { event = "wait", step = current.step.shown, over = true, ok = ok, text = what, message = message }
    end
    if run.dry then
      local value, why = sample(ctx, fn)
      if not value then
        rehearsal.let_go(run, current, "a wait")
      end
      current.step.undetermined = current.step.undetermined or plan.undetermined(run) or not value or nil
      local now = value and "true now" or ("not true now" .. (why and (": " .. why) or ""))
      over(value and true or false, value, ("would wait until %s (%s; a dry run does not wait)"):format(what, now))
      return value or plan.result { summary = "wait until " .. what, where = where }
    end
    local last
    local text = ("waits until %s, at most %s"):format(what, report_text.seconds_text(within))
    journal.write(run, { type = "waiting", step = current.step.id, text = text })
    while true do
      polls = polls + 1
      local value
      value, last = sample(ctx, fn)
      local spent = host.clock.monotonic() - start
      if value then
        over(true, value, ("%s: true after %s"):format(what, report_text.seconds_text(spent)))
        return value
      end
      if spent + every > within then
        over(false, nil, ("%s: not within %s"):format(what, report_text.seconds_text(within)))
        error(errors.effect {
          key = key,
          message = ("'%s' did not become true within %s"):format(what, report_text.seconds_text(within)),
          hint = last and ("the last look failed: " .. last) or nil,
          code = "timeout",
          outcome = "failed",
          where = where,
        }, 0)
      end
      report.emit {
        event = "wait",
        step = current.step.shown,
        text = what,
        seconds = spent,
        within = report_text.seconds_text(within),
      }
      host.task.sleep(every)
      context.need "wait_until"
    end
  end

  local function run_branches(what, list, opts)
    local current = context.need(what)
    local results, failures = tasks.side_by_side(current, list, opts)
    for index = 1, #list do
      local err = failures[index]
      -- A sibling stopped because another failed is not the failure to tell.
      local told = err ~= nil and not errors.is(err, "cancelled")
      if told and (not opts.keep_going or not catchable(err)) then
        error(err, 0)
      elseif told then
        flow.caught(current, err)
      end
    end
    context.need(what)
    return results, failures
  end

  local branch_options = { "limit", "keep_going" }

  --- The options of parallel and each; a limit of none would run nothing, silently.
  local function check_branches(what, list, opts, where)
    if type(list) ~= "table" then
      arguments.misuse(where, ("%s: expected a list, got %s"):format(what, type(list)))
    end
    opts = arguments.options(what, opts, branch_options, where)
    if opts.limit ~= nil and (math.type(opts.limit) ~= "integer" or opts.limit < 1) then
      arguments.misuse(where, ("%s: limit: expected a whole number from 1 on, got '%s'"):format(what, tostring(opts.limit)))
    end
    return opts
  end

  --- Runs {name, fn} pairs side by side; results in order.
  function api.parallel(list, opts)
    local where = host.where()
    opts = check_branches("parallel", list, opts, where)
    local functions = {}
    for i, item in ipairs(list) do
      functions[i] = type(item) == "table" and item[2] or item
      if type(functions[i]) ~= "function" then
        arguments.misuse(where, ("parallel: item %d: expected {name, function}"):format(i))
      end
    end
    local keep_going = opts.keep_going or list.keep_going
    return run_branches("parallel", functions, { limit = opts.limit, keep_going = keep_going })
  end

  --- Calls fn(item, index) for each, at most `limit` (default 20) at a time; results in order.
  function api.each(list, opts, fn)
    if fn == nil and type(opts) == "function" then
      opts, fn = nil, opts
    end
    local where = host.where()
    opts = check_branches("each", list, opts, where)
    arguments.need_function("each", fn, where)
    local functions = {}
    for i, item in ipairs(list) do
      functions[i] = function()
        return fn(item, i)
      end
    end
    return run_branches("each", functions, { limit = opts.limit or 20, keep_going = opts.keep_going })
  end

  return arguments.guard_all(api, host.where)
end

return flow
