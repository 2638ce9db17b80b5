--- Nothing grows beyond what one sitting can read.
package.path = "./?.lua;" .. package.path
local source = require "tools.source"
local claim = source.claim

local function say_longer(say, cap, ending, ...)
  for _, path in ipairs(source.files(ending, ...)) do
    local count = #source.lines(source.read(path))
    if count > cap then
      say(("%s: %d lines, at most %d"):format(path, count, cap))
    end
  end
end

claim("a C file has at most 600 lines", function(say)
  say_longer(say, 600, ".c", "src", "tests/c", "tests/fuzz")
  say_longer(say, 600, ".h", "src", "tests/c")
end)

claim("a Lua file of runtime and stdlib has at most 400 lines", function(say)
  say_longer(say, 400, ".lua", "runtime", "stdlib")
end)

claim("a playbook has at most 150 lines", function(say)
  say_longer(say, 150, ".lua", "playbooks")
end)

claim("a C function has at most 80 lines", function(say)
  for _, path in ipairs(source.files(".c", "src")) do
    local start, name
    for number, line in ipairs(source.lines(source.read(path))) do
      if not start and line:find "^[%a].*%)%s*{$" or not start and line:find "^ +.*%)%s*{$" and not line:find "[;=]" then
        start, name = number, line
      elseif line == "}" then
        if start and number - start + 1 > 80 then
          say(("%s:%d: %d lines: %s"):format(path, start, number - start + 1, name))
        end
        start = nil
      end
    end
  end
end)

claim("each source file begins with what it holds", function(say)
  for _, path in ipairs(source.files(".c", "src")) do
    if not source.read(path):find "^/%*" then
      say(path)
    end
  end
  for _, path in ipairs(source.files(".lua", "runtime", "stdlib", "playbooks", "tests/meta", "tools")) do
    if not source.read(path):find "^%-%-" then
      say(path)
    end
  end
end)

source.finish()
