--- Plays steps from the journal alone: every call gets its recorded outcome, nothing is sent or written. For
--- `opsrun replay`, and to see whether a changed playbook still does what was recorded.
local errors = require "runtime.errors"
local recording = require "runtime.recording"
local resumed = require "runtime.resumed"
local offline = {}

local not_played = { skipped = true, declined = true }

local function disagree(message, ...)
  return errors.refused {
    message = message:format(...),
    hint = "journal and playbook have to agree on every recorded call",
    code = "mismatch",
  }
end

--- A change that the journal holds and the playbook did not ask for again, or nil.
local function left_over(scope)
  for i = 1, #scope.order do
    local effect = scope.order[i]
    if effect.begin and not effect.taken then
      return effect.begin
    end
  end
end

--- What became of a step, by the journal and by what the playbook did.
local function judge(run, entry, record, scope, ok, value)
  local err = not ok and errors.wrap(value, record.node.where) or nil
  local rest = left_over(scope)
  if err and err.code == "end of journal" then
    if entry.state == "done" then
      return disagree("step '%s' is done by the journal, and the playbook asks for more: %s", entry.name, err.asked or "?")
    end
    record.state = entry.state or "interrupted"
    run.journal_ended = not entry.state
    return nil
  elseif err and err.code == "value not kept" then
    resumed.fill(run, entry, record)
    record.reason = "as recorded: " .. err.message
    return nil
  elseif err and err.code == "mismatch" then
    return err
  elseif rest then
    return disagree("step '%s': the journal has '%s', which the playbook no longer asks for", entry.name, rest.summary)
  end
  record.value = ok and value or nil
  record.state = entry.state or "interrupted"
  record.reason = entry.reason
  if err and err.kind ~= "skip" and err.kind ~= "finish" then
    if entry.state == "done" then
      return disagree("step '%s' is done by the journal, and fails in the playbook: %s", entry.name, err.message)
    end
    record.failure = err
  elseif err and err.kind == "finish" then
    record.failure = err
  end
  return nil
end

--- Plays one step. Its record gets state, value, failure; a disagreement is a failure of the kind `refused`.
---@param call fun(ctx: table): boolean, any runs the step's function in ctx
function offline.play(run, entry, parent, record, call)
  run.played[entry] = true
  record.seconds, record.attempt = entry.seconds or 0, entry.attempt
  if not_played[entry.state] then
    record.state, record.reason = entry.state, entry.reason
    return
  end
  local ctx = setmetatable({}, { __index = parent })
  ctx.step, ctx.attempt, ctx.branch, ctx.ordinal, ctx.parent = record, entry.attempt, parent.branch, 0, parent
  ctx.replay = run.recording:scope(entry, math.huge, true)
  ctx.replay.offline = true
  local ok, value = call(ctx)
  record.failure = judge(run, entry, record, ctx.replay, ok, value) or record.failure
end

--- A step that the journal does not know: here it ends.
function offline.beyond(run, record)
  run.journal_ended = true
  record.state, record.seconds = "skipped", 0
  record.failure = errors.finish { message = "the journal ends here", code = "end of journal" }
end

--- Steps that changed something and that the playbook did not come to: their names.
function offline.missed(run)
  local list = {}
  for _, entry in ipairs(run.recording.order) do
    local below = false
    for _, one in ipairs(recording.subtree(entry)) do
      below = below or #one.begins > 0
    end
    if below and not entry.parent and not run.played[entry] then
      list[#list + 1] = entry.name or entry.id
    end
  end
  return list
end

return offline
