--- Runs a command, here or on another host, and says what went wrong: for every adapter that runs commands.
local errors = require "runtime.errors"
local text = require "runtime.text"
local ssh = require "runtime.shell.ssh"
local execute = {}

--- Lines of stderr that a failure shows.
local hint_lines = 5
local default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

local signal_names = {
  [1] = "HUP", [2] = "INT", [3] = "QUIT", [4] = "ILL", [6] = "ABRT", [7] = "BUS", [8] = "FPE",
  [9] = "KILL", [11] = "SEGV", [13] = "PIPE", [14] = "ALRM", [15] = "TERM", [31] = "SYS",
}

--- The last lines of a text that say something, in one, or nil.
local function last_lines(output, count)
  local lines = {}
  for line in text.masked(output):gmatch "[^\r\n]+" do
    if line:find "%S" then
      lines[#lines + 1] = line
    end
  end
  return #lines > 0 and "it said: " .. table.concat(lines, "; ", math.max(1, #lines - count + 1)) or nil
end

local function path_of(host, request)
  local given = request.env and request.env.PATH
  return type(given) == "string" and given or host.system.env "PATH" or default_path
end

local function on_host(request)
  return request.host and (" on host '%s'"):format(request.host) or ""
end

local function raise_not_found(request, path)
  error(errors.effect {
    message = ("cannot run '%s'%s: command not found"):format(request.argv[1], on_host(request)),
    code = "command not found",
    outcome = "not sent",
    hint = path and not request.argv[1]:find("/", 1, true) and ("looked in " .. path) or nil,
  }, 0)
end

--- The words that run it as another user: never with a question for a password.
local function as_user(host, request)
  if not request.user then
    return request.argv
  end
  local words = { "runuser", "-u", request.user, "--" }
  if host.system.euid ~= 0 then
    local names = {}
    for name in pairs(request.env or {}) do
      names[#names + 1] = name
    end
    table.sort(names)
    words = { "sudo", "-n", "-u", request.user, "--" }
    if #names > 0 then
      table.insert(words, 3, "--preserve-env=" .. table.concat(names, ","))
    end
  end
  return table.move(request.argv, 1, #request.argv, #words + 1, words)
end

--- Nothing has begun: the command must be there, or the connection to its host. Raises "not sent".
---@param services {host: table, environment: table, run: table}
---@param request opsrun.Command
function execute.prepare(services, request)
  local host = services.host
  if request.host then
    ssh.of(services):connect(request.host)
    return
  end
  local name, path = as_user(host, request)[1], path_of(host, request)
  -- A name with a slash is relative to the command's own directory, which only it can judge.
  if name:find("/", 1, true) and name:sub(1, 1) ~= "/" and request.cwd then
    return
  elseif not host.process.find(name, path) then
    raise_not_found(request.user and { argv = { name } } or request, path)
  end
end

local function raise_failed(services, request, err, class)
  if err.code == "command not found" then
    raise_not_found(request, path_of(services.host, request))
  elseif err.code == "timeout" then
    err.hint = "timeout = \"10m\" lets it take longer"
  elseif err.code == "jail" then
    err.hint = "'opsrun doctor' says what the jail needs"
  end
  error(errors.from_host(err, class), 0)
end

--- The connection broke, or the other side did not begin.
local function check_remote(request, answer, class)
  if answer.never == "missing" then
    raise_not_found(request)
  elseif answer.never == "cwd" then
    error(errors.effect {
      message = ("cannot run '%s'%s: its directory: '%s' cannot be entered"):format(request.argv[1], on_host(request), request.cwd),
      code = "cwd",
      outcome = "not sent",
    }, 0)
  elseif answer.lost then
    local outcome = not answer.sent and "not sent" or class == "change" and "unknown" or "failed"
    local make = outcome == "unknown" and errors.unknown or errors.effect
    error(make {
      message = ("the connection to host '%s' broke while '%s' ran"):format(request.host, request.line),
      code = "connection lost",
      outcome = outcome,
      hint = outcome == "unknown" and "it may go on there, or have ended: look before it is run again" or last_lines(answer.stderr, 2),
    }, 0)
  end
end

local function raise_code(request, answer)
  local how = ("exited with %d"):format(answer.code)
  if answer.signal then
    how = ("was ended by signal %s"):format(signal_names[answer.signal] or tostring(answer.signal))
  end
  error(errors.effect {
    message = ("'%s' %s"):format(request.summary, how),
    code = tostring(answer.code),
    outcome = "failed",
    hint = last_lines(answer.stderr, hint_lines) or last_lines(answer.stdout, hint_lines),
  }, 0)
end

--- The file that stdout goes to: made by the store, so that it has the place and the rights of all artifacts.
local function open_artifact(services, request)
  if not request.artifact then
    return
  end
  local path, err = services.run.store:artifact(request.artifact, "")
  if not path then
    error(errors.effect { message = err.message, code = err.code, outcome = "not sent" }, 0)
  end
  request.to = path
end

local function check_artifact(request, answer)
  if not request.to then
    return
  elseif answer.tee_error then
    error(errors.effect {
      message = ("'%s': its output could not be kept whole: %s"):format(request.summary, answer.tee_error),
      code = "artifact",
      outcome = "failed",
      hint = request.to,
    }, 0)
  end
  answer.path, answer.size = request.to, answer.stdout_bytes
  answer.stdout, answer.truncated = "", answer.stderr_bytes > #answer.stderr
end

--- Runs it. Raises what fails, also an exit code that is not among its `codes`.
---@param services {host: table, environment: table, run: table}
---@param request opsrun.Command
---@param class "read"|"change"
---@param jail table? of host.process.run
---@return table answer of host.process.run, with path and size when stdout became an artifact
function execute.run(services, request, class, jail)
  local host = services.host
  local answer, err
  open_artifact(services, request)
  if request.host then
    local connections = ssh.of(services)
    answer, err = connections:command(connections:connect(request.host), request, class)
  else
    answer, err = host.process.run {
      argv = as_user(host, request),
      env = request.env,
      stdin = request.stdin,
      cwd = request.cwd,
      timeout = request.timeout,
      title = request.summary,
      tail = true,
      to = request.to,
      tty = request.tty,
      jail = jail,
      kind = class,
    }
  end
  if not answer then
    raise_failed(services, request, err, class)
  end
  check_remote(request, answer, class)
  if not request.codes[answer.code] then
    raise_code(request, answer)
  end
  check_artifact(request, answer)
  return answer
end

return execute
