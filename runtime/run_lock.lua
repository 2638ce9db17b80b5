--- The header's `lock`: one live run at a time of this playbook, or of all that name the same lock, in this
--- environment. It ends with the process; a suspended run does not hold it.
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local run_lock = {}

--- What is locked, as a file's name: playbooks and environments may be called anything.
local function name_of(digest, run)
  local own = run.header.lock == true and ("playbook " .. run.playbook) or ("name " .. tostring(run.header.lock))
  return "play-" .. digest(own .. "\0" .. run.environment.name):sub(1, 32)
end

--- Takes the lock of a live run. Raises `refused` when another run has it, unless --anyway was said.
---@param services {host: table, options: table}
---@param run table
---@return table? lock to be kept as long as the run goes on; nil when there is nothing to lock
function run_lock.take(services, run)
  if not run.header.lock or run.dry then
    return nil
  end
  local lock, holder, err = journal.lock(name_of(services.host.digest.sha256, run), run.id or run.playbook)
  if lock then
    return lock
  elseif err.code ~= "locked" then
    error(errors.precondition { message = err.message, code = err.code }, 0)
  elseif services.options.flags.anyway then
    services.host.term.message("note", "the lock is held by another run; --anyway goes on beside it")
    return nil
  end
  holder = holder or {}
  error(errors.refused {
    message = ("%s is being played on %s already: by run %s, process %s on %s since %s"):format(
      run.header.lock == true and ("'%s'"):format(run.playbook) or ("something with the lock '%s'"):format(run.header.lock),
      run.environment.name, holder.note or "?", tostring(holder.pid or "?"), holder.host or "this machine", holder.since or "?"
    ),
    hint = "opsrun log RUN --follow watches it; --anyway plays beside it",
    code = "locked",
  }, 0)
end

return run_lock
