--- The shell primitive over a pretend host: how commands are written, shown, proved, and what comes of
--- their answers.
local t = require "harness"
local context = require "runtime.context"
local report = require "runtime.report"
local command = require "runtime.shell.command"
local errors = require "runtime.errors"
local new_adapter = require "runtime.primitives.shell"

local secret_type = { __name = "secret" }
local token = setmetatable({}, secret_type)

local said = {}
context.open { locals = function() return {} end }
report.open(function(event) said[#said + 1] = event.text end)

local ran, answer, jail_works, jail_reason, found

local function host()
  return {
    json = {
      array = function(list) return list end,
      decode = function(text)
        local n = text:match '^{"n":(%d+)}$'
        return n and { n = tonumber(n) } or nil, "expected a value at byte 1"
      end,
    },
    digest = { sha256 = function(text) return "digest of " .. text end },
    secret = {
      is = function(value) return getmetatable(value) == secret_type end,
      name = function() return "TOKEN" end,
    },
    system = { env = function(name) return name == "PATH" and "/usr/bin:/bin" or nil end },
    files = { stat = function(path) return path == "/runs/1/artifacts" and { type = "directory" } or nil end },
    process = {
      find = function(name, path)
        found = { name, path }
        return name ~= "nope" and "/bin/" .. name or nil
      end,
      jail_status = function() return jail_works, jail_reason end,
      run = function(given)
        ran = given
        if answer.failed then
          return nil, answer.failed
        end
        return answer
      end,
    },
  }
end

local function adapter(options)
  ran, found, jail_works, jail_reason = nil, nil, true, nil
  answer = { code = 0, stdout = "", stderr = "", truncated = false }
  options = options or {}
  local store = { dir = function() return "/runs/1" end }
  return new_adapter {
    host = host(),
    run = { id = "1", store = store, dry = options.dry },
    options = { allow_unproved_reads = options.allowed },
  }
end

local function call(verb, given, opts, options)
  local shell = adapter(options)
  local effect = shell.describe(verb, { given, opts = opts })
  return shell, effect
end

local function play(verb, given, opts, plain)
  local shell, effect = call(verb, given, opts)
  for name, value in pairs(plain or {}) do
    answer[name] = value
  end
  shell.prepare(verb, effect.request, effect)
  return shell.perform(verb, effect.request), shell
end

t.test("words are shown as they could be typed, quoted only where they must be", function()
  t.equal(command.join { "docker", "restart", "a b", "it's", "", "$HOME", "-f", "{{.State}}", "é" },
    [[docker restart 'a b' 'it'\''s' '' '$HOME' -f '{{.State}}' 'é']])
end)

t.test("a list runs as it is, numbers become words", function()
  play("run", { "kill", -9, 42 })
  t.equal(ran.argv, { "kill", "-9", "42" })
  t.equal(ran.kind, "change")
  t.equal(ran.jail, nil)
end)

t.test("a text runs under bash, where a failure inside a pipeline counts", function()
  play("read", "ps | head -5")
  t.equal(ran.argv, { "bash", "-o", "pipefail", "-c", "ps | head -5" })
  t.equal(ran.title, "ps | head -5")
end)

t.test("what is not proved needs uses.shell, a proved read does not", function()
  local _, change = call("run", { "docker", "restart", "api" })
  t.equal(change.uses, { "shell", { "docker", "restart", "api" }, variables = {} })
  local _, read = call("read", { "ps" })
  t.equal(read.uses, nil)
  local _, net = call("read", { "ss", "-x" }, { net = true })
  t.equal(net.uses, { "shell", { "ss", "-x" }, variables = {} })
  local _, text = call("run", "docker restart api")
  t.equal(text.uses[2][1], "bash")
end)

t.test("what is no command is told", function()
  local function message(given, opts)
    return tostring(t.raises(call, "run", given, opts))
  end
  t.contains(message {}, "shell.run: the command is empty")
  t.contains(message "  ", "the command is empty")
  t.contains(message { "ls", {} }, "word 2: expected a string or a number, got table")
  t.contains(message { "ls", nil, "x" }, "word 2: expected a string or a number, got nil")
  t.contains(message { "ls", cwd = "/" }, "expected a list of words, got a field 'cwd'")
  t.contains(message { "ls\0" }, "word 1 holds a NUL byte")
  t.contains(message({ "ls" }, { codes = {} }), "codes: expected exit codes such as { 0, 1 }, got none")
  t.contains(message({ "ls" }, { codes = { 300 } }), "got 300")
  t.contains(message({ "ls" }, { env = { ["A=B"] = "x" } }), "env: 'A=B' is no name of a variable")
  t.contains(message({ "ls" }, { env = { A = {} } }), "env: 'A': expected a string or a secret, got table")
  t.contains(message({ "ls" }, { stdin = 5 }), "stdin: expected a string or a secret, got number")
  t.contains(message({ "ls" }, { cwd = "" }), "cwd: expected a directory")
  t.contains(message({ "ls" }, { timeout = "soon" }), "timeout: 'soon' is no duration")
end)

t.test("a secret is refused in a command's words, taken in env and stdin, and named, not shown", function()
  local err = t.raises(call, "run", { "curl", token })
  t.equal(errors.is(err, "refused"), true)
  t.contains(err.message, "word 2 is a secret")
  t.contains(err.hint, "env = { NAME = secret }")
  local shell, effect = call("run", { "psql" }, { env = { PGPASSWORD = token }, stdin = token })
  t.equal(effect.body.env, { PGPASSWORD = "‹secret:TOKEN›" })
  t.equal(effect.body.stdin, "‹secret:TOKEN›")
  t.equal(shell.preview("run", effect.request).lines, { "PGPASSWORD=‹secret:TOKEN›", "stdin: ‹secret:TOKEN›" })
  shell.perform("run", effect.request)
  t.equal(rawequal(ran.env.PGPASSWORD, token), true)
end)

t.test("the digest sees the whole command, the input by its digest", function()
  local _, effect = call("run", { "tee", "x" }, { stdin = "data", cwd = "/srv", codes = { 0, 1 }, env = { A = 1 } })
  t.equal(effect.body, {
    argv = { "tee", "x" },
    stdin = { bytes = 4, sha256 = "digest of data" },
    cwd = "/srv",
    codes = { 0, 1 },
    env = { A = "1" },
  })
end)

t.test("a summary is one line, the preview has every line", function()
  local shell, effect = call("run", "first\nsecond\n")
  t.equal(effect.summary, "first …")
  t.equal(shell.preview("run", effect.request).lines, { "under bash -o pipefail -c", "  first", "  second" })
  local _, long = call("run", { "echo", ("é"):rep(200) })
  t.equal(shell.preview("run", long.request).lines, { "echo '" .. ("é"):rep(200) .. "'" })
  t.equal(#long.summary <= 165 and utf8.len(long.summary) ~= nil, true)
end)

t.test("a command that is not there is told before anything is sent", function()
  local shell, effect = call("run", { "nope", "x" })
  local err = t.raises(shell.prepare, "run", effect.request, effect)
  t.equal(err.message, "cannot run 'nope': command not found")
  t.equal(err.outcome, "not sent")
  t.equal(err.code, "command not found")
  t.equal(err.hint, "looked in /usr/bin:/bin")
  shell, effect = call("run", { "nope" }, { env = { PATH = "/opt/bin" } })
  err = t.raises(shell.prepare, "run", effect.request, effect)
  t.equal(err.hint, "looked in /opt/bin")
  t.equal(found, { "nope", "/opt/bin" })
end)

t.test("a read runs in the jail; of the run's folder only the artefacts can be written", function()
  local result = play("read", { "ps" })
  t.equal(ran.jail, { writable = { "/runs/1/artifacts" }, net = false })
  t.equal(ran.kind, "read")
  t.equal(result.proved, true)
end)

t.test("a read that needs sockets is declared, not proved", function()
  local _, effect = call("read", { "ss" }, { net = true })
  t.equal(effect.declared, true)
  t.equal(play("read", { "ss" }, { net = true }).proved, "declared")
  t.equal(ran.jail.net, true)
end)

t.test("without a jail a dry run refuses, unless it is allowed; a live run says not proved", function()
  local shell, effect = call("read", { "ps" }, nil, { dry = true })
  jail_works, jail_reason = false, "bubblewrap is not installed"
  local err = t.raises(shell.prepare, "read", effect.request, effect)
  t.equal(errors.is(err, "refused"), true)
  t.equal(err.message, "'ps' cannot be proved to be a read: bubblewrap is not installed")
  t.contains(err.hint, "--allow-unproved-reads")
  t.equal(ran, nil)
  for _, options in ipairs { { dry = true, allowed = true }, { dry = false } } do
    shell, effect = call("read", { "ps" }, nil, options)
    jail_works, jail_reason = false, "bubblewrap is not installed"
    shell.prepare("read", effect.request, effect)
    local result = shell.perform("read", effect.request)
    t.equal(ran.jail, nil)
    t.equal(result.proved, false)
    t.equal(result.reason, "bubblewrap is not installed")
    t.equal(effect.unproved, "bubblewrap is not installed")
    t.equal(said[#said], "not proved to be a read: ps (bubblewrap is not installed)")
  end
end)

t.test("an exit code that is not expected fails, with the last lines of stderr", function()
  local err = t.raises(play, "run", { "docker", "restart", "api" }, nil,
    { code = 1, stderr = "1\n2\n\n3\n4\n5\nno such container\n" })
  t.equal(err.message, "'docker restart api' exited with 1")
  t.equal(err.code, "1")
  t.equal(err.outcome, "failed")
  t.equal(err.hint, "it said: 2; 3; 4; 5; no such container")
  err = t.raises(play, "run", { "x" }, nil, { code = 137, signal = 9 })
  t.equal(err.message, "'x' was ended by signal KILL")
  t.equal(play("read", { "grep", "x" }, { codes = { 0, 1 } }, { code = 1 }).code, 1)
end)

t.test("a failed start and a time-out keep their outcome", function()
  local err = t.raises(play, "run", { "x" }, nil,
    { failed = { message = "'x' did not end within 5 s", code = "timeout", outcome = "unknown", stopped = "timeout" } })
  t.equal(err.kind, "unknown")
  t.equal(err.code, "timeout")
  err = t.raises(play, "read", { "x" }, nil,
    { failed = { message = "'x' did not end within 5 s", code = "timeout", outcome = "failed", stopped = "timeout" } })
  t.equal(err.kind, "effect")
  t.equal(err.outcome, "failed")
end)

t.test("text is stdout without its last line end; lines and rows come from it", function()
  local result = play("read", { "x" }, nil, { stdout = '{"n":1}\n\n{"n":2}\n' })
  t.equal(result.text, '{"n":1}\n\n{"n":2}')
  t.equal(result:lines(), { '{"n":1}', "", '{"n":2}' })
  t.equal(result:rows(), { { n = 1 }, { n = 2 } })
  t.equal(play("read", { "x" }):lines(), {})
end)

t.test("output that is no JSON, or was cut, is no rows", function()
  local result = play("read", { "x" }, nil, { stdout = '{"n":1}\noops\n' })
  local err = t.raises(result.rows, result)
  t.equal(err.message, "line 2 of 'x' is not JSON: expected a value at byte 1")
  result = play("read", { "x" }, nil, { stdout = "{", truncated = true, stdout_bytes = 104857600 })
  err = t.raises(result.rows, result)
  t.equal(err.message, "the output of 'x' is too long for rows: 104857600 bytes")
end)

t.test("a result comes back from the journal whole", function()
  local result, shell = play("read", { "x" }, nil, { stdout = '{"n":1}\n', stderr = "w" })
  local kept = shell.keep("read", result)
  t.equal(getmetatable(kept), nil)
  local again = shell.revive("read", kept)
  t.equal({ again.code, again.stdout, again.stderr, again.text }, { 0, '{"n":1}\n', "w", '{"n":1}' })
  t.equal(again:rows(), { { n = 1 } })
end)
