--- What goes on now: the status line with the time since, and the answer to a person who presses Enter.
--- Sees every event at once, also those of steps side by side, whose lines wait for their end.
local context = require "runtime.context"
local report_lines = require "runtime.report_lines"
local table_text = require "runtime.table_text"
local report_live = {}

--- So often the line is made anew; what is over sooner is never seen.
local LOOK = 0.25
--- From here on a thing has a time behind it, and a step is named by what it waits for.
local LONG = 1
--- Whoever leans on Enter is answered once in so many seconds.
local CALM = 1

--- So many effects of a step are kept for whoever asks for details.
local KEPT = 20

local host, run_ends, answered
local started = 0 -- steps begun, without those inside steps
local steps = {} -- step key -> {step, total, since, wait, shows, effects}
local order = {} -- keys of steps that go on, oldest first
local underway = {} -- effects that go on: {effect, step, since}, oldest first
local asking = 0

local function forget_step(key)
  steps[key] = nil
  for list, same in pairs { [order] = function(entry) return entry == key end, [underway] = function(entry) return entry.key == key end } do
    for i = #list, 1, -1 do
      if same(list[i]) then
        table.remove(list, i)
      end
    end
  end
end

--- The step that this one was begun in, if it goes on.
local function outer_of(step)
  for _, known in pairs(steps) do
    local prefix = known.step.number .. "."
    if step.number:sub(1, #prefix) == prefix then
      return known
    end
  end
end

local hears = {}

hears["step.start"] = function(e)
  forget_step(e.step.key)
  local outer = outer_of(e.step)
  if not outer and e.attempt == 1 then
    started = started + 1
  end
  steps[e.step.key] = {
    step = e.step,
    position = outer and outer.position or started,
    total = e.total,
    since = host.clock.monotonic(),
    shows = {},
    effects = {},
  }
  order[#order + 1] = e.step.key
  local current = context.current()
  run_ends = current and current.run and current.run.ends_at
end

hears["show"] = function(e)
  local known = e.step and steps[e.step.key]
  if known then
    known.shows[#known.shows + 1] = e
  end
end

hears["step.end"] = function(e)
  forget_step(e.step.key)
end

local function hear_begin(e)
  local current = context.current()
  asking = asking + (e.began.class == "ask" and 1 or 0)
  underway[#underway + 1] = {
    effect = e.began,
    key = e.step and e.step.key,
    since = host.clock.monotonic(),
    ends_at = current and current.ends_at,
  }
end

hears["effect"] = function(e)
  local known = e.step and steps[e.step.key]
  if known and e.effect.class ~= "ask" then
    table.insert(known.effects, e.effect)
    if #known.effects > KEPT then
      table.remove(known.effects, 1)
    end
  end
  for i, entry in ipairs(underway) do
    if entry.effect == e.effect then
      asking = asking - (e.effect.class == "ask" and 1 or 0)
      table.remove(underway, i)
      return
    end
  end
end

hears["wait"] = function(e)
  local known = e.step and steps[e.step.key]
  if known then
    known.wait = not e.over and { text = e.text, within = e.within, since = host.clock.monotonic() - e.seconds } or nil
  end
end

--- Has this step steps of its own that go on? Then they say what it waits for.
local function has_inner(known)
  local prefix = known.step.number .. "."
  for _, other in pairs(steps) do
    if other.step.number:sub(1, #prefix) == prefix then
      return true
    end
  end
  return false
end

local function activity_of(entry, known)
  return { known = known, text = entry.effect.summary, since = entry.since, effect = entry.effect, ends_at = entry.ends_at }
end

--- What goes on, oldest first: {step, total, text, since, limit, class}. A step that waits for something
--- of its own is told by that.
local function activities()
  local list = {}
  for _, key in ipairs(order) do
    local known = steps[key]
    local before = #list
    if known.wait then
      local wait = known.wait
      list[#list + 1] = { known = known, text = "waiting: " .. wait.text, since = wait.since, most = wait.within, wait = true }
    else
      for _, entry in ipairs(underway) do
        if entry.key == key then
          list[#list + 1] = activity_of(entry, known)
        end
      end
    end
    if #list == before and not has_inner(known) then
      list[#list + 1] = { known = known, since = known.since }
    end
  end
  for _, entry in ipairs(underway) do -- what belongs to no step that goes on: ways back, say
    if not steps[entry.key] then
      list[#list + 1] = activity_of(entry)
    end
  end
  return list
end

--- " 5/9 Terminate idle sessions": the fifth step of nine. With something behind it a long name is cut, so
--- that both are seen.
local function place(known, what)
  if not known then
    return " "
  end
  local name = known.step.name
  if what then
    name = table_text.cut(name, math.max(12, math.floor(report_lines.columns() * 0.4)))
  end
  return (" %d/%d %s"):format(known.position, known.total, name)
end

--- No tenths: they would flicker.
local function whole_seconds(seconds)
  return seconds < 60 and ("%ds"):format(math.floor(seconds)) or report_lines.seconds_text(math.floor(seconds))
end

--- The most a thing may take, as words, or nil.
local function limit_of(activity)
  local seconds = activity.effect and activity.effect.within
  return activity.most or (seconds and report_lines.seconds_text(seconds))
end

--- "12s of at most 30s"
local function elapsed(activity, now)
  local spent = now - activity.since
  local limit = limit_of(activity)
  return whole_seconds(spent) .. (limit and (" of at most " .. limit) or "")
end

local function draw()
  local now = host.clock.monotonic()
  local list = activities()
  if asking > 0 or #list == 0 then
    host.term.status(nil)
    return
  end
  local longest = list[1]
  for _, activity in ipairs(list) do
    if activity.since < longest.since then
      longest = activity
    end
  end
  local spent = now - longest.since
  local known = longest.known
  local text, behind = place(known), ""
  if spent >= LONG then
    local progress = longest.effect and longest.effect.progress
    local what = progress and (progress .. ", " .. longest.text) or longest.text
    text = place(known, what) .. (what and ((known and " › " or "") .. what) or "")
    behind = "  " .. elapsed(longest, now)
  elseif known and now - known.since >= LONG then
    behind = "  " .. whole_seconds(now - known.since)
  end
  if #list > 1 then
    text = (" %d go on, the longest:%s"):format(#list, text)
  end
  host.term.status(text, behind)
end

local say = report_lines.aside

--- How the thing ends, by itself and by hand.
local function ends(activity)
  local limit = limit_of(activity)
  local itself = limit and ("ends by itself after at most " .. limit) or "has no time limit of its own"
  if activity.ends_at then
    local left = math.max(0, activity.ends_at - host.clock.monotonic())
    itself = ("%s; its step's timeout comes in %s"):format(itself, report_lines.seconds_text(left))
  end
  local class = activity.effect and activity.effect.class
  if class == "change" or class == "tell" then
    return itself .. "; Ctrl-C lets it finish and then ends the run, a second Ctrl-C cancels it"
  end
  return itself .. "; Ctrl-C ends it, and the run, at once"
end

--- Tells what opsrun waits for.
local function explain()
  local now = host.clock.monotonic()
  local list = activities()
  for i, activity in ipairs(list) do
    if i > 10 then
      say("   ", ("… and %d more"):format(#list - 10))
      break
    end
    local known = activity.known
    local where = known and ("step %s '%s'"):format(known.step.number, known.step.name) or "at the end"
    local what = activity.text or "computes, or is between two effects"
    say(i == 1 and " … " or "   ", ("%s: %s"):format(where, what))
    local began = host.clock.utc(host.clock.wall() - (now - activity.since)):sub(12, 19)
    say("   ", ("since %s UTC, %s; %s"):format(began, report_lines.seconds_text(now - activity.since), ends(activity)))
  end
  if run_ends then
    say("   ", ("the run's deadline is over in %s"):format(report_lines.seconds_text(math.max(0, run_ends - now))))
  end
end

local function attend()
  while true do
    local entered, err = host.term.entered(LOOK)
    if entered and host.clock.monotonic() - answered >= CALM then
      host.term.status(nil)
      explain()
      answered = host.clock.monotonic()
    elseif not entered and err.code ~= "timeout" then
      return
    end
    draw()
  end
end

--- What a step that goes on has shown and done so far: {shows = events, effects = effects}.
function report_live.seen(key)
  return key and steps[key] or { shows = {}, effects = {} }
end

--- Begins to watch. Only where there is a person: stdin and stderr are terminals.
---@param given {host: table}
---@return fun(event: table)? hears every event at once
function report_live.open(given)
  host = given.host
  if not report_lines.terminal then
    return nil
  end
  steps, order, underway, asking, answered, started = {}, {}, {}, 0, -CALM, 0
  local task = host.task.spawn(attend)
  return function(event)
    local hear = event.began and hear_begin or hears[event.event]
    if hear then
      hear(event)
    elseif event.event == "run.end" then
      host.task.cancel(task)
    end
  end
end

return report_live
