--- The service adapter: what the environment calls a service, whoever runs it. A change counts as done when the
--- service is seen as it should be; a connection that breaks meanwhile is made again to look.
local errors = require "runtime.errors"
local execute = require "runtime.shell.execute"
local requests = require "runtime.service.request"
local result = require "runtime.shell.result"
local host_settings = require "runtime.host_settings"
local service_settings = require "runtime.service_settings"

--- Seconds between two looks, at first and at most; and seconds that one look may take.
local LOOK_FIRST, LOOK_MOST, LOOK_WITHIN = 0.1, 1, 20

---@param services {host: table, environment: table, run: table}
return function(services)
  local host, environment = services.host, services.environment
  local adapter = {}

  local function members(name)
    return host_settings.members(environment.hosts(), name)
  end

  function adapter.describe(verb, args)
    local place = ("environment '%s': services.%s"):format(environment.path or environment.name, args.name)
    local settings = service_settings.read(place, environment.connection("services", args.name), environment.hosts())
    local request, body = requests.build(verb, args, settings, members)
    return {
      target = args.name,
      summary = request.summary,
      declared = verb == "status" or nil,
      body = body,
      request = request,
      opts = args.opts,
    }
  end

  --- How it is on one host. Its command only looks: systemd and docker are asked over their sockets, which no jail
  --- of ours can prove, so it is declared.
  local function look_at(request, where)
    return request.kind.status(request.settings, function(given, codes, cwd)
      local built = requests.command(request.settings, given, where, { codes = codes, cwd = cwd, timeout = LOOK_WITHIN })
      local jailed = not where and not request.kind.unjailed and host.process.jail_status()
      built.user = not jailed and built.user or nil -- nobody becomes another user in the jail
      execute.prepare(services, built)
      return result.new(execute.run(services, built, "read", jailed and { net = true } or nil), built.summary, host.json)
    end)
  end

  --- Reads how it is before; that is also by what the outcome can be found later.
  function adapter.prepare(verb, request)
    if verb == "status" then
      return nil
    end
    local token = { before = {} }
    for i, where in ipairs(request.hosts) do
      local facts = look_at(request, where)
      if facts.state == "missing" and verb ~= "start" then
        error(errors.effect {
          message = ("'%s' is not there%s: %s"):format(request.name, where and " on " .. where or "", facts.detail or "missing"),
          code = "missing",
          outcome = "not sent",
          hint = ("is services.%s of the environment right?"):format(request.name),
        }, 0)
      end
      token.before[i] = { host = where or nil, state = facts.state, identity = facts.identity, pid = facts.pid, running = facts.running }
    end
    return token
  end

  local function pause(seconds)
    local ok, err = host.task.sleep(seconds)
    if not ok then
      local stopped = errors.from_host(err, "read")
      stopped.outcome = "done" -- its command was carried out; nobody looked how it went on
      error(stopped, 0)
    end
  end

  --- Looks until it is as it should be, or the time is over. Returns the last facts, and whether they are right.
  local function watch(request, where, before, deadline)
    local every = LOOK_FIRST
    while true do
      local seen, facts = pcall(look_at, request, where)
      if not seen and (not errors.is(facts, "effect") or host.clock.monotonic() >= deadline) then
        error(facts, 0)
      elseif seen and requests.is_reached(request, before, facts) then
        return facts, true
      elseif seen and (facts.state == "failed" or host.clock.monotonic() >= deadline) and request.verb ~= "stop" then
        return facts, false
      elseif host.clock.monotonic() >= deadline then
        return facts, false
      end
      pause(every)
      every = math.min(every * 2, LOOK_MOST)
    end
  end

  local function raise_not_reached(request, where, facts, text)
    error(errors.effect {
      message = ("'%s'%s %s: %s%s"):format(request.name, where and " on " .. where or "", text, facts.state,
        facts.detail and " (" .. facts.detail .. ")" or ""),
      code = "not " .. (request.verb == "stop" and "inactive" or "active"),
      outcome = "failed",
      hint = request.kind.advice(request.settings),
    }, 0)
  end

  --- One command of the change. A broken connection is no answer: what is seen afterwards is.
  local function act(request, step, where, deadline)
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

  --- The change on one host; its facts afterwards.
  local function change(request, where, before)
    local deadline = host.clock.monotonic() + request.timeout
    local lost
    for i, step in ipairs(request.steps) do
      lost = act(request, step, where, deadline)
      if lost and i < #request.steps then
        error(lost, 0)
      end
    end
    local seen, facts, reached = pcall(watch, request, where, before, lost and host.clock.monotonic() + LOOK_WITHIN or deadline)
    if not seen then
      error(lost or facts, 0)
    elseif not reached and lost then
      error(lost, 0)
    elseif not reached then
      raise_not_reached(request, where, facts, ("is not as it should be after %s"):format(request.verb))
    end
    if request.verb ~= "stop" and request.settle > 0 and facts.state == "active" then
      pause(request.settle)
      local again = look_at(request, where)
      if again.state ~= "active" or again.identity ~= facts.identity then
        raise_not_reached(request, where, again, "came up and did not stay up")
      end
    end
    return facts
  end

  --- One host's line of the result.
  local function row_of(where, facts)
    return {
      host = where or host.system.hostname(), state = facts.state, detail = facts.detail, pid = facts.pid,
      running = facts.running, restarts = facts.restarts,
    }
  end

  function adapter.perform(verb, request, token)
    local rows = {}
    for i, where in ipairs(request.hosts) do
      local ok, facts
      if verb == "status" then
        facts = look_at(request, where)
      else
        ok, facts = pcall(change, request, where, token.before[i])
        if not ok then
          facts = errors.wrap(facts)
          if i > 1 then -- some hosts are changed: that is to be known
            local done = "it was done on " .. table.concat(request.hosts, ", ", 1, i - 1)
            facts.hint = facts.hint and ("%s; %s"):format(done, facts.hint) or done
            facts.outcome = facts.outcome == "not sent" and "failed" or facts.outcome
          end
          error(facts, 0)
        end
      end
      rows[i] = row_of(where, facts)
    end
    return requests.result(rows)
  end

  --- Whether a change that nobody saw the end of happened: compared with how the service was before, on every host.
  ---@param begin table {token = {before}, body}
  ---@return string? word, string? why, table? value
  function adapter.settle(verb, begin)
    local body, token = begin.body, begin.token
    local settings = environment.connection("services", body.service)
    settings = service_settings.read("services." .. body.service, settings, environment.hosts())
    local request = requests.build(verb, { name = body.service, body.count, opts = {} }, settings, members)
    local rows, reached, untouched = {}, 0, 0
    for i, before in ipairs(token.before) do
      local facts = look_at(request, before.host or false)
      rows[i] = row_of(before.host, facts)
      if requests.is_reached(request, before, facts) then
        reached = reached + 1
      elseif facts.state == before.state and facts.identity == before.identity and facts.state ~= "changing" then
        untouched = untouched + 1
      end
    end
    if reached == #rows then
      return "done", nil, requests.result(rows)
    elseif untouched == #rows then
      return "not done"
    end
    return nil, ("'%s' is %s now"):format(body.service, requests.result(rows).state)
  end

  --- What a dry run shows: the exact commands.
  function adapter.preview(_, request)
    local lines = {}
    for _, where in ipairs(request.hosts) do
      for _, step in ipairs(request.steps) do
        local built = requests.command(request.settings, step.argv, where, step)
        lines[#lines + 1] = built.summary .. (built.user and (" (as %s)"):format(built.user) or "")
          .. (built.cwd and ", in " .. built.cwd or "")
      end
    end
    return { lines = lines }
  end

  return adapter
end
