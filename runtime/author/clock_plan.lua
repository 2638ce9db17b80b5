--- When a clock strikes: every so long, at given moments, between two moments. Pure but for the clock handed in.
local civil = require "runtime.civil"
local time_text = require "runtime.time_text"
local times = require "runtime.times"
local units = require "runtime.units"
local clock_plan = {}

--- Less than this between two strikes is a mistake, not a reminder; seconds.
local LEAST = 0.1

--- The next moment after `began` at which the zone's clocks show a time of day; one that they leave out that day is
--- taken as behind the gap.
local function next_at(host_clock, zone, seconds, began)
  local today = civil.shown(host_clock, zone, began)
  for days = today, today + 1 do
    local epoch = civil.epoch(host_clock, zone, days, seconds)
    if epoch and epoch > began then
      return epoch
    end
  end
end

--- One moment as an author writes it: "30m" and 1800 count from the clock's begin, "14:00" is the next one on the
--- wall, "2026-11-21 14:00" and a time stand for themselves. nil: it is none.
---@return number? epoch
local function moment(host_clock, zone, value, began)
  if times.is_time(value) then
    return value.epoch
  end
  local span = units.duration(value)
  if span then
    return began + span.seconds
  elseif type(value) ~= "string" then
    return nil
  end
  local seconds, behind = time_text.clock_time(value)
  if seconds and behind == "" then
    return next_at(host_clock, zone, seconds, began)
  end
  return (time_text.epoch(host_clock, zone, value))
end

local function is_moment(value)
  return type(value) ~= "table" or times.is_time(value) or units.is_duration(value)
end

local forms = 'such as "30m" (from now), "14:00", "2026-11-21 14:00", or a time'

--- The strikes an author asks for.
---@param host_clock table
---@param zone string
---@param opts {every: any, at: any, from: any, to: any}
---@param began number seconds since 1970
---@return table? plan, string? problem
function clock_plan.new(host_clock, zone, opts, began)
  local plan = { at = {}, began = began }
  for _, name in ipairs { "from", "to" } do
    if opts[name] ~= nil then
      plan[name] = moment(host_clock, zone, opts[name], began)
      if not plan[name] then
        return nil, ("%s: '%s' is no moment, %s"):format(name, tostring(opts[name]), forms)
      end
    end
  end
  if opts.every ~= nil then
    local span = units.duration(opts.every)
    if not span or span.seconds < LEAST then
      return nil, ("every: '%s' is no duration of at least %gs"):format(tostring(opts.every), LEAST)
    end
    plan.every = span.seconds
  end
  for _, value in ipairs(opts.at ~= nil and (is_moment(opts.at) and { opts.at } or opts.at) or {}) do
    local epoch = moment(host_clock, zone, value, began)
    if not epoch then
      return nil, ("at: '%s' is no moment, %s"):format(tostring(value), forms)
    end
    plan.at[#plan.at + 1] = epoch
  end
  table.sort(plan.at)
  if not plan.every and #plan.at == 0 then
    return nil, 'when? every = "30m", or at = "14:00", or a list: at = { "30m", "1h" }'
  end
  return plan
end

--- The first strike after a moment, or nil: there is none any more.
---@return number? epoch
function clock_plan.after(plan, last)
  local due
  for _, epoch in ipairs(plan.at) do
    if epoch > last then
      due = epoch
      break
    end
  end
  if plan.every then
    local first = plan.from or plan.began + plan.every
    local strike = last < first and first or first + ((last - first) // plan.every + 1) * plan.every
    if not (plan.to and strike >= plan.to) and (not due or strike < due) then
      due = strike
    end
  end
  return due
end

--- The strikes in words: "every 30m, at 30m, 1h".
function clock_plan.words(opts)
  local parts = {}
  if opts.every ~= nil then
    parts[#parts + 1] = "every " .. tostring(units.duration(opts.every) or opts.every)
  end
  if opts.at ~= nil then
    local list = {}
    for i, value in ipairs(is_moment(opts.at) and { opts.at } or opts.at) do
      list[i] = units.duration(value) and "after " .. tostring(units.duration(value)) or "at " .. tostring(value)
    end
    parts[#parts + 1] = table.concat(list, ", ")
  end
  for _, name in ipairs { "from", "to" } do
    if opts[name] ~= nil then
      parts[#parts + 1] = ("%s %s"):format(name, tostring(opts[name]))
    end
  end
  return table.concat(parts, ", ")
end

return clock_plan
