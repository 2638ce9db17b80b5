--- The redis primitive over a pretend host: which command is a read, what is refused, what is sent and
--- what comes of answers.
local t = require "harness"
local classify = require "runtime.redis.classify"
local errors = require "runtime.errors"
local info = require "runtime.redis.info"
local new_adapter = require "runtime.primitives.redis"
local units = require "runtime.units"
local words = require "runtime.redis.words"

local secret = setmetatable({}, { __name = "secret", __tostring = function() return "‹secret:KEY›" end })

local function host_with(answer, sent)
  return {
    json = { array = function(list) return list end, canonical = function(list) return table.concat(list, " ") end },
    digest = { sha256 = function(text) return "digest of " .. #text end },
    secret = { is = function(value) return value == secret end },
    redis = {
      place = function() return { host = "h", port = "1" } end,
      connect = function(given)
        sent.connects = sent.connects + 1
        sent.name = given.name
        local usable = true
        return {
          run = function(_, commands, timeout)
            sent[#sent + 1] = commands
            sent.timeout = timeout
            local replies, err = answer(commands, sent.connects)
            usable = replies ~= nil
            return replies, err
          end,
          usable = function() return usable end,
          close = function() end,
        }
      end,
    },
  }
end

local flags = { get = "readonly", ttl = "readonly", scan = "readonly", mget = "readonly", type = "readonly",
  ["memory|usage"] = "readonly", info = "loading", ["config|get"] = "admin", strlen = "readonly", touch = "readonly" }

--- The commands that go out: one with `keys` stands for as many as there are keys.
local function each_command(commands)
  local list = {}
  for _, command in ipairs(commands) do
    for _, key in ipairs(command.keys or { false }) do
      local copy = table.move(command, 1, #command, 1, {})
      if key then
        copy[command.at] = key
      end
      list[#list + 1] = copy
    end
  end
  return list
end

--- Answers COMMAND INFO as a server does, and everything else by `replies`.
local function server(replies, live)
  return function(commands, connects)
    local out, failed = {}, nil
    for i, command in ipairs(each_command(commands)) do
      if command[1] == "COMMAND" then
        local flag = (live or flags)[command[3]]
        out[i] = { flag and { command[3], 2, { flag }, 1, 1, 1, {}, {}, {} } or false, false }
      else
        local reply, err = replies(command, connects)
        out[i] = reply == nil and false or reply
        if err then
          failed = failed or {}
          failed[i] = err
        end
      end
    end
    return out, failed
  end
end

local function adapter_with(answer, connection)
  local sent = { connects = 0 }
  local adapter = new_adapter {
    host = host_with(answer, sent),
    run = { id = "1121-x" },
    environment = {
      name = "lab",
      connection = function() return connection or { url = "redis://h" } end,
    },
  }
  return adapter, sent
end

local function ok() return "OK" end

local function args(...)
  local given = table.pack(...)
  given.name, given.opts = "cache", {}
  return given
end

--- Describes, prepares and performs one call.
local function play(adapter, verb, given)
  local effect = adapter.describe(verb, given)
  adapter.prepare(verb, effect.request)
  return adapter.perform(verb, effect.request), effect
end

local function class_of(...)
  return classify.command({ ... })
end

t.test("readonly commands of the table are reads, and looks without that flag too", function()
  for _, command in ipairs { { "get" }, { "TTL" }, { "Memory", "Usage" }, { "INFO" }, { "config", "GET" }, { "scan" },
    { "client", "list" }, { "slowlog", "get" }, { "ping" }, { "xinfo", "stream" }, { "dbsize" }, { "command" } } do
    t.equal(classify.command(command).class, "read", table.concat(command, " "))
  end
end)

t.test("everything else is a change: writes, scripts, settings, flags that lie, and what nobody knows", function()
  for _, command in ipairs { { "set" }, { "eval" }, { "eval_ro" }, { "fcall_ro" }, { "evalsha_ro" }, { "config", "set" },
    { "config", "rewrite" }, { "client", "kill" }, { "client", "pause" }, { "publish" }, { "pfcount" }, { "touch" }, { "keys" },
    { "sort_ro" }, { "script", "flush" }, { "shutdown" }, { "flushall" }, { "debug" }, { "acl", "list" }, { "memory", "purge" },
    { "getex" }, { "georadius" }, { "nosuch" }, { "config", "nosuch" }, { "config" }, { "ft.search" }, { "latency", "reset" },
    { "slowlog", "reset" }, { "cluster", "reset" }, { "function", "list" }, { "xreadgroup" }, { "xread" } } do
    t.equal(classify.command(command).class, "change", table.concat(command, " "))
  end
end)

t.test("every command of the table is a read, a change or refused, and no read carries a flag of a change", function()
  local reads, changes, refused = 0, 0, 0
  for _, name in ipairs(classify.names()) do
    local command, sub = name:match "^([^|]+)|?(.*)$"
    local class = classify.command(sub ~= "" and { command, sub } or { command })
    t.equal(class.name, name)
    if class.refused then
      refused = refused + 1
    elseif class.class == "read" then
      reads = reads + 1
    else
      changes = changes + 1
    end
  end
  t.equal(reads + changes + refused, #classify.names())
  t.equal(#classify.names() > 340, true)
  t.equal(reads > 100 and reads < 150, true, "reads: " .. reads)
end)

t.test("what waits, listens or alters the connection is never sent", function()
  local adapter, sent = adapter_with(server(ok))
  for _, command in ipairs { { "blpop", "a", 0 }, { "SUBSCRIBE", "x" }, { "monitor" }, { "select", 1 }, { "multi" },
    { "exec" }, { "auth", "x" }, { "wait", 1, 0 }, { "client", "reply", "off" }, { "hello", 3 }, { "quit" }, { "sync" },
    { "xread", "BLOCK", 0, "streams", "a", "0" }, { "reset" } } do
    local fine, err = pcall(adapter.describe, "call", args(table.unpack(command)))
    t.equal(fine, false, command[1])
    t.equal(err.kind, "refused", command[1])
  end
  local fine, err = pcall(adapter.describe, "pipeline", args { { "get", "a" }, { "blpop", "b", 0 } })
  t.equal(not fine and err.kind, "refused")
  t.equal(#sent, 0)
  t.equal(class_of("xread", "COUNT", "1", "STREAMS", "block", "0").refused, nil)
end)

t.test("a read is proved by the live server first, once a run", function()
  local adapter, sent = adapter_with(server(function() return "value" end))
  t.equal((play(adapter, "call", args("get", "k"))), "value")
  t.equal(sent[1][1][1] .. " " .. sent[1][1][3], "COMMAND get")
  t.equal(#sent, 2)
  play(adapter, "call", args("get", "k2"))
  t.equal(#sent, 3)
  t.equal(sent.name, "opsrun-1121-x")
end)

t.test("a server that disagrees, does not know the command or does not tell: refused, nothing sent", function()
  for _, live in ipairs { { get = "write" }, {}, { get = "loading" } } do
    local adapter, sent = adapter_with(server(ok, live))
    local effect = adapter.describe("call", args("get", "k"))
    local fine, err = pcall(adapter.prepare, "call", effect.request)
    t.equal(not fine and err.kind, "refused")
    t.equal(#sent, 1)
  end
  local silent = adapter_with(function() return { false }, { { code = "NOPERM", message = "NOPERM no" } } end)
  local fine, err = pcall(play, silent, "call", args("get", "k"))
  t.equal(not fine and err.kind, "refused")
  t.equal(err.hint:find("trusted_commands", 1, true) ~= nil, true)
end)

t.test("a look that the live server calls a write is refused", function()
  local adapter = adapter_with(server(ok, { ["config|get"] = "write" }))
  local fine, err = pcall(play, adapter, "call", args("config", "get", "*"))
  t.equal(not fine and err.kind, "refused")
end)

t.test("trusted_commands vouch: a read, declared, the server is not asked", function()
  local adapter, sent = adapter_with(server(function() return { 1 } end), { url = "x", trusted_commands = { "ft.search", "config set" } })
  local _, effect = play(adapter, "call", args("ft.search", "idx", "*"))
  t.equal(effect.class, "read")
  t.equal(effect.declared, true)
  t.equal(#sent, 1)
  t.equal(adapter.describe("call", args("config", "set", "a", "b")).class, "read")
end)

t.test("a change returns a table, a read the plain reply, nothing is nil", function()
  local adapter = adapter_with(server(function(command) return command[1] == "DEL" and 3 or nil end))
  t.equal((play(adapter, "call", args("del", "a", "b", "c"))).count, 3)
  t.equal((play(adapter, "call", args("get", "a"))), nil)
end)

t.test("lists are spread out, durations and sizes are numbers, secrets go as they are and are shown by name", function()
  local adapter, sent = adapter_with(server(ok))
  local _, effect = play(adapter, "call", args("set", "k", secret, "EX", units.duration "5m"))
  t.equal(effect.summary, "call cache: SET k ‹secret:KEY› EX 300")
  t.equal(sent[#sent][1][3], secret)
  t.equal(sent[#sent][1][5], 300)
  t.equal(effect.body.commands[1][3], "‹secret:KEY›")
  _, effect = play(adapter, "call", args("unlink", { "a", "b", { "c" } }))
  t.equal(effect.summary, "call cache: UNLINK a b c (3 keys)")
  local _, size = play(adapter, "call", args("config", "set", "maxmemory", units.size "512mb"))
  t.equal(size.summary, "call cache: CONFIG set maxmemory 536870912")
end)

t.test("arguments that are no words are told", function()
  local adapter = adapter_with(server(ok))
  for _, wrong in ipairs { { true }, { print }, { { a = 1 } }, { 0 / 0 } } do
    local fine, err = pcall(adapter.describe, "call", args("set", "k", wrong[1]))
    t.equal(fine, false)
    t.equal(tostring(err.message):find "^redis: " ~= nil, true)
  end
  local given = args "get"
  given.n, given[2] = 2, nil
  t.equal(select(2, pcall(adapter.describe, "call", given)).message:find("got nil", 1, true) ~= nil, true)
end)

t.test("a method may name command and subcommand", function()
  local adapter = adapter_with(server(ok))
  t.equal(adapter.describe("call", args("config_get", "maxmemory")).summary, "call cache: CONFIG GET maxmemory")
  t.equal(adapter.describe("call", args("sort_ro", "k")).summary, "call cache: SORT_RO k")
  t.equal(adapter.describe("call", args("my_own", "k")).summary, "call cache: MY_OWN k")
end)

t.test("CONFIG GET is a table by name, without passwords", function()
  local adapter = adapter_with(server(function() return { "maxmemory", "0", "requirepass", "hunter2", "masterauth", "" } end))
  local settings = play(adapter, "call", args("config", "get", "*"))
  t.equal(settings.maxmemory, "0")
  t.equal(settings.requirepass, "‹secret›")
  t.equal(settings.masterauth, "")
end)

t.test("a pipeline's class is the worst of its commands", function()
  local adapter, sent = adapter_with(server(ok))
  t.equal(adapter.describe("pipeline", args { { "get", "a" }, { "ttl", "a" } }).class, "read")
  t.equal(adapter.describe("pipeline", args { { "get", "a" }, { "del", "a" } }).class, "change")
  local replies = play(adapter, "pipeline", args { { "get", "a" }, { "ttl", "a" } })
  t.equal(#replies, 2)
  t.equal(#sent[#sent], 2, "one batch")
end)

t.test("a pipeline of changes in which one fails says how many were done", function()
  local adapter = adapter_with(server(function(command)
    if command[2] == "b" then
      return nil, { code = "WRONGTYPE", message = "WRONGTYPE no" }
    end
    return 1
  end))
  local fine, err = pcall(play, adapter, "pipeline", args { { "incr", "a" }, { "incr", "b" }, { "incr", "c" } })
  t.equal(fine, false)
  t.equal(err.outcome, "done")
  t.equal(err.code, "WRONGTYPE")
  t.equal(err.message, "'cache': command 2 of 3, INCR b: WRONGTYPE no (2 commands done, 1 failed)")
  fine, err = pcall(play, adapter, "call", args("incr", "b"))
  t.equal(not fine and err.outcome, "failed")
end)

t.test("a read is repeated on a new connection, a change only when nothing of it was sent", function()
  local function lost(outcome)
    local count = 0
    return function(commands)
      count = count + 1
      if count > 1 and count < 4 and commands[1][1] ~= "COMMAND" then
        return nil, { code = "connection lost", message = "the connection was lost", outcome = outcome }
      end
      return server(function() return 1 end)(commands)
    end
  end
  local function warm(outcome)
    local adapter, sent = adapter_with(lost(outcome))
    play(adapter, "call", args("incr", "warm"))
    return adapter, sent
  end
  local adapter = warm "not sent"
  local fine, err = pcall(play, adapter, "call", args("incr", "a"))
  t.equal(not fine and err.outcome, "not sent", "the new connection was lost as well: told")
  adapter = warm "unknown"
  local sent
  fine, err = pcall(play, adapter, "call", args("incr", "a"))
  t.equal(not fine and err.kind, "unknown")
  adapter, sent = warm "unknown"
  local before = #sent
  pcall(play, adapter, "call", args("incr", "a"))
  t.equal(#sent, before + 1, "sent once")
end)

--- A pretend keyspace of `n` keys, handed out `count` a round.
local function keyspace(n, rounds)
  return server(function(command)
    if command[1] == "SCAN" then
      rounds.n = rounds.n + 1
      local from, count = tonumber(command[2]), command[4]
      local keys = {}
      for i = from + 1, math.min(n, from + count) do
        keys[#keys + 1] = "k" .. i
      end
      return { from + count >= n and "0" or tostring(from + count), keys }
    end
    return #command[2]
  end)
end

local function all_keys(adapter, opts)
  local keys, more, pages = {}, nil, 0
  repeat
    local given = args()
    given.opts, given.more = opts, more
    local page = play(adapter, "scan", given)
    for i = 1, #page.items, page.width do
      keys[#keys + 1] = page.items[i]
    end
    more, pages = page.more, pages + 1
  until not more
  return keys, pages
end

t.test("scan gives every key once a round, page by page", function()
  for _, n in ipairs { 0, 1, 999, 1000, 1001, 12345 } do
    local rounds = { n = 0 }
    local keys, pages = all_keys(adapter_with(keyspace(n, rounds)), {})
    t.equal(#keys, n)
    t.equal(rounds.n, math.max(1, math.ceil(n / 1000)))
    t.equal(pages <= n // 4000 + 1, true)
    t.equal(n == 0 or keys[n] == "k" .. n, true)
  end
end)

t.test("with asks about each key in the write that fetches the next keys", function()
  local rounds = { n = 0 }
  local adapter, sent = adapter_with(keyspace(2500, rounds))
  local keys = all_keys(adapter, { with = { "ttl", "strlen *" } })
  t.equal(#keys, 2500)
  local batches = 0
  for _, commands in ipairs(sent) do
    batches = batches + (commands[1][1] ~= "COMMAND" and 1 or 0)
  end
  t.equal(batches, 4, "three rounds and the questions of the last")
end)

t.test("cap ends a scan at so many keys", function()
  for _, cap in ipairs { 1, 1000, 1500, 4000, 4001, 9999 } do
    local keys = all_keys(adapter_with(keyspace(10000, { n = 0 })), { cap = cap, with = "ttl" })
    t.equal(#keys, cap)
    t.equal(keys[cap], "k" .. cap)
  end
end)

t.test("scan takes only reads along, and only sound options", function()
  local adapter = adapter_with(server(ok))
  for _, with in ipairs { "del", "expire * 5", "object freq; del", "eval", "blpop" } do
    local given = args()
    given.opts = { with = with }
    local fine, err = pcall(adapter.describe, "scan", given)
    t.equal(fine, false, with)
    t.equal(err.kind == "refused" or with:find ";" ~= nil, true, with)
  end
  for _, opts in ipairs { { count = 0 }, { count = 20000 }, { cap = -1 }, { match = 5 }, { with = { 1 } }, { with = "" } } do
    local given = args()
    given.opts = opts
    t.equal(pcall(adapter.describe, "scan", given), false)
  end
end)

t.test("a key that went away or holds another type has no such fact; another error fails the scan", function()
  local code = "WRONGTYPE"
  local adapter = adapter_with(server(function(command)
    if command[1] == "SCAN" then
      return { "0", { "a" } }
    end
    return nil, { code = code, message = code .. " x" }
  end))
  local given = args()
  given.opts = { with = "strlen" }
  local page = play(adapter, "scan", given)
  t.equal(page.items[1], "a")
  t.equal(page.items[2], false)
  code = "NOPERM"
  t.equal(select(2, pcall(play, adapter, "scan", given)).code, "NOPERM")
end)

t.test("INFO as a table", function()
  local parsed = info "# Memory\r\nused_memory:1048576\r\nmem_fragmentation_ratio:1.52\r\nmaxmemory_policy:noeviction\r\n"
  t.equal(parsed.used_memory, 1048576)
  t.equal(parsed.mem_fragmentation_ratio, 1.52)
  t.equal(parsed.maxmemory_policy, "noeviction")
  parsed = info "redis_version:7.0.15\r\nredis_git_sha1:00000000\r\ndb0:keys=3,expires=1,avg_ttl=0\r\nos:Linux a=b x\r\n"
  t.equal(parsed.redis_version, "7.0.15")
  t.equal(parsed.redis_git_sha1, "00000000")
  t.equal(parsed.db0.keys, 3)
  t.equal(parsed.os, "Linux a=b x")
end)

t.test("words are shown so that each can be told from the next", function()
  t.equal(words.show { "SET", "a b", "", "x\ny", "\255\1", 5, "é", 'q"' }, 'SET "a b" "" "x\\ny" "\\xff\\x01" 5 "é" "q\\""')
  t.equal(words.show({ "DEL", ("k"):rep(50), ("l"):rep(50) }, 60), "DEL " .. ("k"):rep(50) .. " …")
  local many = { "DEL" }
  for i = 1, 1000 do
    many[i + 1] = "key:" .. i
  end
  local lines = words.lines(many, 5)
  t.equal(#lines, 6)
  t.equal(lines[6]:find "more words" ~= nil, true)
end)

t.test("the journal keeps plain replies, not large and not binary ones", function()
  local adapter = adapter_with(server(ok))
  t.equal(adapter.keep("call", "text").value, "text")
  t.equal(adapter.revive("call", adapter.keep("call", nil)), nil)
  t.equal(adapter.keep("call", "\255"), nil)
  t.equal(adapter.keep("call", ("x"):rep(300000)), nil)
  t.equal(select(2, adapter.keep("scan", { items = { "a", 1, "b", 2 }, width = 2 })), "2 keys")
end)

t.test("a server that cannot be reached is told before a change is begun", function()
  local adapter = new_adapter {
    run = { id = "x" },
    environment = { name = "lab", connection = function() return { url = "redis://h" } end },
    host = {
      json = { array = function(list) return list end },
      secret = { is = function() return false end },
      redis = {
        place = function() return { host = "10.0.0.1", port = "6379" } end,
        connect = function() return nil, { code = "refused", message = "connection refused", outcome = "not sent" } end,
      },
    },
  }
  local effect = adapter.describe("call", args("del", "a"))
  local fine, err = pcall(adapter.prepare, "call", effect.request)
  t.equal(fine, false)
  t.equal(errors.is(err, "effect") and err.outcome, "not sent")
  t.equal(err.message, "cannot connect to 'cache' (10.0.0.1:6379): connection refused")
  t.equal(err.hint, "is the server running? try 'opsrun doctor -e lab'")
end)
