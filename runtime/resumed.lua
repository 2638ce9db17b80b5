--- What a run that is gone on with knows of its steps: which are over and what they returned, which was cut short
--- and what of it is taken from the journal. A fresh run has no recording, and everything here answers nil.
local budget = require "runtime.budget"
local context = require "runtime.context"
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local recording = require "runtime.recording"
local replay = require "runtime.replay"
local resumed = {}

local over = { done = true, skipped = true, declined = true }

--- The recorded entry of a step; nil in a fresh run, for a step that never began, for one that is run again.
---@return table? entry
function resumed.entry(run, node, parent)
  local known = run.recording and run.recording:step(parent.path, node.id)
  if not known or parent.anew or run.again and run.again(node, parent) then
    return nil
  end
  return known
end

--- The number of the attempt that a step begins with: behind the recorded ones, unless one of them is gone on with.
---@return integer
function resumed.attempt(run, node, parent, scope)
  local known = run.recording and run.recording:step(parent.path, node.id)
  return known and (scope and known.attempt or known.attempt + 1) or 1
end

--- Is this step over, as far as the journal is believed? Inside a step that was cut short also one that failed:
--- what enclosed it went on from there.
function resumed.is_over(entry, parent)
  local scope = parent.replay
  if not entry.state then
    return false
  elseif scope then
    return entry.ended <= scope.cut
  end
  return over[entry.state] or false
end

--- What is taken from the journal of a step that was cut short: its scope, or nil when it runs again as a whole.
---@return table? scope, boolean anew its children run again, too
function resumed.scope(run, entry, parent)
  if parent.replay then
    return parent.replay, false
  end
  local cut = run.recording:cut(entry)
  if not cut then
    return nil, true
  end
  return run.recording:scope(entry, cut), false
end

--- Child steps inside a step that is over have taken their ids: later ones are numbered behind them.
local function count_inner(run, entry)
  for _, child in ipairs(entry.children or {}) do
    if child.path == entry.path then
      local base = child.inner or child.id
      run.inner_ids[base] = (run.inner_ids[base] or 0) + 1
      count_inner(run, child)
    end
  end
end

--- So have the gates in it: one of the same name that is asked later is still the second one.
local function count_gates(run, entry)
  for _, below in ipairs(recording.subtree(entry)) do
    for _, ask in ipairs(below.asks or {}) do
      local base, number = ask.gate, nil
      if base ~= below.id then
        base, number = base:match "^(.+)%.(%d+)$"
      end
      local key = ("%s#%d"):format(base or ask.gate, ask.attempt)
      run.gate_counts[key] = math.max(run.gate_counts[key] or 0, number and math.tointeger(tonumber(number)) or 1)
    end
  end
end

--- Its checks' last values and what it spent count in the run that goes on.
local function fold(run, entry)
  local inside = {}
  for _, below in ipairs(recording.subtree(entry)) do
    inside[below.path .. "\0" .. below.id] = below.began -- each time it was begun it told its checks anew
    for _, effect in ipairs(below.begins) do
      budget.count(run, effect.begin or {})
    end
  end
  for i, check in ipairs(run.recording.checks) do
    local began = inside[(check.path or "") .. "\0" .. check.step]
    if began and check.n > began then
      if i >= run.recording.samples_from and check.sample and not check.undetermined then
        run.samples = run.samples or {}
        table.insert(run.samples, { name = check.name, t = check.at, value = check.sample })
      end
      if not run.checks[check.name] then
        run.check_order[#run.check_order + 1] = check.name
      end
      run.checks[check.name] = { value = check.value, verdict = check.verdict, unit = check.unit }
    end
  end
end

--- Fills the record of a step that is over from its entry.
---@param record table the step's new record
function resumed.fill(run, entry, record)
  record.state, record.reason, record.seconds = entry.state, entry.reason, entry.seconds or 0
  record.resumed, record.at = true, entry.t
  record.value = plain.revive(entry.value)
  if entry.not_kept then
    record.value = replay.lost({ summary = ("step '%s'"):format(entry.name or entry.id) }, entry.not_kept)
  end
  if entry.error then
    record.failure = replay.failure(entry.error)
  end
  fold(run, entry)
end

--- Was a step of this group begun before? Then its `when` held, and is not asked again.
function resumed.group_begun(run, node, parent)
  for _, child in ipairs(node.nodes or {}) do
    if child.kind == "group" and resumed.group_begun(run, child, parent) then
      return true
    end
    local entry = child.kind == "step" and resumed.entry(run, child, parent)
    if entry and entry.state ~= "skipped" then
      return true
    end
  end
  return false
end

--- The recorded way back that this one was: the `slot`th of its branch of its step.
---@return table? way {number, done}
function resumed.way(current, slot)
  local known = current.replay and current.run.recording
  local key = table.concat({ current.path, current.step.id, current.attempt, current.branch, slot }, "\0")
  return known and known.pushes[key] or nil
end

--- What a way back had done before it was cut short; false: nothing, all of it is to be done.
function resumed.way_scope(run, entry)
  local known = run.recording
  local at = entry.context
  return known and at.step and known:way_scope(entry, at.path, at.step.id) or false
end

--- Goes through a finished step again, from the journal alone: a scope that is offline lets nothing be sent.
local function go_through(run, entry, parent, record, call, open)
  local ctx = setmetatable({}, { __index = parent })
  ctx.step, ctx.attempt, ctx.branch, ctx.ordinal, ctx.parent = record, entry.attempt, parent.branch, 0, parent
  ctx.silent, ctx.anew, ctx.buffer = true, false, {}
  if parent.replay then -- what is taken from it takes its turn there
    ctx.replay = setmetatable({ offline = true }, { __index = parent.replay, __newindex = parent.replay })
  else
    ctx.replay = run.recording:scope(entry, entry.ended or math.huge)
    ctx.replay.offline = true
  end
  local ok, err = call(ctx)
  local met = {}
  for _, way in ipairs(run.stack) do
    met[way.number] = true
  end
  for _, way in ipairs(open) do
    if not met[way.number] then
      resumed.stand_in(run, way, ctx, not ok and errors.wrap(err).message or "the step did not come to it again")
    end
  end
end

--- Goes through a finished step again, from the journal alone, so that its ways back and clocks are there: nothing
--- is sent, written or shown. A step that cannot be gone through leaves stand-ins that say so.
---@param call fun(ctx: table): boolean, any runs the step's function in ctx
function resumed.rebuild(run, entry, parent, record, call)
  local open, inner, gates = recording.open_ways(entry), {}, {}
  for base, count in pairs(run.inner_ids) do
    inner[base] = count
  end
  for base, count in pairs(run.gate_counts) do
    gates[base] = count
  end
  if recording.to_go_through(entry) then
    go_through(run, entry, parent, record, call, open)
  end
  for base in pairs(run.inner_ids) do
    run.inner_ids[base] = inner[base] -- counted by what follows, whether or not it was gone through
  end
  for base in pairs(run.gate_counts) do
    run.gate_counts[base] = gates[base]
  end
  count_inner(run, entry)
  count_gates(run, entry)
end

--- A way back whose function could not be had again: it says so when its turn comes.
function resumed.stand_in(run, way, ctx, why)
  local at = setmetatable({ replay = false, silent = false }, { __index = ctx })
  local entry = {
    kind = way.kind,
    text = way.text,
    number = way.number,
    context = at,
    fn = function()
      error(errors.fail {
        message = ("'%s' cannot be done by opsrun after the resume: %s"):format(way.text, why),
        hint = "do it by hand, then: opsrun close RUN --because TEXT",
      }, 0)
    end,
  }
  table.insert(run.stack, entry)
  table.sort(run.stack, function(a, b)
    return a.number < b.number
  end)
end

--- What was done before counts in the summary and the exit code.
function resumed.count_changes(run)
  local list = {}
  for _, effect in pairs(run.recording.effects) do
    local finish = effect.begin and effect.finish
    if finish and finish.outcome ~= "not sent" and finish.outcome ~= "unknown" then
      list[#list + 1] = effect
    end
  end
  table.sort(list, function(a, b)
    return a.n < b.n
  end)
  for _, effect in ipairs(list) do
    local begin = effect.begin
    run.changes = run.changes + 1
    run.changed[#run.changed + 1] = {
      summary = begin.summary,
      target = begin.target,
      class = begin.class,
      outcome = effect.finish.outcome,
      before = true,
    }
  end
end

--- Where the running task stands in a step that is gone through from the journal.
function resumed.replaying()
  local current = context.current()
  return current and current.replay or nil
end

return resumed
