--- Named thresholds for playbooks: thresholds.of "disk_used". Returns the threshold, or nil and what is wrong.
local context = require "runtime.context"
local threshold_files = require "runtime.threshold_files"
local pure = {}

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil then
    return value
  end
  local result = {}
  for key, item in next, value do
    result[key] = copy(item)
  end
  return result
end

--- thresholds.of(name): its limits, a table of the caller's own.
function pure.of(_, name)
  local threshold, problem, hint = threshold_files.find(context.need("thresholds.of").run, name)
  if not threshold then
    return nil, hint and ("%s (%s)"):format(problem, hint) or problem
  end
  return copy(threshold)
end

return pure
