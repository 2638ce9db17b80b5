--- The answer of an HTTP request as a playbook sees it: {status, url, headers, header_list, body, json,
--- time, timing, tls} with :at(path) and :need(path).
local errors = require "runtime.errors"
local words = require "runtime.text"
local text = require "runtime.text"
local response = {}

--- An answer up to this size that says it is JSON is decoded at once; others when looked into.
local eager_bytes = 1024 * 1024

--- What is remembered of an answer beside its fields, so that showing it does not show that.
local facts = setmetatable({}, { __mode = "k" })

local methods = {}

local function decode(answer)
  local known = facts[answer]
  if answer.body == "" then
    return nil, "it has no body"
  end
  local value, why = known.json.decode(answer.body)
  if value == nil then
    return nil, why
  end
  rawset(answer, "json", value)
  return value
end

local function raise_not_json(answer, why)
  error(errors.effect {
    message = ("the answer of %s is not JSON: %s"):format(facts[answer].summary, why),
    code = "not json",
    outcome = "done",
    hint = "it begins: " .. words.cut(answer.body, 200),
  }, 0)
end

--- "data.items[2].name" -> "data", "items", 2, "name"
local function keys_of(path)
  local keys = {}
  for name in path:gsub("%[(%d+)%]", ".%1"):gmatch "[^.]+" do
    keys[#keys + 1] = name
  end
  return keys
end

local function step_into(value, key)
  if type(value) ~= "table" then
    return nil
  end
  local inner = rawget(value, key)
  if inner == nil and tonumber(key) then
    inner = rawget(value, math.tointeger(tonumber(key)))
  end
  return inner
end

--- The names in a table, for a message.
local function names_in(value)
  if type(value) ~= "table" then
    return nil
  end
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

--- Walks the path; the value, or nil and how far it came.
local function walk(answer, path)
  local value, walked = answer.json, {}
  for _, key in ipairs(keys_of(path)) do
    local parent = value
    value = step_into(value, key)
    if value == nil or value == facts[answer].json.null then
      return nil, parent, walked, key
    end
    walked[#walked + 1] = key
  end
  return value
end

--- The value at "data.items[1].name" of the JSON body, or nil.
---@param path string
function methods.at(answer, path)
  return (walk(answer, path))
end

--- The value at the path; raises naming what was there instead.
---@param path string
function methods.need(answer, path)
  local value, parent, walked, key = walk(answer, path)
  if value ~= nil then
    return value
  end
  local names = names_in(parent)
  local place = #walked > 0 and (" in '%s'"):format(table.concat(walked, ".")) or ""
  local near = names and text.nearest(tostring(key), names)
  local there = not names and "there is no JSON object there"
    or #names == 0 and "it is empty there"
    or ("there is: " .. table.concat(names, ", ", 1, math.min(#names, 20)))
  error(errors.effect {
    message = ("the answer of %s has no '%s'%s: %s"):format(facts[answer].summary, key, place, there),
    code = "no field",
    outcome = "done",
    hint = near and ("did you mean '%s'?"):format(near) or nil,
  }, 0)
end

local mt = { __name = "http response", __metatable = "http response" }

function mt.__index(answer, key)
  if methods[key] then
    return methods[key]
  end
  if key == "json" and answer.body ~= "" then
    local value, why = decode(answer)
    if value == nil then
      raise_not_json(answer, why)
    end
    return value
  end
  return nil
end

--- Gives the plain fields of an answer their methods.
---@param answer table what host.http.request returned, or what the journal kept of it
---@param summary string "GET http://127.0.0.1:8080/health"
---@param json table host.json
function response.new(answer, summary, json)
  facts[answer] = { summary = summary, json = json }
  setmetatable(answer, mt)
  local type_of_body = answer.headers["content-type"] or ""
  if type_of_body:find "json" and #answer.body <= eager_bytes then
    decode(answer) -- what does not decode raises only when it is used
  end
  return answer
end

--- What the journal keeps: the plain fields without the decoded body.
function response.plain(answer)
  local kept = { summary = facts[answer] and facts[answer].summary }
  for _, name in ipairs { "status", "url", "headers", "header_list", "body", "time", "timing", "tls", "redirects" } do
    kept[name] = rawget(answer, name)
  end
  return kept
end

return response
