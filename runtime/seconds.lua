--- Seconds of whatever an author writes for a time span: 5, "5m", a duration parameter.
local errors = require "runtime.errors"
local units = require "runtime.units"

---@param value number|string|table
---@param what string? what it is for, for the message
---@param where string? the author's line
---@return number seconds
return function(value, what, where)
  if type(value) == "number" then
    return value
  end
  local duration = units.is_duration(value) and value or (type(value) == "string" and units.duration(value)) or nil
  if not duration then
    local message = ("'%s' is no duration, such as 500ms, 5s, 10m or 2h"):format(tostring(value))
    error(errors.wrap(what and (what .. ": " .. message) or message, where), 0)
  end
  return duration.seconds
end
