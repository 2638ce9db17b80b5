--- What `d` at a question shows: what the author gave as details, the very effect that waits for the answer,
--- the tables this step has shown, whole, and the effects it has made so far, word by word.
local context = require "runtime.context"
local plain = require "runtime.plain"
local report_lines = require "runtime.report_lines"
local report_live = require "runtime.report_live"
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local question_details = {}

local say = report_lines.aside

--- One field a line, what is too long below itself.
local function show_fields(row, names)
  local wide = 0
  for _, name in ipairs(names) do
    wide = math.max(wide, table_text.width(tostring(name)))
  end
  for _, name in ipairs(names) do
    local fill = (" "):rep(wide - table_text.width(tostring(name)))
    say(("     %s%s  "):format(name, fill), table_text.value(row[name]))
  end
end

--- A value whole: rows too wide for the window stand one field below the other, so that nothing is cut.
local function show_value(value, columns)
  local room = report_lines.columns() - 5
  local lines, wide = table_text.any(value, columns), 0
  for _, line in ipairs(lines) do
    wide = math.max(wide, table_text.width(line))
  end
  if wide <= room or not table_text.is_rows(value) then
    for _, line in ipairs(lines) do
      say("     ", line)
    end
    return
  end
  local names = table_text.columns(value, columns)
  for i, row in ipairs(value) do
    show_fields(row, names)
    if i < #value then
      say("     ", "")
    end
  end
end

local function show_effect(effect)
  say("   ", effect.kind .. (effect.target and (" on " .. effect.target) or ""), "bold")
  local body = plain.copy(effect.body or {})
  if next(body) ~= nil then
    show_fields(body, text.keys(body))
  end
end

--- Prints all there is to know before answering.
---@param request table {details?: any, effect?: table}
function question_details.show(request)
  local current = context.current()
  local seen = report_live.seen(current.step and current.step.shown.key)
  local any = false
  if request.details ~= nil then
    any = true
    show_value(request.details)
  end
  if request.effect then
    any = true
    show_effect(request.effect)
  end
  for _, shown in ipairs(seen.shows) do
    any = true
    say("   ", (shown.title or "shown by this step") .. ":", "bold")
    show_value(shown.value, shown.columns)
  end
  for _, effect in ipairs(seen.effects) do
    any = true
    show_effect(effect)
  end
  if not any then
    say("   ", "this step has read and shown nothing before it asked")
  end
end

return question_details
