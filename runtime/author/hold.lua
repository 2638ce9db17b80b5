--- hold and batches: something must stay true; a long list is worked off in slices.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local errors = require "runtime.errors"
local flow = require "runtime.author.flow"
local journal = require "runtime.journal"
local plan = require "runtime.plan"
local rehearsal = require "runtime.rehearsal"
local replay = require "runtime.replay"
local report = require "runtime.report"
local report_text = require "runtime.report_text"
local seconds_of = require "runtime.seconds"
local hold = {}

local options = { "every", "tolerate" }

--- Writes down and shows how the holding ended.
local function over(current, key, ok, message, looks, seconds)
  journal.write(current.run, {
    type = "wait",
    path = key.path,
    step = key.step,
    attempt = key.attempt,
    branch = key.branch,
    ordinal = key.ordinal,
    text = message,
    ok = ok,
    polls = looks,
    seconds = seconds,
  })
  report.emit { event = "wait", step = current.step.shown, over = true, ok = ok, text = message, message = message }
end

function hold.build(host)
  local api = {}

  --- fn must stay true for the whole time; it only reads. `tolerate` looks may be untrue.
  ---@param duration any how long
  ---@param opts {every: any?, tolerate: integer?}
  ---@param fn fun(): any
  function api.hold(duration, opts, fn)
    local current = context.need "hold"
    local where = host.where()
    if type(opts) == "function" then
      opts, fn = {}, opts
    end
    opts = arguments.options("hold", opts, options, where)
    if type(fn) ~= "function" then
      arguments.misuse(where, 'hold: expected hold("5m", {every = "10s"}, function() … end)')
    end
    local total = seconds_of(duration, "hold", where)
    local every = seconds_of(opts.every or 5, "hold: every", where)
    local tolerated = opts.tolerate or 0
    local run = current.run
    local key = context.key(current)
    local ctx = context.branch(current, "h" .. key.ordinal)
    ctx.unrecorded, ctx.reads_only = true, "hold"
    local known = replay.take(key, "hold")
    if known then
      if known.wait.ok then
        return
      end
      error(errors.effect { message = known.wait.text, code = "not held", outcome = "failed", where = where, key = key }, 0)
    end
    local began, looks, untrue = host.clock.monotonic(), 0, 0
    local said = report_text.seconds_text(total)
    while true do
      looks = looks + 1
      local value, why = flow.sample(ctx, fn)
      if run.dry then
        rehearsal.let_go(run, current, "a wait")
        current.step.undetermined = current.step.undetermined or plan.undetermined(run) or not value or nil
        local now = value and "it is" or "it is not"
        over(current, key, value and true or false, ("would look for %s whether it stays so (%s now)"):format(said, now), 1, 0)
        return
      end
      untrue = untrue + (value and 0 or 1)
      local spent = host.clock.monotonic() - began
      if untrue > tolerated then
        local message = ("not so after %s%s"):format(report_text.seconds_text(spent), why and (": " .. why) or "")
        over(current, key, false, message, looks, spent)
        error(errors.effect {
          key = key,
          message = ("it did not stay so for %s: %d of %d looks said no, %d tolerated"):format(said, untrue, looks, tolerated),
          hint = why and ("the last look failed: " .. why) or nil,
          code = "not held",
          outcome = "failed",
          where = where,
        }, 0)
      elseif spent >= total then
        over(current, key, true, ("stayed so for %s, %d looks"):format(said, looks), looks, spent)
        return
      end
      report.emit { event = "wait", step = current.step.shown, text = "it stays so", seconds = spent, within = said }
      host.task.sleep(math.min(every, total - spent + 0.001))
      context.need "hold"
    end
  end

  --- Calls fn(slice, number) for consecutive slices of at most n items; its results in order.
  function api.batches(list, n, fn)
    local where = host.where()
    if type(list) ~= "table" or math.type(n) ~= "integer" or n < 1 or type(fn) ~= "function" then
      arguments.misuse(where, "batches: expected batches(list, n, function(slice, number) … end) with n of at least 1")
    end
    local results, number = {}, 0
    for first = 1, #list, n do
      local slice = table.move(list, first, math.min(first + n - 1, #list), 1, {})
      number = number + 1 -- counted apart: fn may return nothing
      results[number] = fn(slice, number)
    end
    return results
  end

  --- A chart in the report: one bar a row.
  ---@param title string
  ---@param rows table[]
  ---@param opts {x: string, y: string} columns: what it is, how much
  function api.chart(title, rows, opts)
    local current = context.need "chart"
    local where = host.where()
    opts = arguments.options("chart", opts, { "x", "y" }, where)
    if type(title) ~= "string" or type(rows) ~= "table" or not opts.x or not opts.y then
      arguments.misuse(where, 'chart: expected chart("title", rows, {x = "column", y = "column"})')
    end
    local points = {}
    for i, row in ipairs(rows) do
      points[i] = { x = row[opts.x], y = tonumber(row[opts.y]) }
    end
    journal.write(current.run, { type = "chart", step = current.step.id, title = title, rows = #points })
    report.emit { event = "chart", step = current.step.shown, title = title, rows = points }
  end

  return api
end

return hold
