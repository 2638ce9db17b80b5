--- pause_until: the run is suspended for hours or days; nothing of it stays in memory, its lock is free, and resume
--- goes on once the time has come.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local rehearsal = require "runtime.rehearsal"
local replay = require "runtime.replay"
local report = require "runtime.report"
local times = require "runtime.times"
local pause = {}

---@param host table
function pause.build(host)
  local api = {}

  --- Suspends the run until a time; at once when it has passed. A dry run moves its clock there.
  ---@param moment any a time, seconds since 1970, or a text such as "2026-12-01 08:00" in the environment's zone
  function api.pause_until(moment)
    local current = context.need "pause_until"
    local where = host.where()
    local run = current.run
    local zone = run.environment.timezone or "Etc/UTC"
    local time = type(moment) == "string" and times.time(host.clock, zone, moment) or moment
    local epoch = type(time) == "number" and time or times.is_time(time) and time.epoch or nil
    if not epoch then
      arguments.misuse(where, ("pause_until: '%s' is no time, such as now() + \"2h\" or \"2026-12-01 08:00\""):format(tostring(moment)))
    end
    local key = context.key(current)
    local known = replay.take(key, "pause_until")
    epoch = known and known.pause and known.pause.epoch or epoch -- the time that was said first counts
    local shown = times.text(host.clock, zone, epoch)
    local now = host.clock.wall() + run.clock_offset
    if now >= epoch then
      report.emit { event = "note", step = current.step.shown, text = ("it is after %s: going on"):format(shown) }
      return
    elseif run.dry then
      rehearsal.let_go(run, current, "a wait")
      run.clock_offset = run.clock_offset + (epoch - now)
      report.emit { event = "note", step = current.step.shown, text = ("would suspend the run until %s"):format(shown) }
      return
    end
    journal.write(run, {
      type = "time.wait",
      path = key.path,
      step = key.step,
      attempt = key.attempt,
      branch = key.branch,
      ordinal = key.ordinal,
      epoch = epoch,
      ["until"] = shown,
    }, true)
    error(errors.suspended {
      message = ("suspended until %s (%s)"):format(shown, zone),
      hint = ("opsrun resume %s, then or later"):format(run.id),
      where = where,
    }, 0)
  end

  return arguments.guard_all(api, host.where)
end

return pause
