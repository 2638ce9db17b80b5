--- How a run ended: its state, its exit code (design 3: the first that applies), its summary.
local author_report = require "runtime.author.report"
local budget = require "runtime.budget"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local stack = require "runtime.stack"
local step = require "runtime.step"
local table_text = require "runtime.table_text"
local outcome = {}

local signal_codes = { SIGINT = 130, SIGTERM = 143, SIGHUP = 129 }

--- The exit code of one failure when nothing more was done about it.
local function failure_code(run, failure)
  local kind = failure.kind
  if kind == "precondition" then
    return run.changes > 0 and 1 or 4
  elseif kind == "journal" then
    return (run.changes > 0 or (run.begun or 0) > 0) and 7 or 4
  end
  return errors.kinds[kind] or 1
end

--- The exit code of the run.
---@param run table
---@param failure table? what ended the steps
function outcome.code(run, failure)
  if run.unknown or errors.is(failure, "unknown") then
    return 7
  elseif errors.is(failure, "journal") then
    return failure_code(run, failure)
  elseif failure and run.undone == "failed" then
    return 9
  elseif not failure and run.undo_failure then
    return 9
  elseif failure and run.undone == "clean" then
    return 8
  elseif run.signal then
    return signal_codes[run.signal] or 130
  elseif run.deadline_over then
    return 124
  elseif failure then
    return failure_code(run, failure)
  end
  local worst = step.worst(run)
  local fail_on = run.options.fail_on
  if worst == "critical" and (not run.dry or fail_on) then
    return 1
  elseif (worst == "warning" or worst == "unknown") and fail_on == "warning" then
    return 1
  end
  for id in pairs(run.answers) do
    if not run.answers_met[id] and not run.known_gate(id) then
      run.answer_unmet = id
      return 2
    end
  end
  return 0
end

--- The exit code of `opsrun undo`.
---@param ok boolean every way back went well
function outcome.code_of_undo(run, ok)
  if run.unknown or #run.recording:doubts() > 0 then
    return 7
  end
  return ok and 0 or 9
end

local states = {
  [0] = "done",
  [5] = "refused",
  [6] = "suspended",
  [7] = "in doubt",
  [8] = "undone",
}

--- The state of a run with this code.
function outcome.state(run, code)
  if run.taking_back and code == 0 then
    return "undone"
  end
  if (code == 1 or code == 2) and not run.failure then
    return "done" -- only a check or a stray --answer says otherwise
  elseif run.signal and code >= 129 then
    return "interrupted"
  end
  return states[code] or "failed"
end

local headlines = {
  done = "DONE",
  failed = "FAILED",
  refused = "REFUSED",
  suspended = "SUSPENDED",
  undone = "FAILED, TAKEN BACK",
  interrupted = "INTERRUPTED",
  ["in doubt"] = "OUTCOME UNKNOWN",
}

local function headline(run, state, code)
  local word = run.taking_back and state == "undone" and "TAKEN BACK" or headlines[state]
  if state == "done" and code ~= 0 then
    word = run.answer_unmet and "DONE, but an answer met no gate"
      or step.worst(run) == "critical" and "DONE, a check is critical"
      or "DONE, with warnings"
  elseif state == "done" and step.worst(run) ~= "ok" and not run.dry then
    word = "DONE, with warnings"
  end
  if run.dry then
    local what = run.rehearse and "REHEARSAL" or "DRY RUN"
    word = state == "done" and code == 0 and what .. " DONE, nothing was changed" or what .. ": " .. word .. ", nothing was changed"
  end
  return ("%s   %s on %s   exit %d"):format(word, run.header.title or run.playbook, run.environment.name, code)
end

local check_styles = { critical = "red", warning = "yellow", unknown = "yellow" }

local function check_lines(run)
  local list = {}
  for _, name in ipairs(run.check_order) do
    local entry = run.checks[name]
    list[#list + 1] = {
      name = name,
      value = entry.value,
      unit = entry.unit,
      verdict = entry.verdict,
      undetermined = entry.undetermined,
      rehearsed = entry.rehearsed,
      style = entry.undetermined and "yellow" or check_styles[entry.verdict],
      text = ("%s  %s %s%s%s"):format(
        entry.undetermined and "UNDETERMINED" or entry.verdict:upper(),
        name,
        entry.value == nil and "no value" or table_text.value(entry.value),
        entry.unit and entry.value ~= nil and (" " .. entry.unit) or "",
        entry.rehearsed and not entry.undetermined and "   (rehearsed)" or ""
      ),
    }
  end
  local order, rank = {}, {}
  for index, item in ipairs(list) do
    order[item] = index
    rank[item] = item.undetermined and 0.5 or author_report.rank[item.verdict]
  end
  table.sort(list, function(a, b)
    if rank[a] ~= rank[b] then
      return rank[a] > rank[b]
    end
    return order[a] < order[b]
  end)
  return list
end

--- What to type next, most useful first.
local function next_commands(run, state, code)
  local list = {}
  for _, command in ipairs(run.suggestions) do
    list[#list + 1] = command
  end
  if state ~= "done" and state ~= "undone" and not run.dry then
    list[#list + 1] = "opsrun resume " .. run.id
    if #stack.pending(run, true) > 0 then
      list[#list + 1] = "opsrun undo " .. run.id
    end
  end
  if state ~= "done" or code ~= 0 then
    list[#list + 1] = "opsrun log " .. run.id
  elseif run.dry and ((run.planned_count or 0) > 0 or run.rehearsed_first) then
    list[#list + 1] = run.command_line
  end
  return list
end

--- What a failed run left that could have been taken back.
local function left_behind(run)
  local list = {}
  for _, entry in ipairs(run.failure and not run.dry and stack.pending(run, true) or {}) do
    list[#list + 1] = entry.text
  end
  return list
end

--- Steps that failed beside the one that is named as the failure: those of a group that keeps going.
local function also_failed(run, failure)
  local list, seen = {}, { [failure or false] = true }
  for _, record in ipairs(failure and run.step_records or {}) do
    if record.failure and not seen[record.failure] and (record.state == "failed" or record.state == "refused") then
      seen[record.failure] = true
      list[#list + 1] = ("step '%s': %s"):format(record.shown.name, record.failure.message)
    end
  end
  return list
end

--- The event that ends the report.
function outcome.event(run, failure, code, seconds)
  local state = outcome.state(run, code)
  local changed, told_people, before = {}, {}, {}
  if run.dry then
    for _, entry in ipairs(run.planned_list) do
      changed[#changed + 1] = entry
    end
  else
    for _, change in ipairs(run.changed) do
      local list = change.before and before or change.class == "tell" and told_people or changed
      list[#list + 1] = (change.outcome == "done" and "" or ("(" .. change.outcome .. ") ")) .. change.summary
    end
  end
  local told = failure or run.undo_failure
  if run.answer_unmet then
    told = errors.usage {
      message = ("--answer '%s' met no gate"):format(run.answer_unmet),
      hint = #run.gates > 0 and ("gates of this run: " .. table.concat(run.gates, ", ")) or "this run had no gate",
    }
  end
  return {
    event = "run.end",
    run = run.id,
    state = state,
    code = code,
    dry = run.dry,
    headline = headline(run, state, code),
    seconds = seconds,
    failure = told,
    also = also_failed(run, failure),
    step = run.failed_step and run.failed_step.id,
    step_name = run.failed_step and run.failed_step.shown.name,
    changed = changed,
    before = #before > 0 and before or nil,
    told = told_people,
    checks = check_lines(run),
    worst = step.worst(run),
    open = run.open,
    limits = budget.lines(run),
    left = left_behind(run),
    rehearsed = run.rehearsed_first and run.rehearsed_list or nil,
    fidelity = run.dry and engine.fidelity(run) or nil,
    next = next_commands(run, state, code),
    reason = run.finished,
  }
end

return outcome
