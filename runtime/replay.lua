--- Stage 2 of the gate: has the journal this call's outcome already? A fresh run has no history; the
--- keys it is asked by (call path, step, attempt, branch, ordinal, digest) are recorded from the
--- first day so that resume can be.
local replay = {}

--- The recorded outcome of this call, or nil when there is none.
---@param run table
---@param key table from context.key
---@param effect table described effect
function replay.find(run, key, effect) -- luacheck: no unused args
  local history = run.history
  if not history then
    return nil
  end
  return history:find(key, effect)
end

return replay
