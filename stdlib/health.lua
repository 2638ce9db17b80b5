--- Asking an application how it is: its status, its figures, how fresh they are. Reads only.
-- A figure that is not there raises: what could not be read never counts as well.

local health = {}

--- Nobody waits longer for a health check.
local TIMEOUT = "10s"

--- One GET of JSON; anything but 2xx in ten seconds raises.
---@param api string the connection's name in the environment
---@param path string
---@param query table? such as { period = "24h" }
---@return table answer
function health.ask(api, path, query)
  return http(api):get(path, { query = query, timeout = TIMEOUT })
end

local function is_among(value, list)
  for _, item in ipairs(list) do
    if value == item then return true end
  end
  return false
end

--- The status an application gives itself. When it is not well, or does not answer, it is looked at
--- again for `persist` before that is believed.
---@param api string
---@param opts { path: string, at: string, expect: string[], persist: table? } at: where the word stands in
--- the JSON; expect: words that mean well; persist: a duration
---@return table answer, any word, string expected the word that `check` shall expect
function health.status(api, opts)
  local function look()
    local answer = health.ask(api, opts.path)
    local word = answer:at(opts.at)
    return answer, word, is_among(word, opts.expect)
  end
  local persist = opts.persist and opts.persist.seconds or 0
  local seen = {}
  local _, why = try(function()
    seen.answer, seen.word, seen.well = look()
  end)
  if not seen.well and persist > 0 then
    note("%s: looked at again for %s", why or ("it says '%s'"):format(tostring(seen.word)), opts.persist)
    try(wait_until, api .. " is well", { every = math.min(30, persist / 5), within = persist }, function()
      local _, _, well = look()
      return well
    end)
    seen.answer = nil
  end
  if not seen.answer then
    seen.answer, seen.word, seen.well = look()
  end
  return seen.answer, seen.word, seen.well and seen.word or opts.expect[1]
end

--- A number of an answer, at the top or under `data`; raises when it is not there or no number.
---@param answer table
---@param name string
---@return number
function health.number(answer, name)
  local value = answer:at("data." .. name)
  if value == nil then value = answer:need(name) end
  local number = tonumber(value)
  if not number then fail("'%s' of the answer is no number: %s", name, value) end
  return number
end

--- What an answer says of itself, as far as it does: for `show`.
---@param answer table
---@param names string[]
---@return table facts
function health.facts(answer, names)
  local facts = {}
  for _, name in ipairs(names) do
    local value = answer:at("data." .. name)
    if value == nil then value = answer:at(name) end
    facts[name] = value
  end
  return facts
end

--- Memory in use, in percent, of an answer with `memory` = {used, total}; nil when it does not say.
---@param answer table
---@return number? percent
function health.memory(answer)
  local memory = health.facts(answer, { "memory" }).memory
  local used, total = type(memory) == "table" and tonumber(memory.used), type(memory) == "table" and tonumber(memory.total)
  return used and total and total > 0 and math.floor(1000 * used / total + 0.5) / 10 or nil
end

--- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days_from_civil(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

--- Seconds since 1970 of "2026-11-21T08:00:00.123Z", "…+01:00", or of a number; nil for anything else.
---@param value any
---@return number?
function health.epoch(value)
  if type(value) == "number" then
    return value > 1e11 and value / 1000 or value      -- JavaScript counts milliseconds
  end
  local text = type(value) == "string" and value or ""
  local year, month, day, hour, minute, second, zone =
    text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d%.?%d*)(.*)$"
  local sign, hours, minutes = (zone or ""):match "^([+-])(%d%d):?(%d%d)$"
  if not year or not (sign or zone == "Z" or zone == "") then return nil end
  local offset = sign and (sign == "-" and -1 or 1) * (60 * tonumber(hours) + tonumber(minutes)) * 60 or 0
  local days = days_from_civil(tonumber(year), tonumber(month), tonumber(day))
  return days * 86400 + 3600 * tonumber(hour) + 60 * tonumber(minute) + tonumber(second) - offset
end

--- How many seconds ago an answer was made, by its `timestamp`; nil when it does not say.
---@param answer table
---@return number? seconds
function health.age(answer)
  local made = health.epoch(health.facts(answer, { "timestamp" }).timestamp)
  return made and math.max(0, math.floor(now().epoch - made)) or nil
end

return health
