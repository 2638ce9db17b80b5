--- The kinds of channels a `notify` entry of the environment may hold, as data, and their check.
---   notify = { team = { { slack = secret.file "/etc/opsrun/slack" }, { terminal = true } } }
local mail = require "runtime.notify.mail"
local channels = {}

--- kind -> what its value is, and which fields may stand beside it.
channels.kinds = {
  slack = { value = "the URL of an incoming webhook", beside = {} },
  webhook = { value = "a URL that takes a JSON document by POST", beside = { bearer = true } },
  email = { value = "a mail address, or a list of them", beside = {} },
  pagerduty = { value = "the routing key of an Events API v2 integration", beside = { url = true } },
  terminal = { value = "true", beside = {} },
  command = { value = "an argv list; the message comes as JSON on its standard input", beside = {} },
}

--- "command, slack, terminal, webhook"
function channels.names()
  local names = {}
  for kind in pairs(channels.kinds) do
    names[#names + 1] = kind
  end
  table.sort(names)
  return table.concat(names, ", ")
end

--- The kind of one channel, or nil when it has none of ours.
---@param channel table
---@return string?
function channels.kind_of(channel)
  for kind in pairs(channels.kinds) do
    if channel[kind] ~= nil then
      return kind
    end
  end
  return nil
end

local function check_value(kind, value)
  if kind == "terminal" then
    return value == true
  elseif kind == "email" then
    local list = type(value) == "table" and value or { value }
    for i = 1, #list do
      if not mail.is_address(list[i]) then
        return false
      end
    end
    return #list > 0 and #list <= 100
  elseif kind == "pagerduty" then
    return type(value) == "userdata" or type(value) == "table" or (type(value) == "string" and value:find "^%w+$" ~= nil)
  elseif kind == "command" then
    if type(value) ~= "table" or #value == 0 then
      return false
    end
    for _, word in ipairs(value) do
      if type(word) ~= "string" then
        return false
      end
    end
    return true
  end
  -- A URL is text or a secret: opaque userdata, or the environment's placeholder for one.
  return type(value) == "userdata" or type(value) == "table"
    or (type(value) == "string" and value:find "^https?://" ~= nil)
end

--- Checks the list of channels behind one name.
---@param name string "team"
---@param list any
---@return string? message what is wrong, or nil
---@return string? hint
function channels.check(name, list)
  if type(list) ~= "table" or #list == 0 then
    return ("notify '%s': expected a list of channels"):format(name), "such as { { terminal = true } }"
  end
  for i, channel in ipairs(list) do
    local kind = type(channel) == "table" and channels.kind_of(channel) or nil
    if not kind then
      local given = type(channel) == "table" and next(channel) or nil
      local called = type(given) == "string" and (" '%s'"):format(given) or ""
      return ("notify '%s', channel %d: no such kind of channel%s"):format(name, i, called),
        "there are: " .. channels.names()
    end
    if not check_value(kind, channel[kind]) then
      return ("notify '%s', channel %d: '%s' is not %s"):format(name, i, kind, channels.kinds[kind].value)
    end
    if channel.url ~= nil and kind == "pagerduty" and not check_value("webhook", channel.url) then
      return ("notify '%s', channel %d: 'url' is not %s"):format(name, i, channels.kinds.webhook.value)
    end
    for field in pairs(channel) do
      if field ~= kind and not channels.kinds[kind].beside[field] then
        return ("notify '%s', channel %d: '%s' takes no '%s'"):format(name, i, kind, tostring(field))
      end
    end
  end
  return nil
end

return channels
