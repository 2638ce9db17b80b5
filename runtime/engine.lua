--- The order of steps: declared while the playbook loads, then run one after another; groups side by
--- side; a step inside a step at once. Never calls the host's clients.
local context = require "runtime.context"
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local report = require "runtime.report"
local resumed = require "runtime.resumed"
local step = require "runtime.step"
local step_options = require "runtime.step_options"
local tasks = require "runtime.tasks"
local text = require "runtime.text"
local engine = {}

--- Functions for the sandbox that declare while the playbook loads and, inside a step, run at once.
---@param host table
---@return table globals, table book {nodes, by_id}
function engine.builder(host)
  local book = { nodes = {}, by_id = {} }
  local collecting = book.nodes
  local numbers = { 0 }

  local function register(node)
    local before = book.by_id[node.id]
    if before then
      step_options.refuse(
        node.where,
        ("step '%s' is declared twice: id '%s' is also at %s"):format(node.name, node.id, before.where),
        "give one of them another name, or an id: step(\"…\", { id = \"…\" }, function(p) … end)"
      )
    end
    book.by_id[node.id] = node
    numbers[#numbers] = numbers[#numbers] + 1
    node.number = table.concat(numbers, ".")
    collecting[#collecting + 1] = node
  end

  --- A step inside a step: its id is made unique within the run, then it runs at once.
  local function run_inside(current, node)
    local run = current.run
    local seen = run.inner_ids[node.id]
    run.inner_ids[node.id] = (seen or 0) + 1
    node.inner = node.id
    if seen or book.by_id[node.id] then
      node.id = ("%s.%d"):format(node.id, (seen or 0) + 1)
    end
    current.step.children = (current.step.children or 0) + 1
    node.number = ("%s.%d"):format(current.step.shown.number, current.step.children)
    return engine.run_node(run, node, current)
  end

  --- The value of a step, for later ones.
  local function handle_of(node)
    return setmetatable({}, {
      __call = function()
        return engine.value_of(context.need("a step's result"), node, host.where())
      end,
      __tostring = function()
        return "step '" .. node.name .. "'"
      end,
      __newindex = function()
        error(("step '%s' cannot be assigned to: its result is what a call of it returns"):format(node.name), 2)
      end,
      __metatable = "step",
    })
  end

  local globals = {}

  function globals.step(name, opts, fn)
    local node = step_options.node("step", host.where(), name, opts, fn)
    local current = context.current()
    if current and current.step then
      local record = run_inside(current, node)
      engine.raise_unless_well(current.run, record)
      return handle_of(node)
    end
    register(node)
    return handle_of(node)
  end

  function globals.group(name, opts, fn)
    local node = step_options.node("group", host.where(), name, opts, fn)
    local current = context.current()
    if current and current.step then
      step_options.refuse(
        node.where,
        ("group '%s': a group stands outside steps"):format(node.name),
        "use parallel or each inside a step"
      )
    end
    register(node)
    local outer = collecting
    node.nodes = {}
    collecting = node.nodes
    numbers[#numbers + 1] = 0
    local ok, err = pcall(node.fn)
    collecting = outer
    numbers[#numbers] = nil
    if not ok then
      error(err, 0)
    end
  end

  return globals, book
end

--- What a step returned: its value; a skipped one skips the asking step, a planned one plans it; one
--- never run is run first if it only reads.
function engine.value_of(current, node, where)
  local run = current.run
  local record = run.records[node]
  local beside = run.side_by_side and run.side_by_side[node]
  if record and record.state == nil or not record and beside then
    local message = ("step '%s' has not ended yet: only a later step can ask for its result"):format(node.name)
    error(errors.wrap(message, where), 0)
  elseif not record then
    local why = ("step '%s', run first because a later step needs it"):format(node.name)
    local parent = setmetatable({ reads_only = why }, { __index = run.context })
    record = step.run(run, node, parent)
  end
  if record.state == "skipped" or record.state == "declined" then
    error(errors.skip { message = ("step '%s' was %s"):format(node.name, record.state) }, 0)
  elseif record.value == nil and (record.state == "planned" or record.state == "undetermined") then
    error(errors.planned {
      message = ("needs the result of '%s', which depends on changes that were not made"):format(node.name),
    }, 0)
  elseif record.state == "failed" or record.state == "refused" or record.state == "cancelled" then
    error(errors.fail { message = ("step '%s', whose result is needed, %s"):format(node.name, record.state) }, 0)
  end
  return plain.own(record.value) -- what a step does to it is no other's matter
end

--- Passes a child's bad end on to the enclosing step.
function engine.raise_unless_well(_, record)
  if record.failure then
    error(record.failure, 0)
  end
end

local function is_bad(record)
  return record.failure ~= nil
end

--- Runs the nodes of a group side by side; each step's lines are shown together when it ends.
local function run_together(run, node, parent)
  local functions, records = {}, {}
  run.side_by_side = run.side_by_side or {}
  for i, child in ipairs(node.nodes) do
    run.side_by_side[child] = true
    functions[i] = function()
      local ctx = context.current()
      local buffer = {}
      ctx.buffer = buffer
      records[i] = engine.run_node(run, child, ctx)
      ctx.buffer = nil
      report.flush(buffer)
      if records[i] and is_bad(records[i]) and not node.opts.keep_going then
        error(records[i].failure, 0)
      end
    end
  end
  tasks.side_by_side(parent, functions, { keep_going = node.opts.keep_going })
  local first
  for i, child in ipairs(node.nodes) do
    run.side_by_side[child] = nil
    local record = records[i]
    if record and is_bad(record) and (not first or first.state == "cancelled") then
      first = record
    end
  end
  return first
end

local function run_in_order(run, node, parent)
  local first
  for _, child in ipairs(node.nodes) do
    local record = engine.run_node(run, child, parent)
    if record and is_bad(record) then
      first = first or record
      if not node.opts.keep_going or errors.is(record.failure, "finish") then
        return record
      end
    end
  end
  return first
end

--- Runs a group, again as often as its `retry` says while it failed without having changed anything.
local function run_group(run, node, parent)
  local how = node.opts.together and run_together or run_in_order
  local number = 1
  while true do
    local changes_before = run.changes
    local record = how(run, node, parent)
    if not record or not step.may_retry(node, record.failure, run.changes - changes_before, number) then
      return record
    end
    step.retrying(run, node, record.failure, number, parent)
    number = number + 1
  end
end

--- Runs a step or a group. Returns a record; a group's is the first bad one of its steps, or nil.
function engine.run_node(run, node, parent)
  if run.skip_ids[node.id] then
    return engine.skip(run, node, parent, "by --skip")
  elseif node.kind == "step" then
    return step.run(run, node, parent)
  end
  local should, why, failure, undetermined = true, nil, nil, nil
  if not run.ways_only and not run.offline and not resumed.group_begun(run, node, parent) then
    should, why, failure, undetermined = step.wanted(run, node, parent)
  end
  if failure then
    return { failure = failure, id = node.id, shown = { name = node.name } }
  elseif not should then
    return engine.skip(run, node, parent, why, undetermined)
  end
  return run_group(run, node, parent)
end

--- Marks a node skipped without running it.
function engine.skip(run, node, parent, why, undetermined)
  if node.kind == "group" then
    for _, child in ipairs(node.nodes) do
      engine.skip(run, child, parent, (why:gsub("^its ", "its group's ")), undetermined)
    end
    return nil
  end
  local copy = setmetatable({ skip_reason = why, skip_undetermined = undetermined }, { __index = node })
  local record = step.run(run, copy, parent)
  run.records[node] = record
  return record
end

local function need_id(book, flag, id)
  if book.by_id[id] then
    return
  end
  local ids = {}
  for known in pairs(book.by_id) do
    ids[#ids + 1] = known
  end
  table.sort(ids)
  local near = text.nearest(id, ids)
  error(errors.usage {
    message = ("%s: no step has the id '%s'"):format(flag, id),
    hint = near and ("did you mean '%s'?"):format(near)
      or ("steps of this playbook: " .. table.concat(ids, ", ")),
  }, 0)
end

--- The nodes between --from and --until, both included. Raises a usage error for ids that play nothing.
function engine.select(run, book)
  local from, till = run.options.from, run.options["until"]
  if from then
    need_id(book, "--from", from)
  end
  if till then
    need_id(book, "--until", till)
  end
  for id in pairs(run.skip_ids) do
    need_id(book, "--skip", id)
  end
  local chosen, on, ended = {}, from == nil, till == nil
  for _, node in ipairs(book.nodes) do
    on = on or node.id == from
    if on then
      chosen[#chosen + 1] = node
      if node.id == till then
        ended = true
        break
      end
    end
  end
  if not on or not ended then
    error(errors.usage {
      message = on and ("--until '%s' never comes"):format(till) or ("--from '%s' is inside a group"):format(from),
      hint = "--from and --until name steps or groups of the top level, in the order they are played",
    }, 0)
  end
  return chosen
end

--- Counts the steps of nodes, groups opened.
local function count_steps(nodes)
  local count = 0
  for _, node in ipairs(nodes) do
    count = count + (node.kind == "group" and count_steps(node.nodes) or 1)
  end
  return count
end

--- Runs the chosen steps. Returns nil, or the failure that ended the run.
function engine.run(run, book)
  local nodes = run.caller and book.nodes or engine.select(run, book) -- --from and the like are the caller's
  run.total_steps = count_steps(nodes)
  for _, node in ipairs(nodes) do
    local record = engine.run_node(run, node, run.context)
    local failure = record and record.failure
    if errors.is(failure, "finish") then
      run.finished = failure.message
      return nil
    elseif failure then
      run.failed_step = record
      return failure
    end
    if run.stop then
      return run.stop
    end
  end
  return nil
end

--- What the word "read" has to be qualified by: " (1 declared, 1 not proved)", or nothing.
local function qualified(count)
  local parts = {}
  if count.declared > 0 then
    parts[#parts + 1] = ("%d declared"):format(count.declared)
  end
  if count.unproved > 0 then
    parts[#parts + 1] = ("%d not proved"):format(count.unproved)
  end
  return #parts > 0 and (" (" .. table.concat(parts, ", ") .. ")") or ""
end

--- How true a dry run was: "9 steps: 6 read for real (1 declared), 2 planned, 1 undetermined".
function engine.fidelity(run)
  local count = { real = 0, rehearsed = 0, planned = 0, undetermined = 0, skipped = 0, declared = 0, unproved = 0, failed = 0 }
  for _, record in ipairs(run.step_records) do
    if record.state == "done" then
      count.real = count.real + 1
      count.declared = count.declared + (record.declared and 1 or 0)
      count.unproved = count.unproved + (record.unproved and 1 or 0)
    elseif record.state == "skipped" or record.state == "declined" then
      count.skipped = count.skipped + 1
    elseif count[record.state] then
      count[record.state] = count[record.state] + 1
    else
      count.failed = count.failed + 1
    end
  end
  local parts = {
    ("%d read for real%s"):format(count.real, qualified(count)),
    ("%d planned"):format(count.planned),
    ("%d undetermined"):format(count.undetermined),
  }
  if count.rehearsed > 0 then
    table.insert(parts, 2, ("%d rehearsed"):format(count.rehearsed))
  end
  if count.skipped > 0 then
    parts[#parts + 1] = ("%d skipped"):format(count.skipped)
  end
  if count.failed > 0 then
    parts[#parts + 1] = ("%d failed"):format(count.failed)
  end
  return ("%d step%s: %s"):format(#run.step_records, #run.step_records == 1 and "" or "s", table.concat(parts, ", "))
end

return engine
