--- The http adapter: GET, HEAD and OPTIONS read; everything else changes, unless the environment
--- vouches for it (`reads = { "POST /search" }`: declared).
---
--- What a status says about a change: 2xx and 3xx as expected: done. Unexpected: 2xx is done, too
--- (the server did something); 3xx, 4xx and 5xx are failed, as the server itself answered; 502 and
--- 504 are unknown: a gateway speaks, and it does not know what became of the request behind it.
local build = require "runtime.http.build"
local errors = require "runtime.errors"
local multipart = require "runtime.http.multipart"
local response = require "runtime.http.response"
local text = require "runtime.text"
local time_text = require "runtime.time_text"

local methods = {
  get = "GET",
  head = "HEAD",
  options = "OPTIONS",
  post = "POST",
  put = "PUT",
  patch = "PATCH",
  delete = "DELETE",
}

--- What to try, by the code of a failure in which no answer came.
local hints = {
  resolve = "is the name spelled right, and does this machine's resolver know it?",
  refused = "is the service running, and is this its port?",
  connect = "is the host reachable from here?",
  tls = "a private authority is trusted by ca = \"/path/to/authority.pem\" of the connection; there is no way around",
  timeout = "timeout = \"60s\" waits longer",
  ["too large"] = "ask for less: a query that limits, or a file for the artefact",
}

--- Statuses and failures after which a read may be tried again.
local passing = { [429] = true, [502] = true, [503] = true, [504] = true }
local passing_codes = { refused = true, connect = true, resolve = true, reset = true, timeout = true }

--- Seconds for which servers remember an idempotency key, at the least.
local remembered = 86400

local preview_lines, preview_width = 20, 160
--- What all files of one form may have, in bytes: they are held in memory.
local most_form_bytes = 64 * 1024 * 1024

local function status_error(request, answer)
  local outcome = "failed"
  if request.class == "change" then
    if answer.status < 300 then
      outcome = "done"
    elseif answer.status == 502 or answer.status == 504 then
      outcome = "unknown"
    end
  end
  local body = text.one_line(answer.body, 200)
  return errors.effect {
    message = ("%s answered %d, expected %s"):format(request.summary, answer.status, request.expected),
    code = tostring(answer.status),
    outcome = outcome,
    hint = body ~= "" and ("it said: " .. body) or nil,
  }
end

--- The lines of a body that a dry run shows.
local function preview_body(body)
  local lines = {}
  for line in (text.masked(body) .. "\n"):gmatch "(.-)\n" do
    if #lines == preview_lines then
      lines[#lines + 1] = ("… %d bytes in all"):format(#body)
      break
    end
    lines[#lines + 1] = text.cut(line, preview_width)
  end
  return lines
end

---@param services {host: table, environment: table, run: table}
return function(services)
  local host = services.host
  local adapter = {}

  local function credentials_shown(send)
    if send.bearer then
      return host.secret.is(send.bearer) and "bearer ‹secret:" .. host.secret.name(send.bearer) .. "›" or "bearer"
    end
    return send.user and "basic" or nil
  end

  function adapter.describe(verb, args)
    local method, path = methods[verb], args[1]
    if verb == "request" then
      method, path = args[1], args[2]
    elseif verb == "certificate" then
      method, path = "HEAD", args[1] or "/"
    end
    local request = build.request(services, method, path, args)
    if verb == "certificate" then
      if not request.send.origin:find "^https:" then
        error(errors.wrap(("'%s' has no certificate: it is not https"):format(request.send.origin)), 0)
      end
      request.send.fresh = true
      request.summary = "certificate of " .. request.send.origin
    end
    return {
      target = args.name or request.send.origin,
      summary = request.summary,
      within = request.send.timeout,
      class = request.class,
      declared = request.declared,
      uses = not args.name and { "http", request.send.origin } or nil,
      body = {
        method = request.method,
        url = request.send.url,
        headers = request.shown_headers,
        idempotency = request.idempotency,
        credentials = credentials_shown(request.send),
        body = request.send.body and host.digest.sha256(request.send.body),
        bytes = request.send.body and #request.send.body,
        file = request.send.file,
        form = request.parts,
      },
      request = request,
      opts = args.opts,
    }
  end

  --- What is known of the file to be sent; raises when there is none.
  local function look_at_file(path)
    local facts, err = host.files.stat(path)
    if not facts or facts.type ~= "file" then
      error(errors.effect {
        message = facts and ("cannot send '%s': it is no regular file"):format(path) or err.message,
        code = err and err.code or "file",
        outcome = "not sent",
      }, 0)
    end
    return { file = path, bytes = facts.size, modified = facts.mtime }
  end

  --- The same of the files of a form, in order; nil when there are none.
  local function look_at_parts(parts)
    local files, total = {}, 0
    for _, part in ipairs(parts) do
      if part.file then
        files[#files + 1] = look_at_file(part.file)
        total = total + files[#files].bytes
      end
    end
    if total > most_form_bytes then
      error(errors.effect {
        message = ("the files of the form have %d bytes, 64 MiB go into one"):format(total),
        code = "too large",
        outcome = "not sent",
        hint = "option 'file' sends one file as the body, however large",
      }, 0)
    end
    return files
  end

  --- The client's own validator has the last word before anything is opened.
  ---@return table? token {file, bytes, modified; header, key}: the file that is sent, the request's own key
  function adapter.prepare(_, request)
    local ok, why = host.http.check(request.send)
    if not ok then
      error(errors.refused { message = ("%s is not sent: %s"):format(request.summary, why) }, 0)
    end
    local token = request.send.file and look_at_file(request.send.file) or nil
    if request.parts then
      token = { files = look_at_parts(request.parts) }
    end
    if request.idempotency then
      token = token or {}
      token.header = request.idempotency
      token.key = request.repeats and request.repeats.key or host.random.hex(16)
    end
    return token
  end

  --- The request that is prepared next is the one of this token again: it carries the same key.
  ---@param request table
  ---@param token table? of its effect.begin
  function adapter.mark_repeat(request, token)
    request.repeats = token
  end

  --- May a request that was begun and never answered be made again? Only with a key by which the server
  --- knows it: what became of it cannot be asked for.
  ---@param record table its effect.begin
  ---@return "repeat"|nil, string? why
  function adapter.settle(_, record)
    local token = record.token or {}
    if not token.key then
      return nil, "whether a request arrived cannot be seen (idempotency = true makes it safe to repeat)"
    elseif host.clock.wall() - (time_text.epoch(host.clock, "UTC", record.t) or 0) > remembered then
      return nil, "its idempotency key is older than a day: the server may have forgotten it"
    end
    for _, sent in ipairs(token.files or { token.file and token or nil }) do
      local facts = host.files.stat(sent.file)
      if not facts or facts.size ~= sent.bytes or facts.mtime ~= sent.modified then
        return nil, ("'%s' is not what was sent any more"):format(sent.file)
      end
    end
    return "repeat"
  end

  --- The body of a form with files, and its type, which names the line between its parts.
  local function compose(request)
    local contents, boundary = {}, "opsrun-" .. host.random.hex(16)
    for _, part in ipairs(request.parts) do
      if part.file then
        local content, err = host.files.read(part.file, most_form_bytes)
        if not content then
          error(errors.effect { message = err.message, code = err.code, outcome = "not sent" }, 0)
        end
        contents[part] = content
      end
    end
    return multipart.compose(request.parts, contents, boundary), "multipart/form-data; boundary=" .. boundary
  end

  --- What is sent, with the key of the token and the parts of a form.
  local function sending(request, token)
    local key = token and token.key
    if not key and not request.parts then
      return request.send
    end
    local send = {}
    for name, value in pairs(request.send) do
      send[name] = value
    end
    send.headers = table.move(request.send.headers, 1, #request.send.headers, 1, {})
    send.headers[#send.headers + 1] = key and { token.header, key } or nil
    if request.parts then
      local body, kind = compose(request)
      send.body, send.headers[#send.headers + 1] = body, { "Content-Type", kind }
    end
    return send
  end

  local function send_once(request, token)
    local answer, err = host.http.request(sending(request, token))
    if not answer then
      err.hint = err.hint or hints[err.code]
      return nil, errors.from_host(err, request.class), passing_codes[err.code]
    end
    answer.url = request.send.url
    response.new(answer, request.summary, host.json)
    if not request.expects(answer.status) then
      return nil, status_error(request, answer), passing[answer.status]
    end
    return answer
  end

  --- Waits before try number `attempt` + 1: 0.2, 0.4, 0.8 … at most 5 seconds.
  local function back_off(attempt)
    local ok, err = host.task.sleep(math.min(5, 0.1 * 2 ^ attempt))
    if not ok then
      error(errors.from_host(err, "read"), 0)
    end
  end

  local function certificate(answer)
    if not answer.tls then
      error(errors.effect { message = "the peer showed no certificate", outcome = "failed" }, 0)
    end
    local tls = answer.tls
    tls.expires_in = tls.expires - host.clock.wall()
    return tls
  end

  function adapter.perform(verb, request, token)
    if verb == "certificate" then
      request.expects = function()
        return true
      end
    end
    for attempt = 1, request.retries + 1 do
      local answer, err, may_pass = send_once(request, token)
      if answer then
        return verb == "certificate" and certificate(answer) or answer
      end
      if not may_pass or attempt > request.retries then
        error(err, 0)
      end
      back_off(attempt)
    end
  end

  function adapter.keep(verb, result)
    if verb == "certificate" then
      return result
    end
    return response.plain(result)
  end

  function adapter.revive(verb, kept)
    if verb == "certificate" then
      return kept
    end
    return response.new(kept, kept.summary or "an earlier request", host.json)
  end

  function adapter.preview(_, request)
    local lines = { request.summary }
    for _, header in ipairs(request.shown_headers) do
      lines[#lines + 1] = "  " .. header
    end
    if request.idempotency then
      lines[#lines + 1] = ("  %s: a key of its own"):format(request.idempotency:lower())
    end
    if request.send.body and request.send.body ~= "" then
      for _, line in ipairs(preview_body(request.send.body)) do
        lines[#lines + 1] = "  " .. line
      end
    end
    for _, part in ipairs(request.parts or {}) do
      local said = part.file and ("%s, %d bytes, %s"):format(part.file, look_at_file(part.file).bytes, part.type)
        or text.cut(part.value, preview_width)
      lines[#lines + 1] = ("  %s: %s"):format(part.name, said)
    end
    if request.send.file then
      lines[#lines + 1] = ("  %s, %d bytes"):format(request.send.file, look_at_file(request.send.file).bytes)
    end
    return { lines = lines }
  end

  return adapter
end
