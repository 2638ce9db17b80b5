--- opsrun play: loads a playbook, opens a run, plays its steps, closes the run, says how it ended.
local author_globals = require "runtime.author.globals"
local call = require "runtime.call"
local context = require "runtime.context"
local engine = require "runtime.engine"
local environments = require "runtime.environment"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local journal = require "runtime.journal"
local loader = require "runtime.loader"
local outcome = require "runtime.outcome"
local params = require "runtime.params"
local report = require "runtime.report"
local report_json = require "runtime.report_json"
local report_text = require "runtime.report_text"
local seconds_of = require "runtime.seconds"
local stack = require "runtime.stack"
local step = require "runtime.step"
local step_options = require "runtime.step_options"
local table_text = require "runtime.table_text"
local tasks = require "runtime.tasks"
local tell = require "runtime.tell"
local text = require "runtime.text"

local adapter_names = { "people", "folder", "time", "state", "sql", "http", "redis", "shell", "files", "logs", "notify" }

--- "--answer GATE=VALUE" words as a table.
local function parse_answers(words)
  local answers = {}
  for _, word in ipairs(words or {}) do
    local id, value = word:match "^([^=]+)=(.*)$"
    if not id then
      error(errors.usage {
        message = ("--answer '%s': expected GATE=VALUE"):format(word),
        hint = "for example --answer terminate-idle-sessions=yes",
      }, 0)
    end
    answers[id] = value
  end
  return answers
end

local function as_set(list)
  local set = {}
  for _, item in ipairs(list or {}) do
    set[item] = true
  end
  return set
end

--- The command that plays the same thing live.
local function command_line(playbook, environment, flags)
  local words = { "opsrun", "play", playbook, "-e", environment.name }
  local function add(flag, values)
    for _, value in ipairs(values or {}) do
      words[#words + 1] = flag
      words[#words + 1] = value
    end
  end
  add("--config", { flags.config })
  add("-p", flags.params)
  add("--from", { flags.from })
  add("--until", { flags["until"] })
  add("--skip", flags.skip)
  for i, word in ipairs(words) do
    words[i] = text.shell_word(word)
  end
  return table.concat(words, " ")
end

local function new_run(services, book, environment, values)
  local host, flags = services.host, services.options.flags
  local run = {
    playbook = book.name,
    book = book,
    header = book.header,
    environment = environment,
    params = values,
    dry = flags.dry_run or false,
    options = flags,
    answers = parse_answers(flags.answers),
    answers_met = {},
    skip_ids = as_set(flags.skip),
    operator = host.system.user(),
    changes = 0,
    changed = {},
    planned_list = {},
    checks = {},
    check_order = {},
    spent = {},
    tasks = {},
    stack = {},
    open = {},
    suggestions = {},
    gates = {},
    gate_counts = {},
    records = {},
    step_records = {},
    inner_ids = {},
    clock_offset = 0,
    command_line = command_line(services.options.words[1], environment, flags),
  }
  run.context = {
    run = run,
    path = book.name:gsub("%.lua$", ""),
    branch = "",
    attempt = 1,
    ordinal = 0,
  }
  return run
end

local function open_adapters(services, run)
  local adapters = {}
  local given = {
    host = services.host,
    run = run,
    environment = run.environment,
    options = services.options.flags,
    context = context.current,
  }
  for _, name in ipairs(adapter_names) do
    adapters[name] = require("runtime.primitives." .. name)(given)
  end
  return adapters
end

local function start_record(services, run, book)
  local host = services.host
  return {
    type = "run.start",
    format = journal.format,
    opsrun = host.system.version,
    run = run.id,
    playbook = book.name,
    title = book.header.title,
    digest = book.digest,
    params = params.shown(run.params),
    environment = run.environment.name,
    protected = run.environment.protected or nil,
    operator = run.operator,
    hostname = host.system.hostname(),
    pid = host.system.pid(),
    mode = run.dry and "dry" or "live",
  }
end

local function signal_text(run, name, count)
  if count > 1 then
    return ("%s again: cancelling the call in flight; a third ends opsrun at once"):format(name)
  elseif run.unwinding then
    return ("%s: ending as soon as this list is worked off; a second one cancels the call in flight"):format(name)
  end
  return ("%s: ending as soon as the change in flight is over; a second one cancels it"):format(name)
end

--- Watches for signals: the first ends reads, waits and questions at once and lets a change in
--- flight finish; the second cancels that too.
local function watch_signals(services, run)
  local host = services.host
  return host.task.spawn(function()
    while true do
      local count, name = host.signals.wait()
      if not count then
        return
      end
      run.signal = run.signal or name
      pcall(journal.write, run, { type = "signal", name = name, count = count }, true)
      report.emit {
        event = "message",
        style = "bold",
        text = signal_text(run, name, count),
      }
      local reason = errors.cancelled { message = ("stopped by %s"):format(name) }
      run.stop = reason
      tasks.cancel_all(run, reason, count > 1)
    end
  end)
end

--- --deadline in seconds, or nil.
local function deadline_of(flags)
  local ok, seconds = pcall(function()
    return flags.deadline and seconds_of(flags.deadline, "--deadline")
  end)
  if not ok then
    error(errors.usage { message = errors.wrap(seconds).message }, 0)
  end
  return seconds
end

local function watch_deadline(services, run, seconds)
  local deadline = services.options.flags.deadline
  if not seconds then
    return nil
  end
  services.host.task.deadline(seconds) -- for a step that computes without end: no timer reaches it
  return services.host.task.spawn(function()
    if services.host.task.sleep(seconds) then
      services.host.task.deadline(nil)
      run.deadline_over = true
      run.stop = errors.deadline { message = ("the run's deadline of %s is over"):format(deadline) }
      pcall(journal.write, run, { type = "deadline", after = seconds }, true)
      tasks.cancel_all(run, run.stop, true)
    end
  end)
end

--- Offers the undos after a failure. True when they shall run.
local function undo_wanted(services, run)
  local list = stack.pending(run, true)
  local undos = 0
  for _, entry in ipairs(list) do
    undos = undos + (entry.kind == "undo" and 1 or 0)
  end
  if undos == 0 or run.dry then
    return false
  elseif run.options.undo_on_failure then
    return true
  end
  local host = services.host
  if not host.term.is_terminal() or run.options.no_input or run.options.json then
    return false
  end
  host.signals.reset()
  host.term.err "\n"
  host.term.err(" ? Take back what this run did?\n", "bold")
  for i, entry in ipairs(list) do
    host.term.err(table_text.hang(("   %d. "):format(i), entry.text, host.term.width()) .. "\n")
  end
  -- A task of the run, so that a signal ends the question.
  local ctx = context.branch(run.context, "undo")
  local ok, answer = tasks.join(ctx, tasks.spawn(ctx, host.term.ask, { kind = "yesno", prompt = "   yes or no [no]: " }))
  return ok and answer == true
end

--- Works off always and, after a failure, undo.
local function unwind(services, run, failure)
  local with_undo = failure ~= nil and undo_wanted(services, run)
  local had_undo = with_undo
  local title = failure and (with_undo and "Taking back" or "At the end, whatever happened") or "At the end"
  run.unwinding = true
  local ok = stack.unwind(run, with_undo, title)
  if had_undo then
    run.undone = ok and "clean" or "failed"
  elseif failure and not ok then
    run.undone = "failed"
  end
end

local function play_steps(run, book)
  local ok, failure = pcall(engine.run, run, book)
  if not ok then
    failure = errors.wrap(failure)
  end
  return failure
end

local function close_adapters(adapters)
  for _, adapter in pairs(adapters) do
    if adapter.close then
      pcall(adapter.close)
    end
  end
end

local function open_report(services)
  local flags = services.options.flags
  if flags.json then
    report.open(report_json.open { host = services.host })
  else
    report.open(report_text.open {
      host = services.host,
      verbosity = flags.verbosity or 0,
      quiet = flags.quiet or false,
    })
  end
end

local function announce(services, run, book)
  report.emit {
    event = "run.start",
    title = book.header.title or book.name,
    severity = book.header.severity,
    respond = book.header.respond,
    environment = run.environment.name,
    label = run.environment.label,
    protected = run.environment.protected,
    operator = run.operator,
    hostname = services.host.system.hostname(),
    mode = run.dry and "dry" or "live",
    run = run.id,
    playbook = book.name,
    params = params.shown(run.params),
  }
end

--- Writes the end of the run; a journal that cannot be written changes the code.
local function end_run(run, failure, code, seconds)
  local event = outcome.event(run, failure, code, seconds)
  local ok, err = pcall(journal.write, run, {
    type = "run.end",
    state = event.state,
    code = code,
    seconds = seconds,
    changes = run.changes,
    worst = event.worst,
    fidelity = event.fidelity,
    error = event.failure and { kind = event.failure.kind, message = event.failure.message } or nil,
  }, true)
  if not ok and not run.journal_broken then
    error(err, 0)
  elseif not ok and not errors.is(failure, "journal") then
    failure = errors.wrap(err)
    code = outcome.code(run, failure)
    event = outcome.event(run, failure, code, seconds)
  end
  report.emit(event)
  return code
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, options = services.host, services.options
  local environment = environments.load(services, options.flags.environment)
  local globals, declared = author_globals(host)
  local book = loader.load(services, options.words[1], { globals = globals })
  step_options.verify(declared.nodes, book.header)
  local values = params.resolve(services, book, environment, options.flags.params or {})
  local seconds_left = deadline_of(options.flags)
  local run = new_run(services, book, environment, values)
  run.called = call.load(services, book, author_globals)
  run.known_gate = function(id)
    local base = id:gsub("%.%d+$", "")
    return declared.by_id[base] ~= nil or declared.by_id[id] ~= nil or id == "environment"
  end
  engine.select(run, declared) -- a mistyped id is no run
  open_report(services)
  run.id, run.store = journal.create(book.name)
  step.open(host)
  local adapters = open_adapters(services, run)
  gate.open { host = host, run = run, adapters = adapters }
  local began = host.clock.monotonic()
  journal.write(run, start_record(services, run, book), true)
  announce(services, run, book)
  local signals, deadline = watch_signals(services, run), watch_deadline(services, run, seconds_left)
  local failure = play_steps(run, declared)
  if errors.is(failure, "script") then
    host.task.sleep(0.001) -- lets a signal or the deadline be heard that the step's computing held up
    failure = run.stop or failure
  end
  if run.stop and not failure then
    failure = run.stop
  end
  run.failure = failure
  if deadline then
    host.task.cancel(deadline)
  end
  unwind(services, run, failure)
  local code, seconds = outcome.code(run, failure), host.clock.monotonic() - began
  tell.all(run, outcome.event(run, failure, code, seconds))
  code = end_run(run, failure, code, seconds)
  host.task.cancel(signals)
  close_adapters(adapters)
  return code
end
