--- What may be made again, and how: a request and a message carry the key they had, what Redis shows is judged
--- without a server, a change of files by what its items were. The real thing: tests/e2e/test_settle.py.
local t = require "harness"
local errors = require "runtime.errors"
local files_settle = require "runtime.files.settle"
local http_of = require "runtime.primitives.http"
local notify_of = require "runtime.primitives.notify"
local redis_settle = require "runtime.redis.settle"

local sent, keys

local function host()
  sent, keys = {}, 0
  return {
    clock = { wall = function() return 1795230727 + 60 end }, -- 2026-11-21T03:13:07Z
    digest = { sha256 = function(text) return "digest of " .. text end },
    files = { stat = function() return { type = "file", size = 7, mtime = 1.5 } end },
    json = { encode = function(value) return tostring(value.text) .. "," .. tostring(value.may_repeat) end },
    mask = { apply = function(text) return text end, names = function() return {} end },
    random = { hex = function() keys = keys + 1; return "key" .. keys end },
    secret = { is = function() return false end },
    system = { hostname = function() return "here" end },
    task = {
      spawn = function(fn) return table.pack(pcall(fn)) end,
      join = function(results) return table.unpack(results, 1, results.n) end,
    },
    http = {
      check = function() return true end,
      request = function(given)
        sent[#sent + 1] = given
        return { status = given.url:find "page" and 202 or 200, body = "", headers = {}, header_list = {}, timing = {} }
      end,
    },
  }
end

local channels = { { webhook = "https://w.test/" }, { slack = "https://s.test/" }, { pagerduty = "KEY", url = "https://page.test/" } }
local environment = {
  name = "lab",
  connection = function(kind) return kind == "notify" and channels or { base = "https://api.test" } end,
}

local function adapter(of)
  return of { host = host(), environment = environment, run = { id = "1121-0312-x", playbook = "x.lua" } }
end

--- One call as the gate makes it; `earlier` is the token of the same call in the journal.
local function call(client, verb, args, earlier)
  local effect = client.describe(verb, args)
  if earlier then
    client.mark_repeat(effect.request, earlier)
  end
  local token = client.prepare(verb, effect.request)
  client.perform(verb, effect.request, token)
  return token, effect
end

local function header(request, name)
  for _, pair in ipairs(request.headers) do
    if pair[1] == name then
      return pair[2]
    end
  end
end

local function post(opts)
  return { name = "api", "/pay", opts = opts }
end

t.test("a request with idempotency carries a key, and the same one when it is made again", function()
  local client = adapter(http_of)
  local token, effect = call(client, "post", post { idempotency = true })
  t.equal({ token.header, token.key, header(sent[1], "Idempotency-Key") }, { "Idempotency-Key", "key1", "key1" })
  t.equal(effect.body.idempotency, "Idempotency-Key")
  t.equal(#effect.request.send.headers, #sent[1].headers - 1, "the request itself stays without it")
  call(client, "post", post { idempotency = true }, token)
  t.equal(header(sent[2], "Idempotency-Key"), "key1")
  call(client, "post", post { idempotency = "X-Once" })
  t.equal(header(sent[3], "X-Once"), "key2")
  call(client, "post", post {})
  t.equal(header(sent[4], "Idempotency-Key"), nil)
end)

t.test("a read, a bad name and a header of the author's own are no place for a key", function()
  local client = adapter(http_of)
  local function refusal(verb, opts)
    return tostring(t.raises(client.describe, verb, post(opts)))
  end
  t.contains(refusal("get", { idempotency = true }), "a read may be made again")
  t.contains(refusal("post", { idempotency = 7 }), "expected true or a header's name, got number")
  t.contains(refusal("post", { idempotency = "a b" }), "no header's name")
  t.contains(refusal("post", { idempotency = true, headers = { ["idempotency-key"] = "x" } }), "is given as well")
end)

t.test("a request in doubt may be repeated while the server knows its key, and the file is the same", function()
  local client = adapter(http_of)
  local token = { header = "Idempotency-Key", key = "k" }
  local function settle(given, at)
    return (client.settle("post", { t = at or "2026-11-21T03:12:07.123Z", token = given }))
  end
  t.equal(settle(token), "repeat")
  t.equal(settle(token, "2026-11-20T03:12:07.123Z"), nil)
  t.equal(settle(nil), nil)
  t.equal(settle { key = "k", file = "/f", bytes = 7, modified = 1.5 }, "repeat")
  t.equal(settle { key = "k", file = "/f", bytes = 8, modified = 1.5 }, nil)
end)

t.test("a message that is sent again has the key it had and says what it may be", function()
  local client = adapter(notify_of)
  local args = { name = "team", "the pool is full", opts = { severity = "critical" } }
  local token = call(client, "send", args)
  t.equal(client.settle("send", { token = token }), "repeat")
  t.equal(header(sent[1], "Idempotency-Key"), token.id)
  call(client, "send", args, token)
  t.equal(header(sent[4], "Idempotency-Key"), token.id)
  t.equal(sent[4].body, "the pool is full,true")
  call(client, "send", args, {}) -- a journal that has no key: told all the same
  t.equal(header(sent[7], "Idempotency-Key"), "key2")
end)

--- A server that answers each question from this table, by its words.
local function redis(commands, answers)
  return redis_settle.find({ body = { commands = commands } }, 10, function(questions)
    local replies, failed = {}, nil
    for i, words in ipairs(questions) do
      replies[i] = answers[table.concat(words, " ")]
      if replies[i] == nil then
        replies[i], failed = false, failed or {}
        failed[i] = { code = "WRONGTYPE", message = "no" }
      end
    end
    return replies, failed
  end)
end

t.test("what a command of Redis was to bring about is there, or nothing is said", function()
  t.equal(redis({ { "SET", "k", "v" } }, { ["GET k"] = "v", ["TTL k"] = -1 }), "done")
  t.equal(redis({ { "SET", "k", "v" } }, { ["GET k"] = "v", ["TTL k"] = 5 }), nil, "with a TTL it is another's")
  t.equal(redis({ { "SET", "k", "v", "EX", "9" } }, { ["GET k"] = "v", ["TTL k"] = 5 }), "done")
  t.equal(redis({ { "SET", "k", "v" } }, { ["TTL k"] = -1 }), nil, "a list has no value")
  t.equal(redis({ { "SET", "k", "v", "NX" } }, { ["GET k"] = "v", ["TTL k"] = -1 }), nil)
  t.equal(redis({ { "SET", "k", "‹secret:KEY›" } }, {}), nil)
  t.equal(redis({ { "DEL", "a", "b" } }, { ["EXISTS a b"] = 0 }), "done")
  t.equal(redis({ { "DEL", "a", "b" } }, { ["EXISTS a b"] = 1 }), nil)
  t.equal(redis({ { "EXPIRE", "k", "60" } }, { ["PTTL k"] = 49000 }), "done", "10 s ago")
  t.equal(redis({ { "EXPIRE", "k", "60" } }, { ["PTTL k"] = 60000 }), "done", "the begin may be a little older")
  t.equal(redis({ { "EXPIRE", "k", "60" } }, { ["PTTL k"] = 3000 }), nil)
  t.equal(redis({ { "EXPIRE", "k", "60" } }, { ["PTTL k"] = -2 }), nil)
  t.equal(redis({ { "CONFIG", "SET", "maxmemory", "100mb" } }, { ["CONFIG GET maxmemory"] = { "maxmemory", "104857600" } }), "done")
  t.equal(redis({ { "INCR", "k" } }, {}), nil)
  t.equal(redis({ { "HDEL", "h", "f" }, { "SREM", "s", "x" } }, { ["HMGET h f"] = { false }, ["SMISMEMBER s x"] = { 0 } }), "done")
  local _, why = redis({ { "DEL", "a" }, { "DEL", "b" } }, { ["EXISTS a"] = 0, ["EXISTS b"] = 1 })
  t.equal(why, "of 2 commands 1 can be seen to have happened")
  t.equal(redis_settle.find({ body = { commands = 4000, sha256 = "…" } }, 1), nil)
end)

--- A file system of path -> entry.
local function files(verb, record, there)
  return files_settle.find({
    json = { array = function(list) return list end },
    fileops = {
      run = function(request)
        if request.verb == "checksum" then
          return { sha256 = ("%s %s %s"):format(there[request.path].text, request.offset, request.length) }
        elseif there[request.path] == "denied" then
          return nil, { message = "cannot look", code = "denied", outcome = "failed" }
        end
        return there[request.path] or {}
      end,
    },
  }, verb, record)
end

local function entry(place, size, seconds, more)
  local made = { id = ("1.%x.%x.%x.0"):format(place, size, seconds), size = size, type = "file" }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

local function listed(...)
  local list = {}
  for i, place in ipairs { ... } do
    list[i] = { path = "/" .. i, id = entry(place, 10, 1).id }
  end
  return { body = { files = list } }
end

t.test("a list that was done in part is finished where that touches only the rest", function()
  local word, why = files("remove", listed(1, 2, 3), { ["/2"] = entry(2, 10, 1) })
  t.equal({ word, why }, { "not done", "2 of 3 done; the rest can be done" })
  t.equal(files("remove", listed(1, 2), {}), "done")
  word, why = files("remove", listed(1, 2, 3), { ["/2"] = entry(2, 10, 9), ["/3"] = entry(3, 10, 1) })
  t.equal({ word, why }, { nil, "1 of 3 done, of 1 it is not known: '/2': it changed since" })
  local cut = listed(1, 2)
  cut.body.size, cut.token = 0, { before = { cut.body.files[1].id, cut.body.files[2].id } }
  cut.body.files[1].id, cut.body.files[2].id = nil, nil
  t.equal(files("truncate", cut, { ["/1"] = entry(1, 0, 2), ["/2"] = entry(2, 10, 1) }), nil, "lines may have come since")
end)

t.test("a removal found out later says what went, and not how much room it gave", function()
  local word, _, answer = files("remove", listed(1, 2), {})
  t.equal(word, "done")
  t.equal({ answer.count, answer.size, answer.freed, #answer.left, answer.items[2].path }, { 2, 20, nil, 0, "/2" })
end)

t.test("what the journal does not hold is not guessed", function()
  local record = { body = { files = { { path = "/1" } }, text = { sha256 = "x", bytes = 1 } }, token = { before = { false } } }
  t.equal(files("remove", record, { ["/1"] = entry(1, 10, 1) }), nil)
  t.equal(files("append", record, { ["/1"] = entry(1, 10, 1) }), nil)
  t.equal(files("remove", { token = {} }, {}), nil, "a body that was too large")
  record = { body = { files = { { path = "/1" } }, text = "‹secret:KEY›" }, token = { before = { "" } } }
  t.equal(files("write", record, { ["/1"] = entry(1, 10, 1) }), nil)
  t.equal(files("write", record, {}), "not done")
  t.equal(errors.is(t.raises(files, "remove", listed(1), { ["/1"] = "denied" }), "effect"), true)
end)

t.test("a text appended is looked for where it must stand", function()
  local record = {
    body = { files = { { path = "/1" } }, text = { sha256 = "new 10 5", bytes = 5 } },
    token = { before = { entry(1, 10, 1).id } },
  }
  local _, why = files("append", record, { ["/1"] = entry(1, 12, 2, { text = "new" }) })
  t.equal(why, "'/1': 2 of 5 bytes were appended")
  local word, _, value = files("append", record, { ["/1"] = entry(1, 40, 2, { text = "new" }) })
  t.equal({ word, value.size, value.items[1].after }, { "done", 10, 15 })
  t.equal(files("append", record, { ["/1"] = entry(1, 40, 2, { text = "other" }) }), nil)
  t.equal(files("append", record, { ["/1"] = entry(2, 40, 2, { text = "new" }) }), nil, "rotated")
end)

t.test("a directory that was made without its mode is not called made", function()
  local record = { body = { files = { { path = "/1" } } }, token = { before = { "" } } }
  t.equal(files("mkdir", record, { ["/1"] = entry(1, 0, 1, { type = "directory", mode = 448 }) }), nil)
  t.equal(files("mkdir", record, { ["/1"] = entry(1, 0, 1, { type = "directory", mode = 493 }) }), "done")
  t.equal(files("mkdir", record, {}), "not done")
end)
