--- Before its first new change a run that is gone on with says how old the reads and answers are that it rests on;
--- older than a step's `fresh` it asks.
local context = require "runtime.context"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local report = require "runtime.report"
local report_lines = require "runtime.report_lines"
local seconds_of = require "runtime.seconds"
local fresh = {}

--- `fresh` of a step that does not say.
fresh.default = 600

--- "2026-11-21T03:12:07.123Z" as seconds since 1970.
local function epoch_of(clock, text)
  local year, month, day, hour, min, sec = text:match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)Z$"
  if not year then
    return nil
  end
  return clock.epoch({
    year = math.tointeger(tonumber(year)), month = math.tointeger(tonumber(month)), day = math.tointeger(tonumber(day)),
    hour = math.tointeger(tonumber(hour)), min = math.tointeger(tonumber(min)), sec = math.floor(tonumber(sec)),
  }, "Etc/UTC")
end

--- The oldest of what was taken from the journal, of every step: {name, age, limit} with the stalest first.
local function ages(services, run)
  local now, list = services.host.clock.wall(), {}
  for _, record in ipairs(run.step_records) do
    local at = record.resumed and record.at and epoch_of(services.host.clock, record.at)
    if at and record.state == "done" then
      local limit = record.node.opts.fresh and seconds_of(record.node.opts.fresh) or fresh.default
      list[#list + 1] = { name = record.shown.name, id = record.id, age = now - at, limit = limit }
    end
  end
  for _, known in ipairs(run.taken or {}) do
    local at = epoch_of(services.host.clock, known.t)
    if at then
      list[#list + 1] = { name = known.step, id = known.step, age = now - at, limit = fresh.default }
    end
  end
  table.sort(list, function(a, b)
    return a.age - a.limit > b.age - b.limit
  end)
  return list
end

--- Lets the gate ask before the run's first change. The run table's `adapters` must be open.
---@param services {host: table, options: table}
---@param run table
function fresh.watch(services, run)
  gate.before_first_change = function()
    local list = ages(services, run)
    local stalest = list[1]
    if not stalest then
      return
    end
    local age = report_lines.seconds_text(stalest.age)
    report.emit {
      event = "note",
      step = context.current().step.shown,
      text = ("this rests on what step '%s' found %s ago"):format(stalest.name, age),
    }
    if stalest.age <= stalest.limit or run.options.stale_ok then
      return
    end
    local allowed = report_lines.seconds_text(stalest.limit)
    run.adapters.people.confirm_stale(run, {
      id = "stale",
      text = ("What step '%s' found is %s old, more than %s: go on all the same?"):format(stalest.name, age, allowed),
      hint = ("--stale-ok goes on; --from %s runs it and what follows again"):format(stalest.id),
    })
  end
end

--- The error for a question about age that nobody can be asked.
function fresh.suspended(request)
  return errors.suspended { message = request.text, hint = request.hint, code = "stale" }
end

return fresh
