--- The http primitive over a pretend host: where a request goes, what is refused before it is sent,
--- and what comes of answers.
local t = require "harness"
local errors = require "runtime.errors"
local new_adapter = require "runtime.primitives.http"
local response = require "runtime.http.response"
local url = require "runtime.http.url"

local secret_type = { __name = "secret" }
local token = setmetatable({}, secret_type)

local documents = {
  ['{"data":{"status":"ok","items":[{"n":1}]}}'] = { data = { status = "ok", items = { { n = 1 } } } },
}

local sent, answers, slept

local json = {
  null = setmetatable({}, { __name = "null" }),
  encode = function(value)
    return "json:" .. tostring(value)
  end,
  decode = function(text)
    if documents[text] then
      return documents[text]
    end
    return nil, "expected a value at byte 1"
  end,
}

local function answer(status, body, headers)
  return { status = status, body = body or "", headers = headers or {}, header_list = {}, time = 0.01, timing = {} }
end

local function adapter_with(connection, list)
  sent, slept, answers = {}, {}, list or { answer(200) }
  return new_adapter {
    run = { id = "1121-0312-x" },
    environment = {
      connection = function(kind, name)
        t.equal(kind, "http")
        t.equal(name, "api")
        return connection
      end,
    },
    host = {
      json = json,
      digest = { sha256 = function(text) return "digest of " .. text end },
      clock = { wall = function() return 1000 end },
      task = { sleep = function(seconds) slept[#slept + 1] = seconds; return true end },
      secret = {
        is = function(value) return getmetatable(value) == secret_type end,
        name = function() return "TOKEN" end,
      },
      http = {
        check = function() return true end,
        request = function(given)
          sent[#sent + 1] = given
          local next_answer = table.remove(answers, 1)
          if next_answer.failed then
            return nil, next_answer
          end
          return next_answer
        end,
      },
    },
  }
end

local api = { base = "http://127.0.0.1:8080/v1", bearer = token, headers = { ["X-Team"] = "ops" }, reads = { "POST /search" } }

--- Describes a call to the connection.
local function describe(verb, path, opts, connection)
  return adapter_with(connection or api).describe(verb, { name = "api", path, opts = opts or {} })
end

local function describe_url(verb, target, opts)
  return adapter_with(api).describe(verb, { target, opts = opts or {} })
end

--- The error value that `f` raises.
local function raised(f)
  local ok, err = pcall(f)
  assert(not ok, "nothing was raised")
  return errors.wrap(err)
end

local function play(adapter, verb, ...)
  local effect = adapter.describe(verb, ...)
  return adapter.perform(verb, effect.request, adapter.prepare(verb, effect.request))
end

t.test("a path is joined to the connection's base", function()
  local send = describe("get", "/health").request.send
  t.equal(send.url, "http://127.0.0.1:8080/v1/health")
  t.equal(send.origin, "http://127.0.0.1:8080")
  t.equal(describe("get", "health").request.send.url, "http://127.0.0.1:8080/v1/health")
  t.equal(describe("get", "?a=1").request.send.url, "http://127.0.0.1:8080/v1?a=1")
  t.equal(describe("get", "").request.send.url, "http://127.0.0.1:8080/v1")
end)

t.test("no path leaves the connection's origin or base", function()
  for _, path in ipairs {
    "http://evil.test/x", "https://127.0.0.1:8080/x", "http://127.0.0.1:8081/x", "//evil.test/x", "/../admin",
    "/a/%2e%2e/b", "/.%2E/b", "/a\\b", "/a\r\nX: y", "file:///etc/passwd", "http://127.0.0.1:8080@evil.test/",
    "http://evil.test\\@127.0.0.1:8080/", "javascript:x", "/a/..", "/a/./b", "..",
  } do
    t.equal(raised(function() describe("get", path) end).kind, "refused", path)
  end
  t.equal(describe("get", "http://127.0.0.1:8080/other").request.send.url, "http://127.0.0.1:8080/other")
end)

t.test("a URL is read strictly and shown without user and password", function()
  t.equal(url.parse("http://User:p%40ss@Host.Test:80/x#y"),
    { origin = "http://host.test", path = "/x", user = "User", password = "p@ss" })
  t.equal(url.parse("https://[::1]:8443/").origin, "https://[::1]:8443")
  for _, bad in ipairs { "http://", "ftp://x/", "http://a b/", "http://a@b@c/", "x", "http://a:b:c/", "http://a\\b/" } do
    t.equal(url.parse(bad), nil, bad)
  end
  local effect = describe_url("get", "http://user:hidden-word@status.test/x")
  t.equal(effect.summary, "GET http://status.test/x")
  t.equal(effect.body.url:find "hidden%-word", nil)
  t.equal(effect.request.send.password, "hidden-word")
  t.equal(effect.uses[2], "http://status.test")
  t.equal(url.strip_users "see http://a:b@c/ and https://d@e", "see http://c/ and https://e")
end)

t.test("GET, HEAD, OPTIONS read, all else changes", function()
  for verb, class in pairs {
    get = "read", head = "read", options = "read", post = "change", put = "change", patch = "change", delete = "change",
  } do
    t.equal(describe(verb, "/x").class, class, verb)
  end
  local adapter = adapter_with(api)
  t.equal(adapter.describe("request", { name = "api", "propfind", "/x", opts = {} }).class, "change")
  t.equal(adapter.describe("request", { name = "api", "get", "/x", opts = {} }).class, "read")
end)

t.test("a POST that the environment vouches for is a declared read", function()
  local effect = describe("post", "/search", { json = {} })
  t.equal(effect.class, "read")
  t.equal(effect.declared, true)
  t.equal(describe("post", "/search?page=2", { json = {} }).class, "read")
  t.equal(describe("post", "/search/all", { json = {} }).class, "change")
  t.equal(describe("put", "/search", { json = {} }).class, "change")
  t.equal(adapter_with(api).describe("post", { "http://127.0.0.1:8080/v1/search", opts = {} }).class, "change")
end)

t.test("a read that hides a change is refused", function()
  for _, name in ipairs {
    "X-HTTP-Method-Override", "x-method-override", "X-HTTP-Method", "X_HTTP_METHOD_OVERRIDE", "X-Original-Method", "X-Rewrite-URL",
    "x-original-url",
  } do
    t.equal(raised(function() describe("get", "/x", { headers = { [name] = "DELETE" } }) end).kind, "refused")
    t.equal(raised(function() describe("post", "/search", { headers = { [name] = "DELETE" } }) end).kind, "refused")
  end
  for _, opts in ipairs { { query = { _method = "DELETE" } }, { body = "x" }, { json = { 1 } }, { form = { a = 1 } } } do
    t.equal(raised(function() describe("get", "/x", opts) end).kind, "refused")
  end
  for _, path in ipairs { "/x?_method=DELETE", "/x?a=1&%5Fmethod=PUT", "/x?_METHOD=PUT", "/x?a;x-http-method-override=PUT",
    "/x?X_HTTP_Method_Override=PUT" } do
    t.equal(raised(function() describe("get", path) end).kind, "refused", path)
  end
end)

t.test("control bytes in headers are refused before anything is sent", function()
  for _, headers in ipairs { { ["X-A"] = "a\r\nb" }, { ["X-A\n"] = "a" }, { ["X-A"] = "a\0" }, { [""] = "a" } } do
    t.equal(raised(function() describe("get", "/x", { headers = headers }) end).kind, "refused")
  end
end)

t.test("secrets go into headers and never into what is shown, or into a query", function()
  local effect = describe("get", "/x", { headers = { ["X-Key"] = token } })
  t.equal(effect.body.headers, { "x-key: ‹secret:TOKEN›", "x-opsrun-run", "x-team" })
  t.equal(effect.body.credentials, "bearer ‹secret:TOKEN›")
  t.equal(effect.request.send.bearer, token)
  t.equal(describe("get", "/x", { headers = { Authorization = "Own" } }).request.send.bearer, nil)
end)

t.test("only connections are told which run it is", function()
  local function has_run(effect)
    for _, header in ipairs(effect.request.send.headers) do
      if header[1] == "X-Opsrun-Run" then
        return header[2]
      end
    end
  end
  t.equal(has_run(describe("get", "/x")), "1121-0312-x")
  t.equal(has_run(describe_url("get", "http://elsewhere.test/")), nil)
end)

t.test("query and form are encoded, names in order", function()
  t.equal(describe("get", "/x?z=1", { query = { b = "a b&c", a = { 1, 2 } } }).request.send.url,
    "http://127.0.0.1:8080/v1/x?z=1&a=1&a=2&b=a%20b%26c")
  t.equal(describe("post", "/x", { form = { a = "1&2" } }).request.send.body, "a=1%262")
  t.equal(describe("get", "/käse nr").request.send.url, "http://127.0.0.1:8080/v1/k%C3%A4se%20nr")
end)

t.test("an unexpected status is an error that says what came", function()
  local adapter = adapter_with(api, { answer(503, "down\nfor now") })
  local err = raised(function() play(adapter, "get", { name = "api", "/health", opts = {} }) end)
  t.equal(err.message, "GET http://127.0.0.1:8080/v1/health answered 503, expected 2xx")
  t.equal({ err.kind, err.code, err.outcome, err.hint }, { "effect", "503", "failed", "it said: down for now" })
end)

t.test("what a status says about a change", function()
  for status, outcome in pairs {
    [404] = "failed", [500] = "failed", [503] = "failed", [302] = "failed", [502] = "unknown", [504] = "unknown",
  } do
    local adapter = adapter_with(api, { answer(status) })
    local err = raised(function() play(adapter, "post", { name = "api", "/x", opts = {} }) end)
    t.equal(err.outcome, outcome, tostring(status))
  end
  local err = raised(function()
    play(adapter_with(api, { answer(200) }), "post", { name = "api", "/x", opts = { expect = 201 } })
  end)
  t.equal(err.outcome, "done")
end)

t.test("expect takes a status, a class, a list or any", function()
  for _, case in ipairs { { 404, 404 }, { "4xx", 404 }, { { 200, 404 }, 404 }, { { 200, "4xx" }, 418 }, { "any", 500 } } do
    local adapter = adapter_with(api, { answer(case[2]) })
    t.equal(play(adapter, "get", { name = "api", "/x", opts = { expect = case[1] } }).status, case[2])
  end
  t.equal(raised(function() describe("get", "/x", { expect = "fine" }) end).message, "option 'expect': 'fine' is no status")
end)

t.test("reads are tried again with growing pauses, changes never", function()
  local refused = { failed = true, message = "no", code = "refused", outcome = "not sent" }
  local adapter = adapter_with(api, { refused, answer(503), answer(200, "fine") })
  t.equal(play(adapter, "get", { name = "api", "/x", opts = { retries = 2 } }).body, "fine")
  t.equal(slept, { 0.2, 0.4 })
  adapter = adapter_with(api, { answer(404), answer(200) })
  t.equal(raised(function() play(adapter, "get", { name = "api", "/x", opts = { retries = 2 } }) end).code, "404")
  t.equal(#sent, 1)
  t.equal(raised(function() describe("post", "/x", { retries = 1 }) end).kind, "script")
  adapter = adapter_with(api, { refused })
  t.equal(raised(function() play(adapter, "get", { name = "api", "/x", opts = {} }) end).hint,
    "is the service running, and is this its port?")
end)

t.test("at and need walk the JSON body", function()
  local body = '{"data":{"status":"ok","items":[{"n":1}]}}'
  local adapter = adapter_with(api, { answer(200, body, { ["content-type"] = "application/json" }) })
  local res = play(adapter, "get", { name = "api", "/x", opts = {} })
  t.equal(res:at "data.status", "ok")
  t.equal(res:at "data.items[1].n", 1)
  t.equal(res:at "data.items.1.n", 1)
  t.equal(res:at "data.nothing.there", nil)
  t.equal(res:need("data").status, "ok")
  local err = raised(function() res:need "data.stats" end)
  t.equal(err.message, "the answer of GET http://127.0.0.1:8080/v1/x has no 'stats' in 'data': there is: items, status")
  t.equal(err.hint, "did you mean 'status'?")
  local again = adapter.revive("get", adapter.keep("get", res))
  t.equal(again:at "data.status", "ok")
end)

t.test("a body that is not JSON is no error until it is used as such", function()
  local res = response.new(answer(200, "<html>", { ["content-type"] = "application/json" }), "GET x", json)
  t.equal(res.body, "<html>")
  t.equal(raised(function() return res.json end).message, "the answer of GET x is not JSON: expected a value at byte 1")
  t.equal(response.new(answer(204), "GET x", json).json, nil)
  t.equal(res.nonsense, nil)
end)

t.test("a dry run shows method, headers by name and the body", function()
  local adapter = adapter_with(api)
  local effect = adapter.describe("post", { name = "api", "/x", opts = { body = "line one\nline two" } })
  t.equal(adapter.preview("post", effect.request).lines,
    { "POST http://127.0.0.1:8080/v1/x", "  x-opsrun-run", "  x-team", "  line one", "  line two" })
  t.equal(#sent, 0)
end)

t.test("a certificate is looked at on a new connection", function()
  local with_tls = answer(404)
  with_tls.tls = { subject = "CN = a", issuer = "CN = b", starts = 0, expires = 5000, names = { "a" } }
  local adapter = adapter_with({ base = "https://a.test" }, { with_tls })
  local certificate = play(adapter, "certificate", { name = "api", opts = {} })
  t.equal(certificate.expires_in, 4000)
  t.equal({ sent[1].method, sent[1].fresh }, { "HEAD", true })
end)
