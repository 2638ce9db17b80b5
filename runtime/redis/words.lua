--- Commands as lists of words: made from what an author wrote, shown so that a person can read them.
local errors = require "runtime.errors"
local sinks = require "runtime.sinks"
local units = require "runtime.units"
local words = {}

local function misuse(message)
  error(errors.wrap("redis: " .. message), 0)
end

--- One word as it is sent: text, number or secret. A duration is its seconds, a size its bytes.
local function plain(value, host)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif host.secret.is(value) then
    sinks.check(value, "redis", "redis")
    return value
  elseif kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then
      misuse(("%s is no number that Redis knows"):format(tostring(value)))
    end
    return math.tointeger(value) or value
  elseif units.is_duration(value) then
    return math.tointeger(value.seconds) or value.seconds
  elseif units.is_size(value) then
    return math.tointeger(value.bytes) or value.bytes
  end
  return nil
end

--- Appends a value, or each of a list's.
local function append(list, value, host, what)
  local word = plain(value, host)
  if word ~= nil then
    list[#list + 1] = word
  elseif type(value) == "table" and getmetatable(value) ~= "planned" then
    for _, item in ipairs(value) do
      append(list, item, host, what)
    end
    if next(value) ~= nil and #value == 0 then
      misuse(("%s: expected a list, got a table with names"):format(what))
    end
  elseif type(value) == "table" then
    append(list, value.reply, host, what) -- planned: without an on_dry that promises it the preview ends here
  else
    misuse(("%s: expected text, a number or a list, got %s"):format(what, type(value)))
  end
end

--- The words of a command.
---@param given table values, nested lists are flattened
---@param n integer how many there are, nil among them
---@param host table
function words.build(given, n, host)
  local list = {}
  for i = 1, n do
    append(list, given[i], host, i == 1 and "the command" or ("argument %d"):format(i - 1))
  end
  if type(list[1]) ~= "string" or list[1] == "" then
    misuse "the command is no text"
  end
  list[1] = list[1]:upper()
  return list
end

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

--- One word for a person: bare where it can be, else in quotes with its control bytes escaped.
function words.show_word(word)
  if type(word) ~= "string" then
    return tostring(word)
  elseif word:find "^[%w_:%.%*%-%+@/|%%,=<>%[%]{}%?!#]+$" then
    return word
  elseif utf8.len(word) then
    return '"' .. word:gsub('[\n\r\t"\\]', escapes):gsub("%c", function(c)
      return ("\\x%02x"):format(c:byte())
    end) .. '"'
  end
  return '"' .. word:gsub('[%c"\\\128-\255]', function(c)
    return escapes[c] or ("\\x%02x"):format(c:byte())
  end) .. '"'
end

--- A command in at most so many characters (at least one word).
function words.show(list, limit)
  local parts, length = {}, 0
  for i, word in ipairs(list) do
    local shown = words.show_word(word)
    length = length + (utf8.len(shown) or #shown) + 1
    if limit and length > limit and i > 1 then
      parts[#parts + 1] = "…"
      break
    end
    parts[#parts + 1] = shown
  end
  return table.concat(parts, " ")
end

--- The whole command in lines of about 100 characters, at most `most` of them.
function words.lines(list, most)
  local lines, line = {}, ""
  for i, word in ipairs(list) do
    local shown = words.show_word(word)
    if line ~= "" and #line + #shown > 100 then
      lines[#lines + 1] = line
      line = "   "
      if #lines == most then
        lines[#lines + 1] = ("    … %d more words"):format(#list - i + 1)
        return lines
      end
    end
    line = line == "" and shown or (line .. " " .. shown)
  end
  lines[#lines + 1] = line
  return lines
end

--- The words as the digest and the journal hold them: text that JSON can carry, a secret's name.
function words.journaled(list, host)
  local out = host.json.array {}
  for i, word in ipairs(list) do
    if type(word) == "string" and not utf8.len(word) then
      word = "sha256:" .. host.digest.sha256(word)
    elseif type(word) ~= "string" then
      word = tostring(word)
    end
    out[i] = word
  end
  return out
end

return words
