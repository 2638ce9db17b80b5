--- docs/COVERAGE.md tells the truth of every heading and every block of the runbooks.
package.path = "./?.lua;" .. package.path
local coverage = require "tools.coverage"
local playbook_steps = require "tools.playbook_steps"
local source = require "tools.source"
local claim = source.claim

claim("each step that is said to cover a runbook's part is a step of its playbook", function(say)
  for _, text in ipairs(coverage.problems()) do
    say(text)
  end
end)

claim("docs/COVERAGE.md is fresh", function(say)
  if source.read "docs/COVERAGE.md" ~= coverage.page() then
    say "run lua5.4 tools/coverage.lua"
  end
end)

claim("all 197 headings and 159 blocks of the five runbooks are accounted for, in their order, none twice", function(say)
  local counts = { heading = 0, block = 0 }
  for _, runbook in ipairs(coverage.runbooks) do
    local before = 0
    for _, part in ipairs(coverage.parts(runbook)) do
      counts[part.kind] = counts[part.kind] + 1
      if part.line <= before then
        say(("%s:%d stands there twice"):format(runbook.source, part.line))
      end
      if #part.covered_by == 0 and #part.also == 0 then
        say(("%s:%d: neither a playbook nor a reason"):format(runbook.source, part.line))
      end
      before = part.line
    end
  end
  if counts.heading ~= 197 or counts.block ~= 159 then
    say(("%d headings and %d blocks"):format(counts.heading, counts.block))
  end
end)

claim("every playbook answers to a runbook", function(say)
  for _, playbook in ipairs(coverage.unnamed()) do
    say(playbook)
  end
end)

--- What a playbook says of where it comes from: {["002"] = {"Disk Space Emergency"}}; and what does not say that.
local function sources_of(header)
  local said, other = {}, {}
  for _, text in ipairs(type(header.sources) == "table" and header.sources or { header.sources }) do
    local number, heading = text:match "^runbook (%d%d%d): (.+)$"
    if number then
      said[number] = said[number] or {}
      table.insert(said[number], heading)
    else
      other[#other + 1] = text
    end
  end
  return said, other
end

claim("each playbook names its sources: headings it answers to, one at least of each runbook that has any", function(say)
  for _, path in ipairs(source.files(".lua", "playbooks")) do
    local covered = coverage.headings_of(path:match "^playbooks/(.*)%.lua$")
    local said, other = sources_of(playbook_steps(path).header)
    for _, text in ipairs(other) do
      say(("%s: sources: '%s' is no \"runbook 002: HEADING\""):format(path, text))
    end
    for number, headings in pairs(said) do
      for _, heading in ipairs(headings) do
        if not (covered[number] or {})[heading] then
          say(("%s: sources: tools/coverage does not give it '%s' of runbook %s"):format(path, heading, number))
        end
      end
    end
    for number in pairs(covered) do
      if not said[number] then
        say(("%s: sources: it answers to runbook %s, too"):format(path, number))
      end
    end
  end
end)

claim("each step that docs/SIDE-BY-SIDE.md sets beside a runbook's lines is a step of its playbook", function(say)
  local playbook, count
  for _, line in ipairs(source.lines(source.read "docs/SIDE-BY-SIDE.md")) do
    local path = line:match "^## .*%(%.%./(playbooks/.-%.lua)%)$"
    if path then playbook, count = playbook_steps(path), 0 end
    local cell = playbook and line:gsub("\\|", ""):match "^| [^|]*|([^|]*)|[^|]*|$" or line:match "^|%s|([^|]*)|[^|]*|$" or ""
    for id in cell:gmatch "`([^`]+)`" do
      count = count + 1
      if not playbook.ids[id] then
        say(id)
      end
    end
  end
  if count == 0 then
    say "it names none"
  end
end)

source.finish()
