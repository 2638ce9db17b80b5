--- opsrun show: what a playbook does and may touch, before anybody plays it.
local author_globals = require "runtime.author.globals"
local call = require "runtime.call"
local lines_of = require "runtime.columns"
local environments = require "runtime.environment"
local loader = require "runtime.loader"
local ordered = require "runtime.ordered"
local schedule = require "runtime.schedule"
local table_text = require "runtime.table_text"
local text = require "runtime.text"
local times = require "runtime.times"
local touches = require "runtime.touches"
local types = require "runtime.param_types"
local units = require "runtime.units"

local function heading(host, title)
  host.term.out("\n" .. title .. "\n", "bold")
end

--- Columns of the terminal that the page goes to; nil when it goes elsewhere: nothing is broken there.
local function page_width(host)
  return host.term.shows "out" and math.max(40, host.term.width()) or nil
end

--- Rows of texts with their columns aligned; the last one is dim.
local function columns(host, rows)
  for _, line in ipairs(lines_of(rows, page_width(host))) do
    host.term.out(line.plain .. (line.dim == "" and "\n" or ""))
    if line.dim ~= "" then
      host.term.out(line.dim .. "\n", "dim")
    end
  end
end

local function value_text(value)
  local shown = types.shown(value)
  if type(shown) == "table" then
    local items = {}
    for i, item in ipairs(shown) do
      items[i] = tostring(item)
    end
    return #items > 0 and table.concat(items, ",") or "empty"
  end
  return tostring(shown)
end

--- Facts beside each other, as many as a line of so many columns takes.
local function beside(facts, width)
  local lines = {}
  for _, fact in ipairs(facts) do
    local longer = #lines > 0 and lines[#lines] .. "   " .. fact
    if longer and table_text.width(longer) <= width then
      lines[#lines] = longer
    else
      lines[#lines + 1] = #lines > 0 and "  " .. fact or fact
    end
  end
  return lines
end

local function show_head(host, book)
  local header = book.header
  host.term.out(header.title .. "\n", "bold")
  local facts = { book.name }
  for _, name in ipairs { "kind", "severity", "respond", "owner" } do
    if header[name] then
      facts[#facts + 1] = ("%s %s"):format(name == "respond" and "respond within" or name, tostring(header[name]))
    end
  end
  host.term.out(table.concat(beside(facts, page_width(host) or math.huge), "\n") .. "\n", "dim")
  local width = math.min(page_width(host) or 100, 100)
  for _, paragraph in ipairs { book.about or false, header.about or false } do
    if paragraph then
      host.term.out "\n"
      for _, line in ipairs(text.wrap(paragraph, width)) do
        host.term.out(line .. "\n")
      end
    end
  end
end

local function show_params(host, params)
  if next(params) == nil then
    return
  end
  heading(host, "Parameters")
  local rows = {}
  for name, spec in ordered.pairs(params) do
    local state = spec.default ~= nil and ("default " .. value_text(spec.default))
      or spec.optional and "optional"
      or "required"
    rows[#rows + 1] = { name, types.described(spec) .. ", " .. state, spec.help }
  end
  columns(host, rows)
end

--- What a playbook may touch, and what those it calls may.
local function show_touches(host, book, called)
  local parts = touches.of(host, book, called)
  if #parts == 0 or parts[1].by then
    table.insert(parts, 1, { rows = { { "nothing", "that its header or its text names" } } })
  end
  for _, part in ipairs(parts) do
    local title = part.by and ("May touch, by calling %s"):format(part.by) or "May touch"
    heading(host, table.concat(text.wrap(title, page_width(host) or math.huge), "\n"))
    columns(host, part.rows)
  end
end

--- What the environment that -e names makes of its changes.
local function show_rules(services)
  local name = services.options.flags.environment
  local environment = name and environments.load(services, name)
  local rows = environment and environment.rules and environment.rules.lines() or {}
  if environment and environment.protected then
    table.insert(rows, 1, { "protected", "its name is typed before the first change" })
  end
  if environment then
    heading(services.host, ("Rules of %s"):format(environment.name))
    columns(services.host, #rows > 0 and rows or { { "none", "what the playbook may touch may be changed" } })
  end
end

local function note_of(opts)
  local notes = {}
  if opts.optional then
    notes[#notes + 1] = "optional"
  end
  for _, name in ipairs(type(opts.needs) == "table" and opts.needs or {}) do
    notes[#notes + 1] = "needs " .. name
  end
  if opts.when ~= nil then
    notes[#notes + 1] = type(opts.when) == "string" and ("when " .. opts.when) or "conditional"
  end
  if opts.retry then
    notes[#notes + 1] = "retried"
  end
  return #notes > 0 and table.concat(notes, ", ") or nil
end

local function show_steps(host, nodes)
  local rows = {}
  local function add(list, indent)
    for _, node in ipairs(list) do
      rows[#rows + 1] = { ("%s%s. %s"):format(indent, node.number, node.name), node.id, note_of(node.opts) }
      add(node.nodes or {}, indent .. "  ")
    end
  end
  add(nodes, "")
  if #rows > 0 then
    heading(host, "Steps")
    columns(host, rows)
  end
end

--- Items one below the other. `whole`: what is to be copied is not broken.
local function show_list(host, title, items, whole)
  if items and #items > 0 then
    heading(host, title)
    for _, item in ipairs(items) do
      host.term.out(table_text.hang("  ", item, not whole and page_width(host)) .. "\n")
    end
  end
end

--- How many elapses are shown.
local ELAPSES = 3

--- When the playbook is due, as its header says; nothing starts it by itself.
local function show_schedule(host, given)
  local entries = given and schedule.read(given, host.clock)
  if not entries then
    return
  end
  heading(host, "Schedule")
  local rows = {}
  for _, entry in ipairs(entries) do
    rows[#rows + 1] = { entry.text, entry.spec.zone and "" or entry.zone }
  end
  local now = host.clock.wall()
  local due = schedule.next(entries, host.clock, now, ELAPSES)
  for i, moment in ipairs(due) do
    local at = times.at(host.clock, moment.zone, moment.epoch)
    local away = moment.epoch - now
    local rounded = units.duration_text(away > 3600 and away // 60 * 60 or math.ceil(away))
    rows[#rows + 1] = { i == 1 and "next" or "then", at:format "%a %Y-%m-%d %H:%M:%S %Z", "in " .. rounded }
  end
  if #due == 0 then
    rows[#rows + 1] = { "next", "never" }
  end
  columns(host, rows)
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  table_text.open(host.term.display_width, host.term.shown)
  local globals, declared = author_globals(host)
  local book = loader.load(services, services.options.words[1], { globals = globals })
  show_head(host, book)
  show_params(host, book.header.params)
  show_touches(host, book, call.load(services, book, author_globals))
  show_rules(services)
  show_schedule(host, book.header.schedule)
  show_steps(host, declared.nodes)
  local sources = book.header.sources
  show_list(host, "Sources", type(sources) == "string" and { sources } or sources)
  show_list(host, "Usage", book.usage, true)
  return 0
end
