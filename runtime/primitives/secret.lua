--- The secret adapter: secret.new. What it makes is masked before it is anybody's, and sealed in the run's
--- folder, so that a run that was killed goes on with the same one.
local errors = require "runtime.errors"
local sinks = require "runtime.sinks"
local text = require "runtime.text"

local fields = { "bytes", "form", "name", "to" }
local forms = { "base64url", "hex" }
local default_bytes, fewest_bytes, most_bytes = 32, 16, 1024

local function misuse(message, hint)
  local err = errors.wrap("secret.new: " .. message)
  err.hint = hint
  error(err, 0)
end

local function list_of_sinks(to)
  if to == nil then
    return nil
  end
  local list = type(to) == "table" and to or { to }
  for _, sink in ipairs(list) do
    if not text.has(sinks.names, sink) then
      misuse(("to: '%s' is no sink for secrets"):format(tostring(sink)), text.suggest(tostring(sink), sinks.names, "there are"))
    end
  end
  return #list > 0 and { table.unpack(list) } or misuse "to: an empty list: it could go nowhere"
end

local function request_of(what)
  for key in pairs(what) do
    if not text.has(fields, key) then
      misuse(("unknown field '%s'"):format(tostring(key)), text.suggest(tostring(key), fields, "it takes"))
    end
  end
  local request = { name = what.name or "generated", bytes = what.bytes or default_bytes, form = what.form or "hex" }
  if type(request.name) ~= "string" or not request.name:find "^[%w][%w_. -]*$" or #request.name > 60 then
    misuse "name: expected letters, digits, dot, dash, underscore"
  elseif math.type(request.bytes) ~= "integer" or request.bytes < fewest_bytes or request.bytes > most_bytes then
    misuse(("bytes: expected %d to %d"):format(fewest_bytes, most_bytes))
  elseif not text.has(forms, request.form) then
    misuse(("form: '%s' is none"):format(tostring(request.form)), 'there are "hex" and "base64url"')
  end
  request.to = list_of_sinks(what.to)
  return request
end

---@param services {host: table, run: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}
  local kept = setmetatable({}, { __mode = "k" }) -- secret -> what the journal keeps of it

  function adapter.describe(_, args)
    local request = request_of(args[1])
    return {
      target = request.name,
      summary = ("new secret %s (%d bytes, %s)"):format(request.name, request.bytes, request.form),
      body = { name = request.name, bytes = request.bytes, form = request.form, to = request.to },
      request = request,
    }
  end

  --- It is on disk, sealed, before anybody gets it: nothing may be sent that the run could lose.
  function adapter.perform(_, request)
    local secret = host.secret.generate(request.name, request.bytes, request.form)
    local sealed, err = host.secret.seal(secret, run.id)
    local blob
    if sealed then
      blob, err = run.store:blob(sealed)
    end
    if not blob then
      error(errors.effect {
        message = ("the new secret '%s' cannot be sealed: %s"):format(request.name, err.message),
        code = err.code,
        outcome = "failed",
        hint = ("look at the space and rights of '%s'"):format(run.store:dir()),
      }, 0)
    end
    sinks.limit(secret, request.to)
    kept[secret] = { name = request.name, sealed = blob, to = request.to }
    return secret
  end

  function adapter.keep(_, secret)
    return kept[secret]
  end

  function adapter.revive(_, record)
    local sealed, err = run.store:fetch(record.sealed)
    local secret
    if sealed then
      secret, err = host.secret.unseal(sealed, run.id, record.name)
    end
    if not secret then
      error(errors.precondition {
        message = ("the secret '%s' of this run cannot be read again: %s"):format(record.name, err.message or err),
        code = err.code,
        hint = "it was sealed with the key in this home: is it the same home, and the same user?",
      }, 0)
    end
    sinks.limit(secret, record.to)
    kept[secret] = record
    return secret
  end

  return adapter
end
