--- What an author can get hold of, found as an author would: by reading fields, by going through them, by asking
--- for metatables. One line a thing: its path, its type, and for a table whether it can be assigned to.
---
---   reach.walk({ {name, value}, … }, { http = {"get", …} }, pcall)  -> list of lines
---
--- The second table has fields that cannot be gone through. Without the third, what has no metatable counts as one
--- that can be assigned to: playbooks have no pcall.
---
--- The text between the two marks is also what a playbook of tests/e2e/test_reachable.py runs.
local reach = {}

-- [walk
local function is_open(value, protect)
  if not protect then
    return getmetatable(value) == nil
  end
  local key = "a name that nobody has"
  local ok = protect(function()
    value[key] = 1
  end)
  if ok then
    value[key] = nil
  end
  return ok
end

local function describe(value, protect)
  local kind = type(value)
  if kind ~= "table" and kind ~= "userdata" then
    return math.type(value) or kind
  end
  local mt = getmetatable(value)
  local closed = mt == nil and "" or type(mt) == "table" and " with an OPEN METATABLE" or (" closed as '%s'"):format(mt)
  return kind .. closed .. (kind == "table" and is_open(value, protect) and ", can be assigned to" or "")
end

local function walk(roots, hidden, protect)
  local call = protect or function(fn)
    return true, fn()
  end
  local lines, seen = {}, {}
  local function visit(path, value)
    local again = type(value) == "table" and seen[value]
    lines[#lines + 1] = again and ("%s: %s"):format(path, again) or ("%s: %s"):format(path, describe(value, protect))
    if type(value) ~= "table" or again then
      return
    end
    seen[value] = "is " .. path
    local names = {}
    call(function()
      for key in pairs(value) do
        if type(key) == "string" or key == 1 then
          names[#names + 1] = key
        end
      end
    end)
    for _, name in ipairs(hidden[path] or {}) do
      names[#names + 1] = name
    end
    local mt = getmetatable(value)
    if type(mt) == "table" then
      visit(path .. "<metatable>", mt)
    end
    for _, name in ipairs(names) do
      local ok, field = call(function()
        return value[name]
      end)
      if ok and field ~= nil then
        visit(path .. "." .. name, field)
      end
    end
  end
  for _, root in ipairs(roots) do
    visit(root[1], root[2])
  end
  return lines
end
-- walk]

reach.walk = walk

--- Compares lines with a golden file. Returns what is new and what is gone.
function reach.compare(lines, path)
  local known, new, gone = {}, {}, {}
  for line in io.lines(path) do
    if line:sub(1, 1) ~= "#" then
      known[line] = true
    end
  end
  for _, line in ipairs(lines) do
    if not known[line] then
      new[#new + 1] = line
    end
    known[line] = nil
  end
  for line in pairs(known) do
    gone[#gone + 1] = line
  end
  table.sort(gone)
  return new, gone
end

return reach
