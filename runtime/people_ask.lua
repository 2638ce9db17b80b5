--- ask: a person picks one of the options, several of them, or types a text. The part of the people adapter
--- that is about answers with a content.
local context = require "runtime.context"
local errors = require "runtime.errors"
local plan = require "runtime.plan"
local question = require "runtime.question"
local report = require "runtime.report"
local table_text = require "runtime.table_text"
local text = require "runtime.text"

local people_ask = {}

--- Options as {id, label}: "red", {"red", "the red one"} or {id = …, label = …}; nil for a free text.
function people_ask.options(list)
  if list == nil then
    return nil
  end
  local options = {}
  for i, option in ipairs(type(list) == "table" and list or {}) do
    local id = type(option) == "table" and (option.id or option[1]) or option
    local label = type(option) == "table" and (option.label or option[2]) or nil
    if type(id) ~= "string" or id == "" or id:find "[,=]" then
      error(errors.wrap(("ask: option %d: expected a text without comma or equals sign"):format(i)), 0)
    end
    options[i] = { id = id, label = label or id }
  end
  if #options == 0 then
    error(errors.wrap "ask: options: expected a list such as { \"left\", \"right\" }", 0)
  end
  return options
end

local function ids_of(options)
  local ids = {}
  for i, option in ipairs(options) do
    ids[i] = option.id
  end
  return ids
end

--- What was answered, checked: an id, a list of ids, or the text. nil when it is no answer to this question.
local function accept(request, answer)
  if not request.options then
    return answer ~= "" and answer or nil
  end
  local ids, chosen = ids_of(request.options), {}
  for part in (request.many and answer or answer:gsub(",", "\0")):gmatch "[^,%s]+" do
    local number = tonumber(part)
    local id = text.has(ids, part) and part or (number and ids[number])
    if not id then
      return nil
    end
    chosen[#chosen + 1] = id
  end
  if request.many then
    return #chosen > 0 and chosen or nil
  end
  return #chosen == 1 and chosen[1] or nil
end

local function shown(answer)
  return type(answer) == "table" and table.concat(answer, ",") or tostring(answer)
end

---@param with table the people adapter's own: host, run, given_answer, can_ask, refuse, record, ask_alone, by_operator
return function(with)
  local host, run = with.host, with.run
  local asked = { options = people_ask.options }

  local function hint_of(request)
    local value = request.options and table.concat(ids_of(request.options), "|") or "TEXT"
    return ("--answer %s=%s answers it"):format(request.id, value)
  end

  local function ask_terminal(request)
    return with.ask_alone(function()
      request.list = function()
        for i, option in ipairs(request.options or {}) do
          local line = option.label == option.id and option.id or ("%s: %s"):format(option.id, option.label)
          host.term.err(table_text.hang(("   %d. "):format(i), line, host.term.width()) .. "\n")
        end
      end
      request.flag = request.options and table.concat(ids_of(request.options), "|") or "TEXT"
      request.explain = {
        { "answer", request.default and ("Enter alone takes %s"):format(shown(request.default)) or "the step goes on with it" },
        { "anything else", question.no_means(run) },
      }
      local words = request.many and "   which, such as 1,3" or (request.options and "   which" or "   answer")
      if request.default then
        words = ("%s [%s]"):format(words, shown(request.default))
      end
      local answer, err = question.ask(host, run, request, { kind = "line", prompt = words .. ": " })
      if answer == "" and request.default ~= nil then
        return request.default
      end
      return answer and accept(request, answer), err
    end)
  end

  local function rehearse(request)
    local taken = request.default
    report.emit {
      event = "gate",
      step = context.current().step.shown,
      id = request.id,
      text = request.text,
      would_ask = true,
      taken = taken and shown(taken) or (request.undecided and "every one in turn" or "left to a person"),
    }
    if request.undecided then
      return { undecided = true }
    end
    return taken or plan.result { summary = "ask: " .. request.text }
  end

  function asked.ask(request)
    local given, by = with.given_answer(request)
    if given ~= nil then
      local answer = accept(request, given)
      if not answer then
        with.refuse(request.id, ("was answered '%s' %s, which is no answer to it"):format(given, by), hint_of(request))
      end
      with.record(request, shown(answer), by)
      return answer
    elseif run.dry then
      return rehearse(request)
    elseif run.options.yes and request.default ~= nil and not run.environment.protected then
      with.record(request, shown(request.default), "by --yes")
      return request.default
    elseif not with.can_ask() then
      request.flag, request.option_ids = "TEXT", request.options and ids_of(request.options)
      with.suspend(request)
      with.refuse(request.id, "needs an answer: no terminal to ask on", hint_of(request))
    end
    local answer, err = ask_terminal(request)
    if answer == nil then
      context.need "a question"
      with.refuse(request.id, err and ("got no answer (%s): that is a no"):format(err.code) or "was answered with nothing it offers")
    end
    with.record(request, shown(answer), with.by_operator())
    return answer
  end

  return asked
end
