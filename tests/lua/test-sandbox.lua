--- The sandbox: what is there, what is not, what cannot be changed.
local t = require "harness"
local errors = require "runtime.errors"
local sandbox = require "runtime.sandbox"

local api = { http = { get = function() return 1 end }, step = function() end }
local drawn, seeded = {}, nil
local scope = sandbox.build {
  globals = api,
  require = function(name) return name end,
  random = { bytes = function(n) return table.remove(drawn, 1) or ("\7"):rep(n) end, seed = function(text) seeded = text end },
  where = function() return "x.lua:1" end,
}

local function run(code)
  return assert(load(code, "=x.lua", "t", scope))()
end

local function refusal(code)
  local err = t.raises(run, code)
  return tostring(err), errors.is(err) and err.hint or nil
end

t.test("only the listed names exist", function()
  for _, name in ipairs {
    "io", "os", "debug", "package", "coroutine", "load", "loadfile", "loadstring", "dofile", "pcall", "xpcall", "rawget", "rawset",
    "collectgarbage", "print", "warn", "_G", "_ENV2", "host",
  } do
    t.equal(refusal("return " .. name), ("undeclared global '%s'"):format(name))
  end
end)

t.test("an undeclared global names the nearest, or what to use instead", function()
  t.equal(select(2, refusal "return stp"), "did you mean 'step'?")
  t.equal(select(2, refusal "return pcall"), "to catch a failed effect, use try(fn)")
  t.equal(refusal "count = 1", "undeclared global 'count' is assigned")
  t.equal(select(2, refusal "count = 1"), "write 'local count = …'")
end)

t.test("nothing of ours can be replaced", function()
  t.equal(refusal "step = nil", "'step' cannot be assigned: it belongs to opsrun")
  t.contains(refusal "http.get = nil", "'http.get' cannot be assigned")
  t.contains(refusal "string.rep = nil", "'string.rep' cannot be assigned")
  t.contains(refusal "table.insert = nil", "'table.insert' cannot be assigned")
  t.contains(refusal "math.pi = 3", "'math.pi' cannot be assigned")
end)

t.test("metatables of ours are hidden and cannot be exchanged", function()
  t.equal(run 'return getmetatable("")', "string")
  t.equal(run "return getmetatable(string)", "string")
  t.equal(run "return getmetatable(http)", "http")
  t.contains(refusal "setmetatable(http, {})", "protected metatable")
  t.contains(refusal "setmetatable(string, {})", "protected metatable")
end)

t.test("texts have no dump, formats show no addresses", function()
  t.equal(run 'return ("x").dump', nil)
  t.equal(run "return string.dump", nil)
  t.contains(refusal 'return ("%p"):format({})', "addresses are not shown")
  t.contains(refusal 'return ("%-20p"):format({})', "addresses are not shown")
  t.contains(refusal 'return ("%%%p"):format({})', "addresses are not shown")
  t.equal(run 'return ("100 %%p"):format()', "100 %p")
  t.equal(run 'return ("%s %s"):format({}, 5)', "table 5")
  t.equal(run "return tostring({})", "table")
  t.equal(run "return tostring(step)", "function")
  t.equal(run "return tostring('table: 0x55')", "table: 0x55")
end)

t.test("a text is repeated to 256 MiB, not until the process ends for want of memory", function()
  t.contains(refusal 'return ("x"):rep(1 << 32)', "a text may be repeated to 256 MiB")
  t.contains(refusal 'return string.rep("", 1 << 40, "between")', "a text may be repeated to 256 MiB")
  t.contains(refusal 'return string.rep({}, 2)', "bad argument #1 to 'rep'")
  t.equal(run 'return ("ab"):rep(2, "-") .. string.rep("x", 0) .. ("x"):rep(-1)', "ab-ab")
end)

t.test("no finalizers, weak tables or closers, and nothing that passes for a value of ours", function()
  for _, event in ipairs { "__gc", "__mode", "__close", "__metatable" } do
    t.contains(refusal(("setmetatable({}, { %s = 'k' })"):format(event)), event)
  end
  t.equal(run "return setmetatable({}, { __index = { a = 1 } }).a", 1)
end)

t.test("pairs is ordered, also over what is frozen", function()
  t.equal(run 'local s = "" for k in pairs { b = 1, a = 1, 7 } do s = s .. k end return s', "1ab")
  t.equal(run 'local s = "" for k in pairs(http) do s = s .. k end return s', "get")
end)

t.test("random numbers come from the run's sequence, whole ones without a bias", function()
  t.equal(run "return math.random(1, 6) == math.random(1, 6)", true)
  local n = run "return math.random(6)"
  t.ok(n >= 1 and n <= 6)
  local f = run "return math.random()"
  t.ok(f >= 0 and f < 1)
  local most = string.pack("<I8", math.maxinteger) -- 2^63 - 1: of 3 it would favour the first
  drawn = { most, most, string.pack("<I8", 7) }
  t.equal(run "return math.random(3)", 2)
  t.equal(#drawn, 0)
  t.equal(math.type(run "return math.random(0)"), "integer")
  t.equal(run "return math.random(math.mininteger, math.maxinteger)", 0x0707070707070707)
  drawn = { string.pack("<i8", 5), string.pack("<i8", -5) }
  t.equal(run "return math.random(math.mininteger, 4)", -5)
end)

t.test("math.random refuses what is no interval; a seed of the author's begins anew", function()
  t.contains(refusal "return math.random(2, 1)", "interval is empty")
  t.contains(refusal "return math.random(1.5)", "whole numbers expected")
  t.contains(refusal "return math.randomseed({})", "number expected, got table")
  run "math.randomseed(42)"
  t.equal(seeded, "42")
end)
