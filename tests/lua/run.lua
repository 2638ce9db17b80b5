--- lua5.4 tests/lua/run.lua FILE…: runs test files from the root of the repository.
package.path = "./?.lua;./tests/lua/?.lua;" .. package.path
local harness = require "harness"

local loaded_first = {}
for name in pairs(package.loaded) do
  loaded_first[name] = true
end

for _, file in ipairs(arg) do
  -- Some tests put others in place of modules: each file begins with fresh ones.
  for name in pairs(package.loaded) do
    if not loaded_first[name] then
      package.loaded[name] = nil
    end
  end
  local chunk, err = loadfile(file)
  if not chunk then
    harness.failures[#harness.failures + 1] = err
  else
    harness.test(file .. " loads and runs", chunk)
  end
end

for _, failure in ipairs(harness.failures) do
  io.stderr:write("FAIL ", failure, "\n")
end
print(("%d claims hold, %d do not"):format(harness.passed, #harness.failures))
os.exit(#harness.failures == 0 and 0 or 1)
