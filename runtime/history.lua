--- What the journals of all runs say, in short: for runs, status and log.
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local text = require "runtime.text"
local history = {}

--- One text for the key of an effect.
local function key_of(record)
  return table.concat({ record.path, record.step, record.attempt, record.branch, record.ordinal }, "\0")
end

--- Records behind which a run no longer waits for what it said before.
local settles = { ["step.end"] = true, ["effect.end"] = true, wait = true, gate = true, ["run.end"] = true, ["run.resume"] = true }

--- Folds the records of one run into a summary.
---@param records table[]
function history.summarize(records)
  local summary = { pending = {}, in_doubt = {}, changes = 0 }
  local begun, stack, most = {}, {}, 0
  for _, record in ipairs(records) do
    local kind = record.type
    if settles[kind] then
      summary.now = nil
    end
    if kind == "run.start" then
      summary.run, summary.playbook, summary.mode = record.run, record.playbook, record.mode
      summary.environment, summary.operator, summary.started = record.environment, record.operator, record.t
      summary.title = record.title
    elseif kind == "step.start" then
      summary.at = record.step
    elseif kind == "effect.begin" then
      begun[key_of(record)] = record
    elseif kind == "effect.end" and (record.class == "change" or record.class == "tell") then
      begun[key_of(record)] = record.outcome == "unknown" and record or nil
      summary.changes = summary.changes + (record.outcome == "done" and 1 or 0)
    elseif kind == "undo.push" then
      stack[record.number] = record
      most = math.max(most, record.number)
    elseif kind == "undo.done" then
      stack[record.number] = not record.ok and stack[record.number] or nil
    elseif kind == "settled" then
      for number, way in pairs(stack) do
        stack[number] = way.kind ~= "undo" and way or nil
      end
    elseif kind == "run.end" then
      summary.state, summary.code = record.state, record.code
      summary.error = record.error and record.error.message
    elseif kind == "run.resume" then
      summary.state, summary.code, summary.error, summary.resumed = nil, nil, nil, record.t
      summary.waits = nil
    elseif kind == "run.abort" then
      summary.error, summary.now = record.text, nil
    elseif kind == "run.closed" then
      summary.state, summary.because = "closed", record.because
    elseif kind == "gate.wait" or kind == "time.wait" then
      summary.waits = record
    elseif kind == "asking" or kind == "waiting" then
      summary.now = record.text
    elseif kind == "answer" and summary.waits and summary.waits.gate == record.gate then
      summary.answered = record
    end
  end
  for _, record in pairs(begun) do
    summary.in_doubt[#summary.in_doubt + 1] = record.summary
  end
  table.sort(summary.in_doubt)
  local over = summary.state == "done" or summary.state == "undone" or summary.state == "closed"
  if over then
    summary.in_doubt = {}
  end
  summary.standing = {}
  for number = 1, most do
    local way = stack[number]
    local standing = way and way.kind == "standing"
    if standing and summary.state ~= "undone" and summary.mode == "live" then
      local what = way.text:gsub("^take back: ", "")
      table.insert(summary.standing, { text = what, since = way.t, expires = way.expires, step = way.step })
    elseif way and not standing and not over and summary.mode == "live" then
      table.insert(summary.pending, 1, way.text) -- the last is taken first
    end
  end
  summary.left = #summary.pending > 0 and #summary.pending or nil
  return summary
end

--- The summary of a run whose journal is damaged or still empty.
local function unreadable(id, err)
  local row = { run = id, started = "", pending = {}, in_doubt = {} }
  if err then
    row.state, row.problem = "unreadable", "what it did is not known: " .. tostring(err)
  elseif journal.holder(id) then
    row.state, row.problem = "running", "it has written nothing yet"
  else
    row.state, row.problem = "interrupted", "it ended before it wrote or did anything"
  end
  return row
end

--- Summaries of all runs, newest first. A damaged journal is one row that says so.
function history.all()
  local list = {}
  for _, id in ipairs(journal.list()) do
    local ok, records = pcall(journal.read, id)
    if ok and #records > 0 then
      local summary = history.summarize(records)
      if not summary.state then
        if journal.holder(id) then
          summary.state = "running"
        else
          summary.state = #summary.in_doubt > 0 and "in doubt" or "interrupted"
        end
      end
      list[#list + 1] = summary
    else
      list[#list + 1] = unreadable(id, not ok and records or nil)
    end
  end
  table.sort(list, function(a, b)
    if a.started ~= b.started then
      return a.started > b.started
    end
    return a.run > b.run
  end)
  return list
end

--- So many of a playbook's newest runs are looked at before it is played again.
local NEWEST = 10

--- Runs of a playbook that did not end well and left something to take back or in doubt, newest first. Looks at the
--- ends of the newest few; only one that is open is read whole.
---@param playbook string
---@param ids string[] what journal.named_like says
---@return table[] summaries
function history.left_by(playbook, ids)
  local list = {}
  for i = #ids, math.max(1, #ids - NEWEST + 1), -1 do
    local first, last = journal.ends(ids[i])
    local ended = last and last.type == "run.end" and (last.state == "done" or last.state == "undone")
    local over = ended or last and last.type == "run.closed"
    if first and first.mode == "live" and first.playbook == playbook and not over and not journal.holder(ids[i]) then
      local ok, records = pcall(journal.read, ids[i])
      local summary = ok and history.summarize(records)
      if summary and (summary.left or #summary.in_doubt > 0) then
        list[#list + 1] = summary
      end
    end
  end
  return list
end

--- States of a run that can go on.
local open_states = { suspended = true, interrupted = true, failed = true, refused = true, ["in doubt"] = true }

--- The newest live run that can go on.
function history.last_open()
  for _, summary in ipairs(history.all()) do
    if summary.mode == "live" and open_states[summary.state] then
      return summary.run
    end
  end
  error(errors.usage {
    message = "no run can go on: none was interrupted, failed, refused or suspended",
    hint = "opsrun runs lists them",
  }, 0)
end

--- The one run whose id starts with `prefix`.
function history.find(prefix)
  local found, all = {}, journal.list()
  for _, id in ipairs(all) do
    if id == prefix then
      return id
    elseif id:sub(1, #prefix) == prefix then
      found[#found + 1] = id
    end
  end
  if #found == 1 then
    return found[1]
  elseif #found > 1 then
    error(errors.usage {
      message = ("'%s' is the beginning of %d runs"):format(prefix, #found),
      hint = "one of: " .. table.concat(found, ", "),
    }, 0)
  end
  local near = text.nearest(prefix, all)
  error(errors.usage {
    message = ("no run '%s'"):format(prefix),
    hint = near and ("did you mean '%s'? 'opsrun runs' lists them"):format(near) or "'opsrun runs' lists them",
  }, 0)
end

return history
