--- What of time is no effect: texts that name a moment, and whether a moment lies in a window. What depends
--- on the present ("now", "yesterday") is not here: `now()` is, and it is recorded. Each function returns its
--- result, or nil and what is wrong with the call.
local context = require "runtime.context"
local errors = require "runtime.errors"
local hours = require "runtime.hours"
local time_text = require "runtime.time_text"
local times = require "runtime.times"
local pure = {}

local clock, own_zone

--- Hands over the host's clock and the zone of the run's environment. Once a run.
---@param given table host.clock
---@param zone string
function pure.open(given, zone)
  clock, own_zone = given, zone
end

--- The clock is the run's: its time adapter, made when it is first needed, hands it over.
local function is_open()
  local current = not clock and context.current()
  local adapters = current and current.run and current.run.adapters
  return clock ~= nil or adapters and adapters.time and clock ~= nil
end

local relative = { now = true, today = true, yesterday = true, tomorrow = true }

local function not_open()
  return nil, "only inside a step: which zone counts is known when the playbook runs"
end

--- time.parse("2026-11-21T03:00:00Z"), time.parse(1795230727, "Europe/Madrid")
function pure.parse(_, given, zone)
  if not is_open() then
    return not_open()
  elseif zone ~= nil and clock.is_zone and not clock.is_zone(zone) then
    return nil, ("there is no time zone '%s'"):format(zone)
  end
  local epoch = given
  if type(given) == "string" then
    if relative[given] then
      return nil, ("'%s' depends on when it is asked: use now(), which is recorded"):format(given)
    end
    epoch = time_text.epoch(clock, zone or own_zone, given)
  end
  if not epoch or not clock.fields(epoch, zone or own_zone) then
    -- data of an answer, not a typo: try catches it
    error(errors.fail {
      message = ("'%s' is no time"):format(tostring(given)),
      hint = "for example 2026-11-21, 2026-11-21 03:00 or 2026-11-21T03:00:00Z",
      code = "no time",
    }, 0)
  end
  return times.at(clock, zone or own_zone, epoch)
end

--- time.within(now(), p.window), time.within(now(), "Mon..Fri 09:00..17:00")
function pure.within(_, time, window)
  if not is_open() then
    return not_open()
  end
  if type(time) == "number" then
    time = times.at(clock, own_zone, time)
  elseif not times.is_time(time) then
    return nil, "expected a time first, such as now()"
  end
  if times.is_window(window) then
    return time.epoch >= window.from.epoch and time.epoch < window.to.epoch
  elseif type(window) ~= "string" then
    return nil, ("expected a window or a text such as '22:00..06:00', got %s"):format(type(window))
  end
  local read, why = hours.read(window)
  if not read then
    return nil, why
  end
  return hours.hold(clock, read, time.zone, time.epoch)
end

--- time.window(from, to): a window of two times, for logs and the like.
function pure.window(_, from, to, label)
  if not times.is_time(from) or not times.is_time(to) then
    return nil, "expected two times, such as time.window(now() - \"1h\", now())"
  elseif to <= from then
    return nil, ("'%s' does not lie behind '%s'"):format(tostring(to), tostring(from))
  end
  return times.between(clock, from.zone, from.epoch, to.epoch, label or ("%s..%s"):format(tostring(from), tostring(to)))
end

return pure
