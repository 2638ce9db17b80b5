--- opsrun resume RUN | --last: goes on with a run that was killed, failed, was refused or suspended.
local conduct = require "runtime.conduct"
local engine = require "runtime.engine"
local errors = require "runtime.errors"
local frozen = require "runtime.frozen"
local fresh = require "runtime.fresh"
local gate = require "runtime.gate"
local history = require "runtime.history"
local journal = require "runtime.journal"
local recording = require "runtime.recording"
local resumed = require "runtime.resumed"
local resuming = require "runtime.resuming"
local run_lock = require "runtime.run_lock"
local run_of = require "runtime.run"
local watch = require "runtime.watch"

--- The run that was named, or with --last the newest that can go on.
local function which(options)
  local word = options.words[1]
  if options.flags.last and word then
    error(errors.usage { message = "resume: a run or --last, not both" }, 0)
  elseif options.flags.last then
    return history.last_open()
  elseif not word then
    error(errors.usage { message = "resume: which run?", hint = "opsrun resume RUN, or opsrun resume --last; opsrun status lists them" }, 0)
  end
  return history.find(word)
end

--- --from: that step and all behind it are run again, as if they had never been.
local function run_again(run, declared, flags)
  local from = flags.from
  if not from then
    return
  end
  local marked, found = {}, false
  local function mark(nodes)
    for _, node in ipairs(nodes) do
      found = found or node.id == from
      if found then
        marked[node.id] = true
      end
      mark(node.nodes or {})
    end
  end
  mark(declared.nodes)
  if not found then
    error(errors.usage { message = ("--from: no step has the id '%s'"):format(from), hint = "opsrun show lists the ids" }, 0)
  end
  for _, effect in ipairs(run.recording:doubts()) do
    if marked[effect.begin.step] and not flags.accept then
      error(errors.refused {
        message = ("--from %s would run '%s' again, and nobody knows whether this happened: %s"):format(
          from, effect.begin.step, effect.begin.summary),
        hint = "resume without --from asks for it; --accept runs the step again all the same",
      }, 0)
    end
  end
  run.again = function(node, parent)
    return parent.step == nil and parent.path == run.context.path and marked[node.id] == true
  end
end

--- The first of the playbook's own steps of which a way back was taken at the end of the run, and that way.
local function taken_away(run, nodes)
  for _, node in ipairs(nodes) do
    local entry = run.recording:step(run.context.path, node.id)
    for _, below in ipairs(entry and recording.subtree(entry) or {}) do
      for _, way in ipairs(below.pushes) do
        if way.done and way.at_end then
          return node, way
        end
      end
    end
    local inner, way = taken_away(run, node.nodes or {})
    if inner then
      return inner, way
    end
  end
end

--- Were these steps all over, so that only ways back were left? A `finish` is the end of all.
---@return boolean over, boolean finished
local function all_over(run, nodes)
  for _, node in ipairs(nodes) do
    local over, finished
    if node.kind == "group" then
      over, finished = all_over(run, node.nodes)
    else
      local entry = resumed.entry(run, node, run.context)
      over = entry ~= nil and resumed.is_over(entry, run.context)
      finished = over and entry.error ~= nil and entry.error.kind == "finish"
    end
    if not over or finished then
      return over, finished
    end
  end
  return true, false
end

--- What was taken back, or away, at the end of the run is missing now: whoever goes on has to know.
local function refuse_taken_away(run, declared, flags)
  if flags.accept or flags.from or all_over(run, engine.select(run, declared)) then
    return
  end
  local node, way = taken_away(run, declared.nodes)
  if node then
    error(errors.refused {
      message = ("step '%s' cannot simply count as done: at the end of the run '%s' was done"):format(node.name, way.text),
      hint = ("--from %s runs it, and what follows, again; --accept goes on as if it still stood"):format(node.id),
      code = "taken away",
    }, 0)
  end
end

local function resume_record(services, run, opened)
  local host, flags = services.host, services.options.flags
  return {
    type = "run.resume",
    operator = host.system.user(),
    hostname = host.system.hostname(),
    pid = host.system.pid(),
    from = flags.from,
    edited = flags.edited,
    accepted = #opened.changes > 0 and opened.changes or nil,
    params = run.params_shown,
  }
end

--- How many of the playbook's own steps are over.
local function done_before(run, declared)
  local done, total = 0, 0
  local function count(nodes)
    for _, node in ipairs(nodes) do
      if node.kind == "group" then
        count(node.nodes)
      else
        total = total + 1
        local entry = resumed.entry(run, node, run.context)
        done = done + (entry and resumed.is_over(entry, run.context) and 1 or 0)
      end
    end
  end
  count(declared.nodes)
  return done, total
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local id = which(services.options)
  local seconds_left = watch.seconds(services.options.flags)
  local opened = resuming.open(services, id, "resume")
  local edited = services.options.flags.edited and opened.playbook_changed
  if edited then
    resuming.verify(opened)
  end
  local run = resuming.run(opened)
  run_again(run, opened.declared, services.options.flags)
  refuse_taken_away(run, opened.declared, services.options.flags)
  engine.select(run, opened.declared)
  run.lock = run_lock.take(services, run)
  run_of.open(opened.services, run, opened.declared)
  resumed.count_changes(run)
  fresh.watch(opened.services, run)
  conduct.open_report(services)
  local record = resume_record(services, run, opened)
  if edited then
    record.digest = opened.book.digest
    record.frozen = journal.keep(run, frozen.copy(services.host, opened.book, opened.called, opened.environment))
  end
  journal.write(run, record, true)
  journal.opened(run)
  conduct.announce(opened.services, run, opened.book, { done_before(run, opened.declared) })
  local began_in, here = opened.recording.start.cwd, services.host.system.cwd and services.host.system.cwd()
  if began_in and here and began_in ~= here then
    services.host.term.message("note", ("the run began in '%s', it goes on in '%s': relative paths mean others"):format(began_in, here))
  end
  for _, line in ipairs(opened.changes) do
    services.host.term.message("note", line)
  end
  local code = conduct.play(opened.services, run, opened.declared, seconds_left)
  run_of.close(run)
  gate.before_first_change = nil
  return code
end
