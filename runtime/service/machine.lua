--- Services that commands run, here or on other hosts: looked at by commands, changed by commands.
local errors = require "runtime.errors"
local execute = require "runtime.shell.execute"
local releases = require "runtime.service.releases"
local requests = require "runtime.service.request"
local result = require "runtime.shell.result"

--- Seconds that one look may take.
local LOOK_WITHIN = 20

---@param services {host: table, environment: table, run: table}
return function(services)
  local host, machine = services.host, {}

  --- Commands that only look: systemd and docker are asked over their sockets, which no jail of ours can prove, so it
  --- is declared.
  local function looker(request, where)
    return function(given, codes, cwd)
      local built = requests.command(request.settings, given, where, { codes = codes, cwd = cwd, timeout = LOOK_WITHIN })
      local jailed = not where and not request.kind.unjailed and host.process.jail_status()
      built.user = not jailed and built.user or nil -- nobody becomes another user in the jail
      execute.prepare(services, built)
      return result.new(execute.run(services, built, "read", jailed and { net = true } or nil), built.summary, host.json)
    end
  end

  --- How it is on one host.
  function machine.look_at(request, where)
    local look = looker(request, where)
    local facts = request.kind.status(request.settings, look)
    if request.settings.releases then
      facts.release = releases.current(request.settings, look)
    end
    return facts
  end

  --- What it could serve there; nil: it has no releases.
  function machine.releases(request, limit)
    local look = looker(request, request.hosts[1])
    if request.settings.releases then
      return releases.list(request.settings, look, limit)
    end
    return request.kind.releases and request.kind.releases(request.settings, look, limit)
  end

  --- The facts before a change, and what makes it impossible: raises before anything is sent.
  function machine.before(request, where)
    local facts = machine.look_at(request, where)
    if request.verb == "release" and request.settings.releases then
      releases.need(request.settings, looker(request, where), request.wanted)
    end
    return { state = facts.state, identity = facts.identity, pid = facts.pid, running = facts.running, release = facts.release,
      detail = facts.detail }
  end

  --- One command. A broken connection is no answer: what is seen afterwards is.
  local function run(request, step, where, deadline)
    local left = math.max(1, deadline - host.clock.monotonic())
    local built = requests.command(request.settings, step.argv, where, { cwd = step.cwd, timeout = left })
    local ok, err = pcall(execute.run, services, built, "change")
    if ok then
      return nil
    elseif errors.is(err, "unknown") and err.code == "connection lost" then
      return err
    end
    error(err, 0)
  end

  --- Makes the change on one host. Returns nil, or the error of a last command whose end nobody saw.
  ---@return opsrun.Error? lost
  function machine.act(request, where, change, deadline)
    local steps = requests.steps_from(request, change.before)
    for i, step in ipairs(steps) do
      local lost = run(request, step, where, deadline)
      if lost and i < #steps then
        error(lost, 0)
      elseif lost then
        return lost
      end
    end
    return nil
  end

  --- What a dry run shows: the exact commands.
  function machine.preview(request)
    local lines = {}
    for _, where in ipairs(request.hosts) do
      for _, step in ipairs(request.steps) do
        local built = requests.command(request.settings, step.argv, where, step)
        lines[#lines + 1] = built.summary .. (built.user and (" (as %s)"):format(built.user) or "")
          .. (built.cwd and ", in " .. built.cwd or "")
      end
    end
    return lines
  end

  return machine
end
