--- The visible sink: hands each event of a run to the one renderer in use. Decides nothing.
local context = require "runtime.context"
local report = {}

local renderer = function() end

--- Sets the renderer: a function(event).
function report.open(given)
  renderer = given
end

--- Shows an event; inside a group that runs its steps side by side it waits for the step's end, so
--- that two steps' lines never mix.
---@param event table {event = "run.start" | "step.start" | …, …}
function report.emit(event)
  local current = context.current()
  local buffer = current and current.buffer
  if buffer then
    buffer[#buffer + 1] = event
    return
  end
  renderer(event)
end

--- Shows what a step collected.
function report.flush(buffer)
  for _, event in ipairs(buffer) do
    report.emit(event)
  end
end

return report
