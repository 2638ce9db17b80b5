--- The notify adapter: one message to every channel behind a name of the environment, side by side.
--- A channel that fails hides no other; only when all failed is it an error. Every message carries
--- run, environment, playbook and severity, and is masked before it leaves.
local attach = require "runtime.notify.attach"
local channels = require "runtime.channels"
local context = require "runtime.context"
local errors = require "runtime.errors"
local mail = require "runtime.notify.mail"
local pagerduty = require "runtime.notify.pagerduty"
local report = require "runtime.report"
local seconds_of = require "runtime.seconds"
local words = require "runtime.text"

local default_timeout = 10
local longest_text = 8000

local severities = { info = true, warning = true, critical = true, low = true, medium = true, high = true }

--- Slack reads &, < and > as markup; `<!channel>` in a text would wake everybody.
local function slack_escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

--- What a message about the end of something begins with, for those who read it.
local events = { trigger = "", acknowledge = "acknowledged: ", resolve = "resolved: " }

local function misuse(message, hint)
  local err = errors.wrap(message)
  err.hint = hint
  error(err, 0)
end

--- The message in one line and some, as people read it.
local function plain_text(message)
  local first = message.severity and ("[%s] "):format(message.severity) or ""
  first = first .. (message.may_repeat and "(may be a repeat) " or "")
  local title = message.title and (message.title .. ": ") or ""
  return first .. (events[message.event] or "") .. title .. message.text
end

local function footer(message)
  local files = message.attachments and (", attached to mails: " .. table.concat(message.attachments, ", ")) or ""
  return ("run %s, %s, %s%s"):format(message.run, message.environment, message.playbook, files)
end

--- Under which a message counts as told: its end is another message than its beginning.
local function key_of(once, event)
  return ("%s %s"):format(event or "trigger", tostring(once))
end

---@param services {host: table, environment: table, run: table}
return function(services)
  local host = services.host
  local adapter = {}
  local told = {} -- keys of `once` that were sent in this run
  local send = {}

  local function post(url, body, bearer, message, timeout)
    local answer, err = host.http.request {
      method = "POST",
      url = url,
      headers = { { "Content-Type", "application/json" }, { "Idempotency-Key", message.id } },
      body = body,
      bearer = bearer,
      timeout = timeout,
      cap = 64 * 1024,
      kind = "change",
    }
    if not answer then
      return nil, err.message
    end
    if answer.status // 100 ~= 2 then
      local said = words.one_line(answer.body, 100)
      return nil, ("answered %d%s"):format(answer.status, said ~= "" and ": " .. said or "")
    end
    return true
  end

  --- Slack's incoming webhooks take {"text": …} and answer 200 "ok".
  function send.slack(channel, message, timeout)
    local text = ("%s\n_%s_"):format(slack_escape(plain_text(message)), slack_escape(footer(message)))
    return post(channel.slack, host.json.encode { text = text }, nil, message, timeout)
  end

  function send.webhook(channel, message, timeout)
    return post(channel.webhook, host.json.encode(message), channel.bearer, message, timeout)
  end

  --- The routing key stands inside the document, so it is sent in pieces. A repeat of the same key is
  --- harmless: a service that is busy is asked again.
  function send.pagerduty(channel, message, timeout)
    local event = host.json.encode(pagerduty.event(message, host.system.hostname()))
    local answer, err
    for attempt = 1, pagerduty.tries do
      answer, err = host.http.request {
        method = "POST",
        url = channel.url or pagerduty.url,
        headers = { { "Content-Type", "application/json" } },
        body = { '{"routing_key":"', channel.pagerduty, '",' .. event:sub(2) },
        timeout = timeout,
        cap = 64 * 1024,
        kind = "change",
      }
      if not answer or not pagerduty.passing[answer.status] or attempt == pagerduty.tries then
        break
      elseif not host.task.sleep(attempt / 2) then
        break
      end
    end
    if not answer then
      return nil, err.message
    end
    if answer.status ~= 202 then
      return nil, pagerduty.refusal(answer.status, answer.body, host.json)
    end
    return true
  end

  function send.email(channel, message, timeout, files)
    local config = services.environment.section "smtp"
    local server = mail.server(config)
    local to = type(channel.email) == "table" and channel.email or { channel.email }
    local ok, err = host.smtp.send {
      host = server.host,
      port = server.port,
      protection = server.protection,
      user = config.user,
      password = config.password,
      ca = config.ca,
      timeout = timeout,
      from = config.from,
      to = to,
      message = mail.build {
        from = config.from,
        to = to,
        subject = plain_text {
          severity = message.severity,
          event = message.event,
          may_repeat = message.may_repeat,
          text = message.title or message.text,
        },
        text = message.text .. "\n\n-- \n" .. footer(message),
        id = message.id,
        date = host.clock.fields(host.clock.wall(), "Etc/UTC"),
        headers = { { "X-Opsrun-Run", message.run }, { "X-Opsrun-Severity", message.severity or "none" } },
        attachments = files,
      },
    }
    return ok, err and err.message
  end

  function send.terminal(_, message)
    host.term.message("note", ("%s (%s)"):format(plain_text(message), footer(message)))
    return true
  end

  function send.command(channel, message, timeout)
    local result, err = host.process.run {
      argv = channel.command,
      stdin = host.json.encode(message) .. "\n",
      timeout = timeout,
      kind = "change",
    }
    if not result then
      return nil, err.message
    end
    if result.code ~= 0 then
      local said = words.one_line(result.stderr or "", 100)
      return nil, ("'%s' exited with %s%s"):format(channel.command[1], result.code, said ~= "" and ": " .. said or "")
    end
    return true
  end

  local function message_of(args)
    local opts = args.opts or {}
    local severity = opts.severity
    if severity ~= nil and not severities[severity] then
      misuse(("notify: severity '%s' is unknown"):format(tostring(severity)),
        "there are: info, warning, critical, low, medium, high")
    end
    local event = opts.event
    if event ~= nil and not events[event] then
      misuse(("notify: event '%s' is unknown"):format(tostring(event)), "there are: trigger, acknowledge, resolve")
    elseif event and event ~= "trigger" and opts.once == nil then
      misuse(("notify: event '%s' needs the key it was triggered with"):format(event), 'once = "…", the same as then')
    elseif opts.title ~= nil and tostring(opts.title):find "%c" then
      misuse("notify: option 'title' is one line of text", "the text may have several")
    end
    return {
      schema = 1,
      text = words.cut(host.mask.apply(args[1]), longest_text),
      title = opts.title and host.mask.apply(tostring(opts.title)),
      severity = severity,
      event = event,
      once = opts.once ~= nil and host.mask.apply(tostring(opts.once)) or nil,
      run = services.run.id,
      environment = services.environment.name,
      playbook = services.run.playbook,
    }
  end

  function adapter.describe(_, args)
    local list = services.environment.connection("notify", args.name)
    local wrong, hint = channels.check(args.name, list)
    if wrong then
      error(errors.precondition { message = wrong, hint = hint }, 0)
    end
    local kinds = {}
    for i, channel in ipairs(list) do
      kinds[i] = channels.kind_of(channel)
    end
    if words.has(kinds, "email") then
      local server, why, advice = mail.server(services.environment.section "smtp")
      if not server then
        error(errors.precondition { message = why, hint = advice }, 0)
      end
    end
    local opts = args.opts or {}
    local message = message_of(args)
    local files = attach.files(opts.attach)
    for i, file in ipairs(files) do
      message.attachments = message.attachments or {}
      message.attachments[i] = host.mask.apply(file.name)
    end
    return {
      target = args.name,
      summary = ('tell "%s" (%s): %s'):format(
        args.name, table.concat(kinds, ", "), (plain_text(message):gsub("%s+", " "))
      ),
      uses = { "notify", args.name },
      body = {
        text = message.text,
        title = message.title,
        severity = message.severity,
        once = opts.once,
        event = message.event,
        attach = message.attachments,
      },
      request = {
        files = files,
        name = args.name,
        channels = list,
        kinds = kinds,
        message = message,
        once = opts.once,
        timeout = opts.timeout and seconds_of(opts.timeout, "option 'timeout'") or default_timeout,
      },
      opts = opts,
    }
  end

  --- The key under which a receiver can tell a repeat from a second message.
  function adapter.prepare(_, request)
    attach.read(host.files and host.files.read, request.files)
    return { id = request.repeats and request.repeats.id or host.random.hex(16) }
  end

  --- The message that is prepared next is the one of this token again: the same key, and marked.
  ---@param request table
  ---@param token table? of its effect.begin
  function adapter.mark_repeat(request, token)
    request.repeats = token
    request.message.may_repeat = true
  end

  --- Whom a message reached that was begun and never ended cannot be seen. Twice told is better than never.
  function adapter.settle()
    return "repeat"
  end

  --- One task a channel, so that a slow one delays no other. Returns {ok, why} a channel.
  local function send_all(request, message)
    local tasks, outcomes = {}, {}
    for i, channel in ipairs(request.channels) do
      tasks[i] = host.task.spawn(function()
        return send[request.kinds[i]](channel, message, request.timeout, request.files)
      end)
    end
    for i, task in ipairs(tasks) do
      local ended, ok, why = host.task.join(task)
      if ended == nil then -- we were told to stop: so are they
        for _, other in ipairs(tasks) do
          host.task.cancel(other)
        end
        error(errors.from_host(ok, "tell"), 0)
      end
      outcomes[i] = ended and { ok = ok, why = why } or { ok = false, why = tostring(ok) }
    end
    return outcomes
  end

  local function raise_all_failed(request, failed)
    local lines = {}
    for i, entry in ipairs(failed) do
      lines[i] = entry.channel .. ": " .. entry.message
    end
    error(errors.effect {
      message = ("nobody behind '%s' could be told: %s"):format(request.name, table.concat(lines, "; ")),
      code = "not told",
      outcome = "failed",
    }, 0)
  end

  --- A channel that carries no files got their names: that is said.
  local function say_without(request, result)
    local without = {}
    for _, kind in ipairs(result.sent) do
      if kind ~= "email" and not words.has(without, kind) then
        without[#without + 1] = kind
      end
    end
    result.not_attached = #without > 0 and without or nil
    if #without > 0 then
      local current = context.current()
      report.emit {
        event = "note",
        step = current and current.step and current.step.shown,
        text = ("%s went to nobody by %s: only mails carry files; their names were told"):format(
          attach.names(request.files), table.concat(without, ", ")
        ),
      }
    end
  end

  function adapter.perform(_, request, token)
    local key = request.once ~= nil and key_of(request.once, request.message.event) or nil
    if key and told[key] then
      return { sent = {}, failed = {}, once = request.once, repeated = true }
    end
    request.message.id = token and token.id or host.random.hex(16)
    local result = { sent = {}, failed = {}, once = request.once, event = request.message.event }
    for i, outcome in ipairs(send_all(request, request.message)) do
      if outcome.ok then
        result.sent[#result.sent + 1] = request.kinds[i]
      else
        result.failed[#result.failed + 1] = {
          channel = request.kinds[i],
          message = host.mask.apply(tostring(outcome.why)),
        }
      end
    end
    if #result.sent == 0 then
      raise_all_failed(request, result.failed)
    end
    if #request.files > 0 then
      say_without(request, result)
    end
    if key then
      told[key] = true
    end
    return result
  end

  --- A recorded message counts as told, so that `once` holds over a resume.
  function adapter.revive(_, kept)
    if kept.once ~= nil then
      told[key_of(kept.once, kept.event)] = true
    end
    return kept
  end

  function adapter.preview(_, request)
    local lines = {}
    for line in (plain_text(request.message) .. "\n"):gmatch "(.-)\n" do
      lines[#lines + 1] = line
    end
    for _, file in ipairs(request.files) do
      lines[#lines + 1] = "attached: " .. file.path
    end
    return { lines = lines }
  end

  return adapter
end
