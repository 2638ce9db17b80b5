--- Services of a provider: looked at and changed by requests to its API, through an http connection of the environment,
--- whose bearer, authority and address they go by. Every request is small; a limit on their rate is waited for.
local build = require "runtime.http.build"
local errors = require "runtime.errors"
local response = require "runtime.http.response"
local text = require "runtime.text"

--- Seconds that one look may take, waits included, and one request.
local LOOK_WITHIN, REQUEST_WITHIN = 20, 30
--- Statuses of a read after which it is tried again.
local passing = { [500] = true, [502] = true, [503] = true, [504] = true }

--- Seconds to wait after a 429, as the server says; nil: it does not.
---@param headers table<string, string> by lower-case name
---@param wall number seconds since 1970
---@return number?
local function wait_of(headers, wall)
  local after, reset = tonumber(headers["retry-after"]), tonumber(headers["x-ratelimit-reset"])
  if after then
    return math.max(0, after)
  end
  return reset and math.max(0, reset - wall) or nil
end

--- What the provider says went wrong: Vercel {error: {code, message}}, Netlify {code, message}.
local function said(answer)
  local ok, words = pcall(function()
    return answer:at "error.message" or answer:at "message"
  end)
  words = ok and type(words) == "string" and words or answer.body
  return words ~= "" and text.one_line(words, 200) or nil
end

local hints = {
  [401] = "is the bearer of http connection '%s' a token that is still valid?",
  [403] = "may the token of http connection '%s' do this, and is it for this team?",
}

---@param services {host: table, environment: table, run: table}
return function(services)
  local host, provider = services.host, {}

  --- Sleeps; false when that would take longer than there is time.
  local function pause(seconds, deadline)
    if host.clock.monotonic() + seconds > deadline then
      return false
    end
    local ok, err = host.task.sleep(seconds)
    if not ok then
      error(errors.from_host(err, "read"), 0)
    end
    return true
  end

  local function built_of(request, asked, deadline)
    local left = math.max(0.1, math.min(REQUEST_WITHIN, deadline - host.clock.monotonic()))
    return build.request(services, asked.method, asked.path, {
      name = request.settings.http,
      opts = { query = asked.query, json = asked.json, expect = "any", timeout = left },
    })
  end

  local function status_error(request, built, answer, class)
    local lost = class == "change" and answer.status >= 500
    local words = said(answer)
    local hint = hints[answer.status] and hints[answer.status]:format(request.settings.http) or nil
    return errors[lost and "unknown" or "effect"] {
      message = ("%s answered %d%s"):format(built.summary, answer.status, words and ": " .. words or ""),
      code = tostring(answer.status),
      outcome = lost and "unknown" or "failed",
      hint = hint,
    }
  end

  --- One request, made again after 429, and a read after what may pass, while there is time. An answer 5xx to a change
  --- says nothing of whether it was made: it raises `unknown`, as no answer does.
  ---@param asked table {method, path, query, json}
  ---@param class "read"|"change"
  ---@param deadline number by the monotonic clock
  ---@return table answer its status may be 404 for a read
  local function send(request, asked, class, deadline)
    local back_off = 0.25
    while true do
      local built = built_of(request, asked, deadline)
      local fits, why = host.http.check(built.send)
      if not fits then
        error(errors.refused { message = ("%s is not sent: %s"):format(built.summary, why) }, 0)
      end
      local answer, err = host.http.request(built.send)
      local wait, failure
      if not answer then
        failure = errors.from_host(err, class)
        wait = class == "read" and failure.kind == "effect" and back_off or nil
      else
        answer.url = built.send.url
        response.new(answer, built.summary, host.json)
        if answer.status < 300 or answer.status == 404 and class == "read" then
          return answer
        end
        failure = status_error(request, built, answer, class)
        wait = answer.status == 429 and (wait_of(answer.headers, host.clock.wall()) or back_off)
          or class == "read" and passing[answer.status] and back_off or nil
        if answer.status == 429 then
          failure.hint = ("it takes requests again in %d s; timeout = … waits longer"):format(math.ceil(wait))
        end
      end
      if not wait or not pause(wait, deadline) then
        error(failure, 0)
      end
      back_off = math.min(back_off * 2, 5)
    end
  end

  local function looker(request)
    local deadline = host.clock.monotonic() + LOOK_WITHIN
    return function(path, query)
      local answer = send(request, { method = "GET", path = path, query = query }, "read", deadline)
      return answer.status ~= 404 and answer or nil
    end
  end

  --- How it is; with a change that was begun, how far that is.
  ---@param change table? {verb, wanted, key, before}
  function provider.look_at(request, _, change)
    return request.kind.status(request.settings, looker(request), change)
  end

  function provider.releases(request, limit)
    return request.kind.releases(request.settings, looker(request), limit)
  end

  local function refuse(request, message, code)
    error(errors.effect { message = ("'%s': %s"):format(request.name, message), code = code, outcome = "not sent" }, 0)
  end

  --- The facts before a change, and what makes it impossible: raises before anything is sent.
  function provider.before(request)
    local before = provider.look_at(request, nil, { verb = request.verb, wanted = request.wanted })
    if request.verb == "release" and before.release ~= request.wanted then
      before.target = request.kind.target(request.settings, looker(request), request.wanted)
      if not before.target then
        refuse(request, ("there is no release '%s'"):format(request.wanted), "missing")
      elseif before.target.state ~= "ready" then
        refuse(request, ("release '%s' is %s"):format(request.wanted, before.target.state), "not ready")
      end
    elseif request.verb == "restart" and before.held then
      refuse(request, before.held, "held")
    elseif request.verb == "restart" and not before.release then
      refuse(request, "nothing is deployed yet", "missing")
    end
    return before
  end

  --- Makes the change. Returns nil, or the error of a request whose answer did not come: it may have arrived.
  ---@return opsrun.Error? lost
  function provider.act(request, _, change, deadline)
    local ok, err = pcall(send, request, request.kind.request(request.settings, change, change.before), "change", deadline)
    if ok then
      return nil
    elseif errors.is(err, "unknown") then
      return err
    end
    error(err, 0)
  end

  --- What a dry run shows: the request as it would be sent. It looks, since what is sent hangs on what is there.
  function provider.preview(request)
    local before = provider.before(request)
    if request.verb == "release" and not before.target then
      return { ("nothing: it serves %s already"):format(request.wanted) }
    end
    local change = { verb = request.verb, wanted = request.wanted, key = "KEY", before = before }
    local asked = request.kind.request(request.settings, change, before)
    local built = built_of(request, asked, host.clock.monotonic() + REQUEST_WITHIN)
    local shown = asked.json and host.json.encode(asked.json) or nil
    return { built.summary, shown and "  " .. shown or nil }
  end

  return provider
end
