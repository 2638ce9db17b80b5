--- What may end a run from outside: signals and the deadline.
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local report = require "runtime.report"
local seconds_of = require "runtime.seconds"
local tasks = require "runtime.tasks"
local watch = {}

local function signal_text(run, name, count)
  if count > 1 then
    return ("%s again: cancelling the call in flight; a third ends opsrun at once"):format(name)
  elseif run.unwinding then
    return ("%s: ending as soon as this list is worked off; a second one cancels the call in flight"):format(name)
  end
  return ("%s: ending as soon as the change in flight is over; a second one cancels it"):format(name)
end

--- Watches for signals: the first ends reads, waits and questions at once and lets a change in
--- flight finish; the second cancels that too.
function watch.signals(services, run)
  local host = services.host
  return host.task.spawn(function()
    while true do
      local count, name = host.signals.wait()
      if not count then
        return
      end
      run.signal = run.signal or name
      pcall(journal.write_end, run, { type = "signal", name = name, count = count })
      report.emit {
        event = "message",
        style = "bold",
        text = signal_text(run, name, count),
      }
      local reason = errors.cancelled { message = ("stopped by %s"):format(name) }
      run.stop = reason
      tasks.cancel_all(run, reason, count > 1)
    end
  end)
end

--- --deadline in seconds, or nil.
function watch.seconds(flags)
  local ok, seconds = pcall(function()
    return flags.deadline and seconds_of(flags.deadline, "--deadline")
  end)
  if not ok then
    error(errors.usage { message = errors.wrap(seconds).message }, 0)
  end
  return seconds
end

--- Ends the run when its time is over.
---@param seconds number? what watch.seconds said
function watch.deadline(services, run, seconds)
  local deadline = services.options.flags.deadline
  if not seconds then
    return nil
  end
  run.ends_at = services.host.clock.monotonic() + seconds -- for time.left()
  services.host.task.deadline(seconds) -- for a step that computes without end: no timer reaches it
  return services.host.task.spawn(function()
    if services.host.task.sleep(seconds) then
      services.host.task.deadline(nil)
      run.deadline_over = true
      run.stop = errors.deadline { message = ("the run's deadline of %s is over"):format(deadline) }
      pcall(journal.write_end, run, { type = "deadline", after = seconds })
      tasks.cancel_all(run, run.stop, true)
    end
  end)
end

return watch
