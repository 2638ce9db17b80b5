--- The report as a person reads it: stdout carries what is worth keeping (header, steps, tables,
--- checks, summary), stderr what is not (progress, messages).
local plain = require "runtime.plain"
local table_text = require "runtime.table_text"
local report_text = {}

local host, options
local quiet, verbose, terminal = false, 0, false
local page = false -- is stdout a terminal? Then tables are cut to its width
local in_step = nil -- the step whose heading stands above, so that its end needs no name
local indent = "    "

local words = { ok = "OK", warning = "WARNING", critical = "CRITICAL", unknown = "UNKNOWN" }
local colours = {
  ok = "green",
  warning = "yellow",
  critical = "red",
  unknown = "yellow",
  done = "green",
  failed = "red",
  refused = "red",
  skipped = "dim",
  declined = "dim",
  planned = "cyan",
  undetermined = "yellow",
}

local function out(text, style)
  host.term.out(text, style)
end

local function line(text, style)
  out(text .. "\n", style)
end

local function width()
  return page and math.max(40, host.term.width()) or nil
end

--- "0.03s", "12s", "3m12s"
local function seconds_text(seconds)
  if seconds < 0.05 then
    return ("%.0fms"):format(seconds * 1000)
  elseif seconds < 10 then
    return ("%.1fs"):format(seconds)
  elseif seconds < 60 then
    return ("%.0fs"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return ("%dm%02ds"):format(whole // 60, whole % 60)
  end
  return ("%dh%02dm"):format(whole // 3600, whole % 3600 // 60)
end
report_text.seconds_text = seconds_text

--- Prints `text` behind `lead`, its later lines below its first, on a terminal wrapped; `tail` stands
--- dim behind the last.
local function hanging(lead, text, style, lead_style, tail)
  local room = width()
  local lead_width = host.term.display_width(lead)
  local parts = table_text.wrap(text, room and room - lead_width)
  for i, part in ipairs(parts) do
    out(i == 1 and lead or (" "):rep(lead_width), i == 1 and lead_style or nil)
    local last = tail and i == #parts
    if last and (not room or lead_width + host.term.display_width(part .. tail) <= room) then
      out(part, style)
      line(tail, "dim")
    else
      line(part, style)
      if last then
        local below = (" "):rep(lead_width)
        line(table_text.hang(below, tail:match "^%s*(.*)$", room), "dim")
      end
    end
  end
end

--- Prints indented lines. A list may stand before a question, so it is whole; what is far too long for
--- a person ends with a line that says what is left out.
local function block(lines, style)
  local limit = page and 5000 or math.huge
  for i, text in ipairs(lines) do
    if i > limit then
      line(indent .. ("… %d more lines, not shown on a terminal"):format(#lines - limit), "bold yellow")
      return
    end
    line(indent .. text, i == 1 and style or nil)
  end
end

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
  local mode = e.mode == "dry" and "DRY RUN: reads are real, changes are shown and not made" or "LIVE"
  local room = width()
  out("environment ")
  out(marked, e.protected and "bold red" or "bold")
  out(who)
  local fits = not room or host.term.display_width(("environment %s%s  %s"):format(marked, who, mode)) <= room
  out(fits and "  " or "\n")
  hanging("", mode, e.mode == "dry" and "bold cyan" or "bold")
  hanging("", ("playbook %s  run %s"):format(e.playbook, e.run), "dim")
end

handlers["step.start"] = function(e)
  in_step = nil
  if terminal then
    host.term.status((" %s/%d %s"):format(e.number, e.total, e.name))
  end
end

local function open_step(e)
  if e.step and in_step ~= e.step.key then
    in_step = e.step.key
    heading { number = e.step.number, name = e.step.name, attempt = e.step.attempt }
  end
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
  hanging(indent .. "WOULD ", e.effect.summary, nil, "bold cyan")
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
    hanging(indent .. verb, e.effect.summary, verb == "read  " and "dim" or nil)
    if verbose > 1 and e.result ~= nil then
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
  if terminal and not e.over then
    host.term.status((" waiting: %s … %s of at most %s"):format(e.text, seconds_text(e.seconds), e.within))
  elseif e.over then
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
  hanging(indent .. "error: ", failure.message, "red", "red")
  if failure.where then
    line(indent .. "at " .. failure.where, "dim")
  end
  if failure.hint then
    hanging(indent .. "try: ", failure.hint)
  end
end

handlers["step.end"] = function(e)
  host.term.status(nil)
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
  hanging(indent .. state .. (e.reason and ": " or ""), e.reason or "", nil, style, "  " .. seconds_text(e.seconds))
end

handlers["message"] = function(e)
  host.term.status(nil)
  host.term.err((terminal and "\n" or "opsrun: ") .. e.text .. "\n", e.style)
end

local function summary_head(e)
  local style = e.code == 0 and "bold green" or "bold red"
  hanging("", e.headline, style, nil, "  " .. seconds_text(e.seconds))
end

--- What failed and where, in one line: "step 'Count connections', db-exhaustion.lua:42: …".
---@param e table the run.end event
function report_text.failure_text(e)
  local place = {}
  place[#place + 1] = e.step_name and ("step '%s'"):format(e.step_name) or nil
  place[#place + 1] = e.failure.where
  return (#place > 0 and (table.concat(place, ", ") .. ": ") or "") .. e.failure.message
end

--- The same words several times in a row as one line: "12 × exec primary: …".
local function counted(list)
  local out_list, count = {}, 0
  for i, text in ipairs(list) do
    count = count + 1
    if list[i + 1] ~= text then
      out_list[#out_list + 1] = count > 1 and ("%d × %s"):format(count, text) or text
      count = 0
    end
  end
  return out_list
end

handlers["run.end"] = function(e)
  host.term.status(nil)
  line("")
  line(("─"):rep(math.min(width() or 60, 60)), "dim")
  summary_head(e)
  local function item(name, text, style)
    hanging(("  %-12s "):format(name), text, style, "dim")
  end
  if e.reason then
    item("finished", e.reason)
  end
  if e.failure then
    item("error", report_text.failure_text(e), "red")
    if not page then -- whoever looks at stderr only, such as cron's mail, is told as well
      host.term.message("error", report_text.failure_text(e), e.failure.hint)
    end
    if e.failure.hint then
      item("try", e.failure.hint)
    end
  end
  for _, text in ipairs(e.also) do
    item("error", text, "red")
    if not page then
      host.term.message("error", text)
    end
  end
  for i, change in ipairs(counted(e.changed)) do
    item(i == 1 and (e.dry and "would change" or "changed") or "", change)
  end
  if #e.changed == 0 and not e.dry then
    item("changed", "nothing")
  end
  for i, text in ipairs(e.told) do
    item(i == 1 and "told" or "", text)
  end
  for i, text in ipairs(e.left) do
    item(i == 1 and "not undone" or "", text, "yellow")
  end
  for i, check in ipairs(e.checks) do
    item(i == 1 and "checks" or "", check.text, check.style)
  end
  for i, open in ipairs(e.open) do
    item(i == 1 and "open" or "", open, "yellow")
  end
  if e.fidelity then
    item("how true", e.fidelity, "cyan")
  end
  for i, next_command in ipairs(e.next) do
    item(i == 1 and "next" or "", next_command)
  end
end

--- With -q: nothing but failures, questions, checks that are not well, and the summary.
local in_quiet = { show = true, note = true, effect = true, artifact = true, wait = true }

--- Opens the text renderer.
---@param given {host: table, verbosity: integer, quiet: boolean}
---@return fun(event: table)
function report_text.open(given)
  host, options = given.host, given
  quiet, verbose = options.quiet, options.verbosity or 0
  terminal, page = host.term.is_terminal(), host.term.shows "out"
  table_text.open(host.term.display_width, host.term.shown)
  in_step = nil
  return function(event)
    local handler = handlers[event.event]
    if not handler then
      return
    end
    if terminal and event.event ~= "step.start" and event.event ~= "wait" then
      host.term.status(nil)
    end
    if quiet and (in_quiet[event.event] or event.event == "check" and event.verdict == "ok") then
      return
    end
    handler(event)
  end
end

return report_text
