--- Headers: what each field may hold, and how a mistake is told.
local t = require "harness"
local header = require "runtime.header"
local clock = require("load_host").new().host.clock

local function at(field)
  return "x.lua:" .. (field or "1")
end

local function validate(raw)
  return header.validate(raw, at, clock)
end

local function refusal(raw)
  local err = t.raises(validate, raw)
  t.equal(err.kind, "load")
  return err.message, err.hint, err.where
end

t.test("a title is all that is needed", function()
  local h = validate { title = "x" }
  t.equal(h.title, "x")
  t.equal(h.params, {})
  t.equal(refusal {}, "the header has no 'title'")
end)

t.test("an unknown field names the nearest one and its place", function()
  local message, hint, where = refusal { title = "x", severty = "high" }
  t.equal(message, "unknown header field 'severty'")
  t.equal(hint, "did you mean 'severity'?")
  t.equal(where, "x.lua:severty")
end)

t.test("wrong types are told in words", function()
  t.equal(refusal { title = 5 }, "header field 'title': expected a string, got number")
  t.equal(refusal { title = "x", kind = "oncall" }, "header field 'kind': 'oncall' is none of incident, routine, monitor, change")
  t.equal(select(2, refusal { title = "x", severity = "hihg" }), "did you mean 'high'?")
  t.equal(refusal { title = "x", respond = "soon" }, "header field 'respond': 'soon' is no duration")
  t.equal(refusal { title = "x", calls = { 5 } }, "header field 'calls': expected a list of strings, found '5'")
  t.equal(refusal { title = "x", limits = { sessions = "many" } }, "header field 'limits': 'sessions': expected a number, got many")
  t.equal(refusal { title = "x", uses = { shel = { "x" } } }, "header field 'uses': 'shel' is nothing that can be used")
  t.equal(refusal { title = "x", uses = { shell = "docker" } }, "header field 'uses': shell: expected a list of strings, got string")
  t.equal(refusal { title = "x", tell = { team = "loud" } }, "header field 'tell': 'team': 'loud' is none of always, critical, ok, warning")
  t.equal(refusal { title = "x", params = { team = { type = "string" } }, tell = { ["{taem}"] = "ok" } },
    "header field 'tell': '{taem}': there is no parameter 'taem'")
  t.equal(refusal { title = "x", keep_runs = {} }, "header field 'keep_runs': expected a number of runs or a duration")
  t.equal(refusal { title = "x", keep_runs = 0 }, "header field 'keep_runs': expected a number of runs or a duration")
  t.equal(refusal { title = "x", keep_runs = { cuont = 5 } },
    "header field 'keep_runs': 'cuont': expected count, a number of runs, and age, a duration")
  t.equal(refusal { title = "x", schedule = "Sta 02:00" }, "header field 'schedule': 'Sta 02:00': 'Sta' is no day of the week")
  t.equal(refusal { title = "x", lock = 5 }, "header field 'lock': expected true or a name, got number")
  t.equal(refusal { title = "x", thresholds = { cpu = { abve = 1 } } }, "header field 'thresholds': 'cpu': unknown field 'abve'")
  t.equal(refusal "x", "playbook: expected a table, got string")
end)

t.test("every field of the contract is taken", function()
  validate {
    title = "x", about = "y", kind = "incident", severity = "high", respond = "5m", owner = "team",
    params = { a = { type = "string" } }, uses = { shell = { "docker restart" }, notify = { "team" } },
    calls = { "scale/x.lua" }, limits = { sessions = 200 }, lock = true, tell = { team = "warning" },
    schedule = { "Sat *-*-01..07 02:00", zone = "Europe/Madrid" }, sources = { "002 L303" },
    thresholds = { disk = { above = { warning = 80 } } }, keep_runs = 30,
  }
  validate { title = "x", keep_runs = "90d" }
  validate { title = "x", keep_runs = { count = 5, age = "400d" } }
end)

t.test("parameters: unknown types, fields and bad defaults are found while loading", function()
  local function param(spec)
    return refusal { title = "x", params = { idle = spec } }
  end
  t.equal(param { type = "durration" }, "parameter 'idle': unknown type 'durration'")
  t.equal(select(2, param { type = "durration" }), "did you mean 'duration'?")
  t.equal(param { type = "string", defualt = 1 }, "parameter 'idle': unknown field 'defualt'")
  t.equal(param { type = "duration", default = "soon" }, "parameter 'idle': default: 'soon' is no duration")
  t.equal(param {}, "parameter 'idle': 'type' is missing")
  t.equal(param "string", "parameter 'idle': expected a table, got string")
  t.equal(param { type = "choice" }, "parameter 'idle': a choice needs 'of', the list of what there is to choose from")
  t.equal(param { type = "list", of = "strng" }, "parameter 'idle': a list cannot be of 'strng'")
  t.equal(param { type = "secret", default = "hunter2" }, "parameter 'idle': a secret has no default: the environment names it")
  t.equal(select(3, param { type = "durration" }), "x.lua:idle")
end)
