--- Verdicts: limits, an earlier value, what is refused.
local t = require "harness"
local units = require "runtime.units"
local verdict = require "runtime.verdict"

local HOUR = 3600

local function judge(value, opts, before, age)
  local problem = verdict.problem(opts, value)
  t.equal(problem, nil)
  return verdict.judge(value, opts, before and { t = 1000000 - (age or HOUR), value = before }, 1000000)
end

local function problem(opts, value)
  return (verdict.problem(opts, value))
end

t.test("a limit itself is still allowed, beyond it is not", function()
  local opts = { above = { warning = 80, critical = 90 } }
  for value, expected in pairs { [80] = "ok", [80.1] = "warning", [90] = "warning", [91] = "critical" } do
    t.equal(judge(value, opts), expected, tostring(value))
  end
  t.equal(judge(7, { below = { critical = 7 } }), "ok")
  t.equal(judge(6, { below = { critical = 7 } }), "critical")
  t.equal(judge(5, { between = { 1, 5 } }), "ok")
end)

t.test("of several limits the worst counts", function()
  t.equal(judge(85, { above = { warning = 80 }, expect = 5 }), "critical")
  t.equal(judge(85, { above = { critical = 80 }, between = { 0, 100 }, change = { warning = 1 } }, 80), "critical")
end)

t.test("without an earlier value a change is ok, which is said", function()
  local level, said = judge(80, { change = { critical = "1%" } })
  t.equal(level, "ok")
  t.equal(said, "no earlier value")
  t.equal(judge(nil, { change = { critical = "1%" }, missing = "critical" }, 5), "critical")
end)

t.test("a change counts in both directions, unless above or below says which", function()
  local both = { change = { warning = "20%", critical = "50%" } }
  t.equal(judge(120, both, 100), "ok")
  t.equal(judge(121, both, 100), "warning")
  t.equal(judge(79, both, 100), "warning")
  t.equal(judge(49, both, 100), "critical")
  t.equal(judge(10, { change = { above = { critical = "50%" } } }, 100), "ok")
  t.equal(judge(151, { change = { above = { critical = "50%" } } }, 100), "critical")
  t.equal(judge(60, { change = { below = { warning = "30%", critical = "50%" } } }, 100), "warning")
  t.equal(judge(200, { change = { below = { warning = "30%" }, above = { critical = "900%" } } }, 100), "ok")
end)

t.test("a change may be an amount; durations and sizes are compared as seconds and bytes", function()
  t.equal(judge(105, { change = { warning = 5 } }, 100), "ok")
  t.equal(judge(106, { change = { warning = 5 } }, 100), "warning")
  t.equal(judge(units.size "200mb", { change = { above = { warning = "50mb" } } }, 140 << 20), "warning")
  t.equal(judge(units.duration "2h", { change = { critical = "30m" } }, 3600), "critical")
  t.equal(judge(units.duration "80m", { change = { critical = "30m" } }, 3600), "ok")
end)

t.test("of nothing every growth is more than any percentage", function()
  t.equal(judge(0, { change = { critical = "900%" } }, 0), "ok")
  t.equal(judge(1, { change = { critical = "900%" } }, 0), "critical")
  t.equal(judge(-150, { change = { critical = "40%" } }, -100), "critical")
  t.equal(judge(-120, { change = { critical = "40%" } }, -100), "ok")
end)

t.test("what decided is said: how much, against what, how long ago, the limits", function()
  local _, said = judge(130, { change = { warning = "20%", critical = "50%" } }, 100, 25 * HOUR)
  t.equal(said, "+30% against 100, 1d1h ago (warning ±20%, critical ±50%)")
  _, said = judge(units.size "60mb", { change = { above = { warning = "50mb" } } }, 64 << 20, 3 * 24 * HOUR)
  t.equal(said, "-6.25% against 64mb, 3d ago (warning +50mb)")
end)

t.test("limits that cannot be are refused with the place", function()
  t.equal(problem({ above = {} }, 5), "above: expected {warning = …, critical = …}")
  t.equal(problem({ above = { warn = 5 } }, 5), "above: unknown limit 'warn'")
  t.equal(problem({ above = { warning = "many" } }, 5), "a number cannot be compared with 'warning above', a string")
  t.equal(problem({ between = { 1 } }, 5), "between: expected {low, high}")
  t.equal(problem({ missing = "bad" }, 5), "missing: 'bad' is none of ok, warning, critical, unknown")
  t.equal(problem({ change = "20%" }, 5), 'change: expected {warning = "20%", critical = "50%"}')
  t.equal(problem({ change = {} }, 5), 'change: expected {warning = "20%", critical = "50%"}')
  t.equal(problem({ change = { warnin = "5%" } }, 5), "change: unknown field 'warnin'")
  t.equal(problem({ change = { warning = "much" } }, 5), "change: warning: 'much' is no limit")
  t.equal(problem({ change = { warning = -5 } }, 5), "change: warning: '-5' is no limit")
  t.equal(problem({ change = { warning = "5%", over = "long" } }, 5), "change: over: 'long' is no duration")
  t.equal(problem({ change = { warning = "5%", above = { warning = 5 } } }, 5),
    "change: limits stand either in above and below, or beside them for both")
  t.equal(problem({ change = { above = {} } }, 5), 'change: above: expected {warning = "20%", critical = "50%"}')
  t.equal(problem({ change = { warning = "5%" } }, "text"),
    "change: a string has no earlier value: only numbers, durations and sizes do")
end)
