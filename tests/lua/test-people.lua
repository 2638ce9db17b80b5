--- Gates fail closed: who may open which, with and without a terminal.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"

--- Plays a step that asks, then changes.
local function play(spec)
  local question = spec.question or "Really?"
  spec.playbook = function(_ENV)
    step("Ask", spec.step or {}, function()
      confirm(question)
      sql "db":exec "delete"
    end)
    step("After", function() sql "db":query "select" end)
  end
  local run = fake.play(spec)
  return run, fake.performed(run, "delete")
end

local function refused(run)
  return fake.step_end(run, "ask").error
end

t.test("no terminal: the gate is closed, 5, nothing is made, the flag that opens it is named", function()
  local run, made = play {}
  t.equal(run.code, 5)
  t.equal(made, 0)
  t.equal(refused(run).message, "gate 'ask' is closed: no terminal to ask on")
  t.equal(fake.events(run, "run.end")[1].failure.hint, "--answer ask=yes opens this gate; --yes opens all ordinary gates")
  t.equal(#run.host.term.asked, 0)
end)

t.test("--answer for this gate opens it, for another gate does not", function()
  local run, made = play { flags = { answers = { "ask=yes" } } }
  t.equal(run.code, 0)
  t.equal(made, 1)
  run, made = play { flags = { answers = { "after=yes" } } }
  t.equal(run.code, 5)
  t.equal(made, 0)
end)

t.test("--answer with no is a no, also on a terminal", function()
  local run, made = play { terminal = true, answers = { "yes" }, flags = { answers = { "ask=no" } } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  t.equal(#run.host.term.asked, 0)
end)

t.test("--yes opens an ordinary gate", function()
  local run, made = play { flags = { yes = true } }
  t.equal(run.code, 0)
  t.equal(made, 1)
end)

t.test("--yes never opens a typed gate; --answer does only with the very word", function()
  local typed = { "Really?", type = "orders-production" }
  local run, made = play { question = typed, flags = { yes = true } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  run, made = play { question = typed, flags = { answers = { "ask=yes" } } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  run, made = play { question = typed, flags = { answers = { "ask=orders-production" } } }
  t.equal(run.code, 0)
  t.equal(made, 1)
end)

t.test("--yes never opens a protected environment, neither its gates nor its name", function()
  local production = { name = "production", protected = true }
  local run, made = play { environment = production, flags = { yes = true } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  t.equal(refused(run).message, "gate 'ask' is closed: no terminal to ask on")
  run, made = play { environment = production, flags = { yes = true, answers = { "ask=yes" } } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  t.equal(refused(run).message, "gate 'environment' is closed: no terminal to ask on")
  run, made = play { environment = production, flags = { answers = { "ask=yes", "environment=yes" } } }
  t.equal(run.code, 5)
  t.equal(made, 0)
  run, made = play { environment = production, flags = { answers = { "ask=yes", "environment=production" } } }
  t.equal(run.code, 0)
  t.equal(made, 1)
end)

t.test("a protected environment's name is typed once a run", function()
  local run = fake.play {
    environment = { name = "production", protected = true },
    terminal = true,
    answers = { "production" },
    playbook = function(_ENV)
      step("One", function() sql "db":exec "a" end)
      step("Two", function() sql "db":exec "b" end)
    end,
  }
  t.equal(run.code, 0)
  t.equal(#run.host.term.asked, 1)
end)

t.test("who opened a protected environment is in the journal", function()
  local run = play {
    environment = { name = "production", protected = true },
    flags = { answers = { "ask=yes", "environment=production" } },
  }
  local gate = fake.records(run, "gate")[1]
  t.equal(gate and (gate.gate .. " " .. gate.answer .. " " .. gate.by), "environment production by --answer")
end)

t.test("reads of a protected environment need no name", function()
  local run = fake.play {
    environment = { name = "production", protected = true },
    playbook = function(_ENV)
      step("Read", function() sql "db":query "select" end)
    end,
  }
  t.equal(run.code, 0)
end)

t.test("on a terminal yes opens; no, silence and anything else do not", function()
  local run, made = play { terminal = true, answers = { "yes" } }
  t.equal(run.code .. " " .. made, "0 1")
  run, made = play { terminal = true, answers = { "no" } }
  t.equal(run.code .. " " .. made, "5 0")
  run, made = play { terminal = true, answers = {} }
  t.equal(run.code .. " " .. made, "5 0")
  run, made = play { terminal = true, answers = { "orders" }, question = { "Really?", type = "orders-production" } }
  t.equal(run.code .. " " .. made, "5 0")
end)

t.test("--no-input and --json keep a terminal from being asked", function()
  for _, flag in ipairs { "no_input", "json" } do
    local run, made = play { terminal = true, answers = { "yes" }, flags = { [flag] = true } }
    t.equal(run.code .. " " .. made, "5 0")
    t.equal(#run.host.term.asked, 0)
  end
end)

t.test("a no in an optional step declines it and the run goes on", function()
  local run, made = play { step = { optional = true } }
  t.equal(made, 0)
  t.equal(run.code, 0)
  t.equal(fake.step_end(run, "ask").state, "declined")
  t.equal(fake.performed(run, "select"), 1)
end)

t.test("a no outside optional steps ends the run", function()
  local run = play {}
  t.equal(fake.performed(run, "select"), 0)
end)

t.test("a refusal by policy is not declined by optional", function()
  local run = fake.play {
    playbook = function(_ENV)
      step("Run", { optional = true }, function() shell.run { "reboot" } end)
    end,
  }
  t.equal(run.code, 5)
end)

t.test("an unknown field of confirm is an error: a mistyped 'type' must not make an ordinary gate", function()
  local run, made = play { question = { "Really?", tpye = "orders-production" }, flags = { yes = true } }
  t.equal(run.code, 1)
  t.equal(made, 0)
  t.equal(refused(run).message:find("unknown field 'tpye'", 1, true) ~= nil, true)
  t.equal(fake.events(run, "run.end")[1].failure.where, "test.lua:1")
end)

t.test("gate ids: opts.id, else the step's; the second one of a step is id.2", function()
  local run = fake.play {
    flags = { yes = true },
    playbook = function(_ENV)
      step("Ask", function()
        confirm "a?"
        confirm "b?"
        confirm { "c?", id = "named" }
      end)
    end,
  }
  local ids = {}
  for _, event in ipairs(fake.events(run, "gate")) do
    ids[#ids + 1] = event.id
  end
  t.equal(table.concat(ids, " "), "ask ask.2 named")
end)

local function manual_run(flags, required)
  return fake.play {
    flags = flags,
    playbook = function(_ENV)
      step("Tell them", function()
        local done = manual { "Call the bank", required = required }
        note("note: %s", done.note)
      end)
    end,
  }
end

t.test("unattended, a required manual refuses and an optional one is listed as open", function()
  local run = manual_run({}, true)
  t.equal(run.code, 5)
  run = manual_run({}, nil)
  t.equal(run.code, 0)
  t.equal(fake.events(run, "run.end")[1].open[1], "Call the bank")
end)

t.test("--answer ID=done:NOTE does a manual, --yes does not", function()
  local run = manual_run({ answers = { "tell-them=done:spoke to Eve" } }, true)
  t.equal(run.code, 0)
  t.equal(fake.events(run, "note")[1].text, "note: spoke to Eve")
  t.equal(manual_run({ yes = true }, true).code, 5)
end)

t.test("an --answer that met no gate of this playbook is an error at the end", function()
  local run = play { flags = { answers = { "ask=yes", "aks=yes" } } }
  t.equal(run.code, 2)
  local last = fake.events(run, "run.end")[1]
  t.equal(last.failure.message, "--answer 'aks' met no gate")
  t.equal(last.state, "done")
end)

t.test("an --answer for a gate that was not reached is no error", function()
  local run = fake.play {
    flags = { answers = { "ask=yes" } },
    playbook = function(_ENV)
      step("Ask", function() skip "nothing to do" end)
    end,
  }
  t.equal(run.code, 0)
end)
