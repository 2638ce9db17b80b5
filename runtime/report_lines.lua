--- How the report's lines are made: indented, wrapped below themselves, cut to the window on a terminal.
local table_text = require "runtime.table_text"
local report_lines = { indent = "    ", terminal = false, page = false }

local host
local indent = report_lines.indent

--- Hands over the host. `page`: is stdout a terminal? Then tables are cut to its width.
function report_lines.open(given)
  host = given
  report_lines.terminal, report_lines.page = host.term.is_terminal(), host.term.shows "out"
  table_text.open(host.term.display_width, host.term.shown)
end

local function out(text, style)
  host.term.out(text, style)
end
report_lines.out = out

local function line(text, style)
  out(text .. "\n", style)
end
report_lines.line = line

--- Columns to write in, or nil: as many as it takes.
local function width()
  return report_lines.page and math.max(40, host.term.width()) or nil
end
report_lines.width = width

--- "0.03s", "12s", "3m12s"
function report_lines.seconds_text(seconds)
  if seconds < 0.05 then
    return ("%.0fms"):format(seconds * 1000)
  elseif seconds < 10 then
    return ("%.1fs"):format(seconds)
  elseif seconds < 60 then
    return ("%.0fs"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return (whole % 60 == 0 and "%dm" or "%dm%02ds"):format(whole // 60, whole % 60)
  end
  local minutes = whole % 3600 // 60
  return (minutes == 0 and "%dh" or "%dh%02dm"):format(whole // 3600, minutes)
end
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
report_lines.hanging = hanging

--- Prints indented lines. A list may stand before a question, so it is whole; what is far too long for
--- a person ends with a line that says what is left out.
function report_lines.block(lines, style)
  local limit = report_lines.page and 5000 or math.huge
  for i, text in ipairs(lines) do
    if i > limit then
      line(indent .. ("… %d more lines, not shown on a terminal"):format(#lines - limit), "bold yellow")
      return
    end
    line(indent .. text, i == 1 and style or nil)
  end
end

--- Columns of the terminal a person answers on.
function report_lines.columns()
  return host.term.width()
end

--- A line beside the report, on stderr: for the person, not for keeping.
function report_lines.aside(lead, text, style)
  host.term.err(table_text.hang(lead, text, host.term.width()) .. "\n", style)
end

return report_lines
