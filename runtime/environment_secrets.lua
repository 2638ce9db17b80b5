--- Secrets of an environment: where each one is, as data, and how it is read when it is first needed. A
--- variable, a file, the output of a command, or what a person types.
---
---   secret.env "NAME"   secret.file "PATH"
---   secret.command { "pass", "show", "app/db", timeout = "10s", env = { "GNUPGHOME" } }
---   secret.prompt "Password of the database"
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local seconds_of = require "runtime.seconds"
local text = require "runtime.text"
local turn = require "runtime.turn"
local secrets = {}

local constructors = { "command", "env", "file", "prompt" }
local default_timeout, longest_timeout = 30, 600
local most_tries = 3
local longest_secret = 64 * 1024

--- What is said of a value that is none.
secrets.expected = 'expected secret.env "NAME", secret.file "PATH", secret.command { … } or secret.prompt "…"'

local placeholder = {
  __tostring = function(s)
    return ("‹secret:%s›"):format(s.name)
  end,
  __metatable = "secret",
  __name = "secret",
}
placeholder.__json = placeholder.__tostring

--- Is it a placeholder: where a secret is, and not yet the secret?
function secrets.is_placeholder(value)
  return type(value) == "table" and getmetatable(value) == "secret"
end

--- The command's words, its seconds, and the variables it gets beside PATH, HOME, LANG, TERM and USER.
local function command_fields(given, problem)
  local argv, passed = {}, {}
  if type(given) ~= "table" or #given == 0 then
    problem("secret.command: expected a list of words", 'such as secret.command { "pass", "show", "app/db" }')
  end
  for i, word in ipairs(given) do
    if type(word) ~= "string" or word == "" or word:find "%z" then
      problem(("secret.command: word %d is no text"):format(i))
    end
    argv[i] = word
  end
  for i, name in ipairs(given.env or {}) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      problem(("secret.command: env: '%s' is no name of a variable"):format(tostring(name)),
        'env = { "VAULT_ADDR" } hands variables of opsrun on, by name')
    end
    passed[i] = name
  end
  local ok, seconds = pcall(seconds_of, given.timeout or default_timeout, "secret.command: timeout")
  if not ok or seconds <= 0 or seconds > longest_timeout then
    problem(ok and "secret.command: timeout: expected up to 10m" or seconds.message)
  end
  return { source = "command", name = table.concat(argv, " "), argv = argv, passed = passed, timeout = seconds }
end

local function made(fields, options, problem)
  if options ~= nil and type(options) ~= "table" then
    problem(("secret.%s: options: expected a table, got %s"):format(fields.source, type(options)))
  end
  fields.allow_short = options and options.allow_short
  return setmetatable(fields, placeholder)
end

--- What an environment file calls: `secret` and `env`.
---@param problem fun(message: string, hint: string?) raises, naming the author's line
---@return table secret, fun(name: string): table env
function secrets.constructors(problem)
  local function named(source, what)
    return function(name, options)
      if type(name) ~= "string" or name == "" then
        problem(("secret.%s: expected a %s, got %s"):format(source, what, type(name)))
      end
      return made({ source = source, name = name }, options, problem)
    end
  end
  local known = { env = named("env", "name"), file = named("file", "name"), prompt = named("prompt", "text") }
  function known.command(given)
    return made(command_fields(given, problem), given, problem)
  end
  local secret = setmetatable({}, {
    __index = function(_, name)
      return known[name]
        or problem(("there is no secret.%s"):format(tostring(name)), text.suggest(tostring(name), constructors, "there is"))
    end,
    __metatable = "secret",
  })
  local function setting(name)
    if type(name) ~= "string" or name == "" then
      problem(("env: expected a name, got %s"):format(type(name)))
    end
    return setmetatable({ source = "setting", name = name }, placeholder)
  end
  return secret, setting
end

local function missing(place, reason, hint)
  error(errors.precondition { message = ("%s: %s"):format(place, reason), hint = hint }, 0)
end

--- Raises when a wait was told to end.
local function unless_stopped(ok, err)
  if not ok then
    error(errors.from_host(err, "read"), 0)
  end
end

local readers = {}

function readers.setting(host, secret)
  return host.system.env(secret.name), ("environment variable '%s' is not set"):format(secret.name),
    ("export %s=… before opsrun starts"):format(secret.name)
end

function readers.env(host, secret)
  local value, err = host.secret.env(secret.name, { allow_short = secret.allow_short })
  return value, err or "it is not set",
    ("export %s=… before opsrun starts; it is never given on the command line"):format(secret.name)
end

function readers.file(host, secret)
  local value, err = host.secret.file(secret.name, { allow_short = secret.allow_short })
  return value, err, "is the path right, and may this user read it?"
end

local function passed_on(host, secret)
  local env = {}
  for _, name in ipairs(secret.passed) do
    env[name] = host.system.env(name)
  end
  return env
end

--- Nothing of what it printed is ever shown, an error's text neither: it may hold the secret.
function readers.command(host, secret)
  local by_hand = ("run it by hand: %s"):format(secret.name)
  local answer, err = host.process.run {
    argv = secret.argv,
    env = passed_on(host, secret),
    timeout = secret.timeout,
    cap = longest_secret + 2,
    title = secret.name,
    kind = "read",
  }
  if not answer and err.stopped == "cancel" then
    unless_stopped(answer, err)
  elseif not answer and err.code == "timeout" then
    return nil, ("'%s' did not end within %g s"):format(secret.name, secret.timeout),
      "timeout = \"2m\" waits longer; a command that asks somebody for something cannot: it has no terminal"
  elseif not answer then
    return nil, err.message, by_hand
  elseif answer.code ~= 0 then
    return nil, ("'%s' exited with %d; what it printed is not shown, it may hold the secret"):format(secret.name, answer.code), by_hand
  end
  local printed = answer.stdout:gsub("\r?\n$", "") -- what prints a secret ends its line
  if printed == "" then
    return nil, ("'%s' printed nothing"):format(secret.name), by_hand
  end
  local value, why = host.secret.new(secret.name, printed, { allow_short = secret.allow_short })
  return value, why, by_hand
end

--- Asks once; the secret, or nil and what was wrong with what was typed.
local function ask(host, secret)
  host.term.status(nil)
  host.term.err(("\n ? %s\n"):format(secret.name), "bold")
  local typed, err = host.term.ask { kind = "hidden", prompt = "   what you type is not shown: " }
  if typed == nil then
    return nil, err
  end
  return host.secret.new(secret.name, typed, { allow_short = secret.allow_short })
end

function readers.prompt(host, secret, can_ask)
  if not can_ask then
    return nil, ("'%s' is asked for on a terminal, and there is none"):format(secret.name),
      "play it on a terminal; for unattended runs the environment names secret.env, secret.file or secret.command"
  end
  turn.take(host.task.sleep, unless_stopped)
  local ok, value, why = pcall(function()
    for try = 1, most_tries do
      local typed, wrong = ask(host, secret)
      if typed or type(wrong) ~= "string" or try == most_tries then
        return typed, wrong
      end
      host.term.err(("   %s\n"):format(wrong))
    end
  end)
  turn.give()
  if not ok then
    error(value, 0)
  elseif value == nil and type(why) == "table" and why.stopped == "cancel" then
    unless_stopped(nil, why)
  end
  return value, type(why) == "table" and ("'%s' was not typed (%s)"):format(secret.name, why.code) or why, "play it again"
end

--- Every placeholder of a table, each once, with the places it stands in: "http.api.bearer". Nothing is read.
---@param raw table what an environment's file returned
---@return {secret: table, places: string[]}[] in the order of their first places
function secrets.named(raw)
  local list, seen = {}, {}
  local function walk(value, place)
    if secrets.is_placeholder(value) then
      local key = value.source .. "\0" .. value.name
      if not seen[key] then
        seen[key] = { secret = value, places = {} }
        list[#list + 1] = seen[key]
      end
      table.insert(seen[key].places, place)
    elseif type(value) == "table" then
      for name, item in ordered.pairs(value) do
        walk(item, place == "" and tostring(name) or place .. "." .. tostring(name))
      end
    end
  end
  walk(raw, "")
  return list
end

--- Is it there? Runs no command and asks nobody.
---@return boolean? true; false: only a run can tell; nil: it is not there
---@return string? why
---@return string? hint
function secrets.look(host, secret)
  if secret.source == "command" then
    return false, "run when it is needed, not now"
  elseif secret.source == "prompt" then
    return false, "asked for when it is needed"
  end
  local value, why, hint = readers[secret.source](host, secret)
  if value == nil or value == "" then
    return nil, type(why) == "table" and why.message or why or "it is not set", hint
  end
  return true
end

--- Before a run begins nobody watches for signals: the one that comes ends the wait for the secret.
local function interruptible(host, fn, ...)
  local locals = host.task.locals()
  if locals and locals.context then
    return fn(...)
  end
  local waiting = host.task.running()
  local watcher = host.task.spawn(function()
    if host.signals.wait() then
      host.task.cancel(waiting)
    end
  end)
  local results = table.pack(pcall(fn, ...))
  host.task.cancel(watcher)
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- A reader of secrets for one environment. A command is run, and a person asked, once: whoever needs the
--- same secret meanwhile waits for it.
---@param host table
---@param can_ask boolean a person may be asked
---@return fun(secret: any, place: string): any, string? read nil and why for what is no placeholder; raises a
---  precondition error where there is no secret: what, where, what to try
function secrets.reader(host, can_ask)
  local known, busy = {}, {}
  local function read(secret, place)
    local value, why, hint = readers[secret.source](host, secret, can_ask)
    if value == nil then
      missing(place, type(why) == "table" and why.message or tostring(why), hint)
    end
    return value
  end
  return function(secret, place)
    if not secrets.is_placeholder(secret) then
      return nil, secrets.expected
    elseif secret.source ~= "command" and secret.source ~= "prompt" then
      return read(secret, place)
    end
    local key = secret.source .. "\0" .. (secret.argv and table.concat(secret.argv, "\0") or secret.name)
    while busy[key] do
      unless_stopped(host.task.sleep(0.02))
    end
    if known[key] == nil then
      busy[key] = true
      local ok, value = pcall(interruptible, host, read, secret, place)
      busy[key] = nil
      if not ok then
        error(value, 0)
      end
      known[key] = value
    end
    return known[key]
  end
end

return secrets
