--- Stage 4 of the gate, and the truth about a dry run: what a change returns when it was not made,
--- and from when on the world no longer tells what it would be.
local errors = require "runtime.errors"
local table_text = require "runtime.table_text"
local plan = {}

local marks = setmetatable({}, { __mode = "k" })

local function look_into(value, field)
  local mark = marks[value]
  error(errors.planned {
    message = ("the rest depends on a change that was not made: '%s' of %s"):format(
      tostring(field),
      table_text.cut(mark.summary, 60)
    ),
    where = mark.where,
    effect = mark.summary,
  }, 0)
end

--- Arithmetic, comparison and joining, whichever side the planned value stands on.
local function operate(operator)
  return function(left, right)
    return look_into(marks[left] and left or right, operator)
  end
end

local mt = {
  __add = operate "+",
  __sub = operate "-",
  __mul = operate "*",
  __div = operate "/",
  __mod = operate "%",
  __pow = operate "^",
  __idiv = operate "//",
  __unm = operate "-",
  __concat = operate "..",
  __lt = operate "<",
  __le = operate "<=",
  __index = look_into,
  __len = function(value)
    return look_into(value, "#")
  end,
  __call = function(value)
    return look_into(value, "()")
  end,
  __pairs = function(value)
    return look_into(value, "pairs")
  end,
  __tostring = function(value)
    return "‹planned: " .. marks[value].summary .. "›"
  end,
  __metatable = "planned",
}

--- The result of a change that was not made: a table; looking into a field that `promised` does not
--- hold ends the step's preview.
---@param effect table described effect
---@param promised table? the caller's `on_dry`
function plan.result(effect, promised)
  local result = {}
  for name, value in pairs(promised or {}) do
    result[name] = value
  end
  marks[result] = { summary = effect.summary, where = effect.where }
  return setmetatable(result, mt)
end

--- Is this value the result of a change that was not made?
function plan.is_planned(value)
  return marks[value] ~= nil
end

--- Notes that a change or tell was planned rather than made: from here on checks and failures are
--- undetermined.
function plan.note(run, current, effect)
  run.planned_first = run.planned_first or effect
  run.planned_count = (run.planned_count or 0) + 1
  run.planned_list[#run.planned_list + 1] = effect.summary
  current.step.planned = (current.step.planned or 0) + 1
end

--- Does the world still tell the truth in this run?
function plan.undetermined(run)
  return run.dry and run.planned_first ~= nil
end

return plan
