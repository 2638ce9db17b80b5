--- Named thresholds: what a header's `thresholds` may say. Pure.
local thresholds = {}

--- Fields of one threshold, the same as `check` takes.
thresholds.fields = { "above", "below", "between", "expect", "missing", "unit" }

--- What is wrong with a threshold, or nil. `known` says whether a name is a field.
---@param value any
---@return string? message, string? field
function thresholds.problem(value)
  if type(value) ~= "table" then
    return ("expected a table such as { above = { warning = 80, critical = 95 } }, got %s"):format(type(value))
  end
  for field, limit in pairs(value) do
    local known = false
    for _, candidate in ipairs(thresholds.fields) do
      known = known or candidate == field
    end
    if not known then
      return ("unknown field '%s'"):format(tostring(field)), tostring(field)
    end
    if field == "above" or field == "below" then
      if type(limit) ~= "table" or (limit.warning == nil and limit.critical == nil) then
        return ("'%s': expected { warning = …, critical = … }"):format(field)
      end
    elseif field == "between" and (type(limit) ~= "table" or limit[1] == nil or limit[2] == nil) then
      return "'between': expected { low, high }"
    end
  end
  return nil
end

return thresholds
