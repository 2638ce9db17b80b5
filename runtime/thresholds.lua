--- Named thresholds: what a header's `thresholds` and the files of thresholds/ may say. Pure.
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local verdict = require "runtime.verdict"
local thresholds = {}

--- Fields of one threshold.
thresholds.fields = verdict.fields

--- What is wrong with one threshold, or nil.
---@param value any
---@return string? message, string? hint
function thresholds.problem(value)
  if type(value) ~= "table" then
    return ("expected a table such as { above = { warning = 80, critical = 95 } }, got %s"):format(type(value))
  end
  for field in ordered.pairs(value) do
    if not text.has(thresholds.fields, field) then
      return ("unknown field '%s'"):format(tostring(field)), text.suggest(tostring(field), thresholds.fields, "fields")
    end
  end
  for _, field in ipairs { "unit", "source" } do
    if value[field] ~= nil and type(value[field]) ~= "string" then
      return ("%s: expected a string, got %s"):format(field, type(value[field]))
    end
  end
  local problem, hint = verdict.problem(value, nil)
  if not problem then
    local limits = false
    for _, field in ipairs { "above", "below", "between", "change", "expect" } do
      limits = limits or value[field] ~= nil
    end
    problem = not limits and "it has no limit: above, below, between, change or expect" or nil
  end
  return problem, hint
end

--- What is wrong with a table of thresholds by name.
---@param map any
---@return string? message, string? hint
function thresholds.problem_of_all(map)
  if type(map) ~= "table" then
    return ("expected a table, got %s"):format(type(map))
  end
  for name, threshold in ordered.pairs(map) do
    local problem, hint = thresholds.problem(threshold)
    if type(name) ~= "string" then
      problem, hint = "expected a name for each threshold", nil
    end
    if problem then
      return ("'%s': %s"):format(tostring(name), problem), hint
    end
  end
end

return thresholds
