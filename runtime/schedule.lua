--- The `schedule` of a header: calendar expressions and their zone, read and checked while the playbook loads,
--- and the moments they elapse at next.
local calendar = require "runtime.calendar"
local elapse = require "runtime.elapse"
local ordered = require "runtime.ordered"
local schedule = {}

--- The zone of an expression that names none.
schedule.default_zone = "Etc/UTC"

local function shape_problem(value)
  if type(value) ~= "table" then
    return ("expected a text or a table, got %s"):format(type(value)), 'for example { "Sat *-*-01..07 02:00", zone = "Europe/Madrid" }'
  end
  for key, item in ordered.pairs(value) do
    if type(item) ~= "string" or (math.type(key) ~= "integer" and key ~= "zone") then
      return ("'%s': expected texts and a zone"):format(tostring(key)), 'for example { "Sat *-*-01..07 02:00", zone = "Europe/Madrid" }'
    end
  end
  if #value == 0 then
    return "it has no calendar expression", 'for example "Mon..Fri 08:00"'
  end
end

local function zone_problem(clock, zone)
  if zone and clock.is_zone and not clock.is_zone(zone) then
    return ("there is no time zone '%s'"):format(zone), "zones are named as in Europe/Madrid; UTC is one"
  end
end

--- Reads a header's schedule.
---@param value string|table
---@param clock table is_zone(name), fields(seconds, zone), wall()
---@return {text: string, spec: opsrun.Calendar, zone: string}[]? entries, string? problem, string? hint
function schedule.read(value, clock)
  if type(value) == "string" then
    value = { value }
  end
  local problem, hint = shape_problem(value)
  if not problem then
    problem, hint = zone_problem(clock, value.zone)
  end
  if problem then
    return nil, problem, hint
  end
  local entries = {}
  for i, source in ipairs(value) do
    local spec
    spec, problem, hint = calendar.parse(source)
    if spec then
      problem, hint = zone_problem(clock, spec.zone)
    end
    local zone = spec and spec.zone or value.zone or schedule.default_zone
    if not problem and not spec.year and not elapse.after(spec, clock, zone, clock.wall()) then
      problem, hint = "there is no such day in any year", nil
    end
    if problem then
      return nil, ("'%s': %s"):format(source, problem), hint
    end
    entries[i] = { text = source, spec = spec, zone = zone }
  end
  return entries
end

--- The next moments at which any of the entries elapses, in order, each once.
---@param entries table[] what schedule.read returned
---@param after number seconds since 1970
---@param count integer
---@return {epoch: number, zone: string}[]
function schedule.next(entries, clock, after, count)
  local zones, moments = {}, {}
  for _, entry in ipairs(entries) do
    for _, epoch in ipairs(elapse.list(entry.spec, clock, entry.zone, after, count)) do
      if not zones[epoch] then
        zones[epoch] = entry.zone
        moments[#moments + 1] = epoch
      end
    end
  end
  table.sort(moments)
  local list = {}
  for i = 1, math.min(count, #moments) do
    list[i] = { epoch = moments[i], zone = zones[moments[i]] }
  end
  return list
end

return schedule
