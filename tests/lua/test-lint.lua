--- Lint: raw facts in, findings out. What the facts are is tested with the real interpreter in
--- tests/c/test_chunk.c.
local lint = require "runtime.lint"
local t = require "harness"

local known = { "note", "show", "step" }

local function findings(facts)
  for _, list in ipairs { "reads", "writes", "environment", "outer" } do
    facts[list] = facts[list] or {}
  end
  local texts = {}
  for i, finding in ipairs(lint.findings(facts, "x.lua", known)) do
    texts[i] = ("%s: %s (%s)"):format(finding.where, finding.message, finding.hint)
  end
  return texts
end

t.test("an undeclared global is named with the nearest, once a line", function()
  t.equal(
    findings { reads = { { name = "shw", line = 7 }, { name = "shw", line = 7 }, { name = "show", line = 8 } } },
    { "x.lua:7: undeclared global 'shw' (did you mean 'show'?)" }
  )
end)

t.test("an assigned global says local, one of ours that it is ours", function()
  t.equal(findings { writes = { { name = "count", line = 2 }, { name = "step", line = 1 } } }, {
    "x.lua:1: 'step' is assigned: it belongs to opsrun (choose another name, and make it local)",
    "x.lua:2: undeclared global 'count' is assigned (write 'local count = …')",
  })
end)

t.test("a step that assigns a local of the file is found; a group may, it runs while loading", function()
  t.equal(findings { outer = { { name = "n", line = 3, callee = "step" }, { name = "m", line = 4, callee = "group" } } }, {
    "x.lua:3: a step assigns 'n', a local of the file"
      .. " (return the value from the step; a later step calls the handle: local idle = step(…), then idle())",
  })
end)

t.test("_ENV is no way around", function()
  t.equal(findings { environment = { { line = 9 } } }, {
    "x.lua:9: '_ENV' is used (globals cannot be listed, added or replaced)",
  })
end)
