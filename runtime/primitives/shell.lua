--- The shell adapter. shell.read runs in the jail, which proves that the command can only look; where
--- this machine has no jail a dry run refuses it, and a live run runs it and says so. On another host a
--- read must be declared. shell.run is a change. What is not proved (a change, a read with net or on another
--- host) must be in uses.shell by its first words.
local context = require "runtime.context"
local errors = require "runtime.errors"
local report = require "runtime.report"
local command = require "runtime.shell.command"
local execute = require "runtime.shell.execute"
local reads = require "runtime.shell.reads"
local result = require "runtime.shell.result"
local ssh = require "runtime.shell.ssh"
local text = require "runtime.text"

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

  --- What cannot be a read at all: nobody vouches for it.
  local function refuse_read(request, message, hint)
    error(errors.refused {
      message = ("'%s' cannot be proved to be a read: %s"):format(request.summary, message),
      code = "unproved",
      hint = hint,
    }, 0)
  end

  local function check_read(request)
    if request.host then
      local settings = services.environment.find_host(request.host)
      if not reads.is_declared(request, settings.reads) then
        refuse_read(request, ("it runs on another host, and the environment does not declare it for '%s'"):format(request.host),
          ("the environment may vouch for it: reads = { \"%s\" } at the host; else it is a shell.run"):format(
            request.script and "…" or command.join { request.argv[1], request.argv[2] }))
      end
    elseif request.user then
      refuse_read(request, "the jail takes away the right to become another user", "as shell.run it is a change")
    end
  end

  function adapter.describe(verb, args)
    local request, body = command.build(verb, args, for_build)
    if request.host and verb == "run" then
      services.environment.find_host(request.host)
    elseif verb == "read" then
      check_read(request)
    end
    body.argv = host.json.array(body.argv)
    local unjailed = request.net or request.host ~= nil
    return {
      target = request.host or request.argv[1],
      summary = request.summary,
      within = request.timeout,
      declared = verb == "read" and unjailed or nil,
      uses = (verb == "run" or unjailed) and { "shell", request.argv, variables = text.keys(request.env or {}) } or nil,
      body = body,
      request = request,
      opts = args.opts,
    }
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
    execute.prepare(services, request)
    if verb == "run" and request.host then
      request.mark = ssh.of(services):mark()
      return { host = request.host, mark = request.mark } -- pgrep -f MARK there says whether it still runs
    elseif verb ~= "read" or request.host then
      return nil
    end
    local works, reason = host.process.jail_status()
    request.unproved = not works and (reason or "the jail does not work here") or nil
    if effect then
      effect.unproved = request.unproved
    end
    local allowed = services.options and services.options.allow_unproved_reads
    if request.unproved and run.dry and not allowed then
      refuse_read(request, request.unproved, "--allow-unproved-reads runs it in a dry run all the same, without the jail")
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

  --- The artifact that its output became is in the report as any other.
  local function tell_artifact(request, answer)
    local current = answer.path and context.current()
    if current and current.step then
      report.emit { event = "artifact", step = current.step.shown, name = request.artifact, path = answer.path }
    end
  end

  function adapter.perform(verb, request)
    local reading = verb == "read"
    local jail = reading and not request.host and jail_of(request) or nil
    local answer = execute.run(services, request, reading and "read" or "change", jail)
    if reading then
      answer.reason = request.unproved
      answer.proved = not request.unproved and ((request.net or request.host) and "declared" or true)
    end
    tell_artifact(request, answer)
    return result.new(answer, request.summary, host.json)
  end

  --- The exact words, where the summary did not hold them all.
  local function exact_lines(request)
    local lines = {}
    if request.script then
      lines[1] = "under bash -o pipefail -c"
      if request.line ~= request.script then
        for line in request.script:gmatch "[^\n]+" do
          lines[#lines + 1] = "  " .. line
        end
      end
    elseif request.line ~= command.join(request.argv) then
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
    if request.artifact then
      lines[#lines + 1] = "its output becomes the artifact " .. request.artifact
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

  function adapter.close()
    ssh.of(services):close()
  end

  return adapter
end
