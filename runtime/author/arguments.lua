--- Arguments of what an author calls: what is wrong is said in plain words, at the author's line.
local errors = require "runtime.errors"
local text = require "runtime.text"
local arguments = {}

--- Raises a misuse at the author's line.
---@param where string?
---@param message string
---@param hint string?
function arguments.misuse(where, message, hint)
  local err = errors.wrap(message, where)
  err.hint = hint
  error(err, 0)
end

--- The options table of a call: nil becomes an empty one; an unknown name tells the nearest valid one.
---@param what string the call, for the message
---@param opts any
---@param known string[]
---@param where string?
---@return table
function arguments.options(what, opts, known, where)
  if opts == nil then
    return {}
  elseif type(opts) ~= "table" then
    arguments.misuse(where, ("%s: expected a table of options, got %s"):format(what, type(opts)))
  end
  for name in pairs(opts) do
    if not text.has(known, name) then
      local near = text.nearest(tostring(name), known)
      arguments.misuse(
        where,
        ("%s: unknown option '%s'"):format(what, tostring(name)),
        near and ("did you mean '%s'?"):format(near) or ("it takes: " .. table.concat(known, ", "))
      )
    end
  end
  return opts
end

--- Raises unless fn can be called.
function arguments.need_function(what, fn, where)
  if type(fn) ~= "function" then
    arguments.misuse(where, ("%s: expected a function, got %s"):format(what, type(fn)))
  end
end

--- A net under our own code: what breaks in it because of an argument nobody foresaw is told at the author's
--- line, under the name that was called, instead of at ours.
---@param name string
---@param fn function
---@param where fun(): string?
function arguments.guard(name, fn, where)
  local function settle(ok, first, ...)
    if ok then
      return first, ...
    end
    local said = type(first) == "string"
      and (first:match "^runtime%.[%w_.]+:%d+: (.*)$" or first:match "^stdlib%.[%w_.]+:%d+: (.*)$")
    error(said and errors.wrap(name .. ": " .. said, where()) or first, 0)
  end
  return function(...)
    return settle(pcall(fn, ...))
  end
end

--- The same for the functions of a table; other fields are left as they are.
---@param prefix string? stands before the names: "postgres."
function arguments.guard_all(functions, where, prefix)
  local guarded = {}
  for name, fn in pairs(functions) do
    guarded[name] = type(fn) == "function" and arguments.guard((prefix or "") .. name, fn, where) or fn
  end
  return guarded
end

return arguments
