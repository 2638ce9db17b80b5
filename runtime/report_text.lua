--- The report as a person reads it: stdout carries what is worth keeping (header, steps, tables,
--- checks, summary), stderr what is not (progress, messages). How lines are made is in report_lines, the
--- summary in report_end, what goes on now in report_live.
local plain = require "runtime.plain"
local report_end = require "runtime.report_end"
local report_lines = require "runtime.report_lines"
local report_live = require "runtime.report_live"
local table_text = require "runtime.table_text"
local report_text = { seconds_text = report_lines.seconds_text, failure_text = report_end.failure_text }

local host
local quiet, verbose = false, 0
local in_step = nil -- the step whose heading stands above, so that its end needs no name
local indent, out, line = report_lines.indent, report_lines.out, report_lines.line
local hanging, block, width, seconds_text =
  report_lines.hanging, report_lines.block, report_lines.width, report_lines.seconds_text

local words = { ok = "OK", warning = "WARNING", critical = "CRITICAL", unknown = "UNKNOWN" }
local colours = {
  ok = "green",
  warning = "yellow",
  critical = "red",
  unknown = "yellow",
  done = "green",
  failed = "red",
  refused = "red",
  suspended = "yellow",
  skipped = "dim",
  declined = "dim",
  planned = "cyan",
  undetermined = "yellow",
}

local function heading(event)
  line("")
  local tried = event.attempt > 1 and (" (attempt %d)"):format(event.attempt) or nil
  hanging((" %s  "):format(event.number), event.name, "bold", "bold", tried)
end

local handlers = {}

handlers["run.start"] = function(e)
  line("")
  local severity = e.severity and ("   %s%s"):format(e.severity, e.respond and (", respond within " .. e.respond) or "")
  hanging("", e.title, "bold", nil, severity)
  local place = e.label and e.label ~= e.environment and ("%s (%s)"):format(e.environment, e.label) or e.environment
  local marked = place .. (e.protected and " PROTECTED" or "")
  local who = ("  operator %s@%s"):format(e.operator, e.hostname)
  local mode = e.rehearse and "REHEARSAL: reads are real, SQL is made and rolled back, other changes are shown"
    or e.mode == "dry" and "DRY RUN: reads are real, changes are shown and not made" or "LIVE"
  local room = width()
  out("environment ")
  out(marked, e.protected and "bold red" or "bold")
  out(who)
  local fits = not room or host.term.display_width(("environment %s%s  %s"):format(marked, who, mode)) <= room
  out(fits and "  " or "\n")
  hanging("", mode, e.mode == "dry" and "bold cyan" or "bold")
  hanging("", ("playbook %s  run %s"):format(e.playbook, e.run), "dim")
  local resumes = e.resumes
  if resumes then
    local made = resumes.changes == 0 and "nothing was changed before"
      or resumes.changes == 1 and "1 change was made before, it is not made again"
      or ("%d changes were made before, none is made again"):format(resumes.changes)
    hanging("RESUMES  ", ("%d of %d steps are done; %s"):format(resumes.done, resumes.total, made), nil, "bold cyan")
    if resumes.done > 0 then
      line("")
    end
  end
end

--- A step that is over by the journal of a run that is gone on with.
handlers["step.before"] = function(e)
  local what = e.reason and (": " .. e.reason) or ""
  hanging((" %s  "):format(e.step.number), ("%s  %s before%s"):format(e.step.name, e.state, what), "dim", "dim")
end

handlers["step.start"] = function()
  in_step = nil
end

local function open_step(e)
  if e.step and in_step ~= e.step.key then
    in_step = e.step.key
    heading { number = e.step.number, name = e.step.name, attempt = e.step.attempt }
  end
end

--- A change nobody knew the outcome of.
handlers["resolved"] = function(e)
  open_step(e)
  local happened = e.undo and "happened: " or "happened, not made again: "
  local word = e.again and "made again: " or e.happened and happened or "did not happen: "
  hanging(indent .. word, ("%s (%s)"):format(e.effect.summary, e.by), nil, "bold")
end

handlers["override"] = function(e)
  open_step(e)
  hanging(indent .. "OVERRIDDEN ", ("%s: %s"):format(e.text, e.refusal), "bold red", "bold red")
end

handlers["check"] = function(e)
  open_step(e)
  local word = e.undetermined and "UNDETERMINED" or words[e.verdict]
  local value = e.value == nil and "no value" or table_text.value(e.value)
  local text = ("%s %s%s"):format(e.name, value, e.unit and e.value ~= nil and (" " .. e.unit) or "")
  local tail = e.threshold and ("   (%s)"):format(e.threshold) or ""
  if e.undetermined then
    tail = ("%s   would be %s now; depends on changes not made"):format(tail, words[e.verdict])
  end
  if e.rehearsed and not e.undetermined then
    tail = tail .. "   rehearsed"
  end
  local style = "bold " .. (e.undetermined and "yellow" or colours[e.verdict])
  hanging(("%s%-8s  "):format(indent, word), text, nil, style, tail)
end

handlers["show"] = function(e)
  open_step(e)
  if e.title then
    hanging(indent, e.title .. ":", "dim")
  end
  local columns = width()
  local lines = table_text.any(e.value, e.columns, columns and columns - #indent)
  block(lines, table_text.is_rows(e.value) and "dim" or nil)
end

handlers["note"] = function(e)
  open_step(e)
  for _, text in ipairs(table_text.any(e.text)) do
    hanging(indent, text)
  end
end

handlers["chart"] = function(e)
  open_step(e)
  line(indent .. e.title .. ":", "dim")
  block(table_text.bars(e.rows, width()))
end

handlers["artifact"] = function(e)
  open_step(e)
  line(indent .. "saved " .. e.path, "dim")
end

handlers["planned"] = function(e)
  open_step(e)
  hanging(indent .. (e.rehearsed and "REHEARSED " or "WOULD "), e.effect.summary, nil, "bold cyan")
  local preview = e.preview or {}
  local columns = width()
  if e.effect.detail then
    hanging(indent .. "      ", e.effect.detail, "dim")
  end
  for _, text in ipairs(preview.lines or {}) do
    hanging(indent .. "      ", text, "dim")
  end
  if preview.rows then
    for _, text in ipairs(table_text.rows(preview.rows, nil, columns and columns - 10)) do
      line(indent .. "      " .. text, "dim")
    end
  end
  if preview.not_checked then
    hanging(indent .. "      ", "not checked: the server was not asked about this statement", "yellow")
  end
end

--- What an effect returned, for -vv: its first lines, and how many more there are.
local function result_lines(result)
  local room = width()
  local lines = table_text.any(plain.copy(result), nil, room and room - #indent - 2)
  for i = 1, math.min(20, #lines) do
    line(indent .. "  " .. (i == 20 and #lines > 20 and ("… %d more lines"):format(#lines - 19) or lines[i]), "dim")
  end
end

--- What a command printed, for -v: all that was kept of it.
local function output_lines(result)
  for _, name in ipairs { "stdout", "stderr" } do
    local text = result[name]
    if type(text) == "string" and text ~= "" then
      if name == "stderr" then
        line(indent .. "  stderr:", "dim")
      end
      for _, printed in ipairs(table_text.any(text)) do
        line(indent .. "  " .. printed, "dim")
      end
    end
  end
end

handlers["effect"] = function(e)
  if verbose == 0 and not (e.effect.class == "change" or e.effect.class == "tell") then
    return
  end
  if e.effect.class == "ask" then
    return
  end
  open_step(e)
  if e.ok then
    local verb = e.effect.class == "change" and "changed  " or e.effect.class == "tell" and "told  " or "read  "
    local what = verb == "told  " and e.effect.summary:gsub("^tell ", "") or e.effect.summary -- told tells it already
    hanging(indent .. verb, what, verb == "read  " and "dim" or nil)
    local printed = type(e.result) == "table" and rawget(e.result, "stdout")
    if verbose > 0 and type(printed) == "string" then
      output_lines(e.result)
    elseif verbose > 1 and e.result ~= nil then
      result_lines(e.result)
    end
  end
end

handlers["gate"] = function(e)
  open_step(e)
  if e.would_ask then
    local said = ("%s   (gate %s, taken as %s)"):format(e.text, e.id, e.taken or "yes")
    hanging(indent .. "WOULD ASK ", said, nil, "bold cyan")
    return
  end
  hanging(indent, ("%s %s"):format(e.text, e.answer), "bold")
  if e.by then
    line(indent .. "answered " .. e.by, "dim")
  end
end

handlers["asking"] = function(e)
  open_step(e)
end

handlers["wait"] = function(e)
  if e.over then
    open_step(e)
    hanging(indent, e.message, not e.ok and "yellow" or nil)
  end
end

handlers["undo"] = function(e)
  if e.phase == "list" then
    line("")
    line(e.title, "bold")
    for i, text in ipairs(e.items) do
      hanging(("%s%d. "):format(indent, i), text)
    end
    return
  end
  local word, style = e.ok and "done   " or "FAILED ", e.ok and "green" or "bold red"
  hanging(indent .. word, e.text .. (e.message and (": " .. e.message) or ""), nil, style)
end

local function failure_lines(failure)
  local style = failure.kind == "suspended" and "yellow" or "red"
  hanging(indent .. (failure.kind == "suspended" and "waits: " or "error: "), failure.message, style, style)
  if failure.where then
    line(indent .. "at " .. failure.where, "dim")
  end
  if failure.hint then
    hanging(indent .. "try: ", failure.hint)
  end
end

handlers["step.end"] = function(e)
  local state = e.state
  if in_step ~= e.step.key then
    if quiet and (state == "done" or state == "skipped") then
      return
    end
    heading(e.step)
  end
  in_step = nil
  if e.failure then
    failure_lines(e.failure)
  end
  local style = colours[state] and ("bold " .. colours[state]) or "bold"
  local took = not (state == "skipped" and e.seconds < 1) and "  " .. seconds_text(e.seconds) or nil
  hanging(indent .. state .. (e.reason and ": " or ""), e.reason or "", nil, style, took)
end

handlers["message"] = function(e)
  host.term.err((report_lines.terminal and "\n" or "opsrun: ") .. e.text .. "\n", e.style)
end

handlers["run.end"] = report_end.show

--- With -q: nothing but failures, questions, checks that are not well, and the summary.
local in_quiet = { show = true, note = true, effect = true, artifact = true, wait = true }

--- Opens the text renderer.
---@param given {host: table, verbosity: integer, quiet: boolean}
---@return fun(event: table) renderer
---@return fun(event: table)? live sees every event at once
function report_text.open(given)
  host = given.host
  quiet, verbose = given.quiet, given.verbosity or 0
  report_lines.open(host)
  report_end.open(host, verbose)
  in_step = nil
  local function render(event)
    local handler = handlers[event.event]
    if not handler then
      return
    end
    if quiet and (in_quiet[event.event] or event.event == "check" and event.verdict == "ok") then
      return
    end
    handler(event)
  end
  return render, report_live.open(given)
end

return report_text
