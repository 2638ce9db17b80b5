--- The part of the people adapter that is about time: a gate that waits for `opsrun answer` while the run is
--- suspended, and what a person is asked when a run is gone on with.
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local question = require "runtime.question"
local report_lines = require "runtime.report_lines"
local text_of = require "runtime.text"

---@param with table the people adapter's own: host, run, can_ask, ask_alone, by_operator, confirm
return function(with)
  local host, run = with.host, with.run
  local later = {}

  --- What `opsrun answer` said for this gate, and by whom; nil when it said nothing, or of something else: an answer
  --- is bound to what was shown.
  ---@return string? value, string? by
  function later.answer(request)
    local given = run.recording and run.recording.answers[request.id]
    if not given then
      return nil
    elseif given.digest ~= request.digest then
      host.term.message("note", ("the answer to gate '%s' was given to '%s', which is not what it asks now: not used"):format(
        request.id, given.text or "something else"))
      return nil
    end
    return given.value, ("by %s at %s, with opsrun answer"):format(given.by, given.t)
  end

  --- Suspends the run at a gate nobody could answer, where that was asked for; else does nothing.
  function later.suspend(request)
    if not run.options.suspend_at_gates then
      return
    end
    local current = context.current()
    local value = request.type or request.flag or "yes"
    journal.write(run, {
      type = "gate.wait",
      gate = request.id,
      path = current.path,
      step = current.step.id,
      text = request.text,
      impact = request.impact,
      expects = request.type,
      options = request.options and request.option_ids or nil,
      digest = request.digest,
    }, true)
    error(errors.suspended {
      message = ("gate '%s' has no answer yet: %s"):format(request.id, request.text),
      hint = ("opsrun answer %s %s=%s, then opsrun resume %s"):format(run.id, request.id, text_of.shell_word(value), run.id),
      gate = request.id,
    }, 0)
  end

  --- The gate of a change in doubt: the number of its begin record makes it the gate of this one call, so that an
  --- answer typed once more never settles another.
  ---@param begin table its begin record
  function later.outcome_gate(begin)
    return ("%s.outcome.%d"):format(begin.step, begin.n)
  end

  --- A person says whether a change in doubt happened; nil when nobody can be asked.
  ---@param begin table its begin record
  ---@param why string? why it could not be found out
  ---@return boolean? happened, string? by
  function later.ask_outcome(_, effect, begin, why)
    local id = later.outcome_gate(begin)
    local given = run.answers[id]
    if given ~= nil then
      run.answers_met[id] = true
      if given ~= "happened" and given ~= "not" then
        error(errors.usage { message = ("--answer %s=%s: expected happened or not"):format(id, given) }, 0)
      end
      return given == "happened", "by --answer"
    elseif not with.can_ask() then
      return nil
    end
    local request = {
      id = id,
      text = ("Did this happen? %s"):format(effect.summary),
      effect = effect,
      where = effect.where,
      flag = "happened",
      options = { { id = "happened" }, { id = "not" } },
      explain = {
        { "begun", ("%s; then opsrun ended before it heard the outcome"):format(begin.t) },
        { "found out", why or "it cannot be found out afterwards" },
        { "happened", "it is not made again, the step goes on behind it" },
        { "not", "it is made now" },
        { "else", "the run stops with 7 and stays as it is: look at the target, then resume again" },
      },
      list = function()
        report_lines.aside("   ", ("begun %s, then opsrun ended; look at the target before you answer"):format(begin.t))
      end,
    }
    local words = with.ask_alone(function()
      return question.ask(host, run, request, { kind = "line", prompt = "   happened, not, or anything else to stop: " })
    end)
    context.need "a question"
    if words == "happened" or words == "not" then
      return words == "happened", with.by_operator()
    end
    return nil
  end

  --- Asks whether what a resumed run rests on is too old; without a terminal the run is suspended.
  function later.confirm_stale(_, request)
    if run.answers.stale == nil and not with.can_ask() then
      error(errors.suspended { message = request.text, hint = request.hint, code = "stale" }, 0)
    end
    local answer = with.confirm(request)
    journal.write(run, { type = "gate", gate = "stale", answer = answer.answer, by = answer.by, at = answer.at })
  end

  return later
end
