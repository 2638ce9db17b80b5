--- choose: a person picks one of several ways, and it is gone; a dry run rehearses every one.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local plan = require "runtime.plan"
local report = require "runtime.report"
local text = require "runtime.text"
local choose = {}

--- {id, label, fn} items, checked.
local function ways_of(list, where)
  local ways, by_id = {}, {}
  for i, item in ipairs(type(list) == "table" and list or {}) do
    local fn = type(item) == "table" and item[#item] or nil
    if type(fn) ~= "function" or type(item[1]) ~= "string" or by_id[item[1]] then
      arguments.misuse(where, ("choose: item %d: expected {\"id\", \"label\", function() … end}, each id once"):format(i))
    end
    ways[i] = { id = item[1], label = type(item[2]) == "string" and item[2] or item[1], fn = fn }
    by_id[item[1]] = ways[i]
  end
  if #ways == 0 then
    arguments.misuse(where, "choose: expected choose(\"which?\", {{\"id\", \"label\", function() … end}, …})")
  end
  return ways, by_id
end

--- Every way, one after another; a preview that ends in one does not end the others.
local function rehearse(current, ways)
  for _, way in ipairs(ways) do
    report.emit { event = "note", step = current.step.shown, text = ("if %s (%s):"):format(way.id, way.label) }
    local ok, err = pcall(way.fn)
    if not ok and not errors.is(err, "planned") and not errors.is(err, "skip") then
      error(err, 0)
    end
  end
  return plan.result { summary = "choose" }
end

function choose.build(host)
  local api = {}

  --- A person picks a way, which is then gone.
  ---@param question string
  ---@param list table {{id, label, fn}, …}
  ---@param opts {default: string?, many: boolean?, id: string?}?
  ---@return any what fn returned; with many a list
  function api.choose(question, list, opts)
    local current = context.need "choose"
    local where = host.where()
    opts = arguments.options("choose", opts, { "default", "many", "id", "within" }, where)
    local ways, by_id = ways_of(list, where)
    if opts.default ~= nil and not by_id[opts.default] then
      local near = text.suggest(tostring(opts.default), text.keys(by_id), "there are")
      arguments.misuse(where, ("choose: default: no way '%s' (%s)"):format(tostring(opts.default), near or ""))
    end
    local options = {}
    for i, way in ipairs(ways) do
      options[i] = { way.id, way.label }
    end
    local asked = { question, id = opts.id, options = options, default = opts.default, many = opts.many, within = opts.within }
    asked.undecided = current.run.dry
    local answer = gate.call("ask", { asked, n = 1, opts = {} }, where)
    if type(answer) == "table" and answer.undecided then
      return rehearse(current, ways)
    elseif type(answer) ~= "table" then
      return by_id[answer].fn()
    end
    local results = {}
    for i, id in ipairs(answer) do
      results[i] = by_id[id].fn()
    end
    return results
  end

  return api
end

return choose
