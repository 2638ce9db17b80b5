--- lua5.4 tools/coverage.lua [--check | --sources DIR]: writes docs/COVERAGE.md, from what tools/coverage/ says of each
--- runbook and from the playbooks themselves. --check: 1 when it is stale. --sources: 1 when the runbooks in DIR have a
--- heading or block that tools/coverage/ lacks, or has otherwise.
package.path = "./?.lua;" .. package.path
local playbook_steps = require "tools.playbook_steps"
local source = require "tools.source"
local steps = require "tools.coverage.steps"

local coverage = { runbooks = {} }
for _, name in ipairs { "000", "001", "002", "003", "004" } do
  coverage.runbooks[#coverage.runbooks + 1] = require("tools.coverage." .. name)
end

--- What else covers a part, or why nothing has to.
local ALSO = {
  title = "no procedure: the title", contents = "no procedure: a table of contents", intro = "no procedure: describes the product",
  history = "no procedure: the document's history", holds = "no procedure: holds the headings below it",
  code = "code of the application: for its developers",
  limits = "limits: [thresholds](../thresholds/default.lua)",
  schedule = "when: [schedule](reference/header.md#schedule)",
  people = "who hears it, and when: [tell](reference/header.md), [clock](reference/steps.md#beside-the-steps)",
  environment = "names and addresses: [environment](reference/environments.md)",
}
--- With these alone a part needs no playbook.
local ENOUGH = { title = true, contents = true, intro = true, history = true, holds = true, code = true, schedule = true, people = true }

local known = {}

--- What a playbook declares; nil when there is none.
local function declared(playbook)
  local path = ("playbooks/%s.lua"):format(playbook)
  local file = io.open(path, "rb")
  if not file then return nil end
  file:close()
  known[playbook] = known[playbook] or playbook_steps(path)
  return known[playbook]
end

--- Each number of "1,3-5".
local function numbers(text)
  local list = {}
  for first, last in text:gmatch "(%d+)%-?(%d*)" do
    for number = tonumber(first), tonumber(last) or tonumber(first) do list[#list + 1] = number end
  end
  return list
end

--- The ids of steps behind a reference such as "incident/db-exhaustion 1,3-5"; without numbers none.
local function ids_of(playbook, which)
  local list, seen = {}, {}
  for _, number in ipairs(numbers(which)) do
    for id in ((steps[playbook] or {})[number] or "?" .. number):gmatch "%S+" do
      if not seen[id] then list[#list + 1] = id end
      seen[id] = true
    end
  end
  return list
end

--- What is wrong with what tools/coverage/ says: steps that are not there, playbooks whose numbers nobody gave.
---@return string[]
function coverage.problems()
  local found = {}
  for playbook, list in pairs(steps) do
    local there = declared(playbook)
    if not there then
      found[#found + 1] = ("tools/coverage/steps.lua: there is no playbook '%s'"):format(playbook)
    end
    for number, ids in ipairs(there and list or {}) do
      for id in ids:gmatch "%S+" do
        if not (there.ids[id] or id == "tell" and there.header.tell) then
          found[#found + 1] = ("tools/coverage/steps.lua: '%s' has no step '%s' (number %d)"):format(playbook, id, number)
        end
      end
    end
  end
  for _, runbook in ipairs(coverage.runbooks) do
    for _, part in ipairs(coverage.parts(runbook)) do
      for _, reference in ipairs(part.covered_by) do
        if reference.there and not steps[reference.playbook] then
          found[#found + 1] = ("tools/coverage/steps.lua lacks '%s', which is there now"):format(reference.playbook)
        end
        for _, id in ipairs(reference.there and steps[reference.playbook] and reference.ids or {}) do
          if id:find "^%?" then
            found[#found + 1] = ("tools/coverage/steps.lua: '%s' has no number %s, which %s:%d asks for"):format(
              reference.playbook, id:sub(2), runbook.source, part.line)
          end
        end
      end
    end
  end
  table.sort(found)
  local once = {}
  for i, text in ipairs(found) do
    if text ~= found[i - 1] then once[#once + 1] = text end
  end
  return once
end

--- The playbooks there are that no heading and no block names.
function coverage.unnamed()
  local named, list = {}, {}
  for _, runbook in ipairs(coverage.runbooks) do
    for _, part in ipairs(coverage.parts(runbook)) do
      for _, reference in ipairs(part.covered_by) do named[reference.playbook] = true end
    end
  end
  for _, path in ipairs(source.files(".lua", "playbooks")) do
    local playbook = path:match "^playbooks/(.*)%.lua$"
    if not named[playbook] then list[#list + 1] = playbook end
  end
  return list
end

--- The headings a playbook answers to, itself or by a block below them: {["002"] = {["Disk Space Emergency"] = true}}.
---@param playbook string "incident/disk-space"
---@return table<string, table<string, true>> headings by the number of their runbook
function coverage.headings_of(playbook)
  local found = {}
  for _, runbook in ipairs(coverage.runbooks) do
    local number, heading = runbook.source:match "^%d+", nil
    for _, part in ipairs(coverage.parts(runbook)) do
      heading = part.kind == "heading" and part.text:gsub("^#+ ", "") or heading
      for _, reference in ipairs(part.covered_by) do
        if reference.playbook == playbook then
          found[number] = found[number] or {}
          found[number][heading] = true
        end
      end
    end
  end
  return found
end

local function part_of(kind, entry, first)
  local part = { kind = kind, line = entry[1], text = entry[2], language = kind == "block" and entry[2] or nil, covered_by = {}, also = {} }
  if kind == "block" then part.text = entry[3] end
  for i = first, #entry do
    local playbook, which = entry[i]:match "^(%S+) ?(.*)$"
    part.covered_by[#part.covered_by + 1] = {
      playbook = playbook, ids = ids_of(playbook, which), there = declared(playbook) ~= nil, whole = which == "", seen = {},
    }
  end
  for word in (entry.also or ""):gmatch "%S+" do
    assert(ALSO[word], word)
    part.also[#part.also + 1] = word
  end
  return part
end

--- A heading that names a playbook as a whole is covered by the steps that cover the blocks below it.
local function inherit(heading, block)
  for _, of_heading in ipairs(heading.covered_by) do
    for _, of_block in ipairs(of_heading.whole and block.covered_by or {}) do
      if of_block.playbook == of_heading.playbook then
        for _, id in ipairs(of_block.ids) do
          if not of_heading.seen[id] then of_heading.ids[#of_heading.ids + 1] = id end
          of_heading.seen[id] = true
        end
      end
    end
  end
end

--- Headings and blocks of a runbook in its order.
---@return table[] parts kind, line, text, language, covered_by ({playbook, ids, there}), also
function coverage.parts(runbook)
  local list = {}
  for _, entry in ipairs(runbook.headings) do list[#list + 1] = part_of("heading", entry, 3) end
  for _, entry in ipairs(runbook.blocks) do list[#list + 1] = part_of("block", entry, 4) end
  table.sort(list, function(a, b) return a.line < b.line end)
  local heading
  for _, part in ipairs(list) do
    if part.kind == "heading" then
      heading = part
    else
      inherit(heading, part)
    end
  end
  return list
end

--- "covered", "in part", "not yet", or "no procedure".
function coverage.state(part)
  local there, enough = 0, false
  for _, reference in ipairs(part.covered_by) do there = there + (reference.there and 1 or 0) end
  for _, word in ipairs(part.also) do enough = enough or ENOUGH[word] or false end
  if #part.covered_by == 0 then return enough and "no procedure" or "covered" end
  return there == #part.covered_by and "covered" or there > 0 and "in part" or "not yet"
end

-- the page ----------------------------------------------------------------------------------------------

local function code(text)
  text = text:gsub("|", "\\|")
  return text:find("`", 1, true) and ("`` %s ``"):format(text) or ("`%s`"):format(text)
end

local function covered_by(part)
  local list = {}
  for _, reference in ipairs(part.covered_by) do
    if reference.there then
      local text = ("[%s](../playbooks/%s.lua)"):format(reference.playbook, reference.playbook)
      if #reference.ids > 0 then text = text .. " `" .. table.concat(reference.ids, "` `") .. "`" end
      list[#list + 1] = text
    else
      list[#list + 1] = ("not yet: %s"):format(reference.playbook)
    end
  end
  for _, word in ipairs(part.also) do list[#list + 1] = ALSO[word] end
  return table.concat(list, "<br>")
end

local STATES = { "covered", "in part", "not yet", "no procedure" }

--- The page's tables, and how many parts are in which state.
local function body()
  local lines, counts = {}, { heading = {}, block = {}, sum = { heading = 0, block = 0 } }
  for _, runbook in ipairs(coverage.runbooks) do
    lines[#lines + 1] = ("\n## %s\n\n%s.\n\n| line | heading or block | |\n|---|---|---|"):format(
      runbook.source, runbook.product:sub(1, 1):upper() .. runbook.product:sub(2))
    for _, part in ipairs(coverage.parts(runbook)) do
      local state = coverage.state(part)
      counts[part.kind][state] = (counts[part.kind][state] or 0) + 1
      counts.sum[part.kind] = counts.sum[part.kind] + 1
      local text = part.kind == "heading" and part.text:gsub("|", "\\|") or ("%s: %s"):format(part.language, code(part.text))
      lines[#lines + 1] = ("| %d | %s | %s |"):format(part.line, text, covered_by(part))
    end
  end
  return lines, counts
end

--- Playbooks that are asked for and not written, with how many places wait for each, most first.
local function waiting()
  local places, list, written = {}, {}, {}
  for _, runbook in ipairs(coverage.runbooks) do
    for _, part in ipairs(coverage.parts(runbook)) do
      for _, reference in ipairs(part.covered_by) do
        if reference.there then
          written[reference.playbook] = true
        else
          if not places[reference.playbook] then list[#list + 1] = reference.playbook end
          places[reference.playbook] = (places[reference.playbook] or 0) + 1
        end
      end
    end
  end
  table.sort(list, function(a, b)
    if places[a] ~= places[b] then return places[a] > places[b] end
    return a < b
  end)
  local count = 0
  for _ in pairs(written) do count = count + 1 end
  for i, playbook in ipairs(list) do list[i] = ("%s (%d)"):format(playbook, places[playbook]) end
  return list, count
end

--- Text in lines of at most so many columns.
local function wrapped(text, columns)
  local lines = { "" }
  for word in text:gmatch "%S+ ?%(?%d*%)?[,.]?" do
    word = word:gsub(" $", "")
    local line = lines[#lines]
    if #line + 1 + #word > columns then
      lines[#lines + 1] = word
    else
      lines[#lines] = line == "" and word or line .. " " .. word
    end
  end
  return table.concat(lines, "\n")
end

local HEAD = [[
# What covers the runbooks

The five runbooks this library of playbooks was made from, heading by heading and block by block: the playbook that does it and its
steps, what else answers it, or why nothing has to. Lines are those of the runbook; a block is named by its language and first line. An id
such as `count-connections` is what `--from`, `--until` and `--skip` take; `opsrun show PLAYBOOK` lists them.

Made by `lua5.4 tools/coverage.lua` from [tools/coverage](../tools/coverage) and the playbooks; the tests see to it that each step named
here is there.
]]

--- The whole page.
function coverage.page()
  local tables, counts = body()
  local list, written = waiting()
  local lines = { HEAD, "| | headings | blocks |", "|---|---|---|" }
  for _, state in ipairs(STATES) do
    lines[#lines + 1] = ("| %s | %d | %d |"):format(state, counts.heading[state] or 0, counts.block[state] or 0)
  end
  lines[#lines + 1] = ("| in all | %d | %d |"):format(counts.sum.heading, counts.sum.block)
  lines[#lines + 1] = ("\n%d playbooks are written, %d are not yet. Those, with the number of places that wait for each:\n"):format(
    written, #list)
  lines[#lines + 1] = wrapped(table.concat(list, ", ") .. ".", 150)
  return table.concat(lines, "\n") .. "\n" .. table.concat(tables, "\n") .. "\n"
end

-- against the runbooks ----------------------------------------------------------------------------------

--- Headings and blocks as they stand in a runbook: {[line] = text}, headings by their text, blocks by their language.
local function read_runbook(path)
  local found, inside = {}, false
  for number, line in ipairs(source.lines(source.read(path))) do
    local fence = line:match "^%s*```(.*)$"
    if fence then
      if not inside then found[number] = fence == "" and "text" or fence end
      inside = not inside
    elseif not inside and line:find "^#+ " then
      -- a symbol before the words is none of ours
      found[number] = (line:gsub("[^\32-\126]+", ""):gsub("%s+", " "):gsub(" $", ""))
    end
  end
  return found
end

--- What differs between the runbooks of a directory and what tools/coverage/ says of them.
---@param dir string
---@return string[]
function coverage.differences(dir)
  local list = {}
  for _, runbook in ipairs(coverage.runbooks) do
    local there = read_runbook(dir .. "/" .. runbook.source)
    for _, part in ipairs(coverage.parts(runbook)) do
      local said = part.language or part.text
      if there[part.line] ~= said then
        list[#list + 1] = ("%s:%d: '%s' here, '%s' there"):format(runbook.source, part.line, said, tostring(there[part.line]))
      end
      there[part.line] = nil
    end
    for line, text in pairs(there) do
      list[#list + 1] = ("%s:%d: nothing is said of '%s'"):format(runbook.source, line, text)
    end
  end
  table.sort(list)
  return list
end

-- the command -------------------------------------------------------------------------------------------

local TARGET = "docs/COVERAGE.md"

if arg and arg[0]:find "tools/coverage.lua$" then
  local wrong = {}
  if arg[1] == "--sources" then
    wrong = coverage.differences(assert(arg[2], "--sources DIR"))
  else
    local file = io.open(TARGET, "rb")
    local old, new = file and file:read "a", coverage.page()
    if file then file:close() end
    if arg[1] == "--check" then
      if old ~= new then wrong[1] = TARGET .. " is stale: lua5.4 tools/coverage.lua" end
    else
      file = assert(io.open(TARGET, "wb"))
      file:write(new)
      file:close()
    end
  end
  for _, text in ipairs(wrong) do io.stderr:write(text, "\n") end
  os.exit(#wrong > 0 and 1 or 0)
end

return coverage
