--- The end of the report: how the run ended, what it changed, what is left to do, the next command.
local report_lines = require "runtime.report_lines"
local report_end = {}

local host
local verbose = 0
local line, hanging = report_lines.line, report_lines.hanging

--- Hands over the host.
---@param verbosity integer from 1 on the summary lists every check
function report_end.open(given, verbosity)
  host, verbose = given, verbosity or 0
end

local function summary_head(e)
  local style = e.code == 0 and "bold green" or e.state == "suspended" and "bold yellow" or "bold red"
  hanging("", e.headline, style, nil, "  " .. report_lines.seconds_text(e.seconds))
end

--- What failed and where, in one line: "step 'Count connections', db-exhaustion.lua:42: …".
---@param e table the run.end event
function report_end.failure_text(e)
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

--- More checks that are well than this are one line: what is bad must not leave the screen.
local MANY = 8

--- The checks as the summary lists them: the bad ones first, their verdicts below each other.
---@param checks {text: string, style: string?, verdict: string}[] worst first
local function worth_a_line(checks)
  local well, list = 0, {}
  for _, check in ipairs(checks) do
    well = well + (check.verdict == "ok" and not check.undetermined and 1 or 0)
  end
  for _, check in ipairs(checks) do
    if well <= MANY or verbose > 0 or check.verdict ~= "ok" or check.undetermined then
      local text = check.text
      if well < #checks and #checks > 1 then
        text = text:gsub("^(%u+)  ", function(word)
          return ("%-8s  "):format(word)
        end)
      end
      list[#list + 1] = { text = text, style = check.style }
    end
  end
  if well > MANY and verbose == 0 then
    list[#list + 1] = { text = ("%-8s  %d %schecks (-v lists them)"):format("OK", well, #list > 0 and "other " or ""), style = "green" }
  end
  return list
end

--- Whoever looks at stderr only, such as cron's mail, is told as well; behind the summary, since both may be one file.
local function say_on_stderr(e)
  if e.failure then
    local waits = e.failure.kind == "suspended"
    host.term.message(waits and "note" or "error", report_end.failure_text(e), e.failure.hint)
  end
  for _, text in ipairs(e.also) do
    host.term.message("error", text)
  end
end

--- Prints the summary.
---@param e table the run.end event
function report_end.show(e)
  line("")
  line(("─"):rep(math.min(report_lines.width() or 60, 60)), "dim")
  summary_head(e)
  local function item(name, text, style)
    hanging(("  %-12s "):format(name), text, style, "dim")
  end
  if e.reason then
    item("finished", e.reason)
  end
  if e.failure then
    local waits = e.failure.kind == "suspended"
    item(waits and "waits" or "error", report_end.failure_text(e), waits and "yellow" or "red")
    if e.failure.hint then
      item(waits and "then" or "try", e.failure.hint)
    end
  end
  for _, text in ipairs(e.also) do
    item("error", text, "red")
  end
  for i, change in ipairs(counted(e.rehearsed or {})) do
    item(i == 1 and "rehearsed" or "", change)
  end
  for i, change in ipairs(counted(e.changed)) do
    item(i == 1 and (e.dry and "would change" or "changed") or "", change)
  end
  for i, change in ipairs(counted(e.before or {})) do
    item(i == 1 and "before" or "", change, "dim")
  end
  if #e.changed == 0 and not e.dry then
    item("changed", "nothing")
  end
  for i, text in ipairs(e.told) do
    item(i == 1 and "told" or "", (text:gsub("^tell ", ""))) -- "told" has said it
  end
  for i, text in ipairs(e.left) do
    item(i == 1 and "not undone" or "", text, "yellow")
  end
  for i, check in ipairs(worth_a_line(e.checks)) do
    item(i == 1 and "checks" or "", check.text, check.style)
  end
  for i, limit in ipairs(e.limits or {}) do
    local over = limit.spent > limit.limit
    item(i == 1 and "limits" or "", ("%s %g of %g"):format(limit.name, limit.spent, limit.limit), over and "red" or nil)
  end
  for i, open in ipairs(e.open) do
    item(i == 1 and "open" or "", open, "yellow")
  end
  if e.fidelity then
    item("how true", e.fidelity, "cyan")
  end
  if e.anchor then -- half of its digits prove enough, and fit on a line
    local count, digest = e.anchor:match "^(%d+):(%x*)"
    item("journal", ("%s records, anchor %s:%s"):format(count, count, digest:sub(1, 32)), "dim")
  end
  for i, next_command in ipairs(e.next) do
    item(i == 1 and "next" or "", next_command)
  end
  if not report_lines.page then
    say_on_stderr(e)
  end
end

return report_end
