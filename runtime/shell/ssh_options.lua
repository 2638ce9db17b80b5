--- What ssh is told of one host of the environment, as words of its command line. No word holds a secret: a key
--- is named by its file. Pure.
local text = require "runtime.text"
local ssh_options = {}

--- The first word wins in ssh's configuration, so nothing a user's own file says makes these weaker.
local always = {
  "BatchMode=yes", -- nobody answers a question
  "StrictHostKeyChecking=yes",
  "UpdateHostKeys=no", -- a look changes no file
  "ClearAllForwardings=yes",
  "ForwardAgent=no",
  "ForwardX11=no",
  "Tunnel=no",
  "PermitLocalCommand=no",
  "EscapeChar=none",
  "RequestTTY=no",
  "LogLevel=ERROR",
  "ServerAliveInterval=10", -- a connection that died without a word is noticed within half a minute
  "ServerAliveCountMax=3",
}

--- A path in ssh's own spelling: in quotes, and % not expanded.
local function path(value)
  return ('"%s"'):format((value:gsub("%%", "%%%%")))
end

--- The words for one host, from "ssh" on, without the address.
---@param host table settings, see runtime/host_settings.lua
---@param opts {connect_timeout: number, proxy: string?} seconds; the command that reaches it through another host
---@return string[]
function ssh_options.words(host, opts)
  local words = { "ssh" }
  local function add(...)
    for _, word in ipairs { ... } do
      words[#words + 1] = word
    end
  end
  if host.config then
    add("-F", host.config)
  end
  for _, option in ipairs(always) do
    add("-o", option)
  end
  add("-o", ("ConnectTimeout=%d"):format(math.max(1, math.ceil(opts.connect_timeout))))
  if host.user then
    add("-o", "User=" .. host.user)
  end
  if host.port then
    add("-o", ("Port=%d"):format(tonumber(host.port)))
  end
  if host.key then
    add("-o", "IdentityFile=" .. path(host.key), "-o", "IdentitiesOnly=yes")
  end
  if host.known_hosts then
    add("-o", "UserKnownHostsFile=" .. path(host.known_hosts), "-o", "GlobalKnownHostsFile=none")
  end
  if opts.proxy then
    add("-o", "ProxyCommand=" .. opts.proxy)
  end
  return words
end

--- The command that reaches a host through another one, for ssh's ProxyCommand: the user's shell runs it.
---@param jump table settings of the host in between
---@param opts {connect_timeout: number, proxy: string?} as for that host
---@return string
function ssh_options.proxy(jump, opts)
  local words = ssh_options.words(jump, opts)
  for i, word in ipairs(words) do
    words[i] = text.shell_word(word):gsub("%%", "%%%%")
  end
  return table.concat(words, " ") .. " -W '[%h]:%p' -- " .. jump.address
end

--- The words of a connection that others share through a socket.
---@param words string[] of ssh_options.words
function ssh_options.shared(words, socket, address)
  local list = table.move(words, 1, #words, 1, {})
  for _, word in ipairs { "-o", "ControlPersist=no", "-M", "-N", "-S", socket, "--", address } do
    list[#list + 1] = word
  end
  return list
end

--- The words of a command over a shared connection, and over nothing else: without it ssh fails.
function ssh_options.through(socket, address, line, tty)
  return {
    "ssh", "-F", "none", "-S", socket, "-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o", "BatchMode=yes",
    "-o", "LogLevel=ERROR", "-o", "EscapeChar=none", tty and "-tt" or "-T", "--", address, line,
  }
end

return ssh_options
