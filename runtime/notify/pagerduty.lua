--- A message as an event of PagerDuty's Events API v2: trigger, acknowledge, resolve. Pure.
local pagerduty = {}

pagerduty.url = "https://events.pagerduty.com/v2/enqueue"

--- Statuses after which the same event may be sent again: its dedup_key makes a repeat harmless.
pagerduty.passing = { [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }
pagerduty.tries = 3

--- Our words for how bad it is -> theirs.
pagerduty.severities = {
  info = "info",
  low = "info",
  warning = "warning",
  medium = "warning",
  high = "error",
  critical = "critical",
}

local SUMMARY, KEY = 1024, 255

local function cut(text, most)
  if #text <= most then
    return text
  end
  return text:sub(1, utf8.offset(text, 0, most - 2) - 1) .. "…"
end

--- The key that ties acknowledge and resolve to their trigger, and repeats to each other.
function pagerduty.key(message)
  return cut(message.once and tostring(message.once) or message.id, KEY)
end

--- The event without its routing key.
---@param message table what notify sends: text, title, severity, event, once, id, may_repeat, run, environment, playbook
---@param hostname string
---@return table
function pagerduty.event(message, hostname)
  local event = { event_action = message.event or "trigger", dedup_key = pagerduty.key(message) }
  if event.event_action ~= "trigger" then
    return event
  end
  event.client = "opsrun"
  local first = (message.may_repeat and "(may be a repeat) " or "") .. (message.title and (message.title .. ": ") or "")
  event.payload = {
    summary = cut(first .. message.text, SUMMARY),
    severity = pagerduty.severities[message.severity] or "error",
    source = hostname,
    component = message.playbook,
    group = message.environment,
    custom_details = {
      text = message.text,
      run = message.run,
      log = "opsrun log " .. message.run,
      attachments = message.attachments,
    },
  }
  return event
end

--- What a refusal said: the API answers {"status", "message", "errors"}.
---@param status integer
---@param body string
---@param json table host.json
function pagerduty.refusal(status, body, json)
  local said = json.decode(body)
  if type(said) ~= "table" then
    said = {}
  end
  local errors = type(said.errors) == "table" and table.concat(said.errors, ", ") or nil
  local why = errors or said.message
  if status == 429 then
    return "answered 429: too many events" .. (why and (", " .. tostring(why)) or "")
  end
  return ("answered %d%s"):format(status, why and ": " .. tostring(why) or "")
end

return pagerduty
