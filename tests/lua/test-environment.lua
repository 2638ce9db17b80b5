--- Environments: which file, what it may say, when its secrets are read.
local t = require "harness"
local environment = require "runtime.environment"
local load_host = require "load_host"

local function load_of(files, name, env, config)
  return environment.load(load_host.new { files = files, env = env, config = config }, name)
end

local function refusal(...)
  local err = t.raises(load_of, ...)
  return err.message, err.kind, err.hint
end

local function lab(body)
  return { ["environments/lab.lua"] = body }
end

t.test("a label is enough", function()
  local e = load_of(lab 'return { label = "the lab" }', "lab")
  t.equal(e.name, "lab")
  t.equal(e.label, "the lab")
  t.equal(e.protected, false)
  t.equal(e.timezone, "Etc/UTC")
end)

t.test("no name: $OPSRUN_ENV, else the only one, else all are listed", function()
  local two = { ["environments/lab.lua"] = "return {}", ["environments/prod.lua"] = "return {}" }
  t.equal(load_of(two, nil, { OPSRUN_ENV = "prod" }).name, "prod")
  t.equal(load_of(lab "return {}").name, "lab")
  local message, kind, hint = refusal(two)
  t.equal(message, "no environment is given, and there are 2")
  t.equal(kind, "usage")
  t.equal(hint, "choose one with -e: lab, prod")
  t.equal(refusal({}), "no environment is given, and there is none")
end)

t.test("--config finds DIR/NAME.lua and DIR/environments/NAME.lua, and comes first", function()
  t.equal(load_of({ ["c/x.lua"] = 'return { label = "1" }' }, "x", nil, "c").label, "1")
  t.equal(load_of({ ["c/environments/x.lua"] = 'return { label = "2" }' }, "x", nil, "c").label, "2")
  local both = { ["c/x.lua"] = 'return { label = "c" }', ["environments/x.lua"] = 'return { label = "here" }' }
  t.equal(load_of(both, "x", nil, "c").label, "c")
end)

t.test("a protected environment of /etc/opsrun is not shadowed", function()
  local files = {
    ["/etc/opsrun/prod.lua"] = 'return { label = "real", protected = true }',
    ["environments/prod.lua"] = 'return { label = "fake" }',
    ["c/prod.lua"] = 'return { label = "fake" }',
  }
  t.equal(load_of(files, "prod").label, "real")
  t.equal(load_of(files, "prod", nil, "c").label, "real")
end)

t.test("rules of /etc/opsrun are not shadowed either", function()
  local files = {
    ["/etc/opsrun/prod.lua"] = 'return { label = "real", rules = { read_only = true } }',
    ["environments/prod.lua"] = 'return { label = "fake" }',
    ["c/prod.lua"] = 'return { label = "fake" }',
  }
  t.equal(load_of(files, "prod").label, "real")
  t.equal(load_of(files, "prod", nil, "c").label, "real")
end)

t.test("an unknown one names the nearest, or what there is", function()
  local message, kind, hint = refusal(lab "return {}", "labb")
  t.equal(message, "no environment 'labb'")
  t.equal(kind, "usage")
  t.equal(hint, "did you mean 'lab'?")
  t.equal(select(3, refusal(lab "return {}", "production")), "there are: lab")
  t.equal(refusal(lab "return {}", "../etc/passwd"), "no environment '../etc/passwd'")
end)

t.test("a file that others may write is refused", function()
  local message, kind = refusal({ ["environments/lab.lua"] = { text = "return {}", mode = 438 } }, "lab")
  t.equal(message, "environment 'environments/lab.lua' may be written by everybody")
  t.equal(kind, "precondition")
  t.contains(refusal({ ["environments/lab.lua"] = { text = "return {}", uid = 1234 } }, "lab"), "belongs to another user")
end)

t.test("it is pure data: no globals, no functions of Lua", function()
  local function hint_of(body)
    return (refusal(lab(body), "lab"))
  end
  t.equal(hint_of 'return { label = os.getenv "X" }', "'os' is not known here")
  t.equal(hint_of "x = 1 return {}", "'x' is assigned: write 'local x = …'")
  t.equal(hint_of 'return { label = secret.vault "X" }', "there is no secret.vault")
  t.equal(hint_of "return 5", "environment 'environments/lab.lua' returns number, no table")
  t.contains(hint_of "return {", "environment 'environments/lab.lua' does not load: lab.lua:1:")
end)

t.test("unknown fields name the nearest", function()
  local message, _, hint = refusal(lab "return { sqll = {} }", "lab")
  t.equal(message, "environment 'environments/lab.lua': unknown field 'sqll'")
  t.equal(hint, "did you mean 'sql'?")
  message, _, hint = refusal(lab 'return { sql = { primary = { ulr = "x" } } }', "lab")
  t.equal(message, "environment 'environments/lab.lua': unknown field of sql.primary 'ulr'")
  t.equal(hint, "did you mean 'url'?")
  message = refusal(lab 'return { sql = { primary = "x" } }', "lab")
  t.equal(message, "environment 'environments/lab.lua': sql.primary: expected a table, got string")
end)

t.test("an unknown connection names the nearest", function()
  local e = load_of(lab 'return { sql = { primary = { url = "x" } } }', "lab")
  local err = t.raises(e.connection, "sql", "primry")
  t.equal(err.message, "environment 'lab' has no sql connection 'primry'")
  t.equal(err.kind, "precondition")
  t.equal(err.hint, "did you mean 'primary'?")
  t.contains(t.raises(e.connection, "redis", "cache").hint, "its file says of redis nothing")
end)

t.test("a secret is read when its connection is asked for, and an unset one says what to do", function()
  local body = 'return { sql = { primary = { url = secret.env "DATABASE_URL" } } }'
  local e = load_of(lab(body), "lab")
  local err = t.raises(e.connection, "sql", "primary")
  t.equal(err.message, "sql connection 'primary': environment variable 'DATABASE_URL' is not set")
  t.equal(err.kind, "precondition")
  t.contains(err.hint, "export DATABASE_URL=")
  local ready = load_of(lab(body), "lab", { DATABASE_URL = "postgres://x" })
  t.equal(tostring(ready.connection("sql", "primary").url), "‹secret:DATABASE_URL›")
end)

t.test("an http base from a variable is an address, unless it holds a password", function()
  local body = 'return { http = { api = { base = secret.env "APP_URL" } } }'
  t.equal(load_of(lab(body), "lab", { APP_URL = "http://127.0.0.1:1" }).connection("http", "api").base, "http://127.0.0.1:1")
  local hidden = load_of(lab(body), "lab", { APP_URL = "http://u:password@h" }).connection("http", "api").base
  t.equal(tostring(hidden), "‹secret:APP_URL›")
end)

t.test("params: those for all, then those under the playbook's path", function()
  local e = load_of(lab 'return { params = { healthy = 75, idle = "1m", ["incident/x"] = { healthy = 90 } } }', "lab")
  t.equal(e.params_for "incident/x.lua", { healthy = 90, idle = "1m" })
  t.equal(e.params_for "daily/y.lua", { healthy = 75, idle = "1m" })
end)

t.test("every secret and variable it names is told with its places, and whether it is there; no command is run for that", function()
  local e = load_of(lab [[return {
    http = { api = { base = env "URL", bearer = secret.env "TOKEN" }, other = { base = "http://x", bearer = secret.env "TOKEN" } },
    notify = { team = { { slack = secret.command { "pass", "show", "x" } } } }, params = { ["a/b"] = { key = secret.prompt "Key" } },
  }]], "lab", { URL = "http://x" })
  local seen = {}
  for i, entry in ipairs(e.secrets()) do
    seen[i] = ("%s %s %s %s"):format(entry.source, entry.name, tostring(entry.is_there), table.concat(entry.places, " "))
  end
  t.equal(seen, {
    "setting URL true http.api.base", "env TOKEN nil http.api.bearer http.other.bearer",
    "command pass show x false notify.team.1.slack", "prompt Key false params.a/b.key",
  })
end)
