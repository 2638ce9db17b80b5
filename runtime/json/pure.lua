--- JSON for playbooks: json.encode(value), json.decode(text), json.array(list), json.null. What cannot be
--- written or read is data as a rule, an answer that is no JSON, so `try` catches it.
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local pure = {}

local codec, is_secret

--- Beyond this the encoder refuses, so nothing below it needs a look.
local DEEPEST = 64

--- Hands over the host's codec. `null` is one value for the whole process.
---@param json table host.json
---@param secret table? host.secret
function pure.open(json, secret)
  codec = json
  is_secret = secret and secret.is or function() end
  pure.null = json.null
end

local function no_json(message, hint)
  error(errors.fail { message = message, code = "no json", hint = hint }, 0)
end

--- A secret would be written as its name, which whoever reads the text would take for the secret.
local function secret_in(value, depth)
  if is_secret(value) then
    return value
  elseif type(value) ~= "table" or depth > DEEPEST or type(getmetatable(value)) == "string" then
    return nil
  end
  for _, item in next, value do
    local found = secret_in(item, depth + 1)
    if found then
      return found
    end
  end
  return nil
end

--- json.encode(value): durations, sizes and times become texts, a list loses the names beside it.
function pure.encode(_, value)
  local copy = plain.copy(value)
  local secret = secret_in(copy, 0)
  if secret then
    error(errors.refused {
      message = ("json.encode: it holds %s: a text is no place for secrets"):format(tostring(secret)),
      hint = "a header of http, or a command's stdin or env, takes them",
    }, 0)
  end
  local text, why = codec.encode(copy)
  return text or no_json("json.encode: " .. why)
end

--- json.decode(text): a table, text, number, boolean, or json.null.
function pure.decode(_, text)
  local value, why = codec.decode(text)
  if value == nil then
    no_json("json.decode: " .. why, #text == 0 and "the text is empty" or nil)
  end
  return value
end

--- json.array(list): the same list, marked. Without one a new, empty one.
function pure.array(_, list)
  list = list or {}
  if getmetatable(list) ~= nil and not codec.is_array(list) then
    return nil, "this table has a metatable already"
  end
  return codec.array(list)
end

return pure
