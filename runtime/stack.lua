--- The stack of ways back: `undo` and `always`, last first. On success the `always` run; on failure
--- also the undos, if the operator agrees.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local errors = require "runtime.errors"
local flow = require "runtime.author.flow"
local journal = require "runtime.journal"
local plan = require "runtime.plan"
local report = require "runtime.report"
local resumed = require "runtime.resumed"
local seconds_of = require "runtime.seconds"
local step = require "runtime.step"
local tasks = require "runtime.tasks"
local stack = {}

--- Ways back stand in the order in which they were registered; a resume meets them again in any order, and one it
--- has met before takes the place of what stood for it.
local function insert(entries, entry)
  local at = #entries + 1
  while at > 1 and entries[at - 1].number >= entry.number do
    at = at - 1
  end
  if entries[at] and entries[at].number == entry.number then
    entries[at] = entry
  else
    table.insert(entries, at, entry)
  end
end

local function push(current, kind, text, fn, where, expires)
  if type(text) ~= "string" or type(fn) ~= "function" then
    error(errors.wrap(('%s: expected %s("what it does", function() … end)'):format(kind, kind), where), 0)
  end
  local run = current.run
  local slot = (rawget(current, "ways") or 0) + 1
  current.ways = slot
  local entry = { kind = kind, text = text, fn = fn, context = current }
  local savepoint = current.savepoint -- of the attempts around it, from the inside out
  while savepoint do
    savepoint.entries[entry] = true
    savepoint = savepoint.outer
  end
  local before = resumed.way(current, slot)
  if before then
    -- one that was taken inside its step is taken there again, from the journal, and never at the end
    entry.number, entry.done = before.number, before.settled or before.done and before.at_end
    entry.taken_inside = before.done and not entry.done
  elseif current.silent then
    return entry -- the run that is gone through again never came so far: there is nothing to take back
  else
    run.stack_top[1] = run.stack_top[1] + 1
    entry.number = run.stack_top[1]
  end
  insert(run.stack, entry)
  if before then
    return entry
  end
  journal.write(run, {
    type = "undo.push",
    kind = kind,
    text = text,
    path = current.path,
    step = current.step.id,
    attempt = current.attempt,
    branch = current.branch,
    slot = slot,
    number = entry.number,
    expires = expires,
  })
  return entry
end

--- What a way back is told: did the run fail, and how bad are its checks?
local function how_it_ended(run)
  local failure = run.failure
  return { failed = failure ~= nil, message = failure and failure.message or nil, worst = step.worst(run) }
end

--- Runs one entry in a context of its own; true, or false and the error.
local function run_entry(run, entry)
  local ctx = context.branch(entry.context, "u" .. entry.number)
  ctx.undo, ctx.cancelled, ctx.attempt = true, false, entry.context.attempt
  if run.unwinding then
    ctx.silent, ctx.buffer, ctx.replay = false, false, resumed.way_scope(run, entry)
  else -- inside a step it is a part of what the step does
    local current = context.current()
    ctx.silent, ctx.buffer, ctx.replay = current.silent or false, current.buffer or false, current.replay or false
  end
  local ok, err = tasks.join(ctx, tasks.spawn(ctx, entry.fn, how_it_ended(run)))
  if not ok and errors.is(err) and err.code == "end of journal" then
    error(err, 0) -- the run that is gone through again did not come to its end: it is still to be taken
  end
  entry.done = true
  local planned = not ok and errors.is(err, "planned")
  err = not ok and not planned and errors.wrap(err) or nil
  if entry.taken_inside and not err then
    return true -- the journal and the report have it
  end
  journal.write(run, {
    type = "undo.done",
    number = entry.number,
    text = entry.text,
    ok = err == nil,
    error = err and err.message or nil,
  }, not run.dry)
  report.emit { event = "undo", phase = "done", text = entry.text, ok = err == nil, message = err and err.message }
  return err == nil, err
end

--- What is still on the stack, last first; `with_undo` also the undos; `only` those of an attempt.
---@param only table<table, boolean>?
local function pending(run, with_undo, only)
  local list = {}
  for i = #run.stack, 1, -1 do
    local entry = run.stack[i]
    local open = not entry.done and not (run.unwinding and entry.taken_inside)
      and (entry.kind ~= "standing" or run.taking_back)
    if open and (not only or only[entry]) and (entry.kind == "always" or with_undo) then
      list[#list + 1] = entry
    end
  end
  return list
end
stack.pending = pending

--- How many things the run switched on to stay; nil for none.
function stack.standing(run)
  local count = 0
  for _, entry in ipairs(run.stack) do
    count = count + (entry.kind == "standing" and not entry.done and 1 or 0)
  end
  return count > 0 and count or nil
end

--- Works the stack off. Returns whether everything went well, and how many were run.
---@param with_undo boolean
---@param title string? shown above the list
function stack.unwind(run, with_undo, title)
  local list = pending(run, with_undo)
  if #list == 0 then
    return true, 0
  end
  local items = {}
  for i, entry in ipairs(list) do
    items[i] = entry.text
  end
  journal.write(run, { type = "unwind", undo = with_undo, failed = run.failure ~= nil })
  report.emit { event = "undo", phase = "list", title = title, items = items }
  local all_ok = true
  for _, entry in ipairs(list) do
    local ok, err = run_entry(run, entry)
    if not ok then
      all_ok = false
      run.undo_failure = run.undo_failure or err
      if err.kind == "unknown" then
        run.unknown = run.unknown or err
      end
    end
  end
  return all_ok, #list
end

--- @param host table
--- @param globals table the author's functions so far: ensure asks and notes with them
function stack.build(host, globals)
  local api = {}

  --- On failure, if the operator agrees, or by `opsrun undo`: this takes back what was done.
  function api.undo(text, fn)
    push(context.need "undo", "undo", text, fn, host.where())
  end

  --- Whatever happens, at the end of the run.
  function api.always(text, fn)
    push(context.need "always", "always", text, fn, host.where())
  end

  --- A savepoint: on failure what was done inside is taken back.
  ---@return boolean ok, string? why
  function api.attempt(fn)
    local current = context.need "attempt"
    arguments.need_function("attempt", fn, host.where())
    local run = current.run
    local outer = rawget(current, "savepoint")
    local savepoint = { entries = {}, outer = current.savepoint }
    current.savepoint = savepoint
    local ok, err = pcall(fn)
    current.savepoint = outer
    if ok then
      return true
    end
    if not flow.catchable(err) then
      error(err, 0)
    end
    flow.end_preview(run, err)
    flow.caught(current, err)
    for _, entry in ipairs(pending(run, true, savepoint.entries)) do
      local undone, why = run_entry(run, entry)
      if not undone then
        error(why, 0)
      end
    end
    return false, err.message
  end

  local ensure_options = { "is", "make", "back", "confirm", "lasts", "expires" }
  local lasts_kind = { success = "undo", run = "always", standing = "standing" }

  --- Changes something that can be taken back: reads `is`; if not so yet, asks, makes it, reads again.
  ---@return table handle with .back()
  function api.ensure(text, spec)
    local current = context.need "ensure"
    local where = host.where()
    if type(text) ~= "string" or type(spec) ~= "table" or type(spec.is) ~= "function" or type(spec.make) ~= "function" then
      error(errors.wrap('ensure: expected ensure("text", {is = fn, make = fn, back = fn, …})', where), 0)
    end
    arguments.options(("ensure '%s'"):format(text), spec, ensure_options, where)
    local lasts = spec.lasts or "success"
    if lasts_kind[lasts] == nil then
      error(errors.wrap(("ensure '%s': lasts: expected success, run or standing, got '%s'"):format(text, tostring(lasts)), where), 0)
    end
    local expires = spec.expires and seconds_of(spec.expires, "ensure: expires", where)
    if expires and lasts ~= "standing" then
      error(errors.wrap(("ensure '%s': expires is for lasts = \"standing\""):format(text), where), 0)
    elseif lasts == "standing" and not spec.back then
      error(errors.wrap(("ensure '%s': what stands needs a back: opsrun undo RUN takes it"):format(text), where), 0)
    end
    local function is_so()
      local ctx = context.branch(current, "e" .. context.key(current).ordinal)
      ctx.reads_only = "the `is` of ensure"
      local before = context.enter(ctx)
      local ok, value = pcall(spec.is)
      context.enter(before)
      if not ok then
        error(value, 0)
      end
      return value
    end
    if is_so() then
      globals.note("%s: already so, not ours", text)
      return { ours = false, back = function() end }
    end
    if spec.confirm then
      globals.confirm(spec.confirm == true and (text .. "?") or spec.confirm)
    end
    local entry
    local kind = lasts_kind[lasts]
    if spec.back and kind then
      -- On the stack before it is made: a half-made change is taken back too.
      entry = push(current, kind, "take back: " .. text, spec.back, where, expires)
    end
    local happened = rawget(current, "happened")
    current.happened = function() -- of a change in doubt after kill -9 this decides, and leaves no trace in the count of calls
      return spec.is() and true or false
    end
    local made, failure = pcall(spec.make)
    current.happened = happened
    if not made then
      error(failure, 0)
    end
    if not plan.undetermined(current.run) and not is_so() then
      error(errors.fail { message = ("'%s' is not so after it was made"):format(text), where = where }, 0)
    end
    return {
      ours = true,
      back = function()
        if entry and not entry.done then
          local ok, err = run_entry(current.run, entry)
          if not ok then
            error(err, 0)
          end
        elseif spec.back and not entry then
          spec.back()
        end
      end,
    }
  end

  --- What was done so far stays: no undo of it is offered any more.
  function api.settle()
    local current = context.need "settle"
    for _, entry in ipairs(current.run.stack) do
      if entry.kind == "undo" then
        entry.done = true
      end
    end
    journal.write(current.run, { type = "settled", step = current.step.id })
  end

  return arguments.guard_all(api, host.where)
end

return stack
