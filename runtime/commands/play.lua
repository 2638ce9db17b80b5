--- opsrun play: loads a playbook, opens a run, plays its steps, closes the run, says how it ended.
local author_globals = require "runtime.author.globals"
local call = require "runtime.call"
local conduct = require "runtime.conduct"
local engine = require "runtime.engine"
local environments = require "runtime.environment"
local frozen = require "runtime.frozen"
local history = require "runtime.history"
local journal = require "runtime.journal"
local loader = require "runtime.loader"
local params = require "runtime.params"
local rehearsal = require "runtime.rehearsal"
local run_lock = require "runtime.run_lock"
local run_of = require "runtime.run"
local step_by_step = require "runtime.step_by_step"
local step_options = require "runtime.step_options"
local watch = require "runtime.watch"

--- Earlier runs of this playbook that left something: said before it is played again.
local function tell_left(host, run)
  run.named_before = journal.named_like(run.playbook) -- retention looks at the same list
  for _, summary in ipairs(history.left_by(run.playbook, run.named_before)) do
    local left = summary.left and ("left %d thing%s to take back"):format(summary.left, summary.left == 1 and "" or "s")
      or "holds a change nobody knows the outcome of"
    host.term.message(
      "note",
      ("run '%s' of this playbook did not end well and %s"):format(summary.run, left),
      ("opsrun resume %s or opsrun undo %s"):format(summary.run, summary.run)
    )
  end
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
  local seconds_left = watch.seconds(options.flags)
  local run = run_of.new(services, book, environment, values)
  rehearsal.permit(run)
  run.called = call.load(services, book, author_globals)
  engine.select(run, declared) -- a mistyped id is no run
  step_by_step.open(host, options.flags)
  run.lock = run_lock.take(services, run)
  tell_left(host, run)
  conduct.open_report(services)
  run.id, run.store = journal.create(book.name)
  run_of.open(services, run, declared)
  if not run.dry then
    run.frozen = journal.keep(run, frozen.copy(host, book, run.called, environment))
  end
  journal.write(run, run_of.start_record(services, run, book))
  conduct.announce(services, run, book)
  journal.opened(run)
  local code = conduct.play(services, run, declared, seconds_left)
  run_of.close(run)
  return code
end
