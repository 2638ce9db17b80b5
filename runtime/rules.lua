--- The rules of an environment: what of it may be changed, when, by whom, what is asked about first.
---   rules = { read_only = true, changes = { within = "Mon..Fri 09:00..17:00", who = { "ana", "@dba" },
---             deny = { "shell.run", "sql primary" }, ask = { "service" } } }
--- Read once, when the environment loads; each change is judged by them before anything is sent.
local errors = require "runtime.errors"
local hours = require "runtime.hours"
local ordered = require "runtime.ordered"
local prefixes = require "runtime.prefixes"
local text = require "runtime.text"
local times = require "runtime.times"
local rules = {}

local fields = { "changes", "read_only" }
local of_changes = { "ask", "deny", "who", "within" }

--- Rules that --override sets aside, for once and aloud. Who may change, and whether anything may be, is decided by
--- the file; what is asked about is answered.
rules.may_be_overridden = { within = true, deny = true }

---@class opsrun.RuleEntry
---@field text string    as written
---@field module string  "sql"
---@field kind string?   "sql.exec"; nil: every change of the module
---@field target string? a connection, a service, first words of a command, a path, an origin; nil: any

--- A text, or a list of texts, as a list; nil when it is neither.
local function list_of(value)
  local list = type(value) == "string" and { value } or value
  if type(list) ~= "table" or getmetatable(list) ~= nil or #list == 0 then
    return nil
  end
  for key, item in next, list do
    if math.type(key) ~= "integer" or type(item) ~= "string" or not item:find "%S" then
      return nil
    end
  end
  return list
end

--- What a rule can name: kinds of changes, and the modules they belong to.
local function known_kinds()
  local effects = require "runtime.effects"
  local kinds, names = {}, {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    if row.class == "change" or row.class == "tell" then
      kinds[kind], kinds[row.module] = row.module, row.module
    end
  end
  for name in pairs(kinds) do
    names[#names + 1] = name
  end
  table.sort(names)
  return kinds, names
end

--- "shell.run docker rm" as an entry. Raises {message, hint}.
local function entry_of(item)
  local kind, target = item:match "^%s*(%S+)%s*(.-)%s*$"
  local kinds, names = known_kinds()
  local module = kinds[kind]
  if not module then
    error({ message = ("'%s' is no kind of change"):format(kind), hint = text.suggest(kind, names, "kinds of changes") }, 0)
  end
  return { text = item, module = module, kind = kind ~= module and kind or nil, target = target ~= "" and target or nil }
end

local read = {}

function read.deny(list)
  local entries = {}
  for i, item in ipairs(list) do
    entries[i] = entry_of(item)
  end
  return entries
end
read.ask = read.deny

function read.within(list)
  local windows = {}
  for i, item in ipairs(list) do
    local window, why = hours.read(item)
    if not window then
      error({ message = why }, 0)
    end
    windows[i] = window
  end
  return windows
end

function read.who(list)
  for _, name in ipairs(list) do
    if not name:find "^@?[%w_][%w_.$-]*$" then
      error({ message = ("'%s' is no user, such as ana, and no group, such as @dba"):format(name) }, 0)
    end
  end
  return list
end

local examples = {
  ask = 'a list such as { "service", "sql.exec primary" }',
  deny = 'a list such as { "shell.run", "files /srv/shop" }',
  who = 'a list such as { "ana", "@dba" }',
  within = 'hours such as "Mon..Fri 09:00..17:00", or a list of them',
}

--- Reads the section. Raises a precondition error that names the place and the nearest word.
---@param raw any what the environment's file says
---@param place string "environment '/etc/opsrun/production.lua'"
---@return table? read {read_only, within, who, deny, ask}; nil when it says nothing
function rules.read(raw, place)
  if raw == nil then
    return nil
  end
  local function problem(where, message, hint)
    error(errors.precondition { message = ("%s: %s: %s"):format(place, where, message), hint = hint }, 0)
  end
  local function open(where, value, known)
    if type(value) ~= "table" or getmetatable(value) ~= nil then
      problem(where, ("expected a table, got %s"):format(type(value)))
    end
    for key in ordered.pairs(value) do
      if not text.has(known, key) then
        problem(where, ("unknown rule '%s'"):format(tostring(key)), text.suggest(tostring(key), known, "rules"))
      end
    end
  end
  open("rules", raw, fields)
  if raw.read_only ~= nil and type(raw.read_only) ~= "boolean" then
    problem("rules.read_only", ("expected true or false, got %s"):format(type(raw.read_only)))
  end
  open("rules.changes", raw.changes or {}, of_changes)
  local result = { read_only = raw.read_only or false, written = {} }
  for _, name in ipairs(of_changes) do
    local value = (raw.changes or {})[name]
    if value ~= nil then
      local where, list = "rules.changes." .. name, list_of(value)
      if not list then
        problem(where, ("expected %s"):format(examples[name]))
      end
      local ok, found = pcall(read[name], list)
      if not ok then
        local known = type(found) == "table" and found.message
        problem(where, known or tostring(found), known and found.hint)
      end
      result[name], result.written[name] = found, list
    end
  end
  return result
end

--- Does an entry of deny or ask mean this effect? A command also by its program's last name, a path also when
--- it holds what is named: who forbids /srv/shop means that /srv is not removed either.
---@param entry opsrun.RuleEntry
---@param effect table described effect
local function means(entry, effect)
  if effect.kind ~= entry.kind and (entry.kind or effect.kind:match "^[^.]+" ~= entry.module) then
    return false
  elseif not entry.target or entry.target == effect.target then
    return true
  end
  local section, wanted = table.unpack(effect.uses or {})
  if section == "shell" then
    return prefixes.command(wanted, entry.target)
      or prefixes.command({ wanted[1]:match "[^/]*$", table.unpack(wanted, 2) }, entry.target)
  elseif section == "files" then
    for _, path in ipairs(type(wanted) == "table" and wanted or { wanted }) do
      if prefixes.path(path, entry.target) or prefixes.path(entry.target, path) then
        return true
      end
    end
  end
  return false
end

local function find(entries, effect)
  for _, entry in ipairs(entries or {}) do
    if means(entry, effect) then
      return entry
    end
  end
  return nil
end

--- The rules in words, for show and doctor: {name, text} each.
---@param known table? what rules.read returned
---@param zone string
---@return string[][]
function rules.lines(known, zone)
  local list = {}
  if known and known.read_only then
    list[#list + 1] = { "read-only", "nothing is changed here, by nobody" }
  end
  local words = { { "within", "changed within" }, { "who", "changed by" }, { "deny", "never changed" }, { "ask", "asked first" } }
  for _, word in ipairs(words) do
    local written = known and known.written[word[1]]
    if written then
      local tail = word[1] == "within" and (" (%s)"):format(zone) or ""
      list[#list + 1] = { word[2], table.concat(written, ", ") .. tail }
    end
  end
  return list
end

--- Is the operator named by `who`? Through sudo it is the one who called it.
local function is_named(host, who)
  local user = host.system.user():gsub(" %(sudo%)$", "")
  if user:sub(1, 1) ~= "@" and text.has(who, user) then
    return true
  end
  for _, group in ipairs(host.system.groups and host.system.groups() or {}) do
    if text.has(who, "@" .. group) then
      return true
    end
  end
  return false
end

--- When changes may be made next, in words; nil when no window opens within a week.
local function opens_at(clock, windows, zone, epoch)
  local first
  for _, window in ipairs(windows) do
    local at = hours.next(clock, window, zone, epoch)
    first = at and math.min(at, first or at) or first
  end
  return first and times.at(clock, zone, first):format "%a %Y-%m-%d %H:%M"
end

---@class opsrun.Situation
---@field offset number  seconds that a dry run's clock is ahead
---@field back boolean   a way back: it is not held up by the hour, nor asked about again

--- The rules of one environment, ready to judge.
---@param host table
---@param known table? what rules.read returned
---@param name string of the environment
---@param zone string
---@param place string "environment '/etc/opsrun/production.lua'"
---@return {judge: fun(effect: table, situation: opsrun.Situation): table[], table?}?
function rules.bind(host, known, name, zone, place)
  if not known then
    return nil
  elseif known.within and host.clock.is_zone and not host.clock.is_zone(zone) then
    error(errors.precondition { -- else nobody could say when the window is open
      message = ("%s: timezone: there is no time zone '%s', and rules.changes.within needs it"):format(place, zone),
    }, 0)
  end
  local bound = {}

  --- The refusals of a change {rule, message, hint}, and the entry of `ask` that means it.
  function bound.judge(effect, situation)
    local refusals = {}
    local function refuse(rule, message, hint)
      local aside = ("--override rules.%s --because TEXT sets it aside for this run, aloud"):format(rule)
      refusals[#refusals + 1] = {
        rule = rules.may_be_overridden[rule] and "rules." .. rule or nil,
        message = message,
        hint = rules.may_be_overridden[rule] and (hint and hint .. "; " .. aside or aside) or hint,
      }
    end
    local changes = effect.class == "change"
    if changes and known.read_only then
      refuse("read_only", ("environment '%s' is read-only: %s"):format(name, effect.summary), "rules.read_only of its file says so")
    end
    if changes and known.who and not is_named(host, known.who) then
      refuse("who", ("'%s' may not change environment '%s'"):format(host.system.user(), name),
        ("rules.changes.who of its file names %s"):format(table.concat(known.who, ", ")))
    end
    local denied = find(known.deny, effect)
    if denied then
      refuse("deny", ("environment '%s' denies '%s': %s"):format(name, denied.text, effect.summary))
    end
    if changes and known.within and not situation.back then
      local epoch, open = host.clock.wall() + situation.offset, false
      for _, window in ipairs(known.within) do
        open = open or hours.hold(host.clock, window, zone, epoch)
      end
      local next_time = not open and opens_at(host.clock, known.within, zone, epoch)
      if not open then
        refuse("within", ("environment '%s' is changed within %s only, and there it is %s"):format(
          name, table.concat(known.written.within, ", "), times.at(host.clock, zone, epoch):format "%a %H:%M %Z"),
          next_time and ("it may be changed again from %s on"):format(next_time))
      end
    end
    return refusals, not situation.back and find(known.ask, effect) or nil
  end

  function bound.lines()
    return rules.lines(known, zone)
  end

  return bound
end

return rules
