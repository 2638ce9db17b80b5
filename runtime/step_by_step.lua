--- play --step: before each step a person says whether it is played, left out, or the run ends here.
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local question = require "runtime.question"
local rehearsal = require "runtime.rehearsal"
local tasks = require "runtime.tasks"
local turn = require "runtime.turn"
local step_by_step = {}

local host

local answers = { y = "go on", yes = "go on", s = "skip", skip = "skip", q = "stop", quit = "stop", stop = "stop" }

--- Hands over the host. Raises a usage error where nobody can be asked.
---@param given table
---@param flags table the command line's
function step_by_step.open(given, flags)
  host = given
  if not flags.step then
    return
  end
  local why = flags.no_input and "--no-input asks nothing" or flags.json and "--json asks nothing" or nil
  if not why and not host.term.is_terminal() then
    why = "there is no terminal to ask on"
  end
  if why then
    error(errors.usage {
      message = "--step asks before each step: " .. why,
      hint = "leave --step out, or choose steps with --from, --until and --skip",
    }, 0)
  end
end

--- One of "go on", "skip", "stop"; nil when nobody answered.
local function ask(run, node, shown)
  local request = {
    id = "step:" .. node.id,
    text = ("Step %s: %s"):format(shown.number, node.name),
    before_step = true,
    where = node.where,
    unattended = "play without --step",
    explain = {
      { "y", "plays this step; what it changes is still asked for" },
      { "s", "leaves it out, as --skip would; what needs its result is skipped too" },
      { "q", "ends the run here, refused (exit code 5); " .. question.so_far(run) },
    },
  }
  local how = { kind = "line", prompt = "   y go on, s skip, q stop: " }
  question.open(host, run, request)
  while true do
    local typed, err = question.again(host, run, request, how)
    if not typed then
      return nil, err
    elseif answers[typed:lower()] then
      return answers[typed:lower()]
    end
    how.prompt = "   please type y, s or q: "
  end
end

--- Asks in a task of its own, so that a signal ends the question.
local function ask_alone(run, node, parent, shown)
  local ctx = context.branch(parent, "step")
  ctx.step, ctx.asking = parent.step or { id = node.id, shown = shown, node = node }, true
  return tasks.join(ctx, tasks.spawn(ctx, function()
    turn.take(host.task.sleep, function()
      context.need "a question"
    end)
    local results = table.pack(pcall(ask, run, node, shown))
    turn.give()
    if not results[1] then
      error(results[2], 0)
    end
    return table.unpack(results, 2, results.n)
  end))
end

--- Shall the step be played? true; or false and why it is skipped; or false, nil and the failure that ends the
--- run. Without --step always true.
---@param node table
---@param parent opsrun.Context
---@param shown table how the report names the step
---@return boolean wanted, string? reason, table? failure
function step_by_step.wanted(run, node, parent, shown)
  if not run.options.step then
    return true
  end
  rehearsal.let_go(run, parent, "a question")
  local ok, answer = ask_alone(run, node, parent, shown)
  if not ok then
    return false, nil, errors.wrap(answer)
  elseif not answer and (run.stop or parent.cancelled) then
    return false, nil, run.stop or errors.cancelled { message = tostring(parent.cancelled) }
  end
  answer = answer or "stop"
  local by = ("by %s at %s"):format(run.operator, host.clock.utc(host.clock.wall()))
  journal.write(run, { type = "gate", gate = "step:" .. node.id, answer = answer, by = by, at = host.clock.utc(host.clock.wall()) })
  if answer == "go on" then
    return true
  elseif answer == "skip" then
    return false, "by the operator (--step)"
  end
  return false, nil, errors.refused {
    message = ("stopped before step '%s' by the operator (--step)"):format(node.name),
    hint = not parent.step and not node.number:find "%." and ("--from %s goes on from here"):format(node.id) or nil,
    gate = "step:" .. node.id,
  }
end

return step_by_step
