--- stdlib/outage over pretend primitives: what counts as well, as down, as a peer.
local t = require "harness"

local function load_outage(more)
  local env = {
    require = function() return more.health or {} end,
    try = function(fn)
      local ok, value = pcall(fn)
      if ok then return value end
      return nil, value
    end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tonumber = tonumber, tostring = tostring,
  }
  for name, value in pairs(more) do
    env[name] = value
  end
  return assert(loadfile("stdlib/outage.lua", "t", env))()
end

local OPTS = { health = "/health", status_at = "status", expect = { "healthy", "ok" } }

t.test("an application is well when it says one of the words, and not answering is an answer", function()
  local word
  local outage = load_outage { health = { ask = function()
    return word and { at = function() return word end } or error("refused", 0)
  end } }
  local function told()
    local well, said, wanted = outage.is_well("api", OPTS)
    return ("%s: %s, wanted %s"):format(well, said, wanted)
  end
  word = "ok"
  t.equal(told(), "true: ok, wanted ok")
  word = "degraded"
  t.equal(told(), "false: degraded, wanted healthy")
  word = nil
  t.equal(told(), "false: refused, wanted healthy")
end)

t.test("the first service that is not up is the one that is down, also one that cannot be asked", function()
  local states = { nginx = "active", app = "inactive", worker = "failed" }
  local outage = load_outage { service = function(name)
    return { status = function() return { state = states[name] or error("no way there", 0) } end }
  end }
  t.equal(outage.down(outage.services { "nginx", "app", "worker" }).name, "app")
  t.equal(outage.down(outage.services { "nginx", "gone" }).state, "unknown")
  t.equal(outage.down(outage.services { "nginx" }).name, nil)
end)

t.test("memory is what the kernel could not give any more", function()
  local outage = load_outage { files = { read = function() return "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  250 kB\n" end } }
  t.equal(outage.memory(), 75)
end)

t.test("connections to a port are counted by either family, those that wait or end aside", function()
  local outage = load_outage { shell = { read = function()
    return { stdout = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n"
      .. "   1: 0100007F:1F90 0100007F:C350 01 0\n   2: 0100007F:C350 0100007F:1F90 01 0\n   3: 0100007F:1F90 0100007F:C351 06 0\n"
      .. "  sl  local_address remote_address st\n   0: " .. ("0"):rep(31) .. "1:1F90 " .. ("0"):rep(31) .. "1:C352 01 0\n" }
  end } }
  t.equal(outage.connections(8080), 2)
  t.equal(outage.connections(443), 0)
end)

t.test("peers are counted by address, whatever the family, most first", function()
  local lines = { "0 0 10.0.0.1:443 10.0.0.9:5000 ", "0 0 [::1]:443 [::1]:5001", "0 0 10.0.0.1:443 10.0.0.9:5002" }
  local outage = load_outage { shell = { read = function() return { lines = function() return lines end } end } }
  local peers = outage.peers(443)
  t.equal(peers.count, 3)
  t.equal(peers[1].address, "10.0.0.9")
  t.equal(peers[1].connections, 2)
  t.equal(peers[2].address, "[::1]")
end)
