--- A service that commands of the environment start, stop and look after. Pure; the contract is in
--- runtime/service/systemd.lua. Exit codes of `status` as init scripts have them: 0 it runs, 1 to 3 it does not.
local process = { unjailed = true } -- many a status command sends signal 0, which the jail denies

function process.called(settings)
  return settings.pid_file and "process of " .. settings.pid_file or "process"
end

--- All in one command, since each may be a round trip: the process id, its state, and when that process was started.
--- The id is the file's first word: PostgreSQL's postmaster.pid has more lines than one.
local BY_PID_FILE = 'read -r pid rest <"$1"; [ -n "$pid" ] && echo "$pid" && ps -o stat= -o lstart= -p "$pid"'

--- The process that the file names, if it lives: one that is dead and not yet reaped by its parent (Z) does not. Its
--- start time makes it one for good.
local function by_pid_file(settings, look)
  local said = look({ "sh", "-c", BY_PID_FILE, "sh", settings.pid_file }, { 0, 1 })
  local pid, state, started = said.stdout:match "^%s*(%d+)%s*\n%s*(%a?)%S*%s*(.*)$"
  if not pid then
    return { state = "inactive", detail = "no process id" }
  elseif said.code ~= 0 or state == "Z" then
    return { state = "inactive", detail = ("process %s is gone"):format(pid) }
  end
  return { state = "active", pid = math.tointeger(tonumber(pid)), identity = pid .. " " .. started:gsub("%s+$", "") }
end

function process.status(settings, look)
  if not settings.status then
    return by_pid_file(settings, look)
  end
  local code = look(settings.status, { 0, 1, 2, 3, 4 }).code
  if code ~= 0 then
    return { state = code == 4 and "unknown" or "inactive", detail = ("status %d"):format(code) }
  end
  local facts = settings.pid_file and by_pid_file(settings, look) or {}
  facts.state = "active"
  return facts
end

function process.change(settings, verb)
  local command = settings[verb]
  if (verb == "start" or verb == "stop" or verb == "restart") and command then
    return { { argv = command } }
  elseif verb == "restart" and settings.stop and settings.start then
    return { { argv = settings.stop, of_running = true }, { argv = settings.start } }
  end
  return nil
end

function process.advice()
  return "what does its own log say?"
end

return process
