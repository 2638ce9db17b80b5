--- Feature flag: enabled, disabled, killed or brought back to life, seen by the application's own answers, with who and why.
---@usage opsrun play flags/toggle.lua -e production -p name=new-search -p action=kill -p why="searches fail" -p expires=24h
local flags = require "flags"

playbook {
  title    = "Switch a feature flag",
  about    = "Exactly one flag. What is killed or disabled stays so until it is undone, and runs --standing tells of it.",
  kind     = "change",   lock = "flags",
  params   = {
    name       = { type = "string",                            help = "the flag" },
    action     = { type = "choice", of = { "enable", "disable", "kill", "unkill" }, help = "kill: off at once, whatever else it says" },
    why        = { type = "string",   optional = true,         help = "asked for unless given" },
    expires    = { type = "duration", optional = true,         help = "meant for so long: runs --standing tells when it is over" },
    via        = { type = "choice", of = { "db", "api" }, default = "db", help = "where it is read and switched" },
    db         = { type = "sql",      optional = true,         help = "via db: the database it lies in" },
    table      = { type = "string",   default = "feature_flags", help = "table there, perhaps with a schema" },
    api        = { type = "http",     default = "api",         help = "the application" },
    route      = { type = "route",    default = "/api/admin/feature-flags", help = "via api: GET lists them, POST switches one" },
    list_at    = { type = "string",   optional = true,         help = "where the list stands in the answer: data" },
    site       = { type = "http",     optional = true,         help = "where visitors come in; without: the application" },
    observe    = { type = "route",    optional = true,         help = "asked to see whether the feature is on" },
    observe_at = { type = "string",   optional = true,         help = "where the answer tells: engine" },
    observe_on = { type = "string",   optional = true,         help = "what stands there while it is on" },
    within     = { type = "duration", default = "2m",          help = "the application may keep what it knew for so long" },
    calm       = { type = "duration", default = "10s",         help = "seen so for so long: a part of the visitors may see it" },
    poll       = { type = "duration", default = "1s",          help = "look this often" },
    team       = { type = "string",   optional = true,         help = "who always hears the result" },
    oncall     = { type = "string",   optional = true,         help = "who hears when it fails" },
  },
  uses     = { state = { "flags" } },
  tell     = { ["{team}"] = "always", ["{oncall}"] = "critical" },
  sources  = { "runbook 004: Enable/Disable Feature", "runbook 004: 2. Contain" },
}

local function words(row)
  return ("enabled %s, kill_switch %s, rollout %s %%"):format(row.enabled, row.kill_switch, row.rollout_percentage or "?")
end
local function is_all(row) return (row.rollout_percentage or 100) >= 100 end

local before = step("Read the flag", { fresh = "5m" }, function(p)
  local row, change = flags.read(p, p.name), flags.ACTIONS[p.action]
  note("%s: %s", p.name, words(row))
  if row[change.column] == change.value then finish("%s of %s is %s already: nothing to do", change.column, p.name, change.value) end
  return row
end)

local agreed = step("Agree on it", function(p)
  local row, change = before(), flags.ACTIONS[p.action]
  local why = p.why or ask { "Why?", default = "not said", id = "why" }
  local answer = confirm("%s flag %s? It has %s; %s becomes %s", (p.action:gsub("^%l", string.upper)), p.name, words(row),
    change.column, change.value)
  return { who = answer.by, why = why }
end)

step("Switch it", function(p)
  local off = p.action == "kill" or p.action == "disable"
  flags.switched(p, p.name, p.action, { lasts = (off or p.expires) and "standing" or "success", expires = p.expires })
end)

local after = step("Read it again", function(p)
  local change, row = flags.ACTIONS[p.action], flags.read(p, p.name)
  check(("%s of %s"):format(change.column, p.name), row[change.column], { expect = change.value, or_fail = true })
  note("%s: %s", p.name, words(row))
  return row
end)

step("See the application follow", { needs = { "observe", "observe_at", "observe_on" } }, function(p)
  local on = flags.is_on(after())
  local place = { api = p.site or p.api, observe = p.observe, observe_at = p.observe_at, observe_on = p.observe_on }
  local function follows() return flags.observed(place) == on end
  wait_until(("%s shows %s %s"):format(p.observe, p.name, on and "on" or "off"), { every = p.poll, within = p.within }, follows)
  if on and not is_all(after()) then return note("%s %% of the visitors see it", after().rollout_percentage) end
  hold(p.calm, { every = p.poll }, follows)
end)

step("Write down who and why", function(p)
  settle()      -- it is as it was meant to be: what fails from here on is no reason to take it back
  local entry = { name = p.name, action = p.action, who = agreed().who, why = agreed().why, expires = p.expires and tostring(p.expires) }
  flags.remember(entry)
  artifact("flag.json", json.encode(entry))
  note("%s %s, %s, because: %s%s", p.action, p.name, entry.who, entry.why, p.expires and ("; for " .. entry.expires) or "")
end)
