--- Values as plain data, which JSON can hold: rows lose the `columns` and `count` beside their list.
local plain = {}

local function copy(value, depth)
  if type(value) ~= "table" or depth > 32 then
    return value
  end
  local mt = getmetatable(value)
  if mt == "planned" or (type(mt) == "table" and mt.__json ~= nil) then
    return value
  end
  local is_list = #value > 0 or rawget(value, "columns") ~= nil
  local result = {}
  if is_list then
    for i = 1, #value do
      result[i] = copy(value[i], depth + 1)
    end
    return plain.array(result)
  end
  for key, item in pairs(value) do
    result[key] = copy(item, depth + 1)
  end
  return mt ~= nil and type(mt) == "table" and setmetatable(result, mt) or result
end

--- Marks a list, so that an empty one stays a list; the host's, once it is known.
plain.array = function(list)
  return list
end

--- Hands over the host's json library.
function plain.open(json)
  plain.array = json.array or plain.array
end

--- A copy that JSON can hold, as far as that can be said without looking at every leaf.
---@param value any
function plain.copy(value)
  return copy(value, 0)
end

return plain
