--- Connections to the hosts of the environment: one a host, made when it is first needed, shared by all commands
--- of the run, ended with it. Each is an ssh of its own under a supervisor of ours, so that it ends with
--- opsrun however opsrun ends.
local errors = require "runtime.errors"
local remote = require "runtime.shell.remote"
local seconds_of = require "runtime.seconds"
local ssh_options = require "runtime.shell.ssh_options"
local ssh_texts = require "runtime.shell.ssh_texts"

local ssh = {}
ssh.__index = ssh

--- Seconds to connect, where the environment says nothing.
local CONNECT_TIMEOUT = 10
--- Commands at a time over one connection: sshd takes ten sessions unless told otherwise.
local SESSIONS = 8
--- Seconds between two looks for the socket of a connection, or for a free session.
local LOOK = 0.005
--- Seconds that a command cut short may take to end on its host.
local END_WITHIN = 5
--- A path of a socket holds 108 bytes, and ssh makes a temporary name of 17 more.
local SOCKET_BYTES = 90
--- How many hosts may stand between here and a host.
local JUMPS = 8

---@param services {host: table, environment: table, run: table?}
function ssh.new(services)
  return setmetatable({ host = services.host, environment = services.environment, run = services.run, entries = {} }, ssh)
end

--- The connections of a run, shared by all adapters.
---@param services {host: table, environment: table, run: table}
function ssh.of(services)
  services.run.ssh = services.run.ssh or ssh.new(services)
  return services.run.ssh
end

--- A directory for sockets that only this user can enter: their paths are short wherever the run's folder is.
local function socket_room(self)
  if self.room then
    return self.room
  end
  local host = self.host
  local runtime = host.system.env "XDG_RUNTIME_DIR"
  local room = runtime and #runtime < SOCKET_BYTES - 32 and runtime .. "/opsrun"
    or ("/tmp/opsrun-ssh-%d"):format(host.system.euid)
  if not host.files.stat(room) then
    host.process.run { argv = { "mkdir", "-m", "700", "--", room }, kind = "read", timeout = END_WITHIN }
  end
  local facts = host.files.stat(room)
  if not facts or facts.type ~= "directory" or facts.uid ~= host.system.euid or facts.mode & 63 ~= 0 then
    error(errors.precondition {
      message = ("'%s' is no directory that only this user can enter: ssh's sockets belong there"):format(room),
      hint = "remove it, or set XDG_RUNTIME_DIR to a directory of this user's own",
    }, 0)
  end
  self.room = room
  return room
end

local function timeout_of(settings)
  return settings.connect_timeout and seconds_of(settings.connect_timeout, "connect_timeout") or CONNECT_TIMEOUT
end

--- The command that goes through the hosts in between, or nil.
local function proxy_of(self, settings, depth)
  if not settings.jump then
    return nil
  elseif depth > JUMPS then
    error(errors.precondition { message = ("host '%s': 'jump' goes round in circles"):format(settings.name) }, 0)
  end
  local jump = self.environment.find_host(settings.jump)
  return ssh_options.proxy(jump, { connect_timeout = timeout_of(jump), proxy = proxy_of(self, jump, depth + 1) })
end

--- Ssh finds the user's agent and its own files through the environment; it gets nothing else of it.
local function agent_of(host)
  local socket = host.system.env "SSH_AUTH_SOCK"
  return socket and { SSH_AUTH_SOCK = socket } or nil
end

local function check_ssh(host)
  if not host.process.find "ssh" then
    error(errors.precondition {
      message = "cannot reach other hosts: 'ssh' is not installed here",
      hint = "apt-get install openssh-client",
    }, 0)
  end
end

--- Begins to connect, in a task of its own that lasts as long as the connection.
local function open(self, entry)
  local host, settings = self.host, entry.settings
  check_ssh(host)
  local timeout = timeout_of(settings)
  entry.socket = ("%s/%s"):format(socket_room(self), host.random.hex(8))
  local words = ssh_options.words(settings, { connect_timeout = timeout, proxy = proxy_of(self, settings, 1) })
  entry.state, entry.said = "connecting", ""
  entry.deadline = host.clock.monotonic() + timeout + CONNECT_TIMEOUT -- the time to log in comes on top
  entry.task = host.task.spawn(function()
    local answer, err = host.process.run {
      argv = ssh_options.shared(words, entry.socket, settings.address),
      env = agent_of(host),
      title = "ssh " .. settings.name,
      grace = 1,
      cap = 65536,
      kind = "read",
    }
    entry.state, entry.said = "ended", answer and answer.stderr or err.message
  end)
end

local function pause(self)
  local ok, err = self.host.task.sleep(LOOK)
  if not ok then
    error(errors.from_host(err, "read"), 0)
  end
end

--- The connection to a host; raises when there is none: nothing was sent.
---@param name string of a host
---@return table entry
function ssh:connect(name)
  local entry = self.entries[name] or { name = name, settings = self.environment.find_host(name), running = 0 }
  self.entries[name] = entry
  if entry.state ~= "connecting" and entry.state ~= "open" then
    open(self, entry)
  end
  while entry.state == "connecting" do
    if self.host.files.stat(entry.socket) then
      entry.state = "open"
    elseif self.host.clock.monotonic() > entry.deadline then
      self.host.task.cancel(entry.task)
      ssh_texts.raise_connect(name, "timed out")
    else
      pause(self)
    end
  end
  if entry.state ~= "open" then
    ssh_texts.raise_connect(name, entry.said)
  end
  return entry
end

--- A word that is this command's alone: who looks at the host's processes sees whose it is.
function ssh:mark()
  return ("opsrun:%s:%s"):format(self.run and self.run.id or "doctor", self.host.random.hex(8))
end

--- Ends on its host what a command that was cut short left running, as far as ssh reaches.
local function end_there(self, entry, mark)
  local host = self.host
  if entry.state ~= "open" then
    return
  end
  local task = host.task.spawn(function()
    host.process.run {
      argv = ssh_options.through(entry.socket, entry.settings.address, remote.end_command(mark)),
      timeout = END_WITHIN,
      kind = "read",
    }
  end)
  host.task.join(task, END_WITHIN + 1)
end

---@class opsrun.RemoteAnswer: table what host.process.run returns
---@field lost boolean?  the connection broke; `sent` says whether the command may have begun
---@field sent boolean?
---@field never string?  "cwd" or "missing": the other side did not begin it

--- Runs a command on a connected host.
---@param entry table of connect
---@param request opsrun.Command
---@param kind "read"|"change"
---@return opsrun.RemoteAnswer? answer, table? err the binding's
function ssh:command(entry, request, kind)
  while entry.running >= SESSIONS do
    pause(self)
  end
  local mark = request.mark or self:mark()
  local line, input = remote.command(request, mark)
  entry.running = entry.running + 1
  local answer, err = self.host.process.run {
    argv = ssh_options.through(entry.socket, entry.settings.address, line, request.tty),
    stdin = input,
    timeout = request.timeout,
    title = request.summary,
    to = request.to,
    kind = kind,
  }
  entry.running = entry.running - 1
  if not answer then
    if err.outcome ~= "not sent" then
      end_there(self, entry, mark)
    end
    return nil, err
  elseif answer.code ~= 255 then
    return answer
  end
  local stream = request.tty and "stdout" or "stderr"
  local word
  word, answer[stream] = remote.verdict(answer[stream], mark)
  if word ~= "255" then
    answer.never, answer.lost = word, word == nil
    answer.sent = answer.lost and not ssh_texts.was_not_sent(answer.stderr)
  end
  return answer
end

--- Ends all connections. What still runs over them is cut short.
function ssh:close()
  for _, entry in pairs(self.entries) do
    if entry.state == "connecting" or entry.state == "open" then
      self.host.task.cancel(entry.task)
    end
  end
  for _, entry in pairs(self.entries) do
    if entry.task then
      self.host.task.join(entry.task, 2)
    end
  end
  self.entries = {}
end

return ssh
