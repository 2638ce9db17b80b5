--- Lua values as values the client can bind: json.null and false stay what they are, tables become
--- array literals, durations and sizes their text.
local sinks = require "runtime.sinks"
local bind = {}

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local scalar

--- A PostgreSQL array literal; nil elements are not possible, json.null is NULL.
local function array(list, null)
  local parts = {}
  for i = 1, #list do
    local value = list[i]
    if value == null then
      parts[i] = "NULL"
    elseif type(value) == "table" and scalar(value) == nil then
      parts[i] = array(value, null)
    else
      if type(value) == "table" then
        value = scalar(value)
      end
      parts[i] = type(value) == "string" and quote(value) or tostring(value)
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The text of a table that stands for one value, or nil for a list.
function scalar(value)
  local mt = getmetatable(value)
  local to_text = type(mt) == "table" and mt.sql_text
  if to_text then
    return to_text(value)
  elseif mt and math.type(value.seconds) then
    return ("%.17g seconds"):format(value.seconds)
  elseif mt and math.type(value.bytes) then
    return ("%d"):format(value.bytes)
  end
end

--- One bindable value.
---@param value any nil, json.null, boolean, number, string, secret, list, duration, size
---@param null any json.null
---@return any bindable
---@return string? why it cannot be bound
function bind.value(value, null)
  if value == nil or value == null then
    return nil
  elseif type(value) == "table" then
    local text = scalar(value)
    if text then
      return text
    end
    for key in pairs(value) do
      if math.type(key) ~= "integer" or key < 1 or key > #value then
        return nil, "a table with named fields cannot be bound; json.encode(…) makes it text"
      end
    end
    return array(value, null)
  elseif type(value) == "function" or type(value) == "thread" then
    return nil, ("a %s cannot be bound"):format(type(value))
  end
  sinks.check(value, "sql", "sql")
  return value
end

--- An item for conn:run: {text, value…, n = count}.
---@param text string
---@param values table? by position, may have holes
---@param count integer how many parameters the statement has
---@param null any
---@return table? item
---@return string? why not
function bind.item(text, values, count, null)
  local item = { text, n = count }
  for i = 1, count do
    local value, why = bind.value((values or {})[i], null)
    if why then
      return nil, ("value $%d: %s"):format(i, why)
    end
    item[i + 1] = value
  end
  return item
end

--- A list of names as an array literal: never NULL, always quoted.
function bind.names(list)
  local parts = {}
  for i, name in ipairs(list) do
    parts[i] = quote(tostring(name))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return bind
