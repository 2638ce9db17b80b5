--- Iteration in an order that is the same in every run: numbers ascending, then strings by bytes, then
--- false and true, then the rest in the order the table has them. Pure.
local ordered = {}

local rank = { number = 1, string = 2, boolean = 3 }

local function less(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return rank[ta] < rank[tb]
  elseif ta == "boolean" then
    return not a and b
  end
  return a < b
end

--- The keys of a table in order.
---@param map table
---@return any[]
function ordered.keys(map)
  local keys, others = {}, {}
  for key in next, map do
    local list = rank[type(key)] and keys or others
    list[#list + 1] = key
  end
  table.sort(keys, less)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys
end

--- pairs, in order; obeys __pairs. A sequence is walked without sorting. Entries removed while it runs
--- are left out, new ones do not appear.
---@param map table
function ordered.pairs(map)
  -- asking pairs itself finds a __pairs behind a hidden metatable too: frozen libraries, planned results
  local iterator, state, first = pairs(map)
  if iterator ~= next then
    return iterator, state, first
  end
  local keys = ordered.keys(map)
  local i = 0
  return function()
    repeat
      i = i + 1
      local key = keys[i]
      if key == nil then
        return nil
      end
      local value = rawget(map, key)
      if value ~= nil then
        return key, value
      end
    until false
  end, map, nil
end

--- next, in the same order. Linear, so a loop over it is quadratic: pairs is the way.
---@param map table
---@param key any
function ordered.next(map, key)
  if getmetatable(map) == "planned" then
    pairs(map) -- raises the plan signal: whether it is empty is not known
  end
  local keys = ordered.keys(map)
  if key == nil then
    return keys[1], keys[1] ~= nil and rawget(map, keys[1]) or nil
  end
  for i, candidate in ipairs(keys) do
    if candidate == key then
      local following = keys[i + 1]
      if following == nil then
        return nil
      end
      return following, rawget(map, following)
    end
  end
  error("invalid key to 'next'", 2)
end

return ordered
