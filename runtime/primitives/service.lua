--- The service adapter: what the environment calls a service, whoever runs it. A change counts as done when the
--- service is seen as it should be; an answer that is lost meanwhile is made good by looking.
local errors = require "runtime.errors"
local host_settings = require "runtime.host_settings"
local new_machine = require "runtime.service.machine"
local new_provider = require "runtime.service.provider"
local requests = require "runtime.service.request"
local service_settings = require "runtime.service_settings"
local time_text = require "runtime.time_text"

--- Seconds between two looks, at first and at most: of commands, and of a provider, which counts requests.
local LOOKS = { command = { first = 0.1, most = 1 }, http = { first = 0.25, most = 5 } }
--- Seconds that it is looked for what became of a change whose answer was lost.
local LOST_WITHIN = 20
--- Seconds after which a request that was sent by somebody who is dead now arrives no more.
local ARRIVED_WITHIN = 5

---@param services {host: table, environment: table, run: table}
return function(services)
  local host, environment = services.host, services.environment
  local adapter = {}
  local machine, provider = new_machine(services), new_provider(services)

  local function members(name)
    return host_settings.members(environment.hosts(), name)
  end

  --- What a request goes by: commands on hosts, or a provider's API.
  local function way_of(request)
    return request.kind.over == "http" and provider or machine
  end

  local function reads(verb)
    return verb == "status" or verb == "releases"
  end

  function adapter.describe(verb, args)
    local place = ("environment '%s': services.%s"):format(environment.path or environment.name, args.name)
    local settings = service_settings.read(place, environment.connection("services", args.name), environment.hosts())
    local request, body = requests.build(verb, args, settings, members)
    return {
      target = args.name,
      summary = request.summary,
      declared = reads(verb) and request.kind.over ~= "http" or nil,
      body = body,
      request = request,
      opts = args.opts,
    }
  end

  --- Reads how it is before; that is also by what the outcome can be found later.
  function adapter.prepare(verb, request)
    if reads(verb) then
      return nil
    end
    local token = { before = {}, key = request.kind.over == "http" and host.random.hex(16) or nil }
    for i, where in ipairs(request.hosts) do
      local facts = way_of(request).before(request, where)
      if facts.state == "missing" and verb ~= "start" then
        error(errors.effect {
          message = ("'%s' is not there%s: %s"):format(request.name, where and " on " .. where or "", facts.detail or "missing"),
          code = "missing",
          outcome = "not sent",
          hint = ("is services.%s of the environment right?"):format(request.name),
        }, 0)
      end
      facts.host = where or nil
      token.before[i] = facts
    end
    return token
  end

  local function pause(seconds)
    local ok, err = host.task.sleep(seconds)
    if not ok then
      local stopped = errors.from_host(err, "read")
      stopped.outcome = "done" -- what makes it was carried out; nobody looked how it went on
      error(stopped, 0)
    end
  end

  --- Looks until it is as it should be, or the time is over. Returns the last facts, and whether they are right.
  ---@param deadline number
  ---@param patient number? the deadline once the change is seen to have arrived
  local function watch(request, where, change, deadline, patient)
    local looks = LOOKS[request.kind.over or "command"]
    local every = looks.first
    while true do
      local seen, facts = pcall(way_of(request).look_at, request, where, change)
      deadline = seen and facts.begun and patient or deadline
      local over = host.clock.monotonic() >= deadline
      if not seen and (not errors.is(facts, "effect") or over) then
        error(facts, 0)
      elseif seen and requests.is_reached(request, change.before, facts) then
        return facts, true
      elseif seen and (over or facts.state == "failed" and request.verb ~= "stop") then
        return facts, false
      end
      pause(every)
      every = math.min(every * 2, looks.most)
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

  --- A command that is done says nothing yet; what comes up must stay up.
  local function stay(request, where, facts)
    if request.verb == "stop" or request.settle == 0 or facts.state ~= "active" then
      return
    end
    pause(request.settle)
    local again = way_of(request).look_at(request, where)
    if again.state ~= "active" or again.identity ~= facts.identity then
      raise_not_reached(request, where, again, "came up and did not stay up")
    end
  end

  --- The change on one host; its facts afterwards.
  local function change_on(request, where, token, i)
    local before, deadline = token.before[i], host.clock.monotonic() + request.timeout
    local serves = request.kind.over == "http" and before.release == request.wanted and before.state == "active"
    if request.verb == "release" and serves then
      return before -- nothing is sent; a link says less: what runs may be older than it
    end
    local change = { verb = request.verb, wanted = request.wanted, key = token.key, before = before }
    local lost = way_of(request).act(request, where, change, deadline)
    local until_then = lost and math.min(deadline, host.clock.monotonic() + LOST_WITHIN) or deadline
    local seen, facts, reached = pcall(watch, request, where, change, until_then, deadline)
    if not seen then
      error(lost or facts, 0)
    elseif lost and not reached and not facts.begun or lost and reached and not requests.shows(request, before, facts) then
      error(lost, 0)
    elseif not reached then
      raise_not_reached(request, where, facts, ("is not as it should be after %s"):format(request.verb))
    end
    stay(request, where, facts)
    return facts
  end

  --- One host's line of the result.
  local function row_of(request, where, facts)
    local place = where or request.kind.over == "http" and request.settings.kind or host.system.hostname()
    return {
      host = place, state = facts.state, detail = facts.detail, pid = facts.pid, running = facts.running,
      restarts = facts.restarts, release = facts.release, held = facts.held,
    }
  end

  local function releases_of(request)
    local rows = way_of(request).releases(request, request.limit)
    if not rows then
      error(errors.skip { message = ("'%s' is a %s, of which the environment names no releases"):format(request.name,
        request.kind.called(request.settings)) }, 0)
    end
    return rows
  end

  function adapter.perform(verb, request, token)
    if verb == "releases" then
      return releases_of(request)
    end
    local rows = {}
    for i, where in ipairs(request.hosts) do
      local ok, facts = pcall(verb == "status" and way_of(request).look_at or change_on, request, where, token, i)
      if not ok then
        facts = errors.wrap(facts)
        if i > 1 and verb ~= "status" then -- some hosts are changed: that is to be known
          local done = "it was done on " .. table.concat(request.hosts, ", ", 1, i - 1)
          facts.hint = facts.hint and ("%s; %s"):format(done, facts.hint) or done
          facts.outcome = facts.outcome == "not sent" and "failed" or facts.outcome
        end
        error(facts, 0)
      end
      rows[i] = row_of(request, where, facts)
    end
    return requests.result(rows)
  end

  --- How a provider's service is since a change was begun: a request may still be on its way, a build takes its time.
  local function found_out(request, where, change, begun_at)
    local deadline = host.clock.monotonic() + request.timeout
    local wait = ARRIVED_WITHIN - (host.clock.wall() - begun_at)
    local arrived = host.clock.monotonic() + math.max(0, math.min(ARRIVED_WITHIN, wait))
    return (watch(request, where, change, arrived, deadline))
  end

  --- How it is on a host once it is on its way no more: who was killed may have left a command behind that goes on.
  local function come_to_rest(request, where)
    local deadline, facts = host.clock.monotonic() + LOST_WITHIN, machine.look_at(request, where)
    while facts.state == "changing" and host.clock.monotonic() < deadline do
      pause(LOOKS.command.most)
      facts = machine.look_at(request, where)
    end
    return facts
  end

  --- What is seen of each host now: {reached, untouched, moving, half} counts, and the rows of the result.
  local function tally(request, begin)
    local token, rows = begin.token, {}
    local counts = { reached = 0, untouched = 0, moving = 0, half = 0 }
    for i, before in ipairs(token.before) do
      local where = before.host or false
      local facts
      if request.kind.over == "http" then
        local change = { verb = request.verb, wanted = request.wanted, key = token.key, before = before }
        facts = found_out(request, where, change, time_text.epoch(host.clock, "UTC", begin.t or "") or 0)
      else
        facts = come_to_rest(request, where)
      end
      rows[i] = row_of(request, where, facts)
      local name = requests.seen(request, before, facts)
      if name then
        counts[name] = counts[name] + 1
      end
    end
    return counts, rows
  end

  --- Whether a change that nobody saw the end of happened: compared with how the service was before, on every host.
  ---@param begin table {token = {before, key}, body, t}
  ---@return string? word, string? why, table? value
  function adapter.settle(verb, begin)
    local body = begin.body
    local settings = environment.connection("services", body.service)
    settings = service_settings.read("services." .. body.service, settings, environment.hosts())
    local request = requests.build(verb, { name = body.service, body.wanted, opts = {} }, settings, members)
    local counts, rows = tally(request, begin)
    local whole = requests.result(rows)
    if counts.reached == #rows then
      return "done", nil, whole
    elseif counts.untouched == #rows then
      return "not done"
    elseif verb == "release" and request.kind.over ~= "http" and counts.moving == 0 then
      return "repeat", "it is half done" -- and the same link and restart again do no harm
    elseif counts.half > 0 and counts.reached + counts.untouched + counts.half == #rows then
      return "repeat", "it was cut short while it was down" -- which is worse than one restart more elsewhere
    end
    local told = counts.reached + counts.untouched + counts.moving + counts.half == #rows
    local silent = verb == "restart" and whole.state == "active" and not told and ", and nothing shows whether it was started since" or ""
    return nil, ("'%s' is %s now%s%s"):format(body.service, whole.state, whole.detail and ": " .. whole.detail or "", silent)
  end

  function adapter.preview(_, request)
    return { lines = way_of(request).preview(request) }
  end

  return adapter
end
