--- Tasks of a run: spawned with their context, known to the run so that a signal finds them all.
local context = require "runtime.context"
local tasks = {}

local task_library

function tasks.open(given)
  task_library = given
end

--- So many more changes were begun, or fewer have no recorded outcome: what the host must know should it have to
--- end the process. True when more.
function tasks.in_flight(change)
  if task_library.in_flight then
    task_library.in_flight(change)
  end
  return change > 0
end

--- Starts `fn(...)` as a task of its own in `ctx`.
function tasks.spawn(ctx, fn, ...)
  local task = task_library.spawn(function(...)
    context.enter(ctx)
    return fn(...)
  end, ...)
  ctx.run.tasks[task] = ctx
  if ctx.step and task_library.place then
    task_library.place(task, ("%s\t%s"):format(ctx.path, ctx.step.id)) -- for last words
  end
  return task
end

--- Waits for a task: true and its results, or false and its error. When the waiting task itself is
--- told to stop, the other is told too, and waited for to its end.
---@param seconds number? nil: as long as it takes
function tasks.join(ctx, task, seconds)
  local function settle(state, ...)
    if state ~= nil then
      ctx.run.tasks[task] = nil
    end
    return state, ...
  end
  while true do
    local results = table.pack(settle(task_library.join(task, seconds)))
    if results[1] ~= nil then
      return table.unpack(results, 1, results.n)
    end
    if results[2].stopped == "timeout" then
      return nil, "timeout"
    end
    tasks.cancel(ctx.run.tasks[task], task, ctx.cancelled or "cancelled")
  end
end

--- Tells a task to stop. What it waits for ends early, unless a change is in flight: that is let
--- finish (`force` stops even that). What works off the stack of ways back goes on; only its question
--- ends, unanswered.
function tasks.cancel(ctx, task, reason, force)
  if ctx and ctx.undo and not force then
    if ctx.asking then
      task_library.cancel(task)
    end
    return
  end
  if ctx then
    context.cancel(ctx, reason)
  end
  if force or not (ctx and ctx.in_change) then
    task_library.cancel(task)
  end
end

--- Tells every task of the run to stop.
function tasks.cancel_all(run, reason, force)
  context.cancel(run.context, reason) -- what starts later stops at its first effect
  for task, ctx in pairs(run.tasks) do
    tasks.cancel(ctx, task, reason, force)
  end
end

--- Waits so many seconds in a task of its own, so that a signal ends it.
function tasks.pause(parent, seconds)
  local ctx = context.branch(parent, "pause")
  tasks.join(parent, tasks.spawn(ctx, task_library.sleep, seconds))
end

--- Runs functions side by side, each in a branch of its own, at most `limit` at a time. The first
--- failure stops the others unless `keep_going`.
---@param parent table context
---@param list fun()[]
---@param opts {limit: integer?, keep_going: boolean?}
---@return table results, table failures both by index
function tasks.side_by_side(parent, list, opts)
  local results, failures, running = {}, {}, {}
  local limit = opts.limit or #list
  local next_index, stopped = 1, false
  local function start_one()
    local index = next_index
    next_index = index + 1
    local ctx = context.branch(parent, index)
    running[#running + 1] = {
      index = index,
      ctx = ctx,
      task = tasks.spawn(ctx, function()
        local ok, value = pcall(list[index])
        if ok then
          results[index] = value
        else
          failures[index] = value
        end
        local ended = not ok and type(value) == "table" and value.code == "end of journal" -- the others have their own
        if not ok and not ended and not opts.keep_going and not stopped then
          stopped = true
          for _, other in ipairs(running) do
            if other.index ~= index then
              tasks.cancel(other.ctx, other.task, "stopped because another one beside it failed")
            end
          end
        end
        -- The next one starts when this one is over, whoever waits for which.
        if next_index <= #list and not stopped and not rawget(parent, "cancelled") then
          start_one()
        end
      end),
    }
  end
  for _ = 1, math.min(limit, #list) do
    start_one()
  end
  local at = 1
  while at <= #running do
    tasks.join(parent, running[at].task)
    at = at + 1
  end
  return results, failures
end

return tasks
