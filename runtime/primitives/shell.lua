--- shell.read and shell.run: a list of words runs as it is, a string under bash with pipefail.
--- A read runs in the jail (docs/reference/shell.md); where this machine cannot jail, a dry run
--- refuses and a live run says "not proved".
local context = require "runtime.context"
local errors = require "runtime.errors"
local report = require "runtime.report"
local seconds_of = require "runtime.seconds"

local methods = {}

--- The lines of stdout, without an empty last one.
function methods:lines()
  local list = {}
  for line in (self.stdout:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do
    list[#list + 1] = line
  end
  if #list == 1 and list[1] == "" then
    return {}
  end
  return list
end

local function misuse(message)
  error(errors.wrap(message), 0)
end

--- A word as a person would type it.
local function quote(word)
  if word:find "^[%w%._/:=@%%+,-]+$" then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function argv_of(verb, command)
  if type(command) == "string" then
    if command:find "\0" then
      misuse(("shell.%s: the command holds a NUL byte"):format(verb))
    end
    return { "bash", "-o", "pipefail", "-c", command }, command
  end
  local argv, shown = {}, {}
  for i, word in ipairs(command) do
    if type(word) == "userdata" then
      misuse(("shell.%s: word %d is a secret: everybody can read a command line; hand it over by env or stdin"):format(verb, i))
    elseif type(word) == "table" then
      word = tostring(word)
    end
    if type(word) ~= "string" and type(word) ~= "number" then
      misuse(("shell.%s: word %d is a %s, expected text"):format(verb, i, type(word)))
    end
    argv[i] = tostring(word)
    shown[i] = quote(argv[i])
  end
  if #argv == 0 then
    misuse(("shell.%s: the command is empty"):format(verb))
  end
  return argv, table.concat(shown, " ")
end

--- The values of env for the digest: a secret is its name.
local function plain_env(env)
  local list = {}
  for name, value in pairs(env or {}) do
    list[name] = tostring(value)
  end
  return list
end

---@param services {host: table, run: table, options: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}

  function methods:rows()
    local rows = {}
    for i, line in ipairs(self:lines()) do
      local row, why = host.json.decode(line)
      if row == nil then
        error(errors.effect { message = ("line %d is no JSON: %s"):format(i, why), code = "json", outcome = "done" }, 0)
      end
      rows[i] = row
    end
    return rows
  end

  local result_type = { __index = methods }

  function adapter.describe(verb, args)
    local opts = args.opts
    local argv, shown = argv_of(verb, args[1])
    local net = opts.net and true or nil
    local uses
    if verb == "run" or net then
      uses = { "shell", argv }
    end
    return {
      target = argv[1],
      summary = shown,
      declared = net,
      uses = uses,
      body = { argv = argv, env = plain_env(opts.env), cwd = opts.cwd, stdin = opts.stdin and host.digest.sha256(tostring(opts.stdin)) },
      request = {
        argv = argv,
        shown = shown,
        env = opts.env,
        stdin = opts.stdin,
        cwd = opts.cwd,
        net = net,
        codes = opts.codes or { 0 },
        timeout = opts.timeout and seconds_of(opts.timeout, "timeout") or nil,
        title = shown,
      },
      opts = opts,
    }
  end

  --- Where a read cannot be jailed: refused in a dry run, said aloud in a live one.
  local function check_jail(request)
    local works, why = host.process.jail_status()
    if works then
      request.jail = { writable = { run.store:dir() }, net = request.net or false }
      return
    end
    if run.dry and not run.options.allow_unproved_reads then
      error(errors.refused {
        message = ("'%s' cannot be proved to change nothing: %s"):format(request.shown, why),
        hint = "--allow-unproved-reads runs it all the same",
      }, 0)
    end
    report.emit {
      event = "note",
      step = context.current().step.shown,
      text = ("not proved to change nothing: %s (%s)"):format(request.shown, why),
    }
  end

  function adapter.prepare(verb, request)
    if not host.process.find(request.argv[1]) then
      error(errors.effect {
        message = ("command '%s' not found"):format(request.argv[1]),
        hint = "looked in PATH: " .. tostring(host.system.env "PATH"),
        code = "not found",
        outcome = "not sent",
      }, 0)
    end
    if verb == "read" then
      check_jail(request)
    end
  end

  --- The last lines a command wrote to stderr, for the hint.
  local function last_words(result)
    local lines = {}
    for line in (result.stderr .. "\n"):gmatch "(.-)\n" do
      if line:find "%S" then
        lines[#lines + 1] = line
      end
    end
    return #lines > 0 and "it said: " .. table.concat(lines, "; ", math.max(1, #lines - 4)) or nil
  end

  local function ended_well(request, result)
    for _, code in ipairs(request.codes) do
      if result.code == code then
        return true
      end
    end
    return false
  end

  function adapter.perform(verb, request)
    local kind = verb == "read" and "read" or "change"
    local result, err = host.process.run {
      argv = request.argv,
      env = request.env,
      stdin = request.stdin,
      cwd = request.cwd,
      timeout = request.timeout,
      jail = request.jail,
      kind = kind,
      title = request.title,
    }
    if not result then
      error(errors.from_host(err, kind), 0)
    end
    result.text = result.stdout:gsub("\n$", "")
    setmetatable(result, result_type)
    if not ended_well(request, result) then
      local how = result.signal and ("was ended by signal %s"):format(result.signal) or ("exited with %s"):format(result.code)
      error(errors.effect {
        message = ("'%s' %s"):format(request.shown, how),
        hint = last_words(result),
        code = result.signal and "signal" or tostring(result.code),
        outcome = "failed",
      }, 0)
    end
    return result
  end

  function adapter.keep(_, result)
    local kept = {}
    for name, value in pairs(result) do
      kept[name] = value
    end
    return kept
  end

  function adapter.revive(_, kept)
    return setmetatable(kept, result_type)
  end

  return adapter
end
