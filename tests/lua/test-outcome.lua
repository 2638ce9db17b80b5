--- The exit code table of design 3: the first that applies.
local t = require "harness"
require "tests.lua.fake_host"
local errors = require "runtime.errors"
local outcome = require "runtime.outcome"

local function run_with(fields)
  local run = {
    changes = 0, options = {}, answers = {}, answers_met = {}, checks = {}, check_order = {},
    known_gate = function() return false end,
  }
  for name, value in pairs(fields or {}) do
    run[name] = value
  end
  return run
end

local function code(failure, fields)
  return outcome.code(run_with(fields), failure)
end

t.test("done is 0", function()
  t.equal(code(nil), 0)
end)

t.test("each kind of failure has its code", function()
  for kind, expected in pairs {
    effect = 1, fail = 1, timeout = 1, script = 1, usage = 2, load = 3, precondition = 4, refused = 5, unknown = 7, bug = 70,
  } do
    local failure = kind == "script" and errors.wrap "typo" or errors[kind] { message = "x" }
    t.equal(kind .. " " .. code(failure), kind .. " " .. expected)
  end
end)

t.test("a precondition that fails after a change is an ordinary failure: 1, not 4", function()
  t.equal(code(errors.precondition "x", { changes = 1 }), 1)
end)

t.test("the journal cannot be written: 4 before any change, else 7", function()
  t.equal(code(errors.journal "full"), 4)
  t.equal(code(errors.journal "full", { changes = 1 }), 7)
  t.equal(code(errors.journal "full", { begun = 1 }), 7)
end)

t.test("an unknown outcome beats everything", function()
  for _, fields in ipairs {
    { undone = "failed" }, { undone = "clean" }, { signal = "SIGINT" }, { deadline_over = true },
  } do
    t.equal(code(errors.unknown "x", fields), 7)
    fields.unknown = errors.unknown "x"
    t.equal(code(errors.fail "x", fields), 7)
  end
end)

t.test("failed undo is 9, clean undo 8, both before the signal", function()
  t.equal(code(errors.fail "x", { undone = "failed" }), 9)
  t.equal(code(errors.fail "x", { undone = "clean" }), 8)
  t.equal(code(errors.cancelled "x", { undone = "clean", signal = "SIGINT" }), 8)
end)

t.test("signals: 130, 143, 129; before the deadline's 124; before the failure", function()
  t.equal(code(errors.cancelled "x", { signal = "SIGINT" }), 130)
  t.equal(code(errors.cancelled "x", { signal = "SIGTERM", deadline_over = true }), 143)
  t.equal(code(errors.fail "x", { signal = "SIGHUP" }), 129)
  t.equal(code(errors.deadline "x", { deadline_over = true }), 124)
end)

local function checked(verdict, fields)
  fields = fields or {}
  fields.check_order, fields.checks = { "load" }, { load = { verdict = verdict } }
  return code(nil, fields)
end

t.test("a check whose last value is critical is 1, warning and unknown are 0", function()
  t.equal(checked "critical", 1)
  t.equal(checked "warning", 0)
  t.equal(checked "unknown", 0)
end)

t.test("--fail-on warning counts warning and unknown too, and checks of a dry run", function()
  local options = { fail_on = "warning" }
  t.equal(checked("warning", { options = options }), 1)
  t.equal(checked("unknown", { options = options }), 1)
  t.equal(checked("ok", { options = options }), 0)
  t.equal(checked("critical", { dry = true }), 0)
  t.equal(checked("critical", { dry = true, options = options }), 1)
end)

t.test("an undetermined check sets no code", function()
  t.equal(
    code(nil, { options = { fail_on = "warning" }, check_order = { "x" }, checks = { x = { verdict = "critical", undetermined = true } } }),
    0
  )
end)

t.test("states: done, failed, refused, undone, in doubt, interrupted", function()
  for _, case in ipairs {
    { 0, nil, "done" }, { 1, nil, "done" }, { 1, "f", "failed" }, { 5, "f", "refused" }, { 8, "f", "undone" },
    { 7, "f", "in doubt" }, { 130, "f", "interrupted", "SIGINT" }, { 124, "f", "failed" }, { 9, "f", "failed" },
  } do
    local run = run_with { failure = case[2], signal = case[4] }
    t.equal(outcome.state(run, case[1]), case[3])
  end
end)
