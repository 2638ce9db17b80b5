--- Policy: what `uses` allows, what `limits` hold back.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"
local policy = require "runtime.policy"

--- The refusal of one effect, or nil when it passes.
local function refusal(effect, header, params, spent)
  local run = { header = header or {}, params = params or {}, spent = spent or {} }
  local ok, err = pcall(policy.check, run, effect)
  if ok then
    return nil
  end
  assert(errors.is(err, "refused"), tostring(err))
  return err
end

local function command(argv, ...)
  return refusal({ uses = { "shell", argv } }, { uses = { shell = { ... } } })
end

t.test("what needs no entry in uses passes", function()
  t.equal(refusal {}, nil)
end)

t.test("a command passes word by word, never by the beginning of a word", function()
  t.equal(command({ "docker", "restart", "api" }, "docker restart"), nil)
  t.equal(command({ "docker", "restart" }, "docker  restart"), nil)
  t.equal(command({ "docker", "restarts" }, "docker restart") ~= nil, true)
  t.equal(command({ "dockerx", "restart" }, "docker") ~= nil, true)
  t.equal(command({ "docker" }, "docker restart") ~= nil, true)
  t.equal(command({ "docker", "rm" }, "") ~= nil, true)
  t.equal(command { "docker" } ~= nil, true)
end)

t.test("the refusal names what was wanted and the header line that would allow it", function()
  local err = command { "docker", "restart", "api" }
  t.equal(err.message, "'docker restart api' is not in the playbook's uses.shell")
  t.equal(err.hint, 'to allow it, the header says: uses = { shell = { "docker restart" } }; '
    .. "or, this once: --override uses.shell --because TEXT")
end)

t.test("a path passes below a prefix, not beside it and not out of it", function()
  local function path(wanted, ...)
    return refusal({ uses = { "files", wanted } }, { uses = { files = { ... } } })
  end
  t.equal(path("/var/log/app/x.log", "/var/log/app"), nil)
  t.equal(path("/var/log/app/x.log", "/var/log/app/"), nil)
  t.equal(path("/var/log/app2/x.log", "/var/log/app") ~= nil, true)
  t.equal(path("/var/log/app/../../shadow", "/var/log/app") ~= nil, true)
  t.equal(path("/var/log/app/..", "/var/log/app") ~= nil, true)
  t.equal(path("/var/log/app/..x", "/var/log/app"), nil)
end)

t.test("{name} in uses is that parameter's value; an unknown one allows nothing", function()
  local header = { uses = { files = { "{dir}" } } }
  t.equal(refusal({ uses = { "files", "/data/x" } }, header, { dir = "/data" }), nil)
  t.equal(refusal({ uses = { "files", "/data/x" } }, header, {}) ~= nil, true)
end)

t.test("an origin counts as used when a url parameter has it, and only that origin", function()
  local params = { api = "https://api.example.com/v1/x?y" }
  local header = { params = { api = { type = "url" } } }
  t.equal(refusal({ uses = { "http", "https://api.example.com" } }, header, params), nil)
  t.equal(refusal({ uses = { "http", "https://api.example.com.evil" } }, header, params) ~= nil, true)
  t.equal(refusal({ uses = { "http", "http://api.example.com" } }, header, params) ~= nil, true)
end)

t.test("a string parameter opens no command, no recipient and no shared state", function()
  local params = { x = "rm", y = "oncall", z = "alerts" }
  local header = { params = { x = { type = "string" }, y = { type = "string" }, z = { type = "string" } } }
  t.equal(refusal({ uses = { "shell", { "rm" } } }, header, params) ~= nil, true)
  t.equal(refusal({ uses = { "notify", "oncall" } }, header, params) ~= nil, true)
  t.equal(refusal({ uses = { "state", "alerts" } }, header, params) ~= nil, true)
end)

t.test("limits: the sum of a run's costs counts, reserved before anything is sent", function()
  local run = { header = { limits = { sessions = 50 } }, params = {}, spent = {} }
  policy.check(run, { summary = "end sessions", costs = { sessions = 30 } })
  local ok, err = pcall(policy.check, run, { summary = "end sessions", costs = { sessions = 30 } })
  t.equal(ok, false)
  t.equal(err.message, "over budget: end sessions would be 60 of at most 50 sessions")
  t.equal(run.spent.sessions, 30)
  policy.check(run, { summary = "end sessions", costs = { sessions = 20 } })
  t.equal(run.spent.sessions, 50)
end)

t.test("a refused effect reserves nothing of its other costs", function()
  local run = { header = { limits = { a = 1, b = 10 } }, params = {}, spent = {} }
  pcall(policy.check, run, { summary = "x", costs = { a = 5, b = 5 } })
  t.equal(run.spent.a, nil)
  t.equal(run.spent.b, nil)
end)

for _, dry in ipairs { false, true } do
  local mode = dry and "dry" or "live"
  t.test(mode .. ": over budget ends the run with 5, the change is neither made nor planned", function()
    local run = fake.play {
      dry = dry,
      header = { limits = { sessions = 2 } },
      playbook = function(_ENV)
        step("End", function() sql "db":exec("delete", nil, { costs = { sessions = 3 } }) end)
      end,
    }
    t.equal(run.code, 5)
    t.equal(fake.order(run, "perform", "planned"), "")
    t.equal(#fake.records(run, "effect.refused"), 1)
  end)

  t.test(mode .. ": try does not catch a refusal", function()
    local run = fake.play {
      dry = dry,
      playbook = function(_ENV)
        step("Run", function()
          try(function() shell.run { "reboot" } end)
        end)
      end,
    }
    t.equal(run.code, 5)
  end)
end

t.test("what lies below a parameter of type path may be changed, below a route or a string nothing", function()
  local function allowed(kind)
    return policy.allowed({ header = { params = { p = { type = kind } } }, params = { p = "/srv" } }, "files")
  end
  t.equal(allowed "path", { "/srv" })
  t.equal(allowed "route", {})
  t.equal(allowed "string", {})
end)
