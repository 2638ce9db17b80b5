--- A service that commands of the environment start, stop and look after. Pure; the contract is in
--- runtime/service/systemd.lua. Exit codes of `status` as init scripts have them: 0 it runs, 1 to 3 it does not.
local process = { unjailed = true } -- many a status command sends signal 0, which the jail denies

function process.called(settings)
  return settings.pid_file and "process of " .. settings.pid_file or "process"
end

--- The process that the file names, if it lives. Its start time makes it one for good.
local function by_pid_file(settings, look)
  local said = look({ "cat", "--", settings.pid_file }, { 0, 1 })
  local pid = said.code == 0 and said.text:match "^%s*(%d+)" or nil
  if not pid then
    return { state = "inactive", detail = "no process id" }
  end
  local found = look({ "ps", "-o", "lstart=", "-p", pid }, { 0, 1 })
  if found.code ~= 0 then
    return { state = "inactive", detail = ("process %s is gone"):format(pid) }
  end
  return { state = "active", pid = math.tointeger(tonumber(pid)), identity = pid .. " " .. found.text }
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
    return { { argv = settings.stop }, { argv = settings.start } }
  end
  return nil
end

function process.advice()
  return "what does its own log say?"
end

return process
