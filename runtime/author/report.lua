--- check, show, note, suggest: what a step says to the report.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local ordered = require "runtime.ordered"
local plan = require "runtime.plan"
local report = require "runtime.report"
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local author = {}

--- How bad a verdict is, to find the worst.
author.rank = { ok = 0, warning = 1, unknown = 1, critical = 2 }

local check_options = {
  "unit",
  "above",
  "below",
  "between",
  "expect",
  "missing",
  "or_fail",
}

local misuse = arguments.misuse
local missing_verdicts = { "ok", "warning", "critical", "unknown" }

--- Limits are compared with the value: both numbers, or durations, sizes, times of one kind.
local function need_comparable(name, side, value, limit, where)
  local ok = type(value) ~= "string" and pcall(function()
    return value < limit
  end)
  if not ok then
    local function kind(item)
      local mt = getmetatable(item)
      return type(item) == "table" and type(mt) == "string" and mt or type(item)
    end
    misuse(
      where,
      ("check '%s': a %s cannot be compared with '%s', a %s"):format(name, kind(value), side, kind(limit)),
      type(value) == "string" and "tonumber() makes a number of a text" or nil
    )
  end
end

local function validate_limits(name, side, limits, value, where)
  local count = 0
  for level, limit in pairs(type(limits) == "table" and limits or {}) do
    if level ~= "warning" and level ~= "critical" then
      misuse(where, ("check '%s': %s: unknown limit '%s'"):format(name, side, tostring(level)), "it takes: warning, critical")
    elseif value ~= nil then
      need_comparable(name, ("%s %s"):format(level, side), value, limit, where)
    end
    count = count + 1
  end
  if count == 0 then
    misuse(where, ("check '%s': %s: expected {warning = …, critical = …}"):format(name, side))
  end
end

local function validate(name, opts, value, where)
  for _, side in ipairs { "above", "below" } do
    if opts[side] ~= nil then
      validate_limits(name, side, opts[side], value, where)
    end
  end
  local between = opts.between
  if between ~= nil then
    if type(between) ~= "table" or between[1] == nil or between[2] == nil then
      misuse(where, ("check '%s': between: expected {low, high}"):format(name))
    elseif value ~= nil then
      need_comparable(name, "between", value, between[1], where)
      need_comparable(name, "between", value, between[2], where)
    end
  end
  if opts.missing ~= nil and not text.has(missing_verdicts, opts.missing) then
    misuse(where, ("check '%s': missing: '%s' is none of %s"):format(name, tostring(opts.missing), table.concat(missing_verdicts, ", ")))
  end
end

--- The verdict on a value, and in words which limit decided or would.
---@return string verdict, string? threshold
local function judge(value, opts)
  if value == nil then
    return opts.missing or "unknown", "no value"
  end
  local parts = {}
  local verdict = "ok"
  for _, side in ipairs { "above", "below" } do
    local limits = opts[side]
    if limits then
      local said = {}
      for _, level in ipairs { "warning", "critical" } do
        local limit = limits[level]
        if limit ~= nil then
          said[#said + 1] = ("%s %s %s"):format(level, side, table_text.value(limit))
          local crossed = side == "above" and value > limit or side == "below" and value < limit
          if crossed then
            verdict = level
          end
        end
      end
      parts[#parts + 1] = table.concat(said, ", ")
    end
  end
  if opts.between then
    local low, high = opts.between[1], opts.between[2]
    if value < low or value > high then
      verdict = "critical"
    end
    parts[#parts + 1] = ("between %s and %s"):format(table_text.value(low), table_text.value(high))
  end
  if opts.expect ~= nil then
    if value ~= opts.expect then
      verdict = "critical"
    end
    parts[#parts + 1] = ("expected %s"):format(table_text.value(opts.expect))
  end
  return verdict, #parts > 0 and table.concat(parts, "; ") or nil
end

--- The options of a check: as given, or the threshold of that name in the header.
local function resolve(current, name, opts, where)
  if type(opts) ~= "string" then
    return arguments.options(("check '%s'"):format(name), opts, check_options, where)
  end
  local known = current.run.header.thresholds or {}
  if known[opts] then
    return known[opts]
  end
  local names = {}
  for threshold in pairs(known) do
    names[#names + 1] = threshold
  end
  local near = text.nearest(opts, names)
  misuse(
    where,
    ("check '%s': no threshold '%s'%s"):format(name, opts, near and (" (did you mean '" .. near .. "'?)") or "")
  )
end

function author.build(host)
  local api = {}

  --- Compares a value with its limits. Does not end the step unless `or_fail`.
  ---@return string verdict "ok", "warning", "critical" or "unknown"
  function api.check(name, value, opts)
    local current = context.need "check"
    local where = host.where()
    if type(name) ~= "string" then
      misuse(where, "check: expected the check's name first, got " .. type(name))
    end
    opts = resolve(current, name, opts, where)
    if plan.is_planned(value) or value ~= value then -- not made, not a number: no value
      value = nil
    end
    validate(name, opts, value, where)
    local run = current.run
    local verdict, threshold = judge(value, opts)
    local undetermined = plan.undetermined(run) or nil
    local entry = {
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
    if type(value) == "number" and not undetermined then -- kept as a series
      current.step.samples = current.step.samples or {}
      table.insert(current.step.samples, { name = name, t = math.floor(host.clock.wall()), value = value })
    end
    journal.write(run, {
      type = "check",
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
