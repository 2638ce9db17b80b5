--- opsrun params: the values a run would get, and where each comes from.
local author_globals = require "runtime.author.globals"
local environments = require "runtime.environment"
local loader = require "runtime.loader"
local params = require "runtime.params"
local table_text = require "runtime.table_text"
local types = require "runtime.param_types"

local function shown(value)
  local plain = types.shown(value)
  return type(plain) == "table" and table.concat(plain, ",") or plain
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, flags = services.host, services.options.flags
  local environment = environments.load(services, flags.environment)
  local book = loader.load(services, services.options.words[1], { globals = (author_globals(host)) })
  environment.read_secret = environment.unread_secret
  local rows = { columns = { "parameter", "value", "from", "type", "help" } }
  local missing = false
  for _, entry in ipairs(params.effective(services, book, environment, flags.params or {})) do
    missing = missing or entry.source == "missing"
    rows[#rows + 1] = {
      parameter = entry.name,
      value = entry.value ~= nil and shown(entry.value) or entry.source == "missing" and "MISSING" or "",
      from = entry.source == "environment" and environment.name or entry.source,
      type = entry.type,
      help = entry.help or "",
    }
  end
  if flags.json then
    for _, row in ipairs(rows) do
      host.term.out(host.json.encode(row) .. "\n")
    end
  elseif #rows == 0 then
    host.term.out(("%s has no parameters\n"):format(book.name))
  else
    table_text.open(host.term.display_width)
    for _, line in ipairs(table_text.rows(rows, nil, host.term.is_terminal() and host.term.width() or nil)) do
      host.term.out(line .. "\n")
    end
  end
  return missing and 2 or 0
end
