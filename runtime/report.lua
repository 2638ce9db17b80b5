--- The visible sink: hands each event of a run to the one renderer in use. Decides nothing.
local context = require "runtime.context"
local report = {}

local renderer = function() end
local live -- who sees events at once, or nil

--- Sets the renderer: a function(event); and who sees every event as it happens, also those that wait for
--- the end of a step side by side with others.
---@param given fun(event: table)
---@param at_once fun(event: table)?
function report.open(given, at_once)
  renderer, live = given, at_once
end

--- An effect begins: nothing to show in the report, but it is what goes on now.
---@param shown table the step as the report names it
---@param effect table
function report.underway(shown, effect)
  if live then
    live { step = shown, began = effect }
  end
end

--- Shows an event; inside a group that runs its steps side by side it waits for the step's end, so
--- that two steps' lines never mix.
---@param event table {event = "run.start" | "step.start" | …, …}
function report.emit(event)
  local current = context.current()
  if current and current.silent then
    return nil -- a step that is gone through again only for its ways back
  elseif live then
    live(event)
  end
  return report.show(event)
end

--- Renders an event, or keeps it for the end of its step.
function report.show(event)
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
    report.show(event)
  end
end

return report
