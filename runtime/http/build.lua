--- From a playbook's call to one exact request: where it goes, what it carries, what counts as well.
--- Pure; what may not be sent is refused here, in a dry run too.
local errors = require "runtime.errors"
local multipart = require "runtime.http.multipart"
local ordered = require "runtime.ordered"
local seconds_of = require "runtime.seconds"
local sinks = require "runtime.sinks"
local url = require "runtime.http.url"
local build = {}

local safe_methods = { GET = true, HEAD = true, OPTIONS = true }

--- Headers, or names in a query, by which some servers take a request for one of another method or path. Servers that
--- hand headers on as variables know no difference between - and _, which is why they are written with - here.
local disguises = {
  ["x-http-method-override"] = "method",
  ["x-method-override"] = "method",
  ["x-http-method"] = "method",
  ["x-original-method"] = "method",
  ["x-rewrite-method"] = "method",
  ["x-original-url"] = "path",
  ["x-rewrite-url"] = "path",
  ["-method"] = "method",
  ["-httpmethod"] = "method",
}

local function disguise(name)
  local written = name:lower():gsub("_", "-")
  return disguises[written]
end

local default_timeout = 30
local longest_retries = 10

--- The author's mistake: stops the step, and `try` does not catch it.
local function misuse(message, hint)
  local err = errors.wrap(message)
  err.hint = hint
  error(err, 0)
end

local function refuse(message, hint)
  error(errors.refused { message = message, hint = hint }, 0)
end

--- The environment's connection as data, read once: base, headers, declared reads.
local function read_connection(services, name)
  local given = services.environment.connection("http", name)
  local base, why = url.parse(given.base or "")
  if not base then
    error(errors.precondition { message = ("the base of http connection '%s' is no URL: %s"):format(name, why) }, 0)
  end
  if base.path:find("?", 1, true) then
    error(errors.precondition { message = ("the base of http connection '%s' may not have a query"):format(name) }, 0)
  end
  return given, base
end

local function target_of(services, args, path)
  if args.name then
    local given, base = read_connection(services, args.name)
    local joined, why = url.join(base, path)
    if not joined then
      refuse(
        ("'%s' is no path of http connection '%s': %s"):format(url.strip_users(path), args.name, why),
        "give a path such as /health; other origins go by http.get(url) and uses.http"
      )
    end
    return given, { origin = base.origin, path = joined, user = base.user, password = base.password }, base
  end
  local parts, why = url.parse(path)
  if not parts then
    misuse(
      ("'%s' is no URL: %s"):format(url.strip_users(path), why),
      'a path needs a connection: http "name":get(path)'
    )
  end
  return {}, parts
end

local function check_header(name, value, is_secret)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    refuse(("header '%s': this is no header's name"):format(tostring(name):gsub("%c", "?")))
  end
  if is_secret(value) then
    sinks.check(value, "header", "http")
    return value
  end
  if type(value) == "number" or type(value) == "boolean" then
    value = tostring(value)
  end
  if type(value) ~= "string" then
    misuse(("header '%s': expected text or a secret, got %s"):format(name, type(value)))
  end
  if value:find "[%z\1-\8\10-\31\127]" then
    refuse(("header '%s': its value holds control bytes"):format(name))
  end
  return value
end

--- All headers, the call's before the connection's, as {{name, value}, …} in the order of names, and
--- what may be shown of them.
local function headers_of(services, connection, opts, extra)
  local is_secret, name_of = services.host.secret.is, services.host.secret.name
  local by_name = {}
  for _, source in ipairs { extra, connection.headers or {}, opts.headers or {} } do
    for name, value in pairs(source) do
      by_name[tostring(name):lower()] = { name, check_header(name, value, is_secret) }
    end
  end
  local list, shown = {}, {}
  for _, header in pairs(by_name) do
    list[#list + 1] = header
  end
  table.sort(list, function(a, b)
    return a[1]:lower() < b[1]:lower()
  end)
  for i, header in ipairs(list) do
    shown[i] = header[1]:lower()
    if is_secret(header[2]) then
      shown[i] = ("%s: ‹secret:%s›"):format(shown[i], name_of(header[2]))
    end
  end
  return list, shown, by_name
end

--- A secret in a body would be sent as its name: servers would take that for the secret.
local function refuse_secrets(value, name, is_secret, depth)
  if is_secret(value) then
    refuse(("option '%s' holds %s: a body is no place for secrets"):format(name, tostring(value)),
      "a header, or a command's stdin or env, takes them: shell.run({ … }, { stdin = secret })")
  elseif type(value) == "table" and getmetatable(value) == nil and depth < 32 then
    for key, item in pairs(value) do
      refuse_secrets(key, name, is_secret, depth + 1)
      refuse_secrets(item, name, is_secret, depth + 1)
    end
  end
end

--- A form with files is put together when it is sent: its parts, not its body.
local function parts_of(opts)
  local parts, why = multipart.parts(opts.form)
  if not parts then
    misuse("option 'form': " .. why)
  end
  for name in pairs(opts.headers or {}) do
    if tostring(name):lower() == "content-type" then
      misuse("header 'Content-Type': a form with files has its own")
    end
  end
  return nil, nil, parts
end

--- The body and its type from one of json, form, body; a file has a type only, a form with files parts.
local function body_of(services, opts)
  local given
  for _, name in ipairs { "json", "form", "body", "file" } do
    if opts[name] ~= nil then
      if given then
        misuse(("options '%s' and '%s' are both a body"):format(given, name), "give one of json, form, body, file")
      end
      given = name
    end
  end
  if given then
    refuse_secrets(opts[given], given, services.host.secret.is, 0)
  end
  if given == "json" then
    local encoded, why = services.host.json.encode(opts.json)
    if not encoded then
      misuse("option 'json' cannot be encoded: " .. tostring(why))
    end
    return encoded, "application/json"
  elseif given == "form" and type(opts.form) == "table" and multipart.has_files(opts.form) then
    return parts_of(opts)
  elseif given == "form" then
    local encoded, why = url.add_query("", opts.form)
    if not encoded then
      misuse("option 'form': " .. why)
    end
    return encoded:sub(2), "application/x-www-form-urlencoded"
  elseif given == "file" then
    if type(opts.file) ~= "string" or opts.file == "" then
      misuse(("option 'file': expected a path, got %s"):format(type(opts.file)))
    end
    return nil, "application/octet-stream"
  elseif given == "body" and type(opts.body) ~= "string" then
    misuse(("option 'body': expected a string, got %s"):format(type(opts.body)), "tables go by json = or form =")
  end
  return opts.body
end

--- One item of `expect` as a test: 200, "2xx", "any".
local function expected_item(item)
  local class = tostring(item):match "^([1-5])xx$"
  local code = math.tointeger(tonumber(item))
  if class then
    return function(status)
      return status // 100 == tonumber(class)
    end
  elseif item == "any" then
    return function()
      return true
    end
  elseif code and code >= 100 and code <= 599 then
    return function(status)
      return status == code
    end
  end
  misuse(("option 'expect': '%s' is no status"):format(tostring(item)), 'such as 200, "2xx", {200, 404} or "any"')
end

--- Which statuses are well, as a test and in words.
local function expected(expect)
  local items = type(expect) == "table" and expect or { expect or "2xx" }
  local tests, words = {}, {}
  for i, item in ipairs(items) do
    tests[i], words[i] = expected_item(item), tostring(item)
  end
  return function(status)
    for _, test in ipairs(tests) do
      if test(status) then
        return true
      end
    end
    return false
  end, table.concat(words, " or ")
end

local function check_read(method, request, by_name, opts)
  for _, name in ipairs(ordered.keys(by_name)) do
    if disguise(name) then
      refuse(
        ("%s with header '%s' asks for another %s in disguise"):format(method, by_name[name][1], disguise(name)),
        'say it: http "name":request("DELETE", path)'
      )
    end
  end
  for _, name in ipairs(url.parameters(request.path)) do
    if disguise(name) then
      refuse(("%s with '%s' in its query asks for another %s in disguise"):format(method, name, disguise(name)))
    end
  end
  if safe_methods[method] and (request.body or opts.json ~= nil or opts.form ~= nil or opts.file ~= nil) then
    refuse(
      method .. " carries no body",
      'a search by POST is a read where the environment says so: reads = { "POST /search" }'
    )
  end
end

--- Does the environment vouch that this method and path only read?
local function is_declared(connection, base, method, path)
  path = path:match "^[^?]*"
  for _, read in ipairs(connection.reads or {}) do
    local read_method, read_path = read:match "^(%u+)%s+(/%S*)$"
    if read_method == method and base and url.join(base, read_path) == path then
      return true
    end
  end
  return false
end

local function retries_of(method, opts)
  local retries = opts.retries or 0
  if math.type(retries) ~= "integer" or retries < 0 or retries > longest_retries then
    misuse(("option 'retries': expected a number from 0 to %d"):format(longest_retries))
  end
  if retries > 0 and not safe_methods[method] then
    misuse(("option 'retries': %s may have happened although no answer came"):format(method),
      "only GET, HEAD and OPTIONS are tried again")
  end
  return retries
end

--- The header in which the request's own key goes, so that a repeat is told from a second request.
---@return string? name
local function idempotency_of(class, opts, by_name)
  local wanted = opts.idempotency
  if not wanted then
    return nil
  elseif class == "read" then
    misuse("option 'idempotency': a read may be made again as it is")
  elseif wanted ~= true and type(wanted) ~= "string" then
    misuse(("option 'idempotency': expected true or a header's name, got %s"):format(type(wanted)))
  end
  local name = wanted == true and "Idempotency-Key" or wanted
  check_header(name, "key", function() end)
  if by_name[name:lower()] then
    misuse(("option 'idempotency': header '%s' is given as well"):format(name),
      "leave the header out: its key is made, and kept for a repeat")
  end
  return name
end

--- Credentials of the connection or the URL, unless the call brings its own Authorization.
local function add_credentials(request, connection, parts, by_name)
  if by_name.authorization then
    return
  end
  local basic = connection.basic or (parts.user and { user = parts.user, password = parts.password })
  request.bearer = connection.bearer
  if basic and not connection.bearer then
    request.user, request.password = basic.user, basic.password or ""
  end
end

---@class opsrun.HttpRequest
---@field send table        what host.http.request takes
---@field summary string    "GET http://127.0.0.1:8080/health", without user and password
---@field expects fun(status: integer): boolean
---@field expected string   in words
---@field class "read"|"change"
---@field declared boolean? the environment says it is a read
---@field idempotency string? the header that carries the request's own key

--- Builds the request of `method` to args' path or URL. Raises usage or refused.
---@param services table
---@param method string
---@param path string
---@param args table as the face checked it: name (a connection's) and opts
---@return opsrun.HttpRequest
function build.request(services, method, path, args)
  local opts = args.opts or {}
  method = method:upper()
  if not method:find "^%u[%u-]*$" or method == "CONNECT" or method == "TRACE" then
    misuse(("'%s' is no method that can be sent"):format(method:gsub("%c", "?")))
  end
  local connection, parts, base = target_of(services, args, path)
  local full, why = url.add_query(parts.path, opts.query or {})
  if not full then
    refuse("option 'query': " .. why)
  end
  local body, body_type, form_parts = body_of(services, opts)
  local extra = { ["Content-Type"] = body_type }
  if args.name and services.run then
    extra["X-Opsrun-Run"] = services.run.id
  end
  local headers, shown, by_name = headers_of(services, connection, opts, extra)
  local declared = is_declared(connection, base, method, full)
  local class = (safe_methods[method] or declared) and "read" or "change"
  if class == "read" then
    check_read(method, { path = full, body = body }, by_name, opts)
  end
  local idempotency = idempotency_of(class, opts, by_name)
  local expects, words = expected(opts.expect)
  local timeout = opts.timeout or connection.timeout
  local request = {
    summary = ("%s %s%s"):format(method, parts.origin, full),
    method = method,
    class = class,
    declared = declared and not safe_methods[method] or nil,
    expects = expects,
    expected = words,
    retries = retries_of(method, opts),
    parts = form_parts,
    shown_headers = shown,
    idempotency = idempotency,
    send = {
      method = method,
      url = parts.origin .. full,
      origin = parts.origin,
      label = args.name,
      headers = headers,
      body = body,
      file = opts.file,
      ca = connection.ca,
      timeout = timeout and seconds_of(timeout, "option 'timeout'") or default_timeout,
      follow = safe_methods[method] and opts.follow or nil,
      kind = class,
    },
  }
  add_credentials(request.send, connection, parts, by_name)
  return request
end

return build
