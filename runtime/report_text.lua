--- The report as a person reads it: stdout carries what is worth keeping (header, steps, tables,
--- checks, summary), stderr what is not (progress, messages).
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

--- Prints `text` behind `lead`, on a terminal wrapped so that its later lines stand below its first.
local function hanging(lead, text, style, lead_style)
  local room = width()
  local lead_width = utf8.len(lead) or #lead
  for i, part in ipairs(table_text.wrap(text, room and room - lead_width)) do
    out(i == 1 and lead or (" "):rep(lead_width), i == 1 and lead_style or nil)
    line(part, style)
  end
end

--- Prints indented lines; on a terminal a long table ends with a line that says what is left out.
local function block(lines, style)
  local limit = page and 200 or math.huge
  for i, text in ipairs(lines) do
    if i > limit then
      line(indent .. ("… %d more lines: opsrun log shows them"):format(#lines - limit), "dim")
      return
    end
    line(indent .. text, i == 1 and style or nil)
  end
end

local function heading(event)
  line("")
  out((" %s  "):format(event.number), "bold")
  out(event.name, "bold")
  if event.attempt > 1 then
    out((" (attempt %d)"):format(event.attempt), "yellow")
  end
  line("")
end

local handlers = {}

handlers["run.start"] = function(e)
  line("")
  out(e.title, "bold")
  line(e.severity and ("   %s%s"):format(e.severity, e.respond and (", respond within " .. e.respond) or "") or "")
  local place = e.label and e.label ~= e.environment and ("%s (%s)"):format(e.environment, e.label) or e.environment
  out("environment ")
  out(place, e.protected and "bold red" or "bold")
  if e.protected then
    out(" PROTECTED", "bold red")
  end
  out(("  operator %s@%s  "):format(e.operator, e.hostname))
  if e.mode == "dry" then
    out("DRY RUN: reads are real, changes are shown and not made", "bold cyan")
  else
    out("LIVE", "bold")
  end
  line("")
  line(("playbook %s  run %s"):format(e.playbook, e.run), "dim")
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
  out(indent)
  out(("%-8s"):format(word), "bold " .. (e.undetermined and "yellow" or colours[e.verdict]))
  local value = e.value == nil and "no value" or table_text.value(e.value)
  out(("  %s %s"):format(e.name, value))
  if e.unit and e.value ~= nil then
    out(" " .. e.unit)
  end
  if e.threshold then
    out(("   (%s)"):format(e.threshold), "dim")
  end
  if e.undetermined then
    out(("   would be %s now; depends on changes not made"):format(words[e.verdict]), "dim")
  end
  line("")
end

handlers["show"] = function(e)
  open_step(e)
  if e.title then
    line(indent .. e.title .. ":", "dim")
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
    line(indent .. "      " .. text, "dim")
  end
  if preview.rows then
    for _, text in ipairs(table_text.rows(preview.rows, nil, columns and columns - 10)) do
      line(indent .. "      " .. text, "dim")
    end
  end
  if preview.not_checked then
    line(indent .. "      not checked: the server was not asked about this statement", "yellow")
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
    local verb = (e.effect.class == "change" or e.effect.class == "tell") and "changed  " or "read  "
    hanging(indent .. verb, e.effect.summary, verb == "read  " and "dim" or nil)
  end
end

handlers["gate"] = function(e)
  open_step(e)
  if e.would_ask then
    local said = ("%s   (gate %s, taken as %s)"):format(e.text, e.id, e.taken or "yes")
    hanging(indent .. "WOULD ASK ", said, nil, "bold cyan")
    return
  end
  out(indent .. e.text .. " ")
  line(e.answer, "bold")
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
      line(("%s%d. %s"):format(indent, i, text))
    end
    return
  end
  out(indent)
  out(e.ok and "done   " or "FAILED ", e.ok and "green" or "bold red")
  line(e.text .. (e.message and (": " .. e.message) or ""))
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
  out(indent)
  out(state, colours[state] and ("bold " .. colours[state]) or "bold")
  if e.reason then
    out(": " .. e.reason)
  end
  line("  " .. seconds_text(e.seconds), "dim")
end

handlers["message"] = function(e)
  host.term.status(nil)
  host.term.err((terminal and "\n" or "opsrun: ") .. e.text .. "\n", e.style)
end

local function summary_head(e)
  local style = e.code == 0 and "bold green" or "bold red"
  out(e.headline, style)
  line(("  %s"):format(seconds_text(e.seconds)), "dim")
end

--- What failed and where, in one line: "step 'Count connections', db-exhaustion.lua:42: …".
---@param e table the run.end event
function report_text.failure_text(e)
  local place = {}
  place[#place + 1] = e.step_name and ("step '%s'"):format(e.step_name) or nil
  place[#place + 1] = e.failure.where
  return (#place > 0 and (table.concat(place, ", ") .. ": ") or "") .. e.failure.message
end

handlers["run.end"] = function(e)
  host.term.status(nil)
  line("")
  line(("─"):rep(math.min(width() or 60, 60)), "dim")
  summary_head(e)
  local function item(name, text, style)
    hanging(("  %-12s "):format(name), text, style, "dim")
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
  for i, change in ipairs(e.changed) do
    item(i == 1 and (e.dry and "would change" or "changed") or "", change)
  end
  if #e.changed == 0 and not e.dry then
    item("changed", "nothing")
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

--- Opens the text renderer.
---@param given {host: table, verbosity: integer, quiet: boolean}
---@return fun(event: table)
function report_text.open(given)
  host, options = given.host, given
  quiet, verbose = options.quiet, options.verbosity or 0
  terminal, page = host.term.is_terminal(), host.term.shows "out"
  table_text.open(host.term.display_width)
  in_step = nil
  return function(event)
    local handler = handlers[event.event]
    if not handler then
      return
    end
    if terminal and event.event ~= "step.start" and event.event ~= "wait" then
      host.term.status(nil)
    end
    if quiet and (event.event == "show" or event.event == "note" or event.event == "effect") then
      return
    end
    handler(event)
  end
end

return report_text
