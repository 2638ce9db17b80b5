--- INFO as a table: numbers are numbers, "db0:keys=1,expires=0" is a table of its own.

local function value_of(text)
  if text:find "^%-?%d+$" and not text:find "^%-?0%d" then
    return math.tointeger(tonumber(text)) or text
  elseif text:find "^%-?%d+%.%d+$" then
    return tonumber(text)
  end
  return text
end

--- "keys=1,expires=0" -> {keys = 1, expires = 0}; nil when it is not of that form.
local function fields_of(text)
  local fields = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local name, value = part:match "^([%w_%.%-]+)=(.*)$"
    if not name then
      return nil
    end
    fields[name] = value_of(value)
  end
  return fields
end

---@param text string what INFO answered
---@return table<string, string|number|table>
return function(text)
  local info = {}
  for line in text:gmatch "[^\r\n]+" do
    local name, value = line:match "^([^#:][^:]*):(.*)$"
    if name then
      info[name] = value:find "=" and fields_of(value) or value_of(value)
    end
  end
  return info
end
