--- Whether what was deployed is good: asked from outside for a while, its own figures, its log. Reads only.

local health = require "health"
local outage = require "outage"
local rollbacks = require "rollbacks"

local verify = {}

--- Nobody waits longer for one answer.
local SOON = "10s"
--- Levels that mean an error, as loggers write them.
local BAD = [[^(?i:error|err|critical|fatal|panic|emergency|alert)$]]

--- One GET whose status is looked at, not required.
---@param api string a connection
---@param path string
---@return table answer
function verify.ask(api, path)
  return http(api):get(path, { timeout = SOON, expect = "any" })
end

--- Fails unless the version an application tells is that of the release its service serves.
---@param name string the service
---@param said string
---@param release string?
function verify.need_version(name, said, release)
  if not release then return note("%s tells %s; its service tells no release", name, said) end
  local row = { id = release }
  for _, known in ipairs(service(name):releases { limit = 50 }) do
    if known.id == release then row = known end
  end
  if not rollbacks.is_version(said, row) then
    fail("%s serves release %s, and the application says '%s': the old one still answers", name, release, said)
  end
end

--- Percentile of a list of numbers; nil of none.
local function percentile(list, part)
  table.sort(list)
  return list[math.max(1, math.ceil(part * #list))]
end

--- Watches an application: it must be well all the time. Its own figures count where it tells them, else what our looks took.
---@param p table params of deploy/verify
---@return { errors: number, p95: number, rows: table } errors in percent, p95 in ms
function verify.watch(p)
  local times = {}
  hold(p.watch, { every = p.poll }, function()
    local answer = try(function() return verify.ask(p.api, p.health[1]) end)
    times[#times + 1] = answer and 1000 * answer.time or nil
    return answer ~= nil and outage.is_well(p.api, { health = p.health[1], status_at = p.status_at, expect = p.expect })
  end)
  local seen = { errors = 0, p95 = math.floor((percentile(times, 0.95) or 0) + 0.5) }
  if p.figures then
    local answer = health.ask(p.api, p.figures)
    seen.errors, seen.p95 = health.number(answer, "error_rate"), health.number(answer, p.time_name)
  end
  local function before(name)
    local known = state():before(name)
    return known and known.value
  end
  seen.rows = {
    { figure = "error rate, %", now = seen.errors, before = before "error rate" },
    { figure = "p95, ms", now = seen.p95, before = before "p95 response time" },
    { figure = "told by", now = p.figures or ("%d looks of ours"):format(#times) },
    columns = { "figure", "now", "before" },
  }
  return seen
end

--- Errors in a log since a moment.
---@param name string a log of the environment, whose lines have a field level
---@param since table a time
---@return { percent: number, lines: table } percent of the lines; lines: rows value, count, most first
function verify.errors(name, since)
  local seen = logs(name):scan {
    window = time.window(since, now() + 1),
    all = {}, bad = { field = "level", regex = BAD },
    worst = { regex = [[(?i)"?level"?\s*[:=]\s*"?(?:error|err|critical|fatal|panic)\b.*?(?:"?(?:message|msg)"?\s*[:=]\s*)("?.{1,80})]],
      group = 1, shape = true, top = 5 },
  }
  local percent = seen.all.count > 0 and math.floor(1000 * seen.bad.count / seen.all.count + 0.5) / 10 or 0
  return { percent = percent, lines = seen.worst.groups }
end

return verify
