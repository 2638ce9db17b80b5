--- A command as an author writes it, made into what is run: words, environment, standard input; and how
--- all that is shown. Pure.
local errors = require "runtime.errors"
local seconds_of = require "runtime.seconds"
local sinks = require "runtime.sinks"
local texts = require "runtime.text"
local units = require "runtime.units"
local command = {}

--- A summary is one line of at most so many bytes; the whole words stand in the plan and the journal.
local summary_bytes = 160

local function misuse(verb, message)
  error(errors.wrap(("shell.%s: %s"):format(verb, message)), 0)
end

--- One word in the shell's own spelling: quoted only where it must be.
---@param word string
function command.quote(word)
  if word:find "^[%w@%%+=:,./_-]+$" then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- All words as they could be typed.
---@param argv string[]
function command.join(argv)
  local words = {}
  for i, word in ipairs(argv) do
    words[i] = command.quote(word)
  end
  return table.concat(words, " ")
end

local function word_of(verb, value, index, is_secret)
  if is_secret(value) then
    error(errors.refused {
      message = ("shell.%s: word %d is a secret: everybody on this machine can read a command's words"):format(verb, index),
      hint = "hand it over in env = { NAME = secret } or stdin = secret",
    }, 0)
  end
  local kind = type(value)
  if kind == "string" then
    if value:find("\0", 1, true) then
      misuse(verb, ("word %d holds a NUL byte"):format(index))
    end
    return value
  elseif kind == "number" or units.is_duration(value) or units.is_size(value) then
    return tostring(value)
  end
  misuse(verb, ("word %d: expected a string or a number, got %s"):format(index, kind))
end

--- The words of {"docker", "restart", name} or of a text for bash.
local function argv_of(verb, given, is_secret)
  if type(given) == "string" then
    local text = word_of(verb, given, 1, is_secret)
    if not text:find "%S" then
      misuse(verb, "the command is empty")
    end
    return { "bash", "-o", "pipefail", "-c", text }, text
  end
  local argv, highest = {}, 0
  for index in pairs(given) do
    if math.type(index) ~= "integer" or index < 1 then
      misuse(verb, ("expected a list of words, got a field '%s'"):format(tostring(index)))
    end
    highest = math.max(highest, index)
  end
  for index = 1, highest do
    argv[index] = word_of(verb, given[index], index, is_secret)
  end
  if highest == 0 or argv[1] == "" then
    misuse(verb, "the command is empty")
  end
  return argv
end

--- The exit codes that are no failure, as a set, and as a list for the journal.
local function codes_of(verb, given)
  local set, list = {}, {}
  for _, code in ipairs(type(given) == "table" and given or { given or 0 }) do
    if math.type(code) ~= "integer" or code < 0 or code > 255 then
      misuse(verb, ("codes: expected exit codes such as { 0, 1 }, got %s"):format(tostring(code)))
    end
    if not set[code] then
      set[code], list[#list + 1] = true, code
    end
  end
  if #list == 0 then
    misuse(verb, "codes: expected exit codes such as { 0, 1 }, got none")
  end
  return set, list
end

--- Values that may be secrets: as they are for the process, by name for people.
local function env_of(verb, given, services)
  if given == nil then
    return nil, nil
  elseif type(given) ~= "table" then
    misuse(verb, "env: expected a table such as { NAME = \"value\" }, got " .. type(given))
  end
  local env, shown = {}, {}
  for name, value in pairs(given) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      misuse(verb, ("env: '%s' is no name of a variable"):format(tostring(name)))
    end
    if services.is_secret(value) then
      sinks.check(value, "env", "shell." .. verb)
      env[name], shown[name] = value, services.secret_name(value)
    elseif type(value) == "string" or type(value) == "number" then
      env[name], shown[name] = tostring(value), tostring(value)
      if env[name]:find("\0", 1, true) then
        misuse(verb, ("env: '%s' holds a NUL byte"):format(name))
      end
    else
      misuse(verb, ("env: '%s': expected a string or a secret, got %s"):format(name, type(value)))
    end
  end
  return env, shown
end

local function stdin_of(verb, given, services)
  if given == nil then
    return nil, nil
  elseif services.is_secret(given) then
    sinks.check(given, "stdin", "shell." .. verb)
    return given, services.secret_name(given)
  elseif type(given) ~= "string" then
    misuse(verb, "stdin: expected a string or a secret, got " .. type(given))
  end
  return given, { bytes = #given, sha256 = services.sha256(given) }
end

--- Where and as whom it runs, and what becomes of its output: {host, user, tty, to}, checked.
local function place_of(verb, opts)
  for _, name in ipairs { "host", "user" } do
    if opts[name] ~= nil and (type(opts[name]) ~= "string" or not opts[name]:find "^[%w_][^%c%s]*$") then
      misuse(verb, ("%s: expected a name"):format(name))
    end
  end
  if opts.tty ~= nil and type(opts.tty) ~= "boolean" then
    misuse(verb, "tty: expected true or false, got " .. type(opts.tty))
  elseif opts.tty and opts.stdin ~= nil then
    misuse(verb, "tty and stdin do not go together: a terminal shows and changes what is typed")
  elseif opts.tty and verb == "read" and not opts.host then
    misuse(verb, "tty: the jail that proves a read has no terminal")
  end
  if opts.to ~= nil and (type(opts.to) ~= "string" or not opts.to:find "^[%w][%w%._-]*$" or #opts.to > 120) then
    misuse(verb, "to: expected the name of an artifact: letters, digits, dot, dash, underscore")
  end
  return { host = opts.host, user = opts.user, tty = opts.tty or nil, to = opts.to }
end

--- A terminal on another host cannot be fed, so nothing secret gets there but by words: refused.
local function refuse_secret_for_terminal(verb, place, env, services)
  for name, value in pairs(place.host and place.tty and env or {}) do
    if services.is_secret(value) then
      error(errors.refused {
        message = ("shell.%s: env '%s' is a secret: with tty = true it would be a word on the host's command line"):format(verb, name),
        hint = "leave out tty",
      }, 0)
    end
  end
end

--- Who runs it stands in front: what is done, then where.
local function placed(line, place)
  return (place.host and place.host .. ": " or "") .. line .. (place.user and (" (as %s)"):format(place.user) or "")
end

local function summary_of(argv, text)
  local whole = texts.masked(text or command.join(argv))
  local line = whole:match "^%s*([^\n]*)"
  if #line > summary_bytes then
    line = texts.cut(line, summary_bytes)
  elseif whole:match "^%s*[^\n]*\n%s*%S" then
    line = line .. " …"
  end
  return line
end

---@class opsrun.Command
---@field argv string[]
---@field script string?   the text for bash
---@field line string      the command in one line, shortened
---@field summary string   the same with where and as whom
---@field codes table<integer, boolean>
---@field env table?       values may be secrets
---@field stdin any        string or secret
---@field cwd string?
---@field timeout number?  seconds
---@field net boolean
---@field host string?     a host of the environment; nil: this machine
---@field user string?     as whom
---@field tty boolean?     it gets a terminal
---@field to string?       the artifact that its stdout becomes

--- Checks a call and builds the command and, for digest and journal, its description.
---@param verb "read"|"run"
---@param args table {[1] = command, opts = {…}}
---@param services {is_secret: function, secret_name: function, sha256: function}
---@return opsrun.Command, table body
function command.build(verb, args, services)
  local opts = args.opts or {}
  local argv, script = argv_of(verb, args[1], services.is_secret)
  local codes, code_list = codes_of(verb, opts.codes)
  local env, env_shown = env_of(verb, opts.env, services)
  local stdin, stdin_shown = stdin_of(verb, opts.stdin, services)
  if opts.cwd ~= nil and (type(opts.cwd) ~= "string" or opts.cwd == "" or opts.cwd:find("\0", 1, true)) then
    misuse(verb, "cwd: expected a directory")
  end
  if opts.net ~= nil and type(opts.net) ~= "boolean" then
    misuse(verb, "net: expected true or false, got " .. type(opts.net))
  end
  local place = place_of(verb, opts)
  refuse_secret_for_terminal(verb, place, env, services)
  if place.host and opts.net then
    misuse(verb, "net is for commands on this machine: one on another host is declared or refused as a whole")
  end
  local line = summary_of(argv, script)
  local built = {
    argv = argv,
    script = script,
    line = line,
    summary = placed(line, place),
    host = place.host,
    user = place.user,
    tty = place.tty,
    artifact = place.to,
    codes = codes,
    env = env,
    stdin = stdin,
    cwd = opts.cwd,
    timeout = opts.timeout ~= nil and seconds_of(opts.timeout, ("shell.%s: timeout"):format(verb)) or nil,
    net = opts.net or false,
  }
  local body = {
    argv = argv,
    codes = opts.codes ~= nil and code_list or nil,
    env = env_shown,
    stdin = stdin_shown,
    cwd = opts.cwd,
    net = opts.net or nil,
    host = place.host,
    user = place.user,
    tty = place.tty,
    to = place.to,
  }
  return built, body
end

return command
