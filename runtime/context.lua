--- What the running task is part of: run, step, attempt, branch. Children of `parallel` and `each`
--- inherit it; nothing else knows "where we are".
local errors = require "runtime.errors"
local context = {}

local task_library

--- Gives this module the host's task library. Once, from main.
function context.open(task)
  task_library = task
end

---@class opsrun.Context
---@field run table       the run
---@field step table?     the step being run
---@field path string     call path: "incident/db-exhaustion" or with the called playbooks in front
---@field attempt integer 1 for the first try of the step
---@field branch string   "" or "2" or "2.1": which branch of parallel or each
---@field ordinal integer how many effects this branch of this attempt asked for so far
---@field cancelled any   once the task was told to stop: the reason, a text or the error to raise
---@field reads_only string? why only reads are allowed here ("check", "happened", …)
---@field undo boolean?   true while the undo stack is worked off

--- The running task's context, or nil outside a step.
---@return opsrun.Context?
function context.current()
  local locals = task_library.locals()
  return locals and locals.context
end

--- The running task's context; raises "only inside a step" with the primitive's name.
---@param what string what was called
---@return opsrun.Context
function context.need(what)
  local current = context.current()
  if not current or not current.step then
    error(errors.load {
      message = ("'%s' was called while the playbook loads: only inside a step"):format(what),
      hint = "move it into a step's function: step(\"…\", function(p) … end)",
    }, 0)
  end
  local reason = current.cancelled
  if reason then
    error(errors.is(reason) and reason or errors.cancelled { message = tostring(reason) }, 0)
  end
  return current
end

--- Sets the running task's context; returns the one before.
function context.enter(new)
  local locals = task_library.locals()
  local before = locals.context
  locals.context = new
  return before
end

--- A child context: own branch and ordinal, the rest inherited.
function context.branch(parent, index)
  local child = setmetatable({}, { __index = parent })
  child.branch = parent.branch == "" and tostring(index) or (parent.branch .. "." .. index)
  child.ordinal = 0
  child.parent = parent
  return child
end

--- Marks a context and, by inheritance, its branches as told to stop.
function context.cancel(target, reason)
  if not rawget(target, "cancelled") then
    target.cancelled = reason
  end
end

--- The key under which an effect is journaled and found again.
function context.key(current)
  current.ordinal = current.ordinal + 1
  return {
    path = current.path,
    step = current.step.id,
    attempt = current.attempt,
    branch = current.branch,
    ordinal = current.ordinal,
  }
end

return context
