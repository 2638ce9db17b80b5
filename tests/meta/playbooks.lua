--- Every playbook is played in tests of its own.
package.path = "./?.lua;" .. package.path
local source = require "tools.source"
local claim = source.claim

--- The text of a playbook's own test: test_NAME.py, or test_ROOM_NAME.py, which says what it plays.
local function test_of(room, name)
  local playbook = ("%s/%s.lua"):format(room, name)
  for _, test in ipairs { name, room .. "_" .. name } do
    local path = ("tests/e2e/test_%s.py"):format(test:gsub("%-", "_"))
    local file = io.open(path)
    local text = file and file:read "a" or ""
    if file then
      file:close()
    end
    if text:find(playbook, 1, true) then
      return text, path
    end
  end
end

claim("every playbook has tests/e2e/test_NAME.py, and in it a test_live_…, which the sanitized build plays, too", function(say)
  for _, path in ipairs(source.files(".lua", "playbooks")) do
    local text, test = test_of(path:match "([^/]+)/([^/]+)%.lua$")
    if not text then
      say(("%s: there is no test of it"):format(path))
    elseif not text:find("def test_live_", 1, true) then
      say(("%s: no test of it is called test_live_…"):format(test))
    end
  end
end)

source.finish()
