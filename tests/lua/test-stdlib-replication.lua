--- stdlib/replication over pretended answers: positions, and what counts as lag.
local t = require "harness"

local function load_replication(written, state)
  local connection = { value = function() return written end, one = function() return state end }
  local env = { sql = function() return connection end, math = math, tonumber = tonumber, ipairs = ipairs }
  return assert(loadfile("stdlib/replication.lua", "t", env))()
end

t.test("a position is a number of bytes, beyond 4 GiB too", function()
  local position = load_replication("", {}).position
  t.equal(position "0/129BB70", 0x129BB70)
  t.equal(position "2/10", 0x200000010)
  t.equal(position(nil), nil)
  t.equal(position "none", nil)
end)

t.test("an idle primary makes no lag, however old its last transaction is", function()
  local lag = load_replication("0/500", { received = "0/500", replayed = "0/500", age = 3600 }).lag("primary", "replica")
  t.equal(lag.seconds, 0)
  t.equal(lag.bytes, 0)
  t.equal(lag.where, nil)
end)

t.test("what is received and not replayed is replay's, what is not received the network's", function()
  local lag = load_replication("0/500", { received = "0/4F0", replayed = "0/100", age = 7 }).lag("primary", "replica")
  t.equal(lag.seconds, 7)
  t.equal(lag.bytes, 0x400)
  t.equal(lag.where, "replay")
  lag = load_replication("0/500", { received = "0/110", replayed = "0/100", age = 7 }).lag("primary", "replica")
  t.equal(lag.where, "network")
end)

t.test("a replica that is ahead of what was just read is not behind", function()
  local lag = load_replication("0/500", { received = "0/600", replayed = "0/600", age = 1 }).lag("primary", "replica")
  t.equal(lag.bytes, 0)
  t.equal(lag.seconds, 0)
end)
