--- What errors of Redis say to a person: cause first, then what to try.
local errors = require "runtime.errors"
local texts = {}

local connect_hints = {
  url = "expected redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path/to.sock",
  refused = "is the server running? try 'opsrun doctor -e %s'",
  resolve = "check the host in the connection's url",
  connect = "is the host reachable from here, and does it speak what the url says (redis:// or rediss://)?",
  timeout = "is the host reachable from here, and the port open? try 'opsrun doctor -e %s'",
  tls = "a private authority is trusted by ca = \"/path/ca.pem\" of the connection; there is no way around",
  protocol = "is it a Redis server, and does it speak what the url says (redis:// or rediss://)?",
  WRONGPASS = "check user and password in the connection's url",
  NOAUTH = "the server wants a password: redis://:password@host:6379/0",
  DENIED = "the server is in protected mode: it takes no connections from other hosts without a password",
}

local reply_hints = {
  NOAUTH = connect_hints.NOAUTH,
  NOPERM = "the connection's user may not do that: see ACL GETUSER on the server",
  OOM = "the server is at its maxmemory and evicts nothing: see incident/redis-memory.lua",
  READONLY = "this server is a replica: the environment should name the primary",
  LOADING = "the server is reading its data after a start: try again shortly",
  MISCONF = "the server cannot save to its disk and so refuses to write: see its log",
  WRONGTYPE = "the key holds another type: see TYPE",
  MOVED = "this is a node of a cluster and another one has the key",
  ASK = "this is a node of a cluster and another one has the key",
  CROSSSLOT = "the keys lie in different slots of the cluster: one command for each",
  BUSY = "a script holds the server up: see SCRIPT KILL",
  timeout = "opts.timeout, or timeout of the connection, may allow more",
  ["too large"] = "ask for less: SCAN, HSCAN, LRANGE with bounds",
}

--- " (127.0.0.1:6379)"; never more of the url than that.
function texts.place(place)
  if not place then
    return ""
  end
  return place.port == "" and (" (%s)"):format(place.host) or (" (%s:%s)"):format(place.host, place.port)
end

--- Raises the error of a failed connect.
function texts.raise_connect(name, place, environment, err)
  if err.stopped == "cancel" then
    error(errors.from_host(err, "read"), 0)
  end
  local hint = connect_hints[err.code]
  error(errors.effect {
    message = ("cannot connect to '%s'%s: %s"):format(name, texts.place(place), err.message),
    code = err.code,
    outcome = "not sent",
    hint = hint and hint:format(environment or "ENV") or nil,
  }, 0)
end

--- Raises what a run returned: a failure of the connection, or an error reply ({code, message}).
---@param name string the connection
---@param what string the command, short
---@param err table
---@param class string "read" or "change"
function texts.raise(name, what, err, class)
  if err.stopped == "cancel" then
    error(errors.from_host(err, class), 0)
  end
  error(errors.from_host({
    message = ("'%s': %s: %s"):format(name, what, err.message),
    code = err.code,
    outcome = err.outcome or "failed",
    hint = reply_hints[err.code],
  }, class), 0)
end

return texts
