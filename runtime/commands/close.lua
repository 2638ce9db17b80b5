--- opsrun close RUN --because TEXT: nothing more will come of this run, and why.
local errors = require "runtime.errors"
local history = require "runtime.history"
local journal = require "runtime.journal"
local recording = require "runtime.recording"

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, because = services.host, services.options.flags.because
  if not because or because:find "^%s*$" then
    error(errors.usage {
      message = "close: --because is missing: why will nothing more come of this run?",
      hint = "for example --because 'finished by hand, ticket 4711'",
    }, 0)
  end
  local id = history.find(services.options.words[1])
  local store, records = journal.open(id)
  local rec = recording.read(records)
  local state = rec.start and rec:state()
  if state == "done" or state == "undone" or state == "closed" then
    error(errors.refused { message = ("run '%s' is %s already"):format(id, state) }, 0)
  end
  journal.write({ store = store }, {
    type = "run.closed",
    state = "closed",
    because = because,
    operator = host.system.user(),
    hostname = host.system.hostname(),
  }, true)
  store:close()
  host.term.out(("%s closed: %s\n"):format(id, because))
  for _, effect in ipairs(rec:doubts()) do
    host.term.message("note", ("nobody knows whether this happened: %s"):format(effect.begin.summary))
  end
  for _, way in ipairs(rec:pending()) do
    host.term.message("note", ("not taken back: %s"):format(way.text))
  end
  return 0
end
