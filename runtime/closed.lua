--- Values that do not change, such as durations and times: their fields are kept beside them, where no
--- assignment reaches. A value is shared by all steps that are handed it.
local closed = {}

--- Fields of every such value. Weak: they go with it.
local fields_of = setmetatable({}, { __mode = "k" })

--- A value with these fields.
---@param fields table not used by anybody else
---@param mt table its metatable
function closed.make(fields, mt)
  local value = setmetatable({}, mt)
  fields_of[value] = fields
  return value
end

--- The fields of a value that closed.make made; nil for any other, whatever its metatable says.
function closed.fields(value)
  return fields_of[value]
end

--- A metatable's __index for such values: the fields, then what `other(value, key, fields)` says.
---@param other (fun(value: table, key: any, fields: table): any)?
function closed.index(other)
  return function(value, key)
    local fields = fields_of[value]
    local field = fields[key]
    if field == nil and other then
      return other(value, key, fields)
    end
    return field
  end
end

--- A metatable's __newindex: an error in words.
---@param name string "time"
function closed.newindex(name)
  return function()
    error(("a %s cannot be changed: make a new one"):format(name), 2)
  end
end

--- The author's own copy of a table that others are handed too: plain tables are copied, with their marks of
--- JSON, all else is the same.
---@param mark (fun(list: table): table)? makes the copy of a list of JSON's one again
function closed.own(value, mark, seen)
  local mt = type(value) == "table" and getmetatable(value)
  if type(value) ~= "table" or mt ~= nil and mt ~= false then
    return value
  end
  seen = seen or {}
  local result = seen[value]
  if not result then
    result = {}
    seen[value] = result
    for key, item in next, value do
      result[key] = closed.own(item, mark, seen)
    end
    result = mt == false and mark and mark(result) or result
  end
  return result
end

return closed
