--- play --rehearse: a dry run in which what can be rolled back without a trace is made, and rolled back. What that
--- does to the truth of the run is known here; how it is made is the adapters' part (`adapter.rehearse`).
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local report = require "runtime.report"
local trace = require "runtime.trace"
local rehearsal = {}

--- Raises `refused` where nothing is ever rehearsed. Before anything of the run is there.
---@param run table
function rehearsal.permit(run)
  if run.rehearse and run.environment.protected then
    error(errors.refused {
      message = ("--rehearse: '%s' is protected: nothing is made there to be rolled back"):format(run.environment.name),
      hint = "-n reads for real and shows every change; --rehearse is for an environment that is not protected",
    }, 0)
  end
end

--- A change was made in a transaction that will be rolled back. Returns what it returned.
---@param answer {value: any, lines: string[]?}
function rehearsal.made(run, current, effect, answer)
  run.rehearsed_first = run.rehearsed_first or effect
  run.rehearsed_list[#run.rehearsed_list + 1] = effect.summary
  local step = current.step
  while step do -- a child step's are its parent's, too
    step.rehearsed, step.undetermined = true, step.undetermined or run.planned_first ~= nil or nil
    step = step.parent
  end
  journal.planned(run, effect, true)
  report.emit { event = "planned", step = current.step.shown, effect = effect, rehearsed = true, preview = { lines = answer.lines } }
  return answer.value
end

--- From here on the world is no longer the one in which the rehearsed changes were made.
local function lose(run, current, text)
  if run.planned_first or not run.rehearsed_first then
    return
  end
  run.planned_first = run.rehearsed_first
  journal.write(run, { type = "note", step = current and current.step and current.step.id, text = text })
  report.emit { event = "note", step = current and current.step and current.step.shown, text = text }
end

--- A read was made. One that did not see what was rehearsed says what the world is without it.
---@param effect table `rehearsed`: the adapter read it where the changes are
function rehearsal.looked(run, current, row, effect)
  if effect.rehearsed then
    current.step.rehearsed = true
  elseif effect.class == "read" and not row.inner then
    lose(run, current, ("%s does not see what was rehearsed: from here on checks are undetermined"):format(effect.summary))
  end
end

--- Before a question or a wait: nothing is held meanwhile. What was rehearsed so far is rolled back.
---@param why string what comes: "a question", "a wait"
function rehearsal.let_go(run, current, why)
  local gone = 0
  for _, adapter in pairs(run.rehearse and run.adapters or {}) do
    gone = gone + (adapter.let_go and trace.beside("goodbye", adapter.let_go) or 0)
  end
  if gone > 0 then
    lose(run, current, ("nothing is held across %s: what was rehearsed so far is gone, from here on checks are undetermined"):format(why))
  end
end

--- The transaction ended by itself.
function rehearsal.lost(run, current, why)
  lose(run, current, ("what was rehearsed so far is gone (%s): from here on checks are undetermined"):format(why))
end

return rehearsal
