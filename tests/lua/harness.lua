--- The harness of the Lua unit tests: `t.test("claim", fn)` runs a claim, `t.equal(a, b)` compares,
--- also tables by content. run.lua prints the claims that do not hold.
local harness = { passed = 0, failures = {} }

local function show(value, depth)
  if type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) ~= "table" or depth > 4 or (getmetatable(value) and tostring(value):sub(1, 6) ~= "table:") then
    return tostring(value)
  end
  local keys, parts = {}, {}
  for key in next, value do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = ("%s = %s"):format(tostring(key), show(rawget(value, key), depth + 1))
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
  if a == b then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  end
  local mt = debug.getmetatable(a)
  if mt and mt.__eq and mt == debug.getmetatable(b) then
    return false -- they say so themselves, and their fields need not be in them
  end
  for key, value in next, a do
    if not same(value, rawget(b, key)) then
      return false
    end
  end
  for key in next, b do
    if rawget(a, key) == nil then
      return false
    end
  end
  return true
end

--- Runs one claim, in plain words.
function harness.test(claim, fn)
  local ok, err = xpcall(fn, function(e)
    return type(e) == "string" and debug.traceback(e, 2) or (tostring(e) .. "\n" .. debug.traceback("", 2))
  end)
  if ok then
    harness.passed = harness.passed + 1
  else
    harness.failures[#harness.failures + 1] = ("%s\n    %s"):format(claim, tostring(err):gsub("\n", "\n    "))
  end
end

function harness.equal(got, expected, what)
  if not same(got, expected) then
    error(("%sgot %s, expected %s"):format(what and (what .. ": ") or "", show(got, 0), show(expected, 0)), 2)
  end
end

function harness.ok(value, what)
  if not value then
    error(what or "expected something true", 2)
  end
  return value
end

--- Does `text` hold `part`, literally?
function harness.contains(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then
    error(("%s does not hold %s"):format(show(text, 0), show(part, 0)), 2)
  end
end

--- Calls fn, which must raise; returns what was raised.
function harness.raises(fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then
    error("expected an error, got none", 2)
  end
  return err
end

local COMMON = { ipairs = ipairs, pairs = pairs, math = math, table = table, tonumber = tonumber, tostring = tostring }

--- A module of the standard library in a world of pretend primitives.
---@param path string
---@param more table the primitives, by name; beside them there are only the basic functions
function harness.load(path, more)
  local env = {}
  for name, value in pairs(COMMON) do
    env[name] = value
  end
  for name, value in pairs(more) do
    env[name] = value
  end
  return assert(loadfile(path, "t", env))()
end

return harness
