--- Gates and manual work: confirm and manual. Gates fail closed: without a terminal only --answer or,
--- for ordinary gates outside protected environments, --yes opens one.
local context = require "runtime.context"
local effects = require "runtime.effects"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local plan = require "runtime.plan"
local question = require "runtime.question"
local report = require "runtime.report"
local seconds_of = require "runtime.seconds"
local table_text = require "runtime.table_text"
local turn = require "runtime.turn"

local yes_words = { yes = true, y = true, ["true"] = true }

--- The id of this gate: opts.id, else the step's, with .2, .3 … for the later ones of a step.
local function gate_id(run, given)
  local current = context.current()
  local base = given or current.step.id
  local attempt = ("%s#%d"):format(base, current.attempt)
  run.gate_counts[attempt] = (run.gate_counts[attempt] or 0) + 1
  local count = run.gate_counts[attempt]
  local id = count == 1 and base or ("%s.%d"):format(base, count)
  run.gates[#run.gates + 1] = id
  return id
end

---@param services {host: table, run: table, options: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}

  --- One question at a time: branches wait for each other.
  local function ask_alone(fn)
    turn.take(host.task.sleep, function()
      context.need "a question"
    end)
    local current = context.current()
    current.asking = true
    local results = table.pack(pcall(fn))
    current.asking = nil
    turn.give()
    if not results[1] then
      error(results[2], 0)
    end
    return table.unpack(results, 2, results.n)
  end

  local function can_ask()
    return host.term.is_terminal() and not run.options.no_input and not run.options.json
  end

  local function by_operator()
    return ("by %s at %s"):format(run.operator, host.clock.utc(host.clock.wall()))
  end

  local function refuse(id, text, hint)
    error(errors.refused { message = ("gate '%s' %s"):format(id, text), hint = hint, declined = true, gate = id }, 0)
  end

  local later

  --- What --answer or `opsrun answer` said for this gate, and by whom; or nil.
  local function given_answer(request)
    local value = run.answers[request.id]
    if value ~= nil then
      run.answers_met[request.id] = true
      return value, "by --answer"
    end
    return later.answer(request)
  end

  --- Asks on the terminal; the answer, or nil and why there is none.
  local function ask_terminal(request)
    local current = context.current()
    local yes = ("the step goes on from here%s"):format(request.effect and (" with: " .. request.effect.summary) or "")
    request.flag, request.explain = request.type, {
      { request.type or "yes", yes },
      { request.type and "else" or "no", question.no_means(run, current.step.node and current.step.node.opts.optional) },
    }
    journal.write(run, { type = "asking", step = current.step.id, text = ("asks at gate '%s': %s"):format(request.id, request.text) })
    return ask_alone(function()
      if request.agreed and request.agreed() then -- meanwhile, for another branch
        return request.type or true
      elseif request.type then
        local words = ("   type %s to go on, anything else stops: "):format(request.type)
        return question.ask(host, run, request, { kind = "line", prompt = words })
      end
      return question.ask(host, run, request, { kind = "yesno", prompt = "   yes or no [no]: " })
    end)
  end

  local function opens(request, answer)
    if request.type then
      return answer == request.type
    end
    return answer == true or yes_words[tostring(answer):lower()] or false
  end

  local function record(request, answer, by)
    report.emit {
      event = "gate",
      step = context.current().step.shown,
      id = request.id,
      text = request.text,
      answer = answer,
      by = by,
    }
    return { answer = answer, by = by, at = host.clock.utc(host.clock.wall()) }
  end

  local function confirm(request)
    local given, by = given_answer(request)
    if run.dry then
      report.emit {
        event = "gate",
        step = context.current().step.shown,
        id = request.id,
        text = request.text,
        would_ask = true,
        taken = "yes",
      }
      return { answer = "yes", planned = true }
    end
    if given ~= nil then
      if opens(request, given) then
        return record(request, given, by)
      end
      refuse(request.id, ("was answered '%s' %s"):format(given, by))
    end
    if run.options.yes and not request.type and not run.environment.protected then
      return record(request, "yes", "by --yes")
    end
    local value = request.type or "yes"
    if not can_ask() then
      later.suspend(request)
      local all = not request.type and not run.environment.protected and "; --yes opens all ordinary gates" or ""
      refuse(
        request.id,
        "is closed: no terminal to ask on",
        ("--answer %s=%s opens this gate%s"):format(request.id, value, all)
      )
    end
    local answer, err = ask_terminal(request)
    if answer == nil then
      if err and err.code == "eof" then
        host.task.sleep(0.1) -- a dropped terminal is an end of input first and a SIGHUP next: that is the cause
      end
      context.need "a question"
      refuse(request.id, ("got no answer (%s): that is a no"):format(err and err.code or "end of input"))
    end
    if not opens(request, answer) then
      refuse(request.id, "was answered no")
    end
    return record(request, request.type or "yes", by_operator())
  end

  --- A question that the environment asks, not the playbook: who opened it is a record of its own.
  local function confirm_for_environment(request, effect)
    if context.current().beside then
      refuse(request.id, "is not opened by a clock: it asks nobody", "a change of the steps before it opens it")
    end
    request.effect, request.digest = effect, effect.digest
    local answer = confirm(request)
    if not run.dry then
      journal.write(run, { type = "gate", gate = request.id, answer = answer.answer, by = answer.by, at = answer.at })
    end
  end

  --- The name of a protected environment is typed once, before its first change.
  function adapter.confirm_environment(_, effect)
    confirm_for_environment({
      id = "environment",
      text = ("This changes the protected environment '%s': %s"):format(run.environment.name, effect.summary),
      type = run.environment.name,
      agreed = function()
        return run.environment_confirmed
      end,
    }, effect)
  end

  --- What the environment's rules want to be asked about: once a step and rule, not once a change.
  ---@param step table the record of the running step
  ---@param entry opsrun.RuleEntry
  function adapter.confirm_rule(_, step, effect, entry)
    step.rules_asked = step.rules_asked or {}
    local asked = step.rules_asked[entry]
    if not asked then
      asked = { id = gate_id(run, step.id .. ".rule"), agreed = false }
      step.rules_asked[entry] = asked
    end
    if asked.agreed then
      return
    end
    confirm_for_environment({
      id = asked.id,
      text = ("Environment '%s' asks before '%s': %s?"):format(run.environment.name, entry.text, effect.summary),
      agreed = function()
        return asked.agreed
      end,
    }, effect)
    asked.agreed = true
  end

  later = require "runtime.people_later" {
    host = host,
    run = run,
    can_ask = can_ask,
    ask_alone = ask_alone,
    by_operator = by_operator,
    confirm = confirm,
  }
  adapter.ask_outcome, adapter.outcome_gate, adapter.confirm_stale = later.ask_outcome, later.outcome_gate, later.confirm_stale

  local function leave_open(request)
    run.open[#run.open + 1] = request.text
    report.emit { event = "note", step = context.current().step.shown, text = "left open: " .. request.text }
    return { note = "left open" }
  end

  local asked = require "runtime.people_ask" {
    host = host,
    run = run,
    given_answer = given_answer,
    can_ask = can_ask,
    suspend = later.suspend,
    refuse = refuse,
    record = record,
    ask_alone = ask_alone,
    by_operator = by_operator,
  }

  --- A person's note behind "done".
  local function ask_note()
    return host.term.ask { kind = "line", prompt = "   note (Enter for none): " } or ""
  end

  local function manual(request)
    local given, by = given_answer(request)
    if given ~= nil then
      local word, note = given:match "^(%w+):?(.*)$"
      if word == "done" then
        record(request, "done", by)
        return { by = run.operator, at = host.clock.utc(host.clock.wall()), note = note }
      end
      refuse(request.id, ("was answered '%s' %s"):format(given, by), ("--answer %s=done:NOTE says it was done"):format(request.id))
    end
    if run.dry then
      report.emit {
        event = "gate",
        step = context.current().step.shown,
        id = request.id,
        text = request.text,
        would_ask = true,
        taken = "left to a person",
      }
      return plan.result({ summary = "manual: " .. request.text }, { note = "dry run" })
    end
    if not can_ask() then
      if request.required then
        request.flag = "done:NOTE"
        later.suspend(request)
        refuse(
          request.id,
          "needs a person: no terminal to ask on",
          ("--answer %s=done:NOTE says it was done"):format(request.id)
        )
      end
      return leave_open(request)
    end
    return ask_alone(function()
      local undone = 0
      request.flag, request.explain = "done:NOTE", {
        { "yes", "it was done: who and when is recorded, and a note if you give one" },
        { "no", request.required and question.no_means(run) or "it is listed as open at the end, the run goes on" },
      }
      question.open(host, run, request)
      for _, item in ipairs(request.items or { "done?" }) do
        local words = table_text.hang("   ", item .. "  yes or no [no]: ", host.term.width())
        if question.again(host, run, request, { kind = "yesno", prompt = words }) ~= true then
          undone = undone + 1
        end
        context.need "manual" -- a signal ends the asking, not only one item of it
        if undone > 0 and request.required then
          refuse(request.id, "was not done")
        end
      end
      if undone > 0 then
        return leave_open(request)
      end
      local note = ask_note()
      record(request, "done", by_operator())
      return { by = run.operator, at = host.clock.utc(host.clock.wall()), note = note }
    end)
  end

  --- A misspelt `type` would make an ordinary gate of a typed one.
  local function check_fields(verb, given)
    local known = { id = true, undecided = verb == "ask" or nil }
    for _, name in ipairs(effects.row(verb).options) do
      known[name] = true
    end
    for name in pairs(given) do
      if type(name) == "string" and not known[name] then
        local names = table.concat(effects.row(verb).options, ", ")
        error(errors.wrap(("%s: unknown field '%s' (it takes: id, %s)"):format(verb, name, names)), 0)
      end
    end
  end

  local function text_of(verb, args)
    local first = args[1]
    if type(first) == "string" then
      return table_text.format(first, table.unpack(args, 2, args.n or #args)), {}
    end
    if type(first[1]) ~= "string" then
      error(errors.wrap "confirm, ask and manual: the text comes first: confirm { \"…?\", id = \"…\" }", 0)
    end
    check_fields(verb, first)
    return table_text.format(first[1], table.unpack(first, 2)), first
  end

  function adapter.describe(verb, args)
    local beside = context.current().beside
    if beside then
      error(errors.wrap(("%s: inside %s nobody is asked"):format(verb, beside)), 0)
    end
    local text, opts = text_of(verb, args)
    local request = {
      text = text,
      id = gate_id(run, opts.id),
      type = opts.type,
      impact = opts.impact,
      details = opts.details,
      within = opts.within and seconds_of(opts.within) or nil,
      required = opts.required,
      items = opts.items,
      options = verb == "ask" and asked.options(opts.options) or nil,
      default = opts.default,
      many = opts.many,
      undecided = opts.undecided,
    }
    return {
      target = request.id,
      summary = (verb == "manual" and "manual: " or "ask: ") .. text,
      body = { text = text, type = opts.type, impact = opts.impact, items = opts.items, options = request.options },
      request = request,
      opts = {},
    }
  end

  local verbs = { confirm = confirm, manual = manual, ask = asked.ask }

  function adapter.perform(verb, request, _, effect)
    request.where, request.digest = effect and effect.where, effect and effect.digest
    return verbs[verb](request)
  end

  --- A planned manual is no data.
  function adapter.keep(_, result)
    if plan.is_planned(result) then
      return nil, "planned"
    end
    return result
  end

  return adapter
end
