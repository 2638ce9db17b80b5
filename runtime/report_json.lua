--- The report for machines: one event a line on stdout, and nothing else there.
local plain = require "runtime.plain"
local report_text = require "runtime.report_text"
local report_json = {}

--- Version of the events' shape; docs/reference/journal-log.md.
report_json.version = 1

--- Fields that are lists also when they are empty.
local lists = { "also", "changed", "told", "checks", "open", "left", "next", "items" }

--- What of an effect goes out: never the request itself, which may hold a secret.
local function effect_fields(effect)
  return {
    kind = effect.kind,
    class = effect.class,
    target = effect.target,
    summary = effect.summary,
    where = effect.where,
    step = effect.key and effect.key.step,
    digest = effect.digest,
  }
end

local function failure_fields(failure)
  return {
    kind = failure.kind,
    message = failure.message,
    hint = failure.hint,
    code = failure.code,
    outcome = failure.outcome,
    where = failure.where,
  }
end

--- Opens the JSON renderer.
---@param given {host: table}
---@return fun(event: table)
function report_json.open(given)
  local host = given.host
  return function(event)
    local line = { v = report_json.version, t = host.clock.utc(host.clock.wall()) }
    for name, value in pairs(event) do
      line[name] = value
    end
    if line.effect then
      line.effect = effect_fields(line.effect)
    end
    if line.failure then
      line.failure = failure_fields(line.failure)
    end
    if event.event == "message" then
      host.term.err("opsrun: " .. event.text .. "\n")
      return
    end
    if event.event == "effect" then
      line.result = nil -- what effects return is the playbook's
    end
    line.step = type(line.step) == "table" and { number = line.step.number, name = line.step.name } or line.step
    line = plain.copy(line)
    for _, check in ipairs(line.event == "run.end" and line.checks or {}) do
      check.style = nil
    end
    for _, name in ipairs(lists) do
      line[name] = line[name] and host.json.array(line[name])
    end
    local text, why = host.json.encode(line)
    if not text then
      text = host.json.encode {
        v = report_json.version,
        event = event.event,
        unencodable = tostring(why),
      }
    end
    host.term.out(host.mask.json(text) .. "\n") -- as JSON, so that no form hides behind an escape
    if event.event == "run.end" and event.failure then
      host.term.message("error", report_text.failure_text(event), event.failure.hint)
    end
  end
end

return report_json
