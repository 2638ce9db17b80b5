--- Stage 2 of the gate: has the journal this call's outcome already? A step that is gone on with carries a scope,
--- what recording:scope made; every call in it is looked up by its key and compared by its digest.
local context = require "runtime.context"
local doubt = require "runtime.doubt"
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local recording = require "runtime.recording"
local replay = {}

local task_library

--- How long a branch waits for its turn while no other moves, in seconds: none of them does anything but compute.
local STALLED = 5

function replay.open(task)
  task_library = task
end

local lost_marks = setmetatable({}, { __mode = "k" })

local function stop_at_lost(value, what)
  local mark = lost_marks[value]
  error(errors.fail {
    message = ("'%s' was done before the resume, its value was not kept (%s): %s is not known"):format(mark.summary, mark.why, what),
    hint = "opsrun resume RUN --from STEP runs a step again; or return what later steps need as a small value without secrets",
    where = mark.where,
    code = "value not kept",
  }, 0)
end

local lost_mt = {
  __index = function(value, field)
    return stop_at_lost(value, ("'%s' of it"):format(tostring(field)))
  end,
  __tostring = function(value)
    return "‹not kept: " .. lost_marks[value].summary .. "›"
  end,
  __metatable = "not kept",
}
for _, event in ipairs { "add", "sub", "mul", "div", "mod", "pow", "idiv", "unm", "concat", "lt", "le", "len", "call", "pairs" } do
  lost_mt["__" .. event] = function(left, right)
    return stop_at_lost(lost_marks[left] and left or right, "it")
  end
end

--- Stands for a result that the journal does not hold: looking into it stops with that word.
---@param what {summary: string, where: string?}
---@param why string
function replay.lost(what, why)
  local value = {}
  lost_marks[value] = { summary = what.summary, where = what.where, why = why }
  return setmetatable(value, lost_mt)
end

--- Does this value stand for a result that was not kept?
function replay.is_lost(value)
  return lost_marks[value] ~= nil
end

--- The failure that a record holds, as an error value.
---@param record {kind: string?, message: string, code: any, hint: string?}
function replay.failure(record, outcome)
  local make = errors[record.kind or "fail"] or errors.fail
  return make { message = record.message, code = record.code, hint = record.hint, outcome = outcome }
end

local function mismatch(key, was, is)
  error(errors.refused {
    message = ("step '%s', call %d%s: the journal has '%s', the playbook now asks for '%s'"):format(
      key.step, key.ordinal, key.branch ~= "" and (" of branch " .. key.branch) or "", was, is
    ),
    hint = "nothing was sent; opsrun resume RUN --from STEP runs steps again, opsrun undo RUN takes back what was done",
    code = "mismatch",
  }, 0)
end

--- Ends what is played from the journal alone.
---@param asked string what was asked for
function replay.end_here(asked)
  error(errors.finish { message = "the journal ends here", code = "end of journal", asked = asked }, 0)
end

--- Waits until everything that was over before this effect has been given back.
local function wait_for_turn(scope, at, key)
  local seen, waited = scope.position, 0
  while scope.position < at do
    local ok = task_library.sleep(0.001)
    context.need "a branch"
    waited = ok and waited + 0.001 or STALLED
    if scope.position ~= seen then
      seen, waited = scope.position, 0
    elseif waited >= STALLED then
      local missing = scope.order[scope.position]
      local record = missing.begin or missing.finish
      mismatch(key, record.summary or record.text or "a wait", "something else")
    end
  end
  scope.position = math.max(scope.position, at + 1)
end

--- The record of this key in the running step's scope, once it is its turn; nil when the call is to be made.
---@param summary string of the call
---@param digest string?
---@return table? effect
function replay.take(key, summary, digest)
  local current = context.current()
  local scope = current and current.replay
  if not scope then
    return nil
  end
  local text = recording.key_of(key)
  local at = scope.index[text]
  if not at then
    local most = scope.most[text:match "^(.*)%z"]
    local known = scope.recording.effects[text]
    if most and key.ordinal < most and not (known and known.n <= scope.cut) then
      mismatch(key, "no such call", summary)
    elseif scope.offline then
      replay.end_here(summary)
    end
    return nil
  end
  local effect = scope.order[at]
  local record = effect.begin or effect.finish
  if digest and record.digest ~= digest then
    mismatch(key, record.summary or "a wait", summary)
  end
  wait_for_turn(scope, at, key)
  effect.taken = true
  return effect
end

--- The recorded outcome of this call: {value=}, {failure=}, {doubt = effect}, or nil when there is none and the call
--- is to be made. `again` beside a value: the effect is one of the run's own, which is made again.
---@param key table from context.key
---@param effect table described effect
---@param adapter table
---@param verb string
function replay.find(key, effect, adapter, verb)
  local known = replay.take(key, effect.summary, effect.digest)
  if not known then
    return nil
  end
  local offline = context.current().replay.offline
  if recording.in_doubt(known) then
    if offline then
      local current = context.current() -- `opsrun undo` finds it out from here
      known.met = { current = current, effect = effect, adapter = adapter, verb = verb, happened = doubt.author(current, effect) }
      replay.end_here(effect.summary)
    end
    return { doubt = known }
  end
  local record = known.finish
  if record.outcome ~= "done" then
    return { failure = replay.failure(record.error or { message = record.summary }, record.outcome) }
  elseif record.not_kept and effect.class == "read" and not offline then
    return nil -- read again; what comes of it is compared by the digests of the changes behind it
  elseif record.not_kept then
    return { value = replay.lost(effect, record.not_kept) }
  end
  local value = plain.revive(record.value)
  if adapter.revive and value ~= nil then
    value = adapter.revive(verb, value)
  end
  return { value = value, again = not offline and effect.class == "record" or nil }
end

return replay
