--- Asks the adapters of changes that are in doubt, and prints what they say. The tests put it in the place
--- of the command `params`: params RUN -e ENV. One JSON line a change: {kind, word, why, value}.
local environments = require "runtime.environment"
local errors = require "runtime.errors"
local effects = require "runtime.effects"
local journal = require "runtime.journal"
local run_of = require "runtime.run"

local function key_of(record)
  return table.concat({ record.path, record.step, record.attempt, record.branch, record.ordinal }, "\0")
end

return function(services)
  local host, flags = services.host, services.options.flags
  local environment = environments.load(services, flags.environment)
  local records = journal.read(services.options.words[1])
  local begun = {}
  for _, record in ipairs(records) do
    if record.type == "effect.begin" then
      begun[#begun + 1], begun[key_of(record)] = record, true
    elseif record.type == "effect.end" then
      begun[key_of(record)] = nil
    end
  end
  local run = { id = "later", environment = environment, header = { uses = {} }, params = {}, playbook = "later.lua" }
  local adapters = run_of.open_adapters(services, run)
  for _, record in ipairs(begun) do
    if begun[key_of(record)] then
      local row = effects.row(record.kind)
      local ok, word, why, value = pcall(adapters[row.module].settle, row.verb, record)
      local said = ok and { word = word, why = why, value = value }
        or { raised = errors.wrap(word).kind, why = tostring(word) }
      said.kind = record.kind
      host.term.out(host.json.encode(said) .. "\n")
    end
  end
  return 0
end
