--- opsrun answer RUN GATE=VALUE: answers a gate that a suspended run waits for, from another terminal or by another
--- person. The answer is bound to what the run showed; resume goes on with it.
local errors = require "runtime.errors"
local history = require "runtime.history"
local journal = require "runtime.journal"
local ordered = require "runtime.ordered"
local recording = require "runtime.recording"
local text = require "runtime.text"

--- Is the value one that this gate understands? Raises a usage error that says what it takes.
local function check_value(wait, value)
  local function refuse(hint)
    error(errors.usage { message = ("'%s' is no answer to gate '%s': %s"):format(value, wait.gate, wait.text), hint = hint }, 0)
  end
  if wait.expects and value ~= wait.expects and value ~= "no" then
    refuse(("type %s=%s to open it, %s=no to refuse"):format(wait.gate, wait.expects, wait.gate))
  elseif wait.options then
    for part in value:gmatch "[^,]+" do
      if not text.has(wait.options, part) then
        refuse("one of: " .. table.concat(wait.options, ", "))
      end
    end
  end
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, words = services.host, services.options.words
  local gate, value = words[2]:match "^([^=]+)=(.*)$"
  if not gate then
    error(errors.usage { message = ("answer: '%s': expected GATE=VALUE"):format(words[2]), hint = "for example terminate=yes" }, 0)
  end
  local id = history.find(words[1])
  local store, records = journal.open(id)
  local rec = recording.read(records)
  local wait = rec.waiting[gate]
  if not wait or rec:state() ~= "suspended" then
    local known = {}
    for name in ordered.pairs(rec.waiting) do
      known[#known + 1] = name
    end
    error(errors.refused {
      message = ("run '%s' does not wait for gate '%s'"):format(id, gate),
      hint = #known > 0 and ("it waits for: " .. table.concat(known, ", ")) or ("it is %s"):format(rec:state()),
    }, 0)
  end
  check_value(wait, value)
  journal.write({ store = store }, {
    type = "answer",
    gate = gate,
    value = value,
    by = host.system.user(),
    hostname = host.system.hostname(),
    text = wait.text,
    digest = wait.digest,
  }, true)
  store:close()
  host.term.out(("%s: %s\n"):format(gate, wait.text))
  host.term.out(("answered '%s' by %s; opsrun resume %s goes on\n"):format(value, host.system.user(), id))
  return 0
end
