--- The header's `tell`: who hears how the run ended, whatever happened. Goes through the gate like any message,
--- so a dry run shows it; that nobody could be told never changes how the run ended.
local context = require "runtime.context"
local gate = require "runtime.gate"
local journal = require "runtime.journal"
local ordered = require "runtime.ordered"
local policy = require "runtime.policy"
local report = require "runtime.report"
local tasks = require "runtime.tasks"
local tell = {}

--- How bad the end is: a failed run and a critical check are critical.
local function level_of(event)
  if event.failure or event.code ~= 0 or event.worst == "critical" then
    return "critical"
  end
  return event.worst ~= "ok" and "warning" or "ok"
end

--- What they read: how it ended, why, every check with the worst first, what was skipped, where to look.
local function message_of(run, event)
  local lines = { event.headline }
  if event.failure then
    lines[#lines + 1] = (event.step_name and ("step '%s': "):format(event.step_name) or "") .. event.failure.message
  end
  table.move(event.also, 1, #event.also, #lines + 1, lines)
  for _, check in ipairs(event.checks) do
    lines[#lines + 1] = check.text
  end
  for _, record in ipairs(run.step_records) do
    if record.state == "skipped" then
      lines[#lines + 1] = ("SKIPPED  %s: %s"):format(record.shown.name, record.reason)
    end
  end
  lines[#lines + 1] = "opsrun log " .. event.run
  if not run.dry then -- what is told is out of reach of whoever edits a journal
    lines[#lines + 1] = "journal up to here: " .. journal.anchor(run)
  end
  return table.concat(lines, "\n")
end

--- Tells everybody the header names for an end this bad.
---@param run table
---@param event table the run.end event as it would be now
function tell.all(run, event)
  local level = level_of(event)
  local ctx = setmetatable({ branch = "tell", ordinal = 0, undo = true, cancelled = false }, { __index = run.context })
  ctx.step = { id = "tell", shown = { key = "tell", number = "·", name = "Who hears how it ended", attempt = 1 } }
  run.environment_confirmed = true -- telling is no change of the environment; nobody may be there to be asked
  local names, missing = policy.tells(run)
  for _, param in ipairs(missing) do
    local text = ("nobody is told as '%s': the parameter is not given"):format(param)
    pcall(journal.write, run, { type = "note", step = "tell", text = text })
    report.emit { event = "note", step = ctx.step.shown, text = text }
  end
  for name, wanted in ordered.pairs(names) do
    if policy.tell_rank[level] >= policy.tell_rank[wanted] then
      local severity = level == "ok" and "info" or level
      local task = tasks.spawn(ctx, function()
        return gate.call("notify.send", {
          name = name,
          message_of(run, event),
          opts = { title = run.header.title, severity = severity, summary = ("tell %s how it ended"):format(name) },
        })
      end)
      local ok, err = tasks.join(context.branch(ctx, name), task)
      if not ok then
        run.open[#run.open + 1] = ("%s was not told: %s"):format(name, tostring(err))
        pcall(journal.write, run, { type = "note", step = "tell", text = run.open[#run.open] })
      end
    end
  end
end

return tell
