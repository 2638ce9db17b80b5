--- The header's `tell`: who hears how the run ended, whatever happened. Goes through the gate like any message,
--- so a dry run shows it; that nobody could be told never changes how the run ended.
local context = require "runtime.context"
local gate = require "runtime.gate"
local journal = require "runtime.journal"
local ordered = require "runtime.ordered"
local tasks = require "runtime.tasks"
local tell = {}

local rank = { always = 0, ok = 0, warning = 1, critical = 2 }

--- How bad the end is: a failed run and a critical check are critical.
local function level_of(event)
  if event.failure or event.code ~= 0 or event.worst == "critical" then
    return "critical"
  end
  return event.worst ~= "ok" and "warning" or "ok"
end

--- What they read: how it ended, why, what is bad, where to look.
local function message_of(event)
  local lines = { event.headline }
  if event.failure then
    lines[#lines + 1] = (event.step_name and ("step '%s': "):format(event.step_name) or "") .. event.failure.message
  end
  for _, check in ipairs(event.checks) do
    if check.verdict ~= "ok" then
      lines[#lines + 1] = check.text
    end
  end
  lines[#lines + 1] = "opsrun log " .. event.run
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
  for name, wanted in ordered.pairs(run.header.tell or {}) do
    if rank[level] >= rank[wanted] then
      local severity = level == "ok" and "info" or level
      local task = tasks.spawn(ctx, function()
        return gate.call("notify.send", {
          name = name,
          message_of(event),
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
