--- The verdict on a value: which limits there may be, whether they fit the value, what comes of it. Compares
--- also with an earlier value of the same name. Pure.
local change_of = require "runtime.verdict_change"
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local verdict = {}

--- Fields of a named threshold: those of `check` but or_fail, and where the numbers come from.
verdict.fields = { "above", "below", "between", "change", "expect", "missing", "source", "unit" }

--- How bad a verdict is, to find the worst.
verdict.rank = { ok = 0, warning = 1, unknown = 1, critical = 2 }

local verdicts = { "ok", "warning", "critical", "unknown" }
local levels = { "warning", "critical" }

local function kind_of(value)
  local mt = getmetatable(value)
  return type(value) == "table" and type(mt) == "string" and mt or type(value)
end

--- Limits are compared with the value: both numbers, or durations, sizes, times of one kind.
local function comparison_problem(side, value, limit)
  local ok = type(value) ~= "string" and pcall(function()
    return value < limit
  end)
  if not ok then
    return ("a %s cannot be compared with '%s', a %s"):format(kind_of(value), side, kind_of(limit)),
      type(value) == "string" and "tonumber() makes a number of a text" or nil
  end
end

local function side_problem(side, limits, value)
  local count = 0
  for level, limit in pairs(type(limits) == "table" and limits or {}) do
    if level ~= "warning" and level ~= "critical" then
      return ("%s: unknown limit '%s'"):format(side, tostring(level)), "it takes: warning, critical"
    elseif value ~= nil then
      local problem, hint = comparison_problem(("%s %s"):format(level, side), value, limit)
      if problem then
        return problem, hint
      end
    end
    count = count + 1
  end
  if count == 0 then
    return ("%s: expected {warning = …, critical = …}"):format(side)
  end
end

local function between_problem(between, value)
  if type(between) ~= "table" or between[1] == nil or between[2] == nil then
    return "between: expected {low, high}"
  end
  for _, limit in ipairs(value ~= nil and { between[1], between[2] } or {}) do
    local problem, hint = comparison_problem("between", value, limit)
    if problem then
      return problem, hint
    end
  end
end

--- What is wrong with limits, for a value or, with nil, for any.
---@param opts table
---@param value any
---@return string? problem, string? hint
function verdict.problem(opts, value)
  local problem, hint
  for _, side in ipairs { "above", "below" } do
    if opts[side] ~= nil and not problem then
      problem, hint = side_problem(side, opts[side], value)
    end
  end
  if not problem and opts.between ~= nil then
    problem, hint = between_problem(opts.between, value)
  end
  if not problem and opts.change ~= nil then
    problem, hint = change_of.problem(opts.change, value)
  end
  if not problem and opts.missing ~= nil and not text.has(verdicts, opts.missing) then
    problem = ("missing: '%s' is none of %s"):format(tostring(opts.missing), table.concat(verdicts, ", "))
  end
  return problem, hint
end

local function judge_side(value, side, limits)
  local found, said = "ok", {}
  for _, level in ipairs(levels) do
    local limit = limits[level]
    if limit ~= nil then
      said[#said + 1] = ("%s %s %s"):format(level, side, table_text.value(limit))
      if side == "above" and value > limit or side == "below" and value < limit then
        found = level
      end
    end
  end
  return found, table.concat(said, ", ")
end

--- The verdict on a value, and in words which limits decided or would.
---@param value any nil: there is none
---@param opts table limits that verdict.problem finds nothing wrong with
---@param earlier {t: number, value: number}? what the name's value was, for `change`
---@param now number? seconds since 1970, for `change`
---@return string verdict "ok", "warning", "critical" or "unknown"
---@return string? threshold in words
function verdict.judge(value, opts, earlier, now)
  if value == nil then
    return opts.missing or "unknown", "no value"
  end
  local parts, worst = {}, "ok"
  local function add(found, said)
    parts[#parts + 1] = said
    worst = verdict.rank[found] > verdict.rank[worst] and found or worst
  end
  for _, side in ipairs { "above", "below" } do
    if opts[side] then
      add(judge_side(value, side, opts[side]))
    end
  end
  if opts.between then
    local low, high = opts.between[1], opts.between[2]
    local said = ("between %s and %s"):format(table_text.value(low), table_text.value(high))
    add((value < low or value > high) and "critical" or "ok", said)
  end
  if opts.expect ~= nil then
    add(value ~= opts.expect and "critical" or "ok", ("expected %s"):format(table_text.value(opts.expect)))
  end
  if opts.change then
    add(change_of.judge(value, opts.change, earlier, now))
  end
  return worst, #parts > 0 and table.concat(parts, "; ") or nil
end

return verdict
