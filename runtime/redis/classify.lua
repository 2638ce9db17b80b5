--- Is a Redis command a read or a change? By the shipped table and the reviewed lists; a command that is
--- in neither changes something. The live server must agree before a read is sent.
local reviewed = require "runtime.redis.reviewed"
local classify = {}

--- name -> {flags = set, first, last, step}; a subcommand's name is "config|get". Read when first
--- needed: most runs ask no Redis.
local known, containers

local function read_table()
  known, containers = {}, {}
  for flags, names in pairs(require "runtime.redis.commands") do
    local set = {}
    for flag in flags:gmatch "%S+" do
      set[flag] = true
    end
    for word in names:gmatch "%S+" do
      local name, first, last, step = word:match "^([^:]+):(%-?%d+):(%-?%d+):(%-?%d+)$"
      known[name or word] = {
        flags = set,
        first = math.tointeger(tonumber(first)),
        last = math.tointeger(tonumber(last)),
        step = math.tointeger(tonumber(step)),
      }
      local container = word:match "^([^|]+)|"
      if container then
        containers[container] = true
      end
    end
  end
end

--- Flags that keep a "readonly" command from being a read.
local spoiling = {
  "write", "denyoom", "may_replicate", "alters_keys", "blocking", "noscript", "admin", "pubsub", "dangerous",
}

local function spoilt(flags, by)
  for _, flag in ipairs(by) do
    if flags[flag] then
      return flag
    end
  end
  return nil
end

--- The table's name of a command: "get", "config|get".
---@param words string[] the command, at least one word; only the first two are looked at
function classify.name(words)
  if not known then
    read_table()
  end
  local name = tostring(words[1]):lower()
  if containers[name] and type(words[2]) == "string" then
    return name .. "|" .. words[2]:lower()
  end
  return name
end

--- XREAD and XREADGROUP wait only when told to.
local function waits(name, words)
  if name ~= "xread" and name ~= "xreadgroup" then
    return false
  end
  for _, word in ipairs(words) do
    if type(word) == "string" and word:lower() == "block" then
      return true
    elseif type(word) == "string" and word:lower() == "streams" then
      return false
    end
  end
  return false
end

--- How many keys a command names, or nil when the table cannot tell.
local function count_keys(spec, words)
  if not spec or not spec.first then
    return nil
  end
  local last = spec.last < 0 and #words + spec.last or spec.last
  return math.max(0, (last - spec.first) // spec.step + 1)
end

---@class opsrun.RedisClass
---@field name string     "config|get"
---@field class "read"|"change"
---@field why string      what makes it that: "readonly", "look", "trusted", a flag, "unknown"
---@field refused string? why it is never sent
---@field keys integer?   how many keys it names

---@param words any[]
---@param trusted table<string, boolean>? names that the environment vouches for
---@return opsrun.RedisClass
function classify.command(words, trusted)
  local name = classify.name(words)
  local spec = known[name]
  local result = { name = name, class = "change", why = "unknown", keys = count_keys(spec, words) }
  result.refused = reviewed.refused[name]
    or waits(name, words) and "it would hold the connection until something happens; leave BLOCK out"
    or nil
  if trusted and trusted[name] then
    result.class, result.why = "read", "trusted"
  elseif reviewed.looks[name] and spec then
    result.class, result.why = "read", "look"
  elseif spec and spec.flags.readonly and not reviewed.not_reads[name] then
    local flag = spoilt(spec.flags, spoiling)
    result.class, result.why = flag and "change" or "read", flag or "readonly"
  elseif spec then
    result.why = spec.flags.write and "write" or "not readonly"
  end
  return result
end

--- What the server itself says of a command: one entry of COMMAND INFO, or false. Returns nil when it
--- agrees that this is a read, else why not.
---@param class opsrun.RedisClass
---@param entry table|false
function classify.disagreement(class, entry)
  if not entry then
    return "the server does not know it"
  end
  local flags = {}
  for _, flag in ipairs(entry[3] or {}) do
    flags[flag] = true
  end
  for _, category in ipairs(entry[7] or {}) do
    flags.dangerous = flags.dangerous or category == "@dangerous"
  end
  for _, spec in ipairs(entry[9] or {}) do
    for i = 1, #spec - 1, 2 do
      for _, flag in ipairs(spec[i] == "flags" and spec[i + 1] or {}) do
        flags.alters_keys = flags.alters_keys or flag == "RW" or flag == "OW" or flag == "RM"
      end
    end
  end
  if class.why == "look" then
    local flag = spoilt(flags, { "write", "denyoom", "may_replicate", "alters_keys" })
    return flag and ("the server says '%s' of it"):format(flag) or nil
  elseif not flags.readonly then
    return "the server does not say 'readonly' of it"
  end
  local flag = spoilt(flags, spoiling)
  return flag and ("the server says '%s' of it"):format(flag) or nil
end

--- Every name of the table, sorted: for tests.
function classify.names()
  classify.name { "" }
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

return classify
