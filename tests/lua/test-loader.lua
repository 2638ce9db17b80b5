--- Loading: where playbooks are found, what stops one, word for word.
local t = require "harness"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local load_host = require "load_host"
local loader = require "runtime.loader"

require("runtime.context").open { locals = function() end }

local HEADER = 'playbook { title = "x" }\n'

local function load_of(files, name, stdlib, env)
  local services = load_host.new { files = files, stdlib = stdlib, env = env }
  local globals, declared = engine.builder(services.host)
  globals.sql = function()
    error(errors.load { message = "'sql' was called while the playbook loads: only inside a step" }, 0)
  end
  return loader.load(services, name, { globals = globals }), declared
end

local function body(text, stdlib)
  return load_of({ ["playbooks/incident/bad.lua"] = text }, "incident/bad.lua", stdlib)
end

local function refusal(...)
  local err = t.raises(...)
  t.equal(errors.is(err, "load"), true, tostring(err))
  return (err.where and err.where .. ": " or "") .. err.message, err.hint
end

t.test("a playbook is found as given, in $OPSRUN_PATH, in ./playbooks, in the installed library", function()
  for path, env in pairs {
    ["incident/x.lua"] = {},
    ["/team/incident/x.lua"] = { OPSRUN_PATH = "/nowhere:/team" },
    ["playbooks/incident/x.lua"] = {},
    ["/opt/opsrun/share/opsrun/playbooks/incident/x.lua"] = {},
  } do
    local book = load_of({ [path] = HEADER }, "incident/x.lua", nil, env)
    t.equal(book.path, path)
    t.equal(book.file, "x.lua")
    t.equal(load_of({ [path] = HEADER }, "incident/x", nil, env).path, path, "without .lua")
  end
  t.equal(load_of({ ["playbooks/incident/x.lua"] = HEADER }, "incident/x.lua").name, "incident/x.lua")
  t.equal(load_of({ ["playbooks/incident/x.lua"] = HEADER }, "playbooks/incident/x.lua").name, "incident/x.lua")
end)

t.test("a missing one names near ones and where it looked", function()
  local message, hint = refusal(load_of, { ["playbooks/incident/db-exhaustion.lua"] = HEADER }, "incident/db-exhaustoin.lua")
  t.equal(message, "no playbook 'incident/db-exhaustoin.lua'")
  t.equal(hint, "did you mean 'incident/db-exhaustion.lua'? (looked in: ., ./playbooks)")
  message, hint = refusal(load_of, { ["playbooks/incident/db-exhaustion.lua"] = HEADER }, "db-exhaustion")
  t.equal(message, "no playbook 'db-exhaustion'")
  t.contains(hint, "did you mean 'incident/db-exhaustion.lua'?")
  t.equal(refusal(load_of, { ["playbooks/a.lua"] = HEADER }, "playbooks"), "'playbooks' is a directory, no playbook")
end)

t.test("bytecode is refused", function()
  t.equal(refusal(body, "\27Lua" .. ("T\0"):rep(40)), "'bad.lua' is compiled bytecode: a playbook is text")
end)

t.test("a syntax error names file and line", function()
  t.equal(refusal(body, HEADER .. "local = 1\n"), "bad.lua:2: syntax error: <name> expected near '='")
end)

t.test("a header is there once, and first", function()
  t.equal(refusal(body, "local x = 1\n"), "'bad.lua' has no header")
  t.equal(refusal(body, HEADER .. HEADER), "bad.lua:2: the header is declared twice: also at bad.lua:1")
  t.equal(refusal(body, 'step("x", function() end)\n' .. HEADER), "bad.lua:1: step stands before the header")
end)

t.test("a mistake in the header names the line of the field", function()
  local message, hint = refusal(body, 'playbook {\n  title = "x",\n  severty = "high",\n}\n')
  t.equal(message, "bad.lua:3: unknown header field 'severty'")
  t.equal(hint, "did you mean 'severity'?")
  t.equal(
    refusal(body, 'playbook {\n  title = "x",\n  params = {\n    idle = { type = "durration" },\n  },\n}\n'),
    "bad.lua:4: parameter 'idle': unknown type 'durration'"
  )
end)

t.test("an effect while loading names its line", function()
  t.equal(refusal(body, HEADER .. 'sql "primary"\n'), "bad.lua:2: 'sql' was called while the playbook loads: only inside a step")
end)

t.test("a step declared twice names both places", function()
  local twice = 'step("Same", function() end)\n'
  t.equal(refusal(body, HEADER .. twice .. twice), "bad.lua:3: step 'Same' is declared twice: id 'same' is also at bad.lua:2")
end)

t.test("an undeclared global and a plain error at the top level name their line", function()
  t.equal(refusal(body, HEADER .. "local y = os\n"), "bad.lua:2: undeclared global 'os'")
  t.equal(refusal(body, HEADER .. "count = 1\n"), "bad.lua:2: undeclared global 'count' is assigned")
  t.equal(refusal(body, HEADER .. 'error("no")\n'), "bad.lua:2: no")
  t.equal(refusal(body, HEADER .. "local x = nil .. 1\n"), "bad.lua:2: attempt to concatenate a nil value")
end)

t.test("require finds the standard library, once, frozen, and nothing else", function()
  local stdlib = { ["stdlib.docker"] = "local m = {} function m.f() return 5 end return m" }
  local _, declared = body(HEADER .. 'local d = require "docker"\nstep("n" .. d.f(), function() end)\n', stdlib)
  t.ok(declared.by_id["n5"])
  t.contains(refusal(body, HEADER .. 'require("docker").f = nil\n', stdlib), "'docker.f' cannot be assigned")
  for _, name in ipairs { "socket", "../runtime/gate", "runtime.gate", "stdlib.docker" } do
    t.equal(refusal(body, HEADER .. ("require %q\n"):format(name)), ("bad.lua:2: no module '%s' in the standard library"):format(name))
  end
end)

t.test("a first line for the shell is a comment", function()
  t.equal(body("#!/usr/bin/env -S opsrun play\n" .. HEADER).header.title, "x")
end)

t.test("the comment at the top gives synopsis and usage", function()
  local book = body("--- See who holds it. Then free it.\n---@usage opsrun play x\n" .. HEADER)
  t.equal(book.synopsis, "See who holds it.")
  t.equal(book.about, "See who holds it. Then free it.")
  t.equal(book.usage, { "opsrun play x" })
end)

t.test("a head is read without running the rest, whatever follows", function()
  local host = load_host.new({ files = {
    ["a.lua"] = 'local pg = require "nosuch"\nplaybook {\n  title = "x", severity = "high",\n}\nlocal = syntax error\n',
    ["b.lua"] = 'playbook { title = "one line" } error("never")',
    ["c.lua"] = "return 1",
    ["d.lua"] = "local = 1",
    ["e.lua"] = '\nplaybook {\n  title = "x",   respond = "5m",\n  about = "one "\n    .. "two",\n}\n',
    ["f.lua"] = '\nplaybook {\n  -- severity = "low"\n  title = "x -- y", severity = "high", -- was "low"\n}\n',
    ["g.lua"] = '\nplaybook {\n  --[[ title = "old",\n  ]] title = "new",\n}\n',
    ["h.lua"] = '\nplaybook {\n  title = "runs --standing", -- none = "less"\n}\n',
  } }).host
  t.equal(loader.head(host, "a.lua").severity, "high")
  t.equal(loader.head(host, "b.lua").title, "one line")
  t.equal(select(2, loader.head(host, "c.lua")), "it has no header")
  t.contains(select(2, loader.head(host, "d.lua")), "d.lua:1:")
  t.equal(loader.head(host, "e.lua").respond, "5m")
  t.equal(loader.head(host, "e.lua").about, "one two")
  t.equal(loader.head(host, "f.lua").severity, "high", "what a comment says is no field")
  t.equal(loader.head(host, "f.lua").title, "x -- y")
  t.equal(loader.head(host, "g.lua").title, "new")
  t.equal(loader.head(host, "h.lua").title, "runs --standing")
end)
