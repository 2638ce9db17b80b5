--- Error values: what every layer raises, and their one text form.
--- An error is a table {kind, message, hint, code, outcome, where}; `tostring(e)` is the message.
---@class opsrun.Error
---@field kind string     one of `errors.kinds`
---@field message string  lower case, subject in quotes, cause; no full stop
---@field hint string?    what to try, printed on its own line
---@field code string?    SQLSTATE, HTTP status, "timeout", "not found" …
---@field outcome string? of an effect: "not sent", "done", "failed", "unknown"
---@field where string?   "db-exhaustion.lua:42"
local errors = {}

--- Kinds, and the exit code an uncaught one stands for (design 3).
errors.kinds = {
  effect = 1, -- a primitive failed
  fail = 1, -- the author said so
  timeout = 1, -- a step's time was over
  usage = 2, -- the command line
  load = 3, -- the playbook does not load or validate
  precondition = 4, -- something is missing before anything was changed
  journal = 4, -- the journal cannot be written (7 once something was changed)
  refused = 5, -- policy, a closed gate, an unprovable read
  unknown = 7, -- nobody knows whether a change happened
  suspended = 6, -- waits for a person or a time, and is gone on with by resume
  deadline = 124,
  cancelled = 130, -- a signal, or a sibling's failure
  bug = 70,
  -- Signals of control flow, no failures:
  planned = 0, -- a dry run needs the value of a change that was not made
  skip = 0,
  finish = 0,
}

local mt = {}
mt.__index = mt
mt.__name = "error"

function mt.__tostring(e)
  return e.message
end

function mt.__concat(a, b)
  return tostring(a) .. tostring(b)
end

local function constructor(kind)
  return function(fields)
    if type(fields) == "string" then
      fields = { message = fields }
    end
    fields.kind = kind
    return setmetatable(fields, mt)
  end
end

for kind in pairs(errors.kinds) do
  errors[kind] = constructor(kind)
end

--- Is this value one of ours?
function errors.is(value, kind)
  return getmetatable(value) == mt and (kind == nil or value.kind == kind)
end

--- The error {message, code, outcome} that a host binding returned, as an error value.
--- A stopped operation becomes `cancelled` or keeps its "timeout" code.
---@param err table what the binding returned after nil
---@param class string of the effect: "read", "change" …
function errors.from_host(err, class)
  if err.stopped == "cancel" and not (class == "change" and err.outcome == "unknown") then
    return errors.cancelled { message = "cancelled", outcome = err.outcome }
  end
  local outcome = err.outcome
  if class ~= "change" and class ~= "tell" and outcome == "unknown" then
    outcome = "failed" -- a read that got no answer changed nothing
  end
  local make = outcome == "unknown" and errors.unknown or errors.effect
  return make { message = err.message, code = err.code, outcome = outcome, hint = err.hint }
end

--- No error is told at greater length, in bytes: a text that came from somewhere may be in it.
local longest = 16 * 1024

--- What was raised, in words. An author's table may raise in its own turn when it is asked for its text.
local function words_of(value)
  local message = value
  if type(value) ~= "string" then
    local ok, said = pcall(tostring, value)
    message = "error value: " .. (ok and said or "a " .. type(value))
  end
  if #message > longest then
    message = ("%s… (%d bytes)"):format(message:sub(1, longest), #message)
  end
  return message
end

--- Any raised value as an error value; a plain Lua error becomes the author's bug (kind "fail" is not
--- used for it, since `try` must not catch typos).
---@param value any
---@param where string?
function errors.wrap(value, where)
  if errors.is(value) then
    return value
  end
  local message = words_of(value)
  local at, rest = message:match "^([^%s:]+%.lua:%d+): (.*)$"
  if at then -- Lua's own errors say where they happened: nearer than where the step begins
    where, message = at, rest
  end
  return setmetatable({ kind = "script", message = message, where = where }, mt)
end

--- What an author's function raised inside a primitive: a typo in it is the author's, not ours.
function errors.of_author(value)
  local err = errors.wrap(value)
  if err.kind == "script" then
    err.author = true
  end
  return err
end
errors.kinds.script = 1 -- a typo or a misuse in the playbook

return errors
