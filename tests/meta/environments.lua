--- environments/examples and docs/reference/environments.md say the same: what may stand in an environment.
package.path = "./?.lua;" .. package.path
local playbook_steps = require "tools.playbook_steps"
local source = require "tools.source"
local claim = source.claim

local EXAMPLES = source.files(".lua", "environments/examples")

-- what the examples use ---------------------------------------------------------------------------------

--- The table an example returns, secrets as {secret = "env"}; what it says of secrets goes into `used`.
local function load_example(path, used)
  local function placeholder(kind, options)
    used["secret." .. kind] = path
    for key in pairs(type(options) == "table" and options or {}) do
      if type(key) == "string" then used["secret." .. key] = path end
    end
    return { secret = kind }
  end
  local secret = {
    env = function(_, options) return placeholder("env", options) end,
    file = function(_, options) return placeholder("file", options) end,
    prompt = function(_, options) return placeholder("prompt", options) end,
    command = function(words) return placeholder("command", words) end,
  }
  return assert(load(source.read(path), "@" .. path, "t", { secret = secret, env = function() return { secret = "setting" } end }))()
end

--- Fields of each entry of a section: "http.base".
local function note_entries(used, path, section, map)
  for _, config in pairs(map or {}) do
    for field in pairs(config) do
      if type(field) == "string" then used[section .. "." .. field] = path end
    end
  end
end

--- {["http.base"] = the example that has it, …}, and the tables of all examples.
local function examples()
  local used, list = {}, {}
  for _, path in ipairs(EXAMPLES) do
    local raw = load_example(path, used)
    list[path] = raw
    for field in pairs(raw) do used[field] = path end
    for _, section in ipairs { "sql", "redis", "http", "logs", "hosts", "services" } do
      note_entries(used, path, section, raw[section])
    end
    note_entries(used, path, "smtp", { raw.smtp })
    for _, host in pairs(raw.hosts or {}) do
      local members = {}
      for _, member in ipairs(host) do members[#members + 1] = type(member) == "table" and member or nil end
      note_entries(used, path, "hosts", members)
    end
    for _, channels in pairs(raw.notify or {}) do note_entries(used, path, "notify", channels) end
    note_entries(used, path, "rules", { raw.rules, raw.rules and raw.rules.changes })
  end
  return used, list
end

-- what the pages say ------------------------------------------------------------------------------------

--- The part of a page below a heading, up to the next of its depth.
local function part_of(page, heading)
  local text = "\n" .. source.read(page) .. "\n## "
  local _, from = text:find("\n## " .. heading .. "\n", 1, true)
  return text:sub(from, text:find("\n## ", from, true))
end

--- First cells of a text's tables, and what stands behind them in the row.
local function rows_of(text)
  local rows = {}
  for first, rest in text:gmatch "\n| ([^|\n]+) |([^\n]*)" do rows[#rows + 1] = { first, rest } end
  return rows
end

--- {["http.base"] = true, …} as the pages have it.
local function documented()
  local known = {}
  local head = "\n" .. source.read("docs/reference/environments.md"):match "^(.-)\n## "
  for _, row in ipairs(rows_of(head)) do
    local section = row[1]:match "^`([%w_]+)`$"
    if section then
      known[section] = true
      if row[2]:find("by name: `", 1, true) or section == "smtp" then
        for field in row[2]:match("^[^;]*"):gmatch "`([%w_]+)`" do known[section .. "." .. field] = true end
      end
    end
  end
  for heading, section in pairs { Hosts = "hosts", Services = "services" } do
    for _, row in ipairs(rows_of(part_of("docs/reference/environments.md", heading))) do
      for field in row[1]:gmatch "`([%w_]+)`" do known[section .. "." .. field] = true end
    end
  end
  known["rules.changes"] = true
  for _, row in ipairs(rows_of(part_of("docs/reference/environments.md", "Rules"))) do
    local field = row[1]:match "^`([%w_.]+)`$"
    if field then known["rules." .. field:match "[%w_]+$"] = true end
  end
  local secrets = part_of("docs/reference/environments.md", "Secrets")
  for call in secrets:gmatch "`(secret%.[^`]+)`" do
    known["secret." .. call:match "^secret%.(%w+)"] = true
    for option in call:gmatch "([%w_]+) =" do known["secret." .. option] = true end
  end
  for _, row in ipairs(rows_of("\n" .. source.read "docs/reference/notify.md")) do
    for field in row[1]:gmatch "`([%w_]+) =" do known["notify." .. field] = true end
  end
  return known
end

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local used, tables = examples()
local known = documented()

claim("each key an example uses is in the reference pages", function(say)
  for _, key in ipairs(sorted(used)) do
    if not known[key] then say(("%s: %s"):format(used[key], key)) end
  end
end)

claim("each key of the reference pages stands in an example", function(say)
  for _, key in ipairs(sorted(known)) do
    if not used[key] then say(key) end
  end
  if #sorted(known) < 70 then say(("only %d keys were read out of the pages"):format(#sorted(known))) end
end)

--- Has a key a comment: behind it on its line, or on the line above?
local function is_explained(name)
  for _, path in ipairs(EXAMPLES) do
    local before = ""
    for _, line in ipairs(source.lines(source.read(path))) do
      local stands = line:find("%f[%w_]" .. name .. "%s*[=({%[\"]") or line:find("%." .. name .. "%f[^%w_]")
      if stands and (line:find("--", stands, true) or before:find "^%s*%-%-") then return true end
      before = line
    end
  end
  return false
end

claim("each key is explained by a comment beside it, in one example at least", function(say)
  for _, key in ipairs(sorted(used)) do
    if not is_explained(key:match "[%w_]+$") then say(key) end
  end
end)

claim("there is an example for each of the five runbooks, and the page names each", function(say)
  local page, runbooks = source.read "docs/reference/environments.md", {}
  for _, path in ipairs(EXAMPLES) do
    runbooks[source.read(path):match "runbook (%d%d%d)" or path] = true
    if not page:find("](../../" .. path .. ")", 1, true) then say(path .. ": the page does not name it") end
  end
  for _, number in ipairs { "000", "001", "002", "003", "004" } do
    if not runbooks[number] then say("none for runbook " .. number) end
  end
  if #EXAMPLES ~= 5 then say(("%d examples"):format(#EXAMPLES)) end
end)

claim("the parameters of an example are of playbooks that are there and have them", function(say)
  local any = {}
  for _, path in ipairs(source.files(".lua", "playbooks")) do
    for name in pairs(playbook_steps(path).header.params or {}) do any[name] = true end
  end
  for _, path in ipairs(EXAMPLES) do
    for name, value in pairs(tables[path].params) do
      local file = ("playbooks/%s.lua"):format(name)
      local handle = name:find("/", 1, true) and io.open(file, "rb")
      if handle then
        handle:close()
        for param in pairs(value) do
          if not playbook_steps(file).header.params[param] then say(("%s: '%s' has no parameter '%s'"):format(path, name, param)) end
        end
      elseif name:find("/", 1, true) then
        say(("%s: there is no playbook '%s'"):format(path, name))
      elseif not any[name] then
        say(("%s: no playbook has a parameter '%s'"):format(path, name))
      end
    end
  end
end)

--- Fields whose value is a secret, wherever they stand.
local SECRETS = { password = true, bearer = true, slack = true, pagerduty = true, apikey = true, secret_key = true }

claim("no example holds a secret: passwords, tokens and keys are only named", function(say)
  local function walk(path, value, place)
    for key, item in pairs(value) do
      local where = place .. "." .. tostring(key)
      if type(item) == "table" and not item.secret then
        walk(path, item, where)
      elseif type(item) == "string" and (item:find "://[^/]*:[^/]*@" or SECRETS[key]) then
        say(("%s: %s is written out"):format(path, where))
      end
    end
  end
  for _, path in ipairs(EXAMPLES) do walk(path, tables[path], "") end
end)

source.finish()
