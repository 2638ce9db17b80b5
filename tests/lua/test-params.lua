--- Parameters: where values come from, how each type is read, what a mistake says.
local t = require "harness"
local load_host = require "load_host"
local params = require "runtime.params"

local function declare(raw)
  return params.declare(raw, function() return "x.lua:1" end, load_host.new().host.clock)
end

local function resolve(raw, words, environment, env)
  local book = { name = "incident/x.lua", header = { params = declare(raw) } }
  return params.resolve(load_host.new { env = env }, book, environment, words or {})
end

local function environment_of(values)
  return {
    name = "lab",
    timezone = "Etc/UTC",
    params_for = function() return values end,
    has = function(kind, name)
      if name == "primary" then
        return true
      end
      error(require("runtime.errors").precondition { message = ("environment 'lab' has no %s connection '%s'"):format(kind, name) }, 0)
    end,
  }
end

local function refusal(...)
  local err = t.raises(resolve, ...)
  return err.message, err.kind, err.hint
end

t.test("-p wins over the environment, the environment over the default", function()
  local raw = { idle = { type = "duration", default = "5m" } }
  t.equal(tostring(resolve(raw).idle), "5m")
  t.equal(tostring(resolve(raw, {}, environment_of { idle = "7m" }).idle), "7m")
  t.equal(tostring(resolve(raw, { "idle=2s" }, environment_of { idle = "7m" }).idle), "2s")
end)

t.test("every type reads its texts", function()
  local p = resolve({
    s = { type = "string" }, i = { type = "integer" }, n = { type = "number" }, b = { type = "boolean" }, pc = { type = "percent" },
    d = { type = "duration" }, z = { type = "size" }, w = { type = "window" }, c = { type = "choice", of = { "a", "b" } },
    l = { type = "list", of = "integer" }, pa = { type = "path" }, u = { type = "url" }, t = { type = "time" }, r = { type = "route" },
  }, {
    "s=a=b", "i=42", "n=0.5", "b=no", "pc=80%", "d=90s", "z=4kb", "w=yesterday", "c=b", "l=1,2,3", "pa=/tmp", "u=https://x.example/y",
    "t=2026-11-21", "r=/api/health?full=1",
  })
  t.equal(p.s, "a=b")
  t.equal(math.type(p.i), "integer")
  t.equal(p.n, 0.5)
  t.equal(p.b, false)
  t.equal(p.pc, 80)
  t.equal(tostring(p.d), "1m30s")
  t.equal(p.z.bytes, 4096)
  t.equal(p.w.label, "yesterday")
  t.equal(p.c, "b")
  t.equal(p.l, { 1, 2, 3 })
  t.equal(p.pa, "/tmp")
  t.equal(p.u, "https://x.example/y")
  t.equal(p.r, "/api/health?full=1")
  t.equal(tostring(p.t), "2026-11-21")
end)

t.test("a route begins with one slash and holds no space, fragment or host", function()
  for _, bad in ipairs { "r=health", "r=//evil.example/x", "r=/a b", "r=/a#b", "r=https://x.example/y", "r=/a\\b", "r=" } do
    t.equal(select(2, refusal({ r = { type = "route" } }, { bad })), "usage", bad)
  end
end)

t.test("an unknown -p names the nearest", function()
  local message, kind, hint = refusal({ idle = { type = "duration", default = 1 } }, { "idel=5m" })
  t.equal(message, "'incident/x.lua' has no parameter 'idel'")
  t.equal(kind, "usage")
  t.equal(hint, "did you mean 'idle'?")
end)

t.test("an ill-typed -p says what would do", function()
  local message, kind, hint = refusal({ idle = { type = "duration", default = 1 } }, { "idle=soon" })
  t.equal(message, "parameter 'idle': 'soon' is no duration")
  t.equal(kind, "usage")
  t.equal(hint, "for example 500ms, 5s, 10m, 1h30m or 7d")
  t.equal(refusal({ c = { type = "choice", of = { "a", "b" } } }, { "c=d" }), "parameter 'c': 'd' is none of a, b")
  t.equal(refusal({ l = { type = "list", of = "integer" } }, { "l=1,x" }), "parameter 'l': item 2: 'x' is no integer")
  for _, bad in ipairs { "i=1.5", "i=0x10", "i=ten", "i=" } do
    t.equal(select(2, refusal({ i = { type = "integer" } }, { bad })), "usage")
  end
end)

t.test("an ill-typed value of the environment names the environment", function()
  local message, kind = refusal({ idle = { type = "duration" } }, {}, environment_of { idle = "soon" })
  t.equal(message, "environment 'lab', parameter 'idle': 'soon' is no duration")
  t.equal(kind, "precondition")
end)

t.test("what an environment says for a playbook alone must be parameters of it, what it says for all need not", function()
  local environment = environment_of { idle = "7m", pool = "x" }
  local values = environment.params_for()
  environment.params_for = function() return values, { idel = "7m" } end
  local message, kind, hint = refusal({ idle = { type = "duration", default = 1 } }, {}, environment)
  t.equal(message, "environment 'lab': 'incident/x.lua' has no parameter 'idel'")
  t.equal(kind, "precondition")
  t.equal(hint, "did you mean 'idle'?")
  environment.params_for = function() return values, { idle = "7m" } end
  t.equal(tostring(resolve({ idle = { type = "duration", default = 1 } }, {}, environment).idle), "7m")
end)

t.test("missing required ones are listed together; optional ones are nil", function()
  local message, kind = refusal { b = { type = "string" }, a = { type = "string" }, c = { type = "string", optional = true } }
  t.equal(message, "'incident/x.lua' needs parameters: 'a', 'b'")
  t.equal(kind, "usage")
  t.equal(resolve { c = { type = "string", optional = true } }.c, nil)
end)

t.test("a connection that the environment lacks: from -p a usage error, else a precondition", function()
  local raw = { db = { type = "sql", default = "nosuch" } }
  t.equal(select(2, refusal(raw, {}, environment_of {})), "precondition")
  t.equal(select(2, refusal(raw, { "db=primry" }, environment_of {})), "usage")
  t.equal(resolve(raw, { "db=primary" }, environment_of {}).db, "primary")
end)

t.test("a secret is given by its place, never by its value, and shown by name", function()
  local raw = { token = { type = "secret" } }
  t.equal(
    refusal(raw, { "token=hunter2hunter2" }),
    "parameter 'token': a secret's value is not given here, only where it is: env:NAME or file:PATH"
  )
  local p = resolve(raw, { "token=env:TOKEN" }, nil, { TOKEN = "hunter2hunter2" })
  t.equal(params.shown(p).token, "‹secret:TOKEN›")
end)

t.test("p is read only and knows its names", function()
  local p = resolve { idle = { type = "duration", default = "5m" } }
  t.contains(t.raises(function() return p.idel end), "'idel' is no parameter of this playbook (did you mean 'idle'?)")
  t.contains(t.raises(function() p.idle = 1 end), "parameter 'idle' cannot be assigned")
  t.equal(params.shown(p), { idle = "5m" })
end)
