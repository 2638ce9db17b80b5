--- What playbooks call: arguments are checked before the gate sees anything.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"

--- The error message of one step's body, and the run.
local function failing(fn)
  local run = fake.play {
    playbook = function(_ENV)
      step("Call", function() return fn(_ENV) end)
    end,
  }
  local ended = fake.step_end(run, "call")
  return ended and ended.error and ended.error.message or "no error", run
end

local function has(text, part)
  t.equal(text:find(part, 1, true) and part or text, part)
end

t.test("a wrong type names the argument, what was expected and what came", function()
  has(failing(function(_ENV) sql "db":query(42) end), "sql:query: 'text': expected string, got number")
  has(failing(function(_ENV) sql "db":query() end), "sql:query: 'text': expected string, got nil")
  has(failing(function(_ENV) sql "db":query("select", "x") end), "sql:query: 'values': expected list, got string")
end)

t.test("an unknown option names the nearest one", function()
  has(failing(function(_ENV) sql "db":query("select", nil, { timout = 1 }) end), "unknown option 'timout' (did you mean 'timeout'?)")
end)

t.test("too many arguments are an error", function()
  has(failing(function(_ENV) sql "db":query("select", nil, {}, 5) end), "sql:query: takes 3 arguments, got 4")
end)

t.test("an unknown method names the nearest one", function()
  has(failing(function(_ENV) sql "db":qurey "select" end), "has no method 'qurey' (did you mean ':query'?)")
  has(failing(function(_ENV) shell.rnu {} end), "there is no 'shell.rnu' (did you mean 'shell.run'?)")
end)

t.test("the name of a connection is a text", function()
  has(failing(function(_ENV) sql(nil):query "select" end), "sql: expected the name of a connection, got nil")
end)

t.test("a misuse never reaches the gate", function()
  local _, run = failing(function(_ENV) sql "db":exec(42) end)
  t.equal(fake.order(run, "describe", "prepare", "perform"), "")
end)

t.test("a library cannot be changed by a playbook", function()
  has(failing(function(_ENV) local library = shell; library.run = 1 end), "'run' cannot be assigned")
end)

t.test("handles and libraries hide how they are built", function()
  local getmetatable = getmetatable
  local run = fake.play {
    playbook = function(_ENV)
      step("Look", function()
        return { getmetatable(sql "db"), getmetatable(shell) }
      end)
    end,
  }
  local value = fake.step_end(run, "look").value
  t.equal(value[1] .. " " .. value[2], "sql shell")
end)

t.test("every value of confirm is formatted, also nil and tables", function()
  local run = fake.play {
    flags = { yes = true },
    playbook = function(_ENV)
      step("Ask", function() confirm("End %s of %d on %s?", nil, 3, { "a", "b" }) end)
    end,
  }
  t.equal(fake.events(run, "gate")[1].text, "End – of 3 on a, b?")
end)
