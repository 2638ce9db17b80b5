--- What ssh says when it cannot connect, as an error that names the host, the cause and what to try. Pure.
local errors = require "runtime.errors"
local ssh_texts = {}

--- In this order; each: a pattern of ssh's own words, our code and words, what to try, and whether ssh refused
--- for safety's sake: that is never caught, and never tried again.
local causes = {
  {
    "REMOTE HOST IDENTIFICATION HAS CHANGED", "host key changed",
    "its host key is not the one that is known: another machine, or somebody in between",
    "only if the machine was really installed anew: remove the old key with ssh-keygen -R", refused = true,
  },
  {
    "host key is known for", "host key unknown", "its host key is not known here",
    "compare its fingerprint with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add it"
      .. " to known_hosts, for example by connecting once with ssh by hand",
    refused = true,
  },
  { "Host key verification failed", "host key unknown", "its host key was not accepted", nil, refused = true },
  {
    "UNPROTECTED PRIVATE KEY FILE", "key", "the private key can be read by others, so ssh does not use it",
    "chmod 600 the key",
  },
  {
    "Permission denied", "denied", "it accepts none of the keys offered",
    "is the public key in the user's authorized_keys there, and is 'user' right? A key with a passphrase needs ssh-agent",
  },
  {
    "Too many authentication failures", "denied", "it was offered too many keys",
    "name the right one in the environment: key = \"…\"",
  },
  { "Could not resolve hostname ([^:\n]+)", "name not resolved", "its name '%s' is not resolved", "is 'address' right?" },
  { "Connection refused", "refused", "nothing listens there: connection refused", "does sshd run there, on this port?" },
  { "No route to host", "unreachable", "no route to it", "is the machine up, and the network?" },
  { "Network is unreachable", "unreachable", "the network is unreachable", "is the network up here?" },
  { "timed out", "timeout", "no answer", "is the machine up, and its port open? connect_timeout = \"30s\" waits longer" },
  { "Bad configuration option", "configuration", "ssh does not take its configuration" },
  { "kex_exchange_identification", "refused", "it closes the connection at once", "does it have too many connections?" },
  { "Connection closed by", "refused", "it closes the connection" },
  { "Connection reset by", "refused", "it resets the connection" },
}

--- Ssh's own last line, without its time and program.
local function last_line(said)
  local last
  for line in said:gmatch "[^\r\n]+" do
    last = line:find "%S" and line or last
  end
  return last
end

--- Where the key that does not match stands, when ssh says so.
local function offending(said)
  local file, line = said:match "Offending [%w-]+ key in ([^\n]-):(%d+)"
  return file and (" (%s, line %s)"):format(file, line) or ""
end

--- Raises what a connection that was not made means.
---@param name string the host
---@param said string ssh's stderr
function ssh_texts.raise_connect(name, said)
  for _, cause in ipairs(causes) do
    local found = said:match(cause[1])
    if found then
      local make = cause.refused and errors.refused or errors.effect
      error(make {
        message = ("cannot connect to host '%s': %s%s"):format(name, cause[3]:format(found), offending(said)),
        code = cause[2],
        outcome = "not sent",
        hint = cause[4] or last_line(said) and ("ssh said: " .. last_line(said)) or nil,
      }, 0)
    end
  end
  error(errors.effect {
    message = ("cannot connect to host '%s': %s"):format(name, last_line(said) or "ssh ended without a word"),
    code = "connect",
    outcome = "not sent",
  }, 0)
end

--- Words of ssh that mean: the command was never handed to the other side.
local never_sent = { "Session open refused", "Connection closed by UNKNOWN", "Control socket connect" }

---@return boolean
function ssh_texts.was_not_sent(said)
  for _, words in ipairs(never_sent) do
    if said:find(words, 1, true) then
      return true
    end
  end
  return false
end

return ssh_texts
