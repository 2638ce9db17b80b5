--- Where a secret may go. A generated one may say which sinks it is for; any other way is refused.
local errors = require "runtime.errors"
local text = require "runtime.text"
local sinks = {}

--- The sinks there are, as a playbook names them in `to`.
sinks.names = { "env", "file", "header", "redis", "sql", "stdin" }

local allowed = setmetatable({}, { __mode = "k" })

--- Says where this secret may go; nil: wherever secrets may.
---@param secret userdata
---@param list string[]?
function sinks.limit(secret, list)
  allowed[secret] = list
end

--- Raises `refused` when the secret is not for this sink.
---@param secret any what is no limited secret passes
---@param sink "env"|"file"|"header"|"redis"|"sql"|"stdin"
---@param place string "shell.run"
function sinks.check(secret, sink, place)
  local list = allowed[secret]
  if list and not text.has(list, sink) then
    error(errors.refused {
      message = ("%s: %s is not for '%s': it was made for '%s'"):format(place, tostring(secret), sink, table.concat(list, "', '")),
      hint = ("secret.new { to = { …, \"%s\" } } lets it"):format(sink),
    }, 0)
  end
end

return sinks
