--- opsrun params: the values a run would get, where each comes from, and what is wrong with those it would not get.
local author_globals = require "runtime.author.globals"
local environments = require "runtime.environment"
local errors = require "runtime.errors"
local loader = require "runtime.loader"
local params = require "runtime.params"
local table_text = require "runtime.table_text"
local times = require "runtime.times"
local types = require "runtime.param_types"

local function shown(value)
  if value == nil then
    return ""
  elseif times.is_window(value) and not value.label:find("..", 1, true) then
    return ("%s (%s..%s)"):format(value.label, tostring(value.from), tostring(value.to))
  end
  local plain = types.shown(value)
  if type(plain) ~= "table" then
    return tostring(plain)
  end
  local items = {}
  for i, item in ipairs(plain) do
    items[i] = tostring(item)
  end
  return #items > 0 and table.concat(items, ",") or "empty"
end

--- Where a value comes from, in words.
local function source_of(entry, environment, book)
  if entry.source == "environment" then
    return entry.own and ("%s, for %s"):format(environment.name, (book.name:gsub("%.lua$", ""))) or environment.name
  end
  return entry.source
end

local function row_of(entry, environment, book)
  return {
    parameter = entry.name,
    value = entry.problem and "WRONG" or entry.source == "missing" and "MISSING" or shown(entry.value),
    from = source_of(entry, environment, book),
    type = entry.type,
    help = entry.help or "",
  }
end

local function print_json(host, entry, row)
  row.problem = entry.problem and entry.problem.message or nil
  host.term.out(host.json.encode(row) .. "\n")
end

---@param services {host: table, options: table}
---@return integer exit code: of the first value that is wrong, else 2 when one is missing, else 0
return function(services)
  local host, flags = services.host, services.options.flags
  local environment = environments.load(services, flags.environment)
  local book = loader.load(services, services.options.words[1], { globals = (author_globals(host)) })
  environment.read_secret = environment.unread_secret
  local rows = { columns = { "parameter", "value", "from", "type", "help" } }
  local problems, missing = {}, false
  for _, entry in ipairs(params.effective(services, book, environment, flags.params or {})) do
    local row = row_of(entry, environment, book)
    missing = missing or entry.source == "missing"
    problems[#problems + 1] = entry.problem
    rows[#rows + 1] = row
    if flags.json then
      print_json(host, entry, row)
    end
  end
  if #rows == 0 then
    host.term.out(flags.json and "" or ("%s has no parameters\n"):format(book.name))
  elseif not flags.json then
    table_text.open(host.term.display_width)
    for _, line in ipairs(table_text.rows(rows, nil, host.term.is_terminal() and host.term.width() or nil)) do
      host.term.out(line .. "\n")
    end
  end
  for _, problem in ipairs(problems) do
    host.term.message("error", problem.message, problem.hint)
  end
  return problems[1] and errors.kinds[problems[1].kind] or missing and 2 or 0
end
