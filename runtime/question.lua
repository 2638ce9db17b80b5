--- How a question stands on the terminal, and the words at it that are no answer: `?` explains what yes and
--- no do, `d` shows all that is known, `note` adds a note to the journal. Then the question comes again.
local context = require "runtime.context"
local journal = require "runtime.journal"
local question_details = require "runtime.question_details"
local report = require "runtime.report"
local report_lines = require "runtime.report_lines"
local text = require "runtime.text"
local question = {}

local WORDS = { "?", "d", "note" }

--- Shows what is asked: its text, where, how much, and the words that are no answer.
---@param request table {id, text, impact?}
local function show(host, run, request)
  host.term.status(nil)
  host.term.err "\n"
  report_lines.aside(" ? ", request.text, "bold")
  local place = run.environment.name .. (run.environment.protected and " (PROTECTED)" or "")
  local impact = request.impact and ("   impact " .. tostring(request.impact)) or ""
  report_lines.aside("   ", ("environment %s%s"):format(place, impact))
  if request.list then
    request.list()
  end
  local told = { ["?"] = "? explains", d = "d shows details", note = "note adds a note to the journal" }
  local hints = {}
  for i, word in ipairs(request.words) do
    hints[i] = told[word]
  end
  report_lines.aside("   ", table.concat(hints, ", "), "dim")
end

--- Line by line: lead and text.
local function explain(request, run)
  local current = context.current()
  local step = current.step
  local shown = step and step.shown
  local place = run.environment.name .. (run.environment.protected and ", PROTECTED" or "")
  local function item(name, what)
    report_lines.aside(("   %-12s "):format(name), what)
  end
  item("asked by", ("step %s '%s'%s"):format(shown.number, shown.name, request.where and (", " .. request.where) or ""))
  item("environment", place)
  if request.impact then
    item("impact", tostring(request.impact))
  end
  for _, line in ipairs(request.explain or {}) do
    item(line[1], line[2])
  end
  if request.within then
    item("in time", ("no answer within %s counts as a no"):format(report_lines.seconds_text(request.within)))
  end
  local flag = ("--answer %s=%s"):format(text.shell_word(request.id), text.shell_word(request.flag or "yes"))
  item("gate", request.id)
  item("unattended", request.unattended or flag)
end

--- What the run has changed until now, as words.
function question.so_far(run)
  if run.changes == 0 then
    return "nothing was changed so far"
  end
  return ("the %d change%s made so far stay%s"):format(run.changes, run.changes == 1 and "" or "s", run.changes == 1 and "s" or "")
end

--- What becomes of the run when this step's gate stays closed.
---@return string
function question.no_means(run, optional)
  if optional then
    return "this step ends as declined, the run goes on with the next one"
  end
  local undos = 0
  for _, entry in ipairs(run.stack or {}) do
    undos = undos + (entry.kind == "undo" and not entry.done and 1 or 0)
  end
  local back = undos > 0 and (", you are asked whether to take back %d of them"):format(undos) or ""
  return "the run ends here, refused (exit code 5); " .. question.so_far(run) .. back
end

local function add_note(host, run, request)
  local note = host.term.ask { kind = "line", prompt = "   note (Enter for none): " }
  if not note or note == "" then
    return
  end
  journal.write(run, {
    type = "gate.note",
    gate = request.id,
    step = context.current().step.id,
    text = note,
    by = ("by %s at %s"):format(run.operator, host.clock.utc(host.clock.wall())),
  }, true)
  report_lines.aside("   noted: ", note, "dim")
end

local function is_option(request, word)
  for _, option in ipairs(request.options or {}) do
    if option.id == word then
      return true
    end
  end
  return request.type == word
end

--- The words that are no answer to this question: none that could be one.
local function words_of(request, kind)
  local free = kind == "line" and not request.options and not request.type
  local words = {}
  for _, word in ipairs(free and { "?" } or WORDS) do
    if not is_option(request, word) then
      words[#words + 1] = word
    end
  end
  return words
end

--- Shows the question. `within` counts from now on.
---@param kind "yesno"|"line"|nil
function question.open(host, run, request, kind)
  request.began = host.clock.monotonic()
  if not request.before_step then -- its heading comes when it is played
    report.emit { event = "asking", step = context.current().step.shown, id = request.id, text = request.text }
  end
  request.words = words_of(request, kind or "yesno")
  show(host, run, request)
end

--- Asks what was shown, again after each word that is no answer.
---@param host table
---@param run table
---@param request table {id, text, impact?, within?, type?, options?, where?, details?, effect?, flag?, list?: fun(), explain?: string[][]}
---@param how {kind: "yesno"|"line", prompt: string}
---@return any answer, table? err as host.term.ask
function question.again(host, run, request, how)
  local words = request.words
  while true do
    local left = request.within and math.max(0.001, request.within - (host.clock.monotonic() - request.began))
    local answer, err = host.term.ask {
      kind = how.kind,
      prompt = how.prompt,
      timeout = left,
      words = how.kind == "yesno" and table.concat(words, " ") or nil,
    }
    if type(answer) ~= "string" or not text.has(words, answer) then
      return answer, err
    elseif answer == "?" then
      explain(request, run)
    elseif answer == "d" then
      question_details.show(request)
    else
      add_note(host, run, request)
    end
    show(host, run, request)
  end
end

--- Shows and asks.
function question.ask(host, run, request, how)
  question.open(host, run, request, how.kind)
  return question.again(host, run, request, how)
end

return question
