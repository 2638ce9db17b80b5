--- Values as plain data, which JSON can hold: rows lose the `columns` and `count` beside their list.
local plain = {}

--- Values with units as data that gives them back: a text could not be told from an author's own.
local kept = {
  duration = function(value)
    return { ["@duration"] = value.seconds }
  end,
  size = function(value)
    return { ["@size"] = value.bytes }
  end,
  time = function(value)
    return { ["@time"] = value.epoch, zone = value.zone }
  end,
  window = function(value)
    return { ["@window"] = value.label, from = value.from.epoch, to = value.to.epoch, zone = value.from.zone }
  end,
}

local function copy(value, depth, keep)
  if type(value) ~= "table" or depth > 32 then
    return value
  end
  local mt = getmetatable(value)
  if type(mt) == "string" then -- ours, closed: JSON has them as texts
    return keep and kept[mt] and kept[mt](value) or value
  elseif type(mt) == "table" and mt.__json ~= nil then
    return value
  end
  local is_list = #value > 0 or rawget(value, "columns") ~= nil
  local result = {}
  if is_list then
    for i = 1, #value do
      result[i] = copy(value[i], depth + 1, keep)
    end
    return plain.array(result)
  end
  for key, item in pairs(value) do
    result[key] = copy(item, depth + 1, keep)
  end
  return mt ~= nil and setmetatable(result, mt) or result
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
  return copy(value, 0, false)
end

--- The same for the journal, from which values are given back to the playbook as they were: durations, sizes,
--- times and windows are marked by their kind.
function plain.keep(value)
  return copy(value, 0, true)
end

return plain
