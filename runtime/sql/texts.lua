--- What errors of the database say to a person: cause first, where in the statement, what to try.
local errors = require "runtime.errors"
local words = require "runtime.text"

local texts = {}

local connect_hints = {
  refused = "is the server running? try 'opsrun doctor -e %s'",
  resolve = "check the host in the connection's url",
  timeout = "is the host reachable from here, and the port open? try 'opsrun doctor -e %s'",
  tls = "the url may name the authority: ?sslmode=verify-full&sslrootcert=/path/ca.pem",
  url = "expected postgres://user:password@host:5432/database",
  ["28P01"] = "check user and password in the connection's url",
  ["28000"] = "check the user in the connection's url, and the server's pg_hba.conf",
  ["3D000"] = "check the database in the connection's url",
  ["53300"] = "every connection slot is taken; slots kept for superusers need a superuser's url",
  ["57P03"] = "the server is starting up or shutting down: try again shortly",
}

--- "(127.0.0.1:5432)" or "(/run/postgresql)"; never more of the url than that.
function texts.place(place)
  if not place then
    return ""
  end
  local host = place.host == "" and "/var/run/postgresql" or place.host
  return host:find "^[/@]" and (" (%s)"):format(host) or (" (%s:%s)"):format(host, place.port)
end

--- Raises the error of a failed connect.
function texts.raise_connect(name, place, environment, err)
  local hint = connect_hints[err.code]
  if err.stopped == "cancel" then
    error(errors.from_host(err, "read"), 0)
  end
  error(errors.effect {
    message = ("cannot connect to '%s'%s: %s"):format(name, texts.place(place), err.message),
    code = err.code,
    outcome = "not sent",
    hint = hint and hint:format(environment or "ENV") or nil,
  }, 0)
end

--- Line, column and text of the line of a position counted in characters from 1.
local function locate(text, position)
  local byte = utf8.offset(text, position) or position
  local before = text:sub(1, byte - 1)
  local _, newlines = before:gsub("\n", "")
  local start = (before:match "()[^\n]*$")
  local column = utf8.len(text:sub(start, byte - 1)) or (byte - start)
  local line = text:sub(start):match "^[^\n]*"
  return newlines + 1, column + 1, (line:gsub("^%s+", ""))
end

--- One line of a statement for summaries.
function texts.short(text, limit)
  local line = words.one_line(text)
  limit = limit or 72
  if (utf8.len(line) or #line) > limit then
    local cut = utf8.offset(line, limit) or limit
    line = line:sub(1, cut - 1) .. "…"
  end
  return line
end

local function with_place(text, err)
  if not err.position or err.position > #text then
    return ""
  end
  local line, column, source = locate(text, err.position)
  return (", line %d column %d: %s"):format(line, column, texts.short(source, 60))
end

--- Raises what a statement's run returned.
---@param name string the connection
---@param text string the statement
---@param err table of the binding
---@param class string "read" or "change"
---@param seconds number? the limit it had
function texts.raise_statement(name, text, err, class, seconds)
  if err.stopped == "cancel" then
    error(errors.from_host(err, class), 0)
  end
  local code, message, hint = err.code, err.message, err.hint or err.detail
  if err.stopped == "timeout" or (code == "57014" and message:find "statement timeout") then
    code = "timeout"
    message = seconds and ("no answer within %gs"):format(seconds) or "the statement's time was over"
    hint = "opts.timeout, or statement_timeout of the connection, may allow more"
  elseif code == "cap" then
    message = "the result is larger than 100,000 rows or 64 MiB"
    hint = "use :each(…), which hands over one row at a time, or LIMIT"
  elseif code == "25006" then
    hint = "a change is made with :exec(…)"
  end
  local state = #code == 5 and not code:find "%l" and (" (%s%s)"):format(code, with_place(text, err)) or ""
  error(errors.from_host({
    message = ("'%s': %s%s"):format(name, message, state),
    code = code,
    outcome = err.outcome,
    hint = hint,
  }, class), 0)
end

return texts
