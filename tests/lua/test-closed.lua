--- Values that no assignment reaches, and copies that are one's own.
local t = require "harness"
local closed = require "runtime.closed"
local units = require "runtime.units"

t.test("a duration and a size stay what they are, whatever is assigned", function()
  local duration, size = units.duration "5m", units.size "1mb"
  t.contains(t.raises(function() duration.seconds = 1 end), "a duration cannot be changed: make a new one")
  t.contains(t.raises(function() size.bytes = 1 end), "a size cannot be changed: make a new one")
  t.contains(t.raises(function() duration.other = 1 end), "a duration cannot be changed")
  t.equal(tostring(duration) .. tostring(size), "5m1mb")
end)

t.test("only what was made here counts, not what calls itself so", function()
  local fake = setmetatable({ seconds = 5 }, { __metatable = "duration" })
  t.equal(units.is_duration(fake), false)
  t.equal(units.is_duration(units.size "1mb"), false)
  t.equal(closed.fields(fake), nil)
end)

t.test("a copy of one's own has its shape, also where it holds itself, and shares what is no plain table", function()
  local five = units.duration "5m"
  local value = { list = { 1, 2 }, wait = five }
  value.again, value.me = value.list, value
  local own = closed.own(value)
  own.list[1] = 9
  t.equal(value.list[1], 1)
  t.ok(own.again == own.list and own.me == own and own.wait == five)
end)
