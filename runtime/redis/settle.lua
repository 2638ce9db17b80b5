--- Did commands happen whose answer nobody wrote down? Redis keeps no trace of who did what: only whether
--- that is so which a command was to bring about can be seen, and only of those after which it must be so.
--- It may have been so before, or be somebody else's work; then making the command again would do nothing,
--- or undo nothing. What is not so may have been done and altered since: of that nothing is said.
local classify = require "runtime.redis.classify"
local settle = {}

--- Between a begin record and the server's clock lie so many seconds at most, for a TTL to be the one asked for.
local SLACK = 12

--- What a word of the journal stands for, or nil: a secret's and a binary's text is not there.
local function text_of(word)
  local hidden = type(word) ~= "string" or word:find "^‹secret:" or word:find "^sha256:%x+$"
  return not hidden and word or nil
end

--- Redis's own units: 1k is 1000, 1kb is 1024.
local units = { [""] = 1, b = 1, k = 1000, kb = 1 << 10, m = 10 ^ 6, mb = 1 << 20, g = 10 ^ 9, gb = 1 << 30 }

local function number_of(text)
  local digits, unit = tostring(text):lower():match "^(%d+)(%a*)$"
  return digits and units[unit] and tonumber(digits) * units[unit] or nil
end

local function same_setting(a, b)
  local number = number_of(a)
  return a == b or (number ~= nil and number == number_of(b))
end

--- Are all replies of a list this?
local function all(reply, wanted)
  for _, item in ipairs(type(reply) == "table" and reply or { reply }) do
    if item ~= wanted then
      return false
    end
  end
  return true
end

--- The rest of a command's words from `first` on, or nil when one of them is not known.
local function rest(words, first)
  local list = {}
  for i = first, #words do
    list[#list + 1] = text_of(words[i])
  end
  return #list == #words - first + 1 and #list > 0 and list or nil
end

--- name -> function(words, age): a question and the test of its reply, or nil. age: seconds since the begin.
local shows = {}

--- A value under a key, with a TTL or none.
local function value_is(key, value, expires)
  return {
    { { "GET", key }, { "TTL", key } },
    function(got, ttl)
      return got == value and (expires and ttl >= 0 or not expires and ttl == -1)
    end,
  }
end

function shows.set(words)
  local expires = false
  for i = 4, #words do
    local option = words[i]:upper()
    if option == "EX" or option == "PX" or option == "EXAT" or option == "PXAT" then
      expires = true
    elseif not (expires and option:find "^%d+$") then
      return nil -- NX, XX, GET, KEEPTTL: what it did depends on what was there
    end
  end
  return value_is(words[2], words[3], expires)
end

function shows.setex(words)
  return value_is(words[2], words[4], true)
end

shows.psetex = shows.setex

function shows.del(words)
  return { { { "EXISTS", table.unpack(words, 2) } }, function(count)
    return count == 0
  end }
end

shows.unlink = shows.del

function shows.persist(words)
  return { { { "TTL", words[2] } }, function(ttl)
    return ttl == -1
  end }
end

local function ttl_is(words, seconds, age)
  if not seconds or #words > 3 then
    return nil
  end
  return { { { "PTTL", words[2] } }, function(left)
    local wanted = seconds - age
    return left > 0 and left / 1000 >= wanted - 1 and left / 1000 <= wanted + SLACK
  end }
end

function shows.expire(words, age)
  return ttl_is(words, tonumber(words[3]), age)
end

function shows.pexpire(words, age)
  local milliseconds = tonumber(words[3])
  return ttl_is(words, milliseconds and milliseconds / 1000, age)
end

function shows.hset(words)
  local fields, values = {}, {}
  for i = 3, #words - 1, 2 do
    fields[#fields + 1], values[#values + 1] = words[i], words[i + 1]
  end
  return { { { "HMGET", words[2], table.unpack(fields) } }, function(got)
    for i, value in ipairs(values) do
      if got[i] ~= value then
        return false
      end
    end
    return true
  end }
end

function shows.hdel(words)
  return { { { "HMGET", table.unpack(words, 2) } }, function(got)
    return all(got, false)
  end }
end

function shows.sadd(words)
  return { { { "SMISMEMBER", table.unpack(words, 2) } }, function(got)
    return all(got, 1)
  end }
end

function shows.srem(words)
  return { { { "SMISMEMBER", table.unpack(words, 2) } }, function(got)
    return all(got, 0)
  end }
end

shows["config|set"] = function(words)
  if #words ~= 4 then
    return nil
  end
  return { { { "CONFIG", "GET", words[3] } }, function(got)
    return got[2] ~= nil and same_setting(got[2], words[4])
  end }
end

---@param record table effect.begin
---@param age number seconds since it was written
---@param ask fun(commands: string[][]): any[], table? replies, and errors by place; raises when none came
---@return "done"|nil, string? why
function settle.find(record, age, ask)
  local commands = record.body and record.body.commands
  if type(commands) ~= "table" then
    return nil, "the journal holds only the digest of so many commands"
  end
  local questions, tests = {}, {}
  for i, command in ipairs(commands) do
    local words = rest(command, 1)
    local name = words and classify.name(words)
    local found = name and shows[name] and #words > 1 and shows[name](words, age)
    if not found then
      return nil, ("whether %s happened cannot be seen"):format(tostring(command[1]))
    end
    tests[i] = { at = #questions + 1, count = #found[1], holds = found[2] }
    table.move(found[1], 1, #found[1], #questions + 1, questions)
  end
  local replies, failed = ask(questions)
  local seen = 0
  for _, test in ipairs(tests) do
    local good = true
    for place = test.at, test.at + test.count - 1 do
      good = good and not (failed and failed[place]) -- such as WRONGTYPE: it holds something else now
    end
    seen = seen + (good and test.holds(table.unpack(replies, test.at, test.at + test.count - 1)) and 1 or 0)
  end
  if seen == #tests then
    return "done"
  end
  return nil, #tests == 1 and "what is there now does not show it: somebody may have altered it since"
    or ("of %d commands %d can be seen to have happened"):format(#tests, seen)
end

return settle
