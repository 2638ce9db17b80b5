--- The shell adapter. shell.read runs in the jail, which proves that the command can only look; where
--- this machine has no jail a dry run refuses it, and a live run runs it and says so. shell.run is a
--- change. What is not proved (a change, a read with net) must be in uses.shell by its first words.
local context = require "runtime.context"
local errors = require "runtime.errors"
local report = require "runtime.report"
local command = require "runtime.shell.command"
local result = require "runtime.shell.result"
local text = require "runtime.text"

--- Lines of stderr that a failure shows.
local hint_lines = 5
local default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

local signal_names = {
  [1] = "HUP", [2] = "INT", [3] = "QUIT", [4] = "ILL", [6] = "ABRT", [7] = "BUS", [8] = "FPE",
  [9] = "KILL", [11] = "SEGV", [13] = "PIPE", [14] = "ALRM", [15] = "TERM", [31] = "SYS",
}

--- The last lines of a text that say something, in one, or nil.
local function last_lines(output, count)
  local lines = {}
  for line in output:gmatch "[^\r\n]+" do
    if line:find "%S" then
      lines[#lines + 1] = line
    end
  end
  return #lines > 0 and "it said: " .. table.concat(lines, "; ", math.max(1, #lines - count + 1)) or nil
end

---@param services {host: table, environment: table, run: table, options: table?}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}
  local for_build = {
    is_secret = function(value)
      return host.secret.is(value)
    end,
    secret_name = function(value)
      return "‹secret:" .. host.secret.name(value) .. "›"
    end,
    sha256 = host.digest.sha256,
  }

  function adapter.describe(verb, args)
    local request, body = command.build(verb, args, for_build)
    body.argv = host.json.array(body.argv)
    return {
      target = request.argv[1],
      summary = request.summary,
      declared = request.net or nil,
      uses = (verb == "run" or request.net) and { "shell", request.argv } or nil,
      body = body,
      request = request,
      opts = args.opts,
    }
  end

  local function path_of(request)
    local given = request.env and request.env.PATH
    return type(given) == "string" and given or host.system.env "PATH" or default_path
  end

  local function raise_not_found(request, path)
    error(errors.effect {
      message = ("cannot run '%s': command not found"):format(request.argv[1]),
      code = "command not found",
      outcome = "not sent",
      hint = not request.argv[1]:find("/", 1, true) and ("looked in " .. path) or nil,
    }, 0)
  end

  --- A name with a slash is relative to the command's own directory, which only it can judge.
  local function check_command(request)
    local name, path = request.argv[1], path_of(request)
    if name:find("/", 1, true) and name:sub(1, 1) ~= "/" and request.cwd then
      return
    end
    if not host.process.find(name, path) then
      raise_not_found(request, path)
    end
  end

  local function refuse_unproved(request)
    error(errors.refused {
      message = ("'%s' cannot be proved to be a read: %s"):format(request.summary, request.unproved),
      code = "unproved",
      hint = "--allow-unproved-reads runs it in a dry run all the same, without the jail",
    }, 0)
  end

  --- Live or allowed: it runs, and the report says what that means.
  local function say_unproved(request)
    local current = context.current()
    report.emit {
      event = "note",
      step = current and current.step and current.step.shown,
      text = ("not proved to be a read: %s (%s)"):format(request.summary, request.unproved),
    }
  end

  --- A read needs the jail, whose test of itself is made once a process.
  function adapter.prepare(verb, request, effect)
    check_command(request)
    if verb ~= "read" then
      return nil
    end
    local works, reason = host.process.jail_status()
    request.unproved = not works and (reason or "the jail does not work here") or nil
    if effect then
      effect.unproved = request.unproved
    end
    local allowed = services.options and services.options.allow_unproved_reads
    if request.unproved and run.dry and not allowed then
      refuse_unproved(request)
    elseif request.unproved then
      say_unproved(request)
    end
    return nil
  end

  --- What a jailed command may write beside its private /tmp: the run's artefacts, never its journal.
  local function jail_of(request)
    if request.unproved then
      return nil
    end
    local dir = run.store and run.store:dir()
    local artifacts = dir and dir .. "/artifacts"
    local there = artifacts and host.files.stat(artifacts)
    return { writable = there and { artifacts } or nil, net = request.net }
  end

  local function raise_failed(request, err, class)
    if err.code == "command not found" then
      raise_not_found(request, path_of(request))
    elseif err.code == "timeout" then
      err.hint = "timeout = \"10m\" lets it take longer"
    elseif err.code == "jail" then
      err.hint = "'opsrun doctor' says what the jail needs"
    end
    error(errors.from_host(err, class), 0)
  end

  local function raise_code(request, answer)
    local how = ("exited with %d"):format(answer.code)
    if answer.signal then
      how = ("was ended by signal %s"):format(signal_names[answer.signal] or tostring(answer.signal))
    end
    error(errors.effect {
      message = ("'%s' %s"):format(request.summary, how),
      code = tostring(answer.code),
      outcome = "failed",
      hint = last_lines(answer.stderr, hint_lines) or last_lines(answer.stdout, hint_lines),
    }, 0)
  end

  function adapter.perform(verb, request)
    local class = verb == "read" and "read" or "change"
    local answer, err = host.process.run {
      argv = request.argv,
      env = request.env,
      stdin = request.stdin,
      cwd = request.cwd,
      timeout = request.timeout,
      title = request.summary,
      jail = verb == "read" and jail_of(request) or nil,
      kind = class,
    }
    if not answer then
      raise_failed(request, err, class)
    end
    if not request.codes[answer.code] then
      raise_code(request, answer)
    end
    if verb == "read" then
      answer.reason = request.unproved
      answer.proved = not request.unproved and (request.net and "declared" or true)
    end
    return result.new(answer, request.summary, host.json)
  end

  --- The exact words, where the summary did not hold them all.
  local function exact_lines(request)
    local lines = {}
    if request.script then
      lines[1] = "under bash -o pipefail -c"
      if request.summary ~= request.script then
        for line in request.script:gmatch "[^\n]+" do
          lines[#lines + 1] = "  " .. line
        end
      end
    elseif request.summary ~= command.join(request.argv) then
      lines[1] = command.join(request.argv)
    end
    return lines
  end

  --- What a dry run shows of a command beside its summary: exact words, directory, environment.
  function adapter.preview(_, request)
    local lines = exact_lines(request)
    if request.cwd then
      lines[#lines + 1] = "in " .. request.cwd
    end
    for _, name in ipairs(text.keys(request.env or {})) do
      local value = request.env[name]
      lines[#lines + 1] = ("%s=%s"):format(name, for_build.is_secret(value) and for_build.secret_name(value) or command.quote(value))
    end
    if request.stdin then
      local what = for_build.is_secret(request.stdin) and for_build.secret_name(request.stdin)
      lines[#lines + 1] = "stdin: " .. (what or ("%d bytes"):format(#request.stdin))
    end
    return { lines = lines }
  end

  function adapter.keep(_, answer)
    return result.plain(answer)
  end

  function adapter.revive(_, kept)
    return result.new(kept, kept.summary or "an earlier command", host.json)
  end

  return adapter
end
