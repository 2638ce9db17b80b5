--- Conducts a run from its first step to its last record: steps, ways back, who is told, how it ended.
local clock = require "runtime.author.clock"
local context = require "runtime.context"
local doubt = require "runtime.doubt"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local outcome = require "runtime.outcome"
local params = require "runtime.params"
local report = require "runtime.report"
local report_json = require "runtime.report_json"
local report_text = require "runtime.report_text"
local resumed = require "runtime.resumed"
local retention = require "runtime.retention"
local stack = require "runtime.stack"
local table_text = require "runtime.table_text"
local tasks = require "runtime.tasks"
local tell = require "runtime.tell"
local watch = require "runtime.watch"
local conduct = {}

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

--- Opens the report in the form that the flags ask for.
function conduct.open_report(services)
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

--- The first lines of the report.
---@param before integer[]? of a run that is gone on with: steps that are over, of how many
function conduct.announce(services, run, book, before)
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
    rehearse = run.rehearse,
    run = run.id,
    playbook = book.name,
    params = params.shown(run.params),
    resumes = before and { done = before[1], total = before[2], changes = run.changes } or nil,
  }
end

--- Writes the end of the run; a journal that cannot be written changes the code.
local function end_run(run, failure, code, seconds)
  if run.keep_series then
    run.keep_series()
  end
  local event = outcome.event(run, failure, code, seconds)
  local ok, err = pcall(journal.write_end, run, {
    type = "run.end",
    state = event.state,
    code = code,
    seconds = seconds,
    changes = run.changes,
    standing = stack.standing(run),
    worst = event.worst,
    fidelity = event.fidelity,
    error = event.failure and { kind = event.failure.kind, message = event.failure.message } or nil,
  })
  if not ok and not run.journal_broken then
    error(err, 0)
  elseif not ok and not errors.is(failure, "journal") then
    failure = errors.wrap(err)
    code = outcome.code(run, failure)
    event = outcome.event(run, failure, code, seconds)
  end
  event.anchor = ok and not run.dry and journal.anchor(run) or nil
  report.emit(event)
  return code
end

--- Plays the steps of an open run and closes it.
---@param services {host: table, options: table}
---@param run table
---@param declared table the steps
---@param seconds_left number? --deadline
---@return integer exit code
function conduct.play(services, run, declared, seconds_left)
  local host = services.host
  local began = host.clock.monotonic()
  local signals, deadline = watch.signals(services, run), watch.deadline(services, run, seconds_left)
  local failure = play_steps(run, declared)
  if errors.is(failure, "script") then
    host.task.sleep(0.001) -- lets a signal or the deadline be heard that the step's computing held up
    failure = run.stop or failure
  end
  if run.stop and not failure then
    failure = run.stop
  end
  run.failure = failure
  clock.stop_all(run)
  if deadline then
    host.task.cancel(deadline)
  end
  -- it goes on as soon as somebody says so: nothing is taken back, nobody is told of an end
  local waits = errors.is(failure, "suspended") or failure ~= nil and failure.code == "in doubt"
  if not waits then
    unwind(services, run, failure)
  end
  local code, seconds = outcome.code(run, failure), host.clock.monotonic() - began
  if not waits then
    tell.all(run, outcome.event(run, failure, code, seconds))
  end
  code = end_run(run, failure, code, seconds)
  retention.prune(host, run)
  host.task.cancel(signals)
  return code
end

--- What can be found out, without asking, of the changes in doubt that the run's steps came to: before ways back are
--- taken, while it still shows.
local function find_out(run)
  for _, known in ipairs(run.recording:doubts()) do
    local met = known.met
    local ctx = met and context.branch(met.current, "f" .. known.begin.n)
    local ok, answer
    if met then
      ctx.silent, ctx.buffer, ctx.replay, ctx.cancelled = false, false, false, false
      ok, answer = tasks.join(ctx, tasks.spawn(ctx, doubt.find_out, run, met, known.begin))
    end
    if ok and answer then -- what could not be looked at stays in doubt, which is said at the end
      local happened = answer.happened
      known.finish = { outcome = happened and "done" or "not sent" }
      journal.finish(run, ctx, met.effect, {
        outcome = known.finish.outcome,
        value = answer.value,
        not_kept = happened and answer.value == nil and "its outcome was found out later" or nil,
        resolved = answer.by,
      })
      report.emit { event = "resolved", step = ctx.step.shown, effect = met.effect, happened = happened, by = answer.by, undo = true }
    end
  end
end

--- Works off the ways back of a run that is gone on with only for them, and closes it.
---@param services {host: table, options: table}
---@param seconds_left number? --deadline
---@return integer exit code
function conduct.take_back(services, run, seconds_left)
  local host = services.host
  local began = host.clock.monotonic()
  local signals, deadline = watch.signals(services, run), watch.deadline(services, run, seconds_left)
  run.unwinding, run.ways_only, run.taking_back = true, false, true
  find_out(run)
  resumed.count_changes(run)
  local ok = stack.unwind(run, true, ("Taking back what run %s did on %s"):format(run.id, run.environment.name))
  run.undone = ok and "clean" or "failed"
  if deadline then
    host.task.cancel(deadline)
  end
  for _, effect in ipairs(run.recording:doubts()) do
    run.open[#run.open + 1] = "nobody knows whether this happened: " .. effect.begin.summary
  end
  local code = end_run(run, nil, outcome.code_of_undo(run, ok), host.clock.monotonic() - began)
  host.task.cancel(signals)
  return code
end

return conduct
