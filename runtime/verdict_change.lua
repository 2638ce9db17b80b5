--- How much a value may differ from what it was: `change = { warning = "20%", critical = "50%", over = "24h" }`, or
--- per direction, `change = { above = { warning = "100%" }, below = { critical = "50%" } }`. Pure.
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local units = require "runtime.units"
local change = {}

local fields = { "above", "below", "critical", "over", "warning" }
local levels = { "warning", "critical" }

--- A value as a number: durations in seconds, sizes in bytes; nil for anything else.
---@param value any
---@return number?
function change.number(value)
  if type(value) == "number" then
    return value
  elseif units.is_duration(value) then
    return value.seconds
  elseif units.is_size(value) then
    return value.bytes
  end
  return nil
end

--- A limit as {percent =} or {by =}, how much more or less; nil: it is none. A text without % is read as the kind
--- that the value is of.
local function limit_of(limit, value)
  if type(limit) == "string" then
    local percent = limit:match "^(%d+%.?%d*)%s?%%$"
    if percent then
      return { percent = tonumber(percent) }
    end
    local parsed = (units.is_size(value) and units.size or units.duration)(limit)
    return parsed and { by = change.number(parsed) } or nil
  end
  local by = change.number(limit)
  return by and by >= 0 and by == by and { by = by } or nil
end

local function limits_problem(where, limits, value)
  if type(limits) ~= "table" then
    return ("%s: expected {warning = \"20%%\", critical = \"50%%\"}"):format(where)
  end
  local count = 0
  for _, level in ipairs(levels) do
    local limit = limits[level]
    if limit ~= nil and not limit_of(limit, value) then
      return ("%s: %s: '%s' is no limit"):format(where, level, tostring(limit)), 'for example "20%", or 50 for 50 more or less'
    end
    count = count + (limit ~= nil and 1 or 0)
  end
  if count == 0 then
    return ("%s: expected {warning = \"20%%\", critical = \"50%%\"}"):format(where)
  end
end

--- What is wrong with `change`, for a value or, with nil, for any.
---@return string? problem, string? hint
function change.problem(given, value)
  if type(given) ~= "table" then
    return 'change: expected {warning = "20%", critical = "50%"}'
  end
  for name in pairs(given) do
    if not text.has(fields, name) then
      return ("change: unknown field '%s'"):format(tostring(name)), text.suggest(tostring(name), fields, "it takes")
    end
  end
  if given.over ~= nil and not units.duration(given.over) then
    return ("change: over: '%s' is no duration"):format(tostring(given.over)), 'for example "24h"'
  elseif value ~= nil and not change.number(value) then
    return ("change: a %s has no earlier value: only numbers, durations and sizes do"):format(type(value))
  end
  local directed = given.above ~= nil or given.below ~= nil
  if directed and (given.warning ~= nil or given.critical ~= nil) then
    return "change: limits stand either in above and below, or beside them for both"
  end
  for _, side in ipairs { "above", "below" } do
    if given[side] ~= nil then
      local problem, hint = limits_problem("change: " .. side, given[side], value)
      if problem then
        return problem, hint
      end
    end
  end
  if not directed then
    return limits_problem("change", given, value)
  end
end

--- How old the earlier value must be, in seconds; nil: the last one counts.
function change.over(given)
  local over = given and given.over ~= nil and units.duration(given.over)
  return over and over.seconds or nil
end

--- Has the value gone further than a limit allows? `by` is the difference in the direction that is asked about. Of
--- nothing every growth is more than any percentage.
local function beyond(limit, by, before)
  if by <= 0 then
    return false
  end
  return by > (limit.percent and math.abs(before) * limit.percent / 100 or limit.by)
end

local function limits_text(sign, limits)
  local said = {}
  for _, level in ipairs(levels) do
    if limits[level] ~= nil then
      said[#said + 1] = ("%s %s%s"):format(level, sign, table_text.value(limits[level]))
    end
  end
  return table.concat(said, ", ")
end

local function difference_text(number, before)
  if before == 0 then
    return ("%+.4g"):format(number)
  end
  return ("%+.3g%%"):format(100 * number / math.abs(before))
end

--- An age as people say it, no finer than it has to be.
local function age_text(seconds)
  for _, unit in ipairs { 86400, 3600, 60 } do
    if seconds >= 2 * unit then
      return units.duration_text(seconds // unit * unit)
    end
  end
  return units.duration_text(math.floor(seconds))
end

--- The verdict on a value, beside what it was.
---@param value any a number, duration or size
---@param given table `change` that change.problem finds nothing wrong with
---@param earlier {t: number, value: number}? nil: there is none yet, which is ok
---@param now number seconds since 1970
---@return string verdict, string words
function change.judge(value, given, earlier, now)
  if not earlier then
    return "ok", "no earlier value"
  end
  local before = earlier.value
  local by = change.number(value) - before
  local found, said = "ok", {}
  local function look(sign, limits, amount)
    for _, level in ipairs(levels) do
      local limit = limits[level] ~= nil and limit_of(limits[level], value)
      if limit and beyond(limit, amount, before) then
        found = (found == "critical" or level == "critical") and "critical" or level
      end
    end
    said[#said + 1] = limits_text(sign, limits)
  end
  if given.above or given.below then
    for _, side in ipairs { "above", "below" } do
      if given[side] then
        look(side == "above" and "+" or "-", given[side], side == "above" and by or -by)
      end
    end
  else
    look("±", given, math.abs(by))
  end
  local shown = units.is_duration(value) and units.duration_text(before)
    or units.is_size(value) and units.size_text(before)
    or table_text.value(before)
  return found, ("%s against %s, %s ago (%s)"):format(
    difference_text(by, before), shown, age_text(math.max(0, now - earlier.t)), table.concat(said, ", ")
  )
end

return change
