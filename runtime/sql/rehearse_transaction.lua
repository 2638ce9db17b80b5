--- transaction(fn) in a rehearsal: its statements are made, and stay in the rehearsal's transaction when fn returns.
--- From the first one on that may not be rehearsed the rest is only shown, and nothing of it stays.
local errors = require "runtime.errors"
local read = require "runtime.sql.read"
local rehearse = require "runtime.sql.rehearse"
local texts = require "runtime.sql.texts"
local transaction = require "runtime.sql.transaction"

local rehearse_transaction = {}

local LISTED = 1000

local function run(pool, entry, request, state, rehearsal)
  local lines = state.lines
  local dry = transaction.run_dry(pool, entry, request, state, lines)
  return function(verb, text, values, opts)
    if state.planned then
      return dry(verb, text, values, opts)
    end
    local statement = request.statement(verb, entry, text, values, opts)
    local ok, made, result = pcall(function()
      if verb ~= "exec" then
        read.prove(pool, entry, statement)
        return true, transaction.pick(verb, read.query(pool, entry, statement))
      end
      return rehearse.statement(pool, entry, request, statement, rehearsal)
    end)
    if not ok then
      state.failure = errors.is(made, "effect") and made or nil -- the server goes on with nothing
      error(made, 0)
    elseif not made then
      lines[#lines + 1] = "not rehearsed from here on: " .. result
      state.planned = true
      return dry(verb, text, values, opts)
    elseif verb == "exec" then
      state.count = state.count + result.count
      if #state.list < LISTED then
        state.list[#state.list + 1] = { text = texts.short(text, 200), count = result.count }
      end
      lines[#lines + 1] = ("%s (%d row%s)"):format(texts.short(text, 200), result.count, result.count == 1 and "" or "s")
    end
    return result
  end
end

--- Plays fn(tx).
---@return boolean made
---@return table? value {value, count, statements} as a transaction returns it; nil when it was not made
---@return table lines what is shown of it
function rehearse_transaction.perform(pool, entry, request)
  local state = { count = 0, list = {}, lines = {} }
  local made, value = rehearse.together(pool, entry, request, function(rehearsal)
    local ok, result = transaction.call_author(pool, request, state, run(pool, entry, request, state, rehearsal))
    if ok and state.failure then
      ok, result = false, state.failure
    end
    if not ok and state.planned and (errors.is(result, "planned") or errors.is(result, "effect") or errors.is(result, "fail")) then
      state.lines[#state.lines + 1] = "… " .. result.message
      return false
    elseif not ok then
      error(result, 0)
    end
    return not state.planned, { value = result, count = state.count, statements = state.list }
  end)
  if made == false and type(value) == "string" then
    state.lines[#state.lines + 1] = "not rehearsed: " .. value
  end
  return made, made and value or nil, state.lines
end

return rehearse_transaction
