--- call(playbook, params): another playbook's steps inside this step: one journal, one mode, one stack of
--- ways back. What may be called is in the header's `calls`, loaded and checked before anything runs.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local loader = require "runtime.loader"
local params = require "runtime.params"
local report = require "runtime.report"
local step = require "runtime.step"
local text = require "runtime.text"
local call = {}

--- "scale/workers" and "scale/workers.lua" are one playbook.
local function canonical(name)
  return name:sub(-4) == ".lua" and name or (name .. ".lua")
end

--- Loads what a header's `calls` names, and what those call. One that is not there yet is an error only when
--- it is called, so that a playbook can name what is still to be written.
---@param services {host: table}
---@param book table what loader.load returned
---@param make_globals fun(host: table): table, table
---@param trail string[]? names of the callers
---@return table<string, table> called {book, declared, called} or {missing = error} by canonical name
function call.load(services, book, make_globals, trail)
  trail = trail or { book.name }
  local called = {}
  for _, name in ipairs(book.header.calls or {}) do
    name = canonical(name)
    for _, caller in ipairs(trail) do
      if canonical(caller) == name then
        error(errors.load {
          message = ("calls: '%s' would call itself: %s → %s"):format(name, table.concat(trail, " → "), name),
          where = book.file,
        }, 0)
      end
    end
    local globals, declared = make_globals(services.host)
    local ok, found = pcall(loader.load, services, name, { globals = globals })
    if ok then
      local below = { table.unpack(trail) }
      below[#below + 1] = name
      called[name] = { book = found, declared = declared, called = call.load(services, found, make_globals, below) }
    elseif errors.is(found) and found.code == "missing" then
      called[name] = { missing = found }
    else
      error(found, 0)
    end
  end
  return called
end

--- The run as the called playbook sees it: its own header, parameters and checks; everything else, such as
--- journal, changes and stack, is the caller's.
local function child_run(current, entry, values)
  local parent = current.run
  local child = setmetatable({
    caller = parent,
    book = entry.book,
    header = entry.book.header,
    params = values,
    called = entry.called,
    checks = {},
    check_order = {},
    spent = {},
    records = {},
    inner_ids = {},
    skip_ids = {},
    total_steps = 0,
    finished = false,
    number_prefix = current.step.shown.number .. ".",
  }, { __index = parent, __newindex = parent })
  rawset(child, "context", setmetatable({
    run = child,
    path = ("%s/%s>%s"):format(current.path, current.step.id, entry.book.name:gsub("%.lua$", "")),
    branch = current.branch,
  }, { __index = current }))
  return child
end

--- The last values of a called playbook's checks count for the caller, too.
local function hand_up_checks(child)
  local parent = child.caller
  for _, name in ipairs(child.check_order) do
    if not parent.checks[name] then
      parent.check_order[#parent.check_order + 1] = name
    end
    parent.checks[name] = child.checks[name]
  end
end

--- The value of the last step that returned one, and the worst state a step ended in.
local function outcome_of(child, declared)
  local result
  local status = "done"
  for _, node in ipairs(declared.nodes) do
    local record = child.records[node]
    if record and record.value ~= nil then
      result = record.value
    end
    if record and (record.state == "planned" or (record.state == "undetermined" and status == "done")) then
      status = record.state
    end
  end
  return status, result
end

--- The function for the sandbox.
---@param services {host: table}
function call.build(services)
  local api = {}

  function api.call(name, given)
    local current = context.need "call"
    local where = services.host.where()
    if type(name) ~= "string" then
      arguments.misuse(where, ("call: expected a playbook's name first, got %s"):format(type(name)))
    elseif given ~= nil and type(given) ~= "table" then
      arguments.misuse(where, ("call: expected a table of parameters, got %s"):format(type(given)))
    end
    local known = current.run.called or {}
    local entry = known[canonical(name)]
    if not entry then
      arguments.misuse(
        where,
        ("call: '%s' is not in the header's calls"):format(name),
        text.suggest(canonical(name), text.keys(known), "it names") or "the header says: calls = { \"…\" }"
      )
    elseif entry.missing then
      error(errors.precondition {
        message = ("call: %s"):format(entry.missing.message),
        hint = entry.missing.hint,
        where = where,
      }, 0)
    end
    local values = params.of_call(services, entry.book, current.run.environment, given or {})
    local child = child_run(current, entry, values)
    journal.write(current.run, {
      type = "call.start",
      step = current.step.id,
      playbook = entry.book.name,
      digest = entry.book.digest,
      params = params.shown(values),
    })
    local title = entry.book.header.title or entry.book.name
    report.emit { event = "note", step = current.step.shown, text = ("plays %s: %s"):format(entry.book.name, title) }
    local failure = engine.run(child, entry.declared)
    hand_up_checks(child)
    local worst = step.worst(child)
    journal.write(current.run, {
      type = "call.end",
      step = current.step.id,
      playbook = entry.book.name,
      worst = worst,
      error = failure and { message = failure.message } or nil,
    })
    if failure then
      error(failure, 0)
    end
    local status, result = outcome_of(child, entry.declared)
    return { status = status, worst = worst, result = result }
  end

  return api
end

return call
