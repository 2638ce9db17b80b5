--- Values as plain data, which JSON can hold, and back: durations, sizes, times, windows and the names beside a
--- list (`rows.columns`) are marked, so that a value comes out of the journal as it went in.
local closed = require "runtime.closed"
local times = require "runtime.times"
local units = require "runtime.units"
local plain = {}

--- A value's depth beyond which nothing is marked: a table that holds itself ends somewhere.
local DEEPEST = 32

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

--- A list, so that an empty one stays a list; the host's, once it is known.
plain.array = function(list)
  return list
end

local clock, null

--- What plain.keep raises for a value that holds a secret.
plain.secret = {}

--- Hands over the host's json library and clock.
function plain.open(json, given_clock)
  plain.array = json.array or plain.array
  clock, null = given_clock, json.null
end

local copy

--- A list; with `keep` the names beside it are kept too, as {"@list": […], "with": {…}}.
local function copy_list(value, depth, keep)
  local list, with = {}, nil
  for i = 1, #value do
    list[i] = copy(value[i], depth + 1, keep)
  end
  list = plain.array(list)
  if keep then
    for key, item in next, value do
      if type(key) == "string" then
        with = with or {}
        with[key] = copy(item, depth + 1, keep)
      end
    end
  end
  return with and { ["@list"] = list, with = with } or list
end

copy = function(value, depth, keep)
  if keep and type(value) == "userdata" and value ~= null then
    error(plain.secret, 0) -- its name could be written down, the secret itself could not be given back
  elseif type(value) ~= "table" or depth > DEEPEST then
    return value
  end
  local mt = getmetatable(value)
  if type(mt) == "string" then -- ours, closed: JSON has them as texts
    return keep and kept[mt] and kept[mt](value) or value
  elseif type(mt) == "table" and mt.__json ~= nil then
    return value
  end
  if #value > 0 or rawget(value, "columns") ~= nil then
    return copy_list(value, depth, keep)
  end
  local result = {}
  for key, item in pairs(value) do
    local marked = keep and type(key) == "string" and key:sub(1, 1) == "@"
    result[marked and ("@" .. key) or key] = copy(item, depth + 1, keep)
  end
  if mt == false then -- an empty list of JSON's: its mark is closed
    return plain.array(result)
  end
  return mt ~= nil and setmetatable(result, mt) or result
end

--- A copy that JSON can hold, as far as that can be said without looking at every leaf. Lists lose the names
--- beside them.
---@param value any
function plain.copy(value)
  return copy(value, 0, false)
end

--- The same for the journal, from which values are given back to the playbook as they were: see plain.revive.
--- Raises plain.secret for one that holds a secret.
function plain.keep(value)
  return copy(value, 0, true)
end

--- The copy for the journal, or with `as_text` the one for people, and its JSON. Raises what an author's metamethods
--- raise.
---@return any copied, string? text
function plain.encode(json, value, as_text)
  local copied = as_text and plain.copy(value) or plain.keep(value)
  return copied, json.encode(copied)
end

--- A copy that its receiver may change as it likes.
function plain.own(value)
  return closed.own(value, plain.array)
end

local revive

local function revive_list(list, with)
  local result = {}
  for i = 1, #list do
    result[i] = revive(list[i])
  end
  for key, item in next, with or {} do
    result[key] = revive(item)
  end
  return result
end

revive = function(value)
  if type(value) ~= "table" then
    return value
  elseif value["@duration"] then
    return units.span(value["@duration"])
  elseif value["@size"] then
    return units.size(value["@size"])
  elseif value["@time"] then
    return times.at(clock, value.zone, value["@time"])
  elseif value["@window"] then
    return times.between(clock, value.zone, value.from, value.to, value["@window"])
  elseif value["@list"] then
    return revive_list(value["@list"], value.with)
  elseif #value > 0 then
    return revive_list(value)
  end
  local result = {}
  for key, item in next, value do
    result[type(key) == "string" and key:sub(1, 2) == "@@" and key:sub(2) or key] = revive(item)
  end
  return result
end

--- What plain.keep made data of, as it was, from decoded JSON.
---@param value any
function plain.revive(value)
  return revive(value)
end

return plain
