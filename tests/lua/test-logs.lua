--- The logs primitive over a pretend host: what is asked, what is told of the answer.
local t = require "harness"
local context = require "runtime.context"
local report = require "runtime.report"
local request = require "runtime.logs.request"
local units = require "runtime.units"
local new_adapter = require "runtime.primitives.logs"

local said, sent, answer = {}, nil, nil
context.open { locals = function() return {} end }
report.open(function(event) said[#said + 1] = event.text end)

--- A zone one hour east of UTC that goes to two hours at 1,000,000.
local clock = {
  wall = function() return 2000000 end,
  fields = function(epoch)
    local f = os.date("!*t", math.floor(epoch))
    f.offset = epoch < 1000000 and 3600 or 7200
    return f
  end,
  epoch = function(f) return (f.day - 1) * 86400 end, -- January 1970 is enough here
}

local function adapter(config)
  said, sent = {}, nil
  return new_adapter {
    host = {
      clock = clock,
      logs = {
        scan = function(fields)
          sent = fields
          if answer.failed then
            return nil, answer.failed
          end
          return answer
        end,
      },
    },
    environment = {
      timezone = "Some/Zone",
      connection = function() return config or { paths = { "/var/log/app/*.log*" }, format = "json" } end,
    },
  }
end

local function ask(call, config)
  local logs = adapter(config)
  local effect = logs.describe("scan", { name = "app", call, opts = {} })
  return logs.perform("scan", effect.request), effect, logs
end

local function misuse(call, span)
  return tostring(t.raises(request.queries, call, span))
end

t.test("names become queries in their order, options do not", function()
  local queries = request.queries({ timeout = "5s", b = { match = "x" }, a = { match = { "y", "z" } } }, nil)
  t.equal(#queries, 2)
  t.equal({ queries[1].name, queries[1].literals[2] }, { "a", "z" })
  t.equal(queries[2].literals, { "x" })
end)

t.test("numbers with units are seconds and bytes", function()
  local queries = request.queries { a = { field = "took", above = units.duration "2s", below = units.size "1kb" } }
  t.equal({ queries[1].above, queries[1].below }, { 2, 1024 })
end)

t.test("a group has the ten largest unless said otherwise; a number is a capture", function()
  t.equal(request.queries { a = { match = "x", group = "path" } } [1].top, 10)
  t.equal(request.queries { a = { regex = "(x)", group = 1, top = 3 } } [1].group, "#1")
  t.contains(misuse { a = { match = "x", group = 1 } }, "is a capture of regex, which is not given")
end)

t.test("what cannot be meant is told", function()
  t.contains(misuse {}, "nothing is asked")
  t.contains(misuse { a = { tial = 3 } }, "unknown field 'tial' (did you mean 'tail'?)")
  t.contains(misuse { a = { match = 5 } }, "match: expected a text, or a list of them, got number")
  t.contains(misuse { unread = { match = "x" } }, "'unread' is a field of every result")
  t.contains(misuse { a = { match = "x", tail = 0 } }, "tail: expected 1 to 10000, got 0")
  t.contains(misuse({ a = { match = "x", per = "1s" } }, 86400), "the window has more than 20000 of them")
  t.contains(misuse { a = { field = 5 } }, "field: expected a string, got number")
end)

t.test("the environment says where and in which form", function()
  t.equal(request.source("app", { paths = "/x", format = "apache" }), { paths = { "/x" }, format = "nginx" })
  t.contains(tostring(t.raises(request.source, "app", { paths = {} })), "logs 'app' of the environment: paths: expected a list")
  t.contains(tostring(t.raises(request.source, "app", { paths = { "/x" }, format = "csv" })), "format: 'csv' is none of")
end)

t.test("the moment at which a zone's clocks change is found to the second", function()
  t.equal(request.zones(clock, "Some/Zone", 0, 2000000), { { -172800, 3600 }, { 1000000, 7200 } })
end)

t.test("a result says per name what was found, and what was read, and is the same after the journal", function()
  answer = {
    queries = {
      { name = "slow", count = 3, values = 2, sum = 10, min = 4, max = 6, series = { 1, 2 }, groups = { { value = "/x", count = 3 } } },
    },
    files = { { path = "/var/log/app/a.log", bytes = 2048, lines = 9, first = 1000000, last = 1000060 } },
    skipped = {}, unread = { { path = "/var/log/app/b.log", reason = "Permission denied" } }, lines = 9, bytes = 2048, undated = 1,
  }
  local result, effect, logs = ask { window = "1970-01-12..1970-01-13", slow = { field = "ms", above = 3, per = "12h", group = "path" } }
  t.equal(effect.summary, "scan app for slow, 1970-01-12..1970-01-13")
  t.equal({ result.slow.count, result.slow.mean }, { 3, 5 })
  t.equal(result.slow.series[2].count, 2)
  t.equal(result.slow.groups.columns, { "value", "count" })
  t.equal(result.unread[1].path, "/var/log/app/b.log")
  t.contains(said[1], "app: read /var/log/app/a.log, 9 lines of them, ")
  t.equal(said[2], "not read: '/var/log/app/b.log': Permission denied")
  t.contains(said[3], "1 line without a time")
  t.equal(sent.zones[1][2], 3600)
  result.slow.groups.columns, result.files.columns = nil, nil
  t.equal(logs.revive("scan", logs.keep("scan", result)).slow.groups.columns, { "value", "count" })
end)

t.test("nothing readable is a failure that names what was tried", function()
  answer = { failed = { message = "no log file could be read: '/x': no such file", code = "missing", outcome = "failed" } }
  local err = t.raises(ask, { a = { match = "x" } })
  t.contains(err.message, "'/x': no such file")
  t.contains(err.hint, "logs.app.paths")
end)
