--- undo, always, attempt, settle, ensure: the way back.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"

local function play(playbook, more)
  local spec = more or {}
  spec.playbook = playbook
  return fake.play(spec)
end

local with_undo = { undo_on_failure = true }

--- Registers undo a, always b, undo c, each a change of that name; then does what comes next.
local function stacked(next_thing)
  return function(_ENV)
    step("Do", function()
      undo("a", function() sql "db":exec "a" end)
      always("b", function() sql "db":exec "b" end)
      undo("c", function() sql "db":exec "c" end)
    end)
    step("Next", function() next_thing(_ENV) end)
  end
end

local function fails(_ENV)
  fail "broken"
end

t.test("on success only the always run", function()
  local run = play(stacked(function() end))
  t.equal(run.code, 0)
  t.equal(fake.order(run, "perform"), "perform b")
  t.equal(run.text:find("not taken back", 1, true), nil)
end)

t.test("on failure without a terminal only the always run, and what is left is named", function()
  local run = play(stacked(fails))
  t.equal(run.code, 1)
  t.equal(fake.order(run, "perform"), "perform b")
  t.equal(run.text:find("not undone   c", 1, true) ~= nil, true)
end)

t.test("on failure with --undo-on-failure all run, last first: 8", function()
  local run = play(stacked(fails), { flags = with_undo })
  t.equal(run.code, 8)
  t.equal(fake.order(run, "perform"), "perform c, perform b, perform a")
  t.equal(fake.records(run, "run.end")[1].state, "undone")
end)

t.test("on a terminal one question decides for the whole list", function()
  local run = play(stacked(fails), { terminal = true, answers = { "yes" } })
  t.equal(run.code, 8)
  t.equal(#run.host.term.asked, 1)
  run = play(stacked(fails), { terminal = true, answers = { "no" } })
  t.equal(run.code, 1)
  t.equal(fake.order(run, "perform"), "perform b")
end)

t.test("an undo that fails does not keep the others from running: 9", function()
  local run = play(stacked(fails), {
    flags = with_undo,
    does = { c = function() error(errors.effect { message = "no", outcome = "failed" }, 0) end },
  })
  t.equal(run.code, 9)
  t.equal(fake.order(run, "perform"), "perform c, perform b, perform a")
end)

t.test("an undo with an unknown outcome: 7", function()
  local run = play(stacked(fails), {
    flags = with_undo,
    does = { c = function() error(errors.effect { message = "lost", outcome = "unknown" }, 0) end },
  })
  t.equal(run.code, 7)
end)

t.test("an undo's change is journaled like any other, before it is made", function()
  local run = play(stacked(fails), { flags = with_undo })
  t.equal(
    fake.order(run, "perform c", "perform a", "effect.begin"):sub(1, 42),
    "journal effect.begin synced, perform c, jo"
  )
end)

t.test("settle: what was done so far stays, always still run", function()
  local run = play(stacked(function(_ENV)
    settle()
    fail "broken"
  end), { flags = with_undo })
  t.equal(run.code, 1)
  t.equal(fake.order(run, "perform"), "perform b")
end)

t.test("attempt takes back what it did, last first, and gives false and why", function()
  local ok, why
  local run = play(function(_ENV)
    step("Before", function() undo("outer", function() sql "db":exec "outer" end) end)
    step("Try", function()
      ok, why = attempt(function()
        undo("x", function() sql "db":exec "x" end)
        undo("y", function() sql "db":exec "y" end)
        fail "no"
      end)
    end)
  end)
  t.equal(run.code, 0)
  t.equal(ok, false)
  t.equal(why, "no")
  t.equal(fake.order(run, "perform"), "perform y, perform x")
end)

t.test("attempt gives true when it went well, and does not catch refusals", function()
  local ok
  play(function(_ENV)
    step("Try", function() ok = attempt(function() end) end)
  end)
  t.equal(ok, true)
  local run = play(function(_ENV)
    step("Try", function() attempt(function() shell.run { "reboot" } end) end)
  end)
  t.equal(run.code, 5)
end)

--- ensure over a state in memory. `spec` overrides.
local function ensured(state, spec, more)
  local handle
  local options = more or {}
  options.does = {
    look = function() return state.looks and table.remove(state.looks, 1) or { on = state.on } end,
    make = function() state.on = not state.stuck return {} end,
    back = function() state.on = false return {} end,
  }
  local run = play(function(_ENV)
    step("Ensure", function()
      handle = ensure("maintenance page", {
        is = function() return sql "db":query "look".on end,
        make = function() sql "db":exec "make" end,
        back = function() sql "db":exec "back" end,
        lasts = spec.lasts,
        confirm = spec.confirm,
      })
      if spec.back_now then handle.back() end
    end)
    step("Next", function() if spec.fails then fail "broken" end end)
  end, options)
  return run, state
end

t.test("ensure: already so is not ours: nothing is made and nothing taken back", function()
  local run, state = ensured({ on = true }, { fails = true }, { flags = with_undo })
  t.equal(fake.order(run, "perform make", "perform back"), "")
  t.equal(state.on, true)
end)

t.test("ensure: is read before and after, the way back is journaled before it is made", function()
  local run, state = ensured({}, {})
  t.equal(state.on, true)
  t.equal(
    fake.order(run, "perform", "undo.push"),
    "perform look, journal undo.push, perform make, perform look"
  )
  t.equal(run.code, 0)
end)

t.test("ensure lasts success: taken back when the run fails; run: at its end; standing: never", function()
  local _, state = ensured({}, { fails = true }, { flags = with_undo })
  t.equal(state.on, false)
  _, state = ensured({}, { lasts = "run" })
  t.equal(state.on, false)
  _, state = ensured({}, { lasts = "standing", fails = true }, { flags = with_undo })
  t.equal(state.on, true)
end)

t.test("ensure: not so after it was made is a failure", function()
  local run = ensured({ stuck = true }, {})
  t.equal(run.code, 1)
  t.equal(fake.step_end(run, "ensure").error.message, "'maintenance page' is not so after it was made")
end)

t.test("ensure with confirm asks before it is made", function()
  local run = ensured({}, { confirm = true })
  t.equal(run.code, 5)
  t.equal(fake.performed(run, "make"), 0)
end)

t.test("handle.back() takes back once, and the end of the run not again", function()
  local run = ensured({}, { back_now = true, fails = true }, { flags = with_undo })
  t.equal(fake.performed(run, "back"), 1)
end)

t.test("a change inside `is` is refused", function()
  local run = play(function(_ENV)
    step("Ensure", function()
      ensure("x", { is = function() sql "db":exec "delete" end, make = function() end })
    end)
  end)
  t.equal(run.code, 1)
  t.equal(fake.performed(run, "delete"), 0)
end)
