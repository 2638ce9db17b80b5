--- opsrun replay RUN: plays the frozen playbook against the journal. Nothing is sent, every result is the recorded
--- one, and the same journal gives the same bytes each time.
local codes = require "runtime.codes"
local conduct = require "runtime.conduct"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local history = require "runtime.history"
local resuming = require "runtime.resuming"
local run_of = require "runtime.run"

--- The last lines: how the run ended by its journal, and whether the playbook agreed.
local function tell_end(host, rec, failure, ended)
  host.term.out "\n"
  if failure then
    host.term.message("error", failure.message, failure.hint)
  elseif ended then
    host.term.out "the journal ends here\n"
  else
    host.term.out "every recorded call matches\n"
  end
  local finish = rec.finish
  host.term.out(finish and ("by the journal: %s, exit %d, %d changes\n"):format(rec:state(), finish.code, finish.changes)
    or ("by the journal: %s\n"):format(rec:state()))
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  local id = history.find(services.options.words[1])
  local opened = resuming.open(services, id, "replay")
  local run = resuming.run(opened)
  run.offline, run.played = true, {}
  run_of.open(opened.services, run, opened.declared)
  conduct.open_report(services)
  host.term.out(("REPLAY of %s: %s on %s, begun %s by %s; from the journal alone, nothing is sent\n"):format(
    id, opened.book.name, opened.environment.name, opened.recording.start.t, opened.recording.start.operator
  ), "bold")
  local ok, failure = pcall(engine.run, run, opened.declared)
  run_of.close(run)
  failure = not ok and errors.wrap(failure) or failure
  local disagrees = failure and failure.code == "mismatch" and failure or nil
  tell_end(host, opened.recording, disagrees, run.journal_ended)
  return disagrees and codes.refused or codes.done
end
