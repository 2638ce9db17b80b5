--- opsrun undo RUN: works off the ways back that a run registered and nobody has taken, last first.
local conduct = require "runtime.conduct"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local history = require "runtime.history"
local journal = require "runtime.journal"
local resuming = require "runtime.resuming"
local run_of = require "runtime.run"
local stack = require "runtime.stack"
local table_text = require "runtime.table_text"
local tasks = require "runtime.tasks"
local watch = require "runtime.watch"

--- Goes through the finished steps, and as far as the journal goes through the one that was cut short, so that
--- their ways back are there again. Nothing is sent, shown or written.
local function rebuild(run, declared)
  run.ways_only, run.taking_back = true, true
  local ok, err = pcall(engine.run, run, declared)
  if not ok then
    error(err, 0)
  end
end

--- One question for the list, never one a way back.
local function agreed(services, run, list)
  local host, flags = services.host, services.options.flags
  local given = run.answers.undo
  if given ~= nil then
    run.answers_met.undo = true
    return given == "yes" or given == "y"
  elseif flags.yes and not run.environment.protected then
    return true
  elseif not host.term.is_terminal() or flags.no_input or flags.json then
    error(errors.refused {
      message = "gate 'undo' is closed: no terminal to ask on",
      hint = "--answer undo=yes opens this gate" .. (run.environment.protected and "" or "; --yes, too"),
    }, 0)
  end
  host.term.err(("\n ? Take back what run %s did on %s?\n"):format(run.id, run.environment.name), "bold")
  for i, entry in ipairs(list) do
    host.term.err(table_text.hang(("   %d. "):format(i), entry.text, host.term.width()) .. "\n")
  end
  local ok, answer = tasks.join(run.context, tasks.spawn(run.context, host.term.ask, {
    kind = "yesno",
    prompt = "   yes or no [no]: ",
  }))
  return ok and answer == true
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  local id = history.find(services.options.words[1])
  local seconds_left = watch.seconds(services.options.flags)
  local opened = resuming.open(services, id, "undo")
  local run = resuming.run(opened)
  run_of.open(opened.services, run, opened.declared)
  conduct.open_report(services)
  rebuild(run, opened.declared)
  local list = stack.pending(run, true)
  if #list == 0 then
    host.term.message("note", ("run '%s' has nothing to take back: it registered no way back, or they were all taken"):format(id))
    run_of.close(run)
    return 0
  elseif not agreed(services, run, list) then
    run_of.close(run)
    error(errors.refused { message = "gate 'undo' was answered no", hint = "nothing was taken back" }, 0)
  end
  journal.write(run, {
    type = "run.resume",
    undo = true,
    operator = host.system.user(),
    hostname = host.system.hostname(),
    pid = host.system.pid(),
  }, true)
  journal.opened(run)
  run.environment_confirmed = run.answers.undo ~= nil or host.term.is_terminal() -- this very question named it
  local code = conduct.take_back(opened.services, run, seconds_left)
  run_of.close(run)
  return code
end
