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
