--- How many runs of a playbook are kept, and for how long: the header's `keep_runs`. At the end of a run older
--- ones of the same playbook are removed, but never one that somebody may still have to look at.
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local report = require "runtime.report"
local units = require "runtime.units"
local retention = {}

--- Without `keep_runs`.
retention.count, retention.age = 1000, 400 * 86400

--- What a run may have ended as to be removed; all others may be resumed, undone or answered.
local over = { done = true, undone = true, closed = true }

--- At most so many are removed after one run: a long backlog goes bit by bit.
local most_at_once = 200

--- What the header asks for. One limit given alone is the only one.
---@param keep integer|string|table|nil the field `keep_runs`
---@return integer|nil count, number|nil age in seconds
function retention.limits(keep)
  if keep == nil then
    return retention.count, retention.age
  elseif math.type(keep) == "integer" then
    return keep, nil
  elseif type(keep) == "string" then
    return nil, units.duration(keep).seconds
  end
  return keep.count, keep.age and units.duration(keep.age).seconds
end

--- Is this one of the playbook's runs, and may it go?
---@return boolean ours, boolean removable
local function judge(id, playbook)
  local first, last = journal.ends(id)
  if not first or first.type ~= "run.start" or first.playbook ~= playbook then
    return false, false
  end
  local ended = last ~= nil and last.type:find "^run%." ~= nil and over[last.state] == true
  return true, first.mode == "dry" or ended and (last.standing or 0) == 0
end

--- Removes what is too much. To know that, the ends of all runs with this name are read: in a long list this
--- is done only now and then.
local function remove_old(run, ids, count, age, now)
  local kept, removed = 0, 0
  for i = #ids, 1, -1 do
    local id = ids[i]
    local ours, removable = judge(id, run.playbook)
    kept = kept + (ours and 1 or 0)
    local too_many = count ~= nil and kept > count
    local too_old = age ~= nil and now - journal.made(id) > age
    if id ~= run.id and removable and (too_many or too_old) and removed < most_at_once then
      journal.remove(id)
      removed = removed + 1
    end
  end
  return removed
end

--- At the end of a run, live or dry. Never fails it; what could not be removed is said.
---@param host table for the clock
---@param run table
---@return integer removed
function retention.prune(host, run)
  local ok, answer = pcall(function()
    local count, age = retention.limits(run.header.keep_runs)
    local ids, now = run.named_before or journal.named_like(run.playbook), host.clock.wall()
    if run.named_before then
      ids[#ids + 1] = run.id
    end
    local due = count ~= nil and #ids > count or age ~= nil and #ids > 1 and now - journal.made(ids[1]) > age
    -- What may not be removed stays too much: it is not looked through after each run.
    local rarely = math.max(1, #ids // 20)
    if not due or math.floor(now * 1000) % rarely ~= 0 then
      return 0
    end
    return remove_old(run, ids, count, age, now)
  end)
  if not ok then
    report.emit { event = "message", text = ("older runs were not removed: %s"):format(errors.wrap(answer).message) }
    return 0
  end
  return answer
end

return retention
