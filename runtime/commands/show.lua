--- opsrun show: what a playbook does and may touch, before anybody plays it.
local author_globals = require "runtime.author.globals"
local call = require "runtime.call"
local environments = require "runtime.environment"
local loader = require "runtime.loader"
local ordered = require "runtime.ordered"
local schedule = require "runtime.schedule"
local text = require "runtime.text"
local times = require "runtime.times"
local touches = require "runtime.touches"
local types = require "runtime.param_types"
local units = require "runtime.units"

local function heading(host, title)
  host.term.out("\n" .. title .. "\n", "bold")
end

--- Rows of texts with their columns aligned; the last one is dim.
local function columns(host, rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i = 1, #row - 1 do
      widths[i] = math.max(widths[i] or 0, host.term.display_width(row[i]))
    end
  end
  for _, row in ipairs(rows) do
    local line = "  "
    for i = 1, math.min(#row, 2) do
      line = line .. (i < #row and text.pad(row[i], widths[i], host.term.display_width) .. "  " or row[i])
    end
    host.term.out(line)
    host.term.out((row[3] or "") .. "\n", "dim")
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

local function show_head(host, book)
  local header = book.header
  host.term.out(header.title .. "\n", "bold")
  local facts = {}
  for _, name in ipairs { "kind", "severity", "respond", "owner" } do
    if header[name] then
      facts[#facts + 1] = ("%s %s"):format(name, tostring(header[name]))
    end
  end
  host.term.out(table.concat({ book.name, table.unpack(facts) }, "   ") .. "\n", "dim")
  local width = math.min(host.term.is_terminal() and host.term.width() or 100, 100)
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
  for _, part in ipairs(touches.of(host, book, called)) do
    heading(host, part.by and ("May touch, by calling %s"):format(part.by) or "May touch")
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

local function show_list(host, title, items)
  if items and #items > 0 then
    heading(host, title)
    for _, item in ipairs(items) do
      host.term.out("  " .. item .. "\n")
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
    rows[#rows + 1] = { i == 1 and "next" or "then", at:format "%a %Y-%m-%d %H:%M:%S %Z", "  in " .. rounded }
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
  show_list(host, "Usage", book.usage)
  return 0
end
