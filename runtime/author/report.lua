--- check, judge, show, note, suggest: what a step says to the report.
local arguments = require "runtime.author.arguments"
local change_of = require "runtime.verdict_change"
local context = require "runtime.context"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local journal = require "runtime.journal"
local ordered = require "runtime.ordered"
local plan = require "runtime.plan"
local report = require "runtime.report"
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local threshold_files = require "runtime.threshold_files"
local verdict_of = require "runtime.verdict"
local author = {}

author.rank = verdict_of.rank

local check_options = {
  "unit",
  "above",
  "below",
  "between",
  "change",
  "expect",
  "missing",
  "or_fail",
}

local misuse = arguments.misuse

--- The options of a check: as given, or the threshold of that name; they fit the value.
---@param what string the call, for messages: "check 'disk /'"
local function resolve(what, run, opts, value, where)
  if type(opts) == "string" then
    local threshold, problem, hint = threshold_files.find(run, opts)
    opts = threshold or misuse(where, ("%s: %s"):format(what, problem), hint)
  else
    opts = arguments.options(what, opts, check_options, where)
  end
  local problem, hint = verdict_of.problem(opts, value)
  if problem then
    misuse(where, ("%s: %s"):format(what, problem), hint)
  end
  return opts
end

--- What a name's value was, as far back as `change` asks.
local function earlier_of(name, change, where)
  return gate.call("state.before", { name, opts = { over = change_of.over(change) } }, where)
end

--- What is compared: nothing was measured when it was planned, or is not a number.
local function measured(value)
  if plan.is_planned(value) or value ~= value then
    return nil
  end
  return value
end

function author.build(host)
  local api = {}
  threshold_files.open(host)

  --- Compares a value with its limits. Does not end the step unless `or_fail`.
  ---@return string verdict "ok", "warning", "critical" or "unknown"
  function api.check(name, value, opts)
    local current = context.need "check"
    local where = host.where()
    if type(name) ~= "string" then
      misuse(where, "check: expected the check's name first, got " .. type(name))
    end
    value = measured(value)
    local run = current.run
    opts = resolve(("check '%s'"):format(name), run, opts, value, where)
    local earlier = opts.change and value ~= nil and earlier_of(name, opts.change, where) or nil
    local verdict, threshold = verdict_of.judge(value, opts, earlier, host.clock.wall())
    local undetermined = plan.undetermined(run) or nil
    local entry = {
      rehearsed = current.step.rehearsed, -- measured where the changes are that will be rolled back
      name = name,
      value = value,
      verdict = verdict,
      unit = opts.unit,
      threshold = threshold,
      undetermined = undetermined,
      step = current.step.id,
    }
    if not run.checks[name] then
      run.check_order[#run.check_order + 1] = name
    end
    run.checks[name] = entry
    if undetermined then
      current.step.undetermined = true
    end
    local number = change_of.number(value)
    if number and not undetermined then -- kept as a series
      current.step.samples = current.step.samples or {}
      table.insert(current.step.samples, { name = name, t = math.floor(host.clock.wall()), value = number })
    end
    journal.write(run, {
      type = "check",
      at = math.floor(host.clock.wall()),
      sample = number,
      path = current.path,
      step = current.step.id,
      name = name,
      value = journal.plain(value, true),
      verdict = verdict,
      unit = opts.unit,
      undetermined = undetermined,
    })
    report.emit {
      event = "check",
      step = current.step.shown,
      name = name,
      value = value,
      unit = opts.unit,
      verdict = verdict,
      threshold = threshold,
      undetermined = undetermined,
      rehearsed = entry.rehearsed,
    }
    if opts.or_fail and verdict == "critical" and not undetermined then
      error(errors.fail {
        message = type(opts.or_fail) == "string" and opts.or_fail
          or ("check '%s' is critical: %s%s"):format(name, table_text.value(value), opts.unit and (" " .. opts.unit) or ""),
        where = where,
      }, 0)
    end
    return verdict
  end

  --- The verdict on a value, told to nobody: no line in the report, no series, no exit code.
  ---@param limits string|table a threshold's name, or limits as check takes them
  ---@return string verdict, string? words which limits decided
  function api.judge(value, limits)
    local current = context.need "judge"
    local where = host.where()
    value = measured(value)
    local opts = resolve("judge", current.run, limits, value, where)
    if opts.change then
      misuse(where, "judge: change: a value has a past only under the name of a check", "use check(name, value, …)")
    end
    return verdict_of.judge(value, opts)
  end

  --- Shows text, rows or a table in the report.
  function api.show(value, opts)
    local current = context.need "show"
    local where = host.where()
    opts = arguments.options("show", opts, { "title", "columns" }, where)
    if type(value) == "function" then
      misuse(where, "show: expected a text, rows or a table, got a function")
    elseif opts.columns ~= nil and type(opts.columns) ~= "table" then
      misuse(where, "show: columns: expected a list of names, got " .. type(opts.columns))
    end
    journal.write(current.run, {
      type = "show",
      step = current.step.id,
      title = opts.title,
      rows = type(value) == "table" and not plan.is_planned(value) and #value or nil,
      text = type(value) == "string" and value or nil,
    })
    report.emit {
      event = "show",
      step = current.step.shown,
      value = value,
      title = opts.title,
      columns = opts.columns,
    }
  end

  --- A line for the report and the journal.
  function api.note(fmt, ...)
    local current = context.need "note"
    local said = author.format(fmt, ...)
    journal.write(current.run, { type = "note", step = current.step.id, text = said })
    report.emit { event = "note", step = current.step.shown, text = said }
  end

  --- Offers, at the end of the run, what to play next.
  function api.suggest(playbook, params)
    local current = context.need "suggest"
    if type(playbook) ~= "string" or type(params or {}) ~= "table" then
      arguments.misuse(host.where(), 'suggest: expected suggest("path/of/playbook.lua", { parameter = value })')
    end
    local words = { "opsrun", "play", text.shell_word(playbook), "-e", current.run.environment.name }
    for name, value in ordered.pairs(params or {}) do
      words[#words + 1] = "-p"
      words[#words + 1] = text.shell_word(name .. "=" .. table_text.value(value))
    end
    local list = current.run.suggestions
    list[#list + 1] = table.concat(words, " ")
  end

  return arguments.guard_all(api, host.where)
end

author.format = table_text.format

return author
