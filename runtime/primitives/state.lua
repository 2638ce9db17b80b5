--- What playbooks keep between runs: plain data by key, for a playbook and environment or, by name, shared
--- by playbooks of an environment. Written when the step ends well; in a dry run an overlay, dropped.
local context = require "runtime.context"
local errors = require "runtime.errors"
local journal = require "runtime.journal"
local plain = require "runtime.plain"
local seconds_of = require "runtime.seconds"

--- So many samples of a series are kept.
local SERIES_CAP = 500
--- Another run may be writing the same state: it is waited for, so many times 20 ms.
--- So many of the newest steps that wrote a file are known in it.
local MARKS = 50
local LOCK_TRIES = 250

--- "env.incident-db-exhaustion" or "env.@alerts": one safe file name.
local function file_name(run, name)
  local safe = function(text)
    return (text:gsub("%.lua$", ""):gsub("[^%w_-]", "-"))
  end
  return ("%s.%s"):format(safe(run.environment.name), name == "" and safe(run.book.name) or "@" .. safe(name))
end

---@param services {host: table, run: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}
  local ends = {} -- how often a step of this session ended well
  local committed = {} -- by file: what this run knows it to hold

  local function load(file)
    if committed[file] then
      return committed[file]
    end
    local text, err = journal.state_get(file)
    local content = { values = {}, series = {} }
    if text then
      local decoded, why = host.json.decode(text)
      if type(decoded) ~= "table" then
        error(errors.effect {
          message = ("state '%s' cannot be read: %s"):format(file, tostring(why)),
          hint = "its file is in the folder 'state' beside the runs",
          outcome = "failed",
        }, 0)
      end
      content.values, content.series, content.by = decoded.values or {}, decoded.series or {}, decoded.by
    elseif err.code ~= "missing" then
      error(errors.effect { message = err.message, code = err.code, outcome = "failed" }, 0)
    end
    committed[file] = content
    return content
  end

  --- What the running step has set and not yet written.
  local function pending_of(step, file)
    step.state_pending = step.state_pending or {}
    step.state_pending[file] = step.state_pending[file] or {}
    return step.state_pending[file]
  end

  local function current_value(step, file, key)
    local set = step.state_pending and step.state_pending[file] and step.state_pending[file][key]
    if set then
      return set.value
    end
    local value = load(file).values[key]
    return value ~= host.json.null and value or nil
  end

  --- Only data can be kept, and no secret.
  local function keepable(key, value)
    local kept, why = journal.plain(value)
    if value ~= nil and kept == nil then
      error(errors.fail { message = ("state '%s' cannot be kept: %s"):format(key, why) }, 0)
    end
    return kept
  end

  function adapter.describe(verb, args)
    local name = args.name or ""
    local writes = verb == "set" or verb == "update"
    local over = verb == "before" and args.opts.over and seconds_of(args.opts.over, "over") or nil
    local shown = name == "" and "state" or ("state '%s'"):format(name)
    return {
      target = name == "" and "own" or name,
      summary = ("%s %s of %s"):format(verb, args[1], shown),
      uses = writes and name ~= "" and { "state", name } or nil,
      body = { verb = verb, key = args[1], value = verb == "set" and plain.copy(args[2]) or nil, over = over },
      request = { file = file_name(run, name), key = args[1], value = args[2], over = over },
      opts = args.opts,
    }
  end

  local perform = {}

  function perform.get(request, step)
    local value = current_value(step, request.file, request.key)
    if value == nil then
      return request.value
    end
    return value
  end

  function perform.set(request, step)
    pending_of(step, request.file)[request.key] = { value = keepable(request.key, request.value) }
    return request.value
  end

  function perform.update(request, step)
    local fn = request.value
    local value = fn(current_value(step, request.file, request.key))
    local pending = pending_of(step, request.file)
    local before = pending[request.key]
    local entry = { value = keepable(request.key, value) }
    if not before or before.fns then -- no plain set before it: made again of whatever is there by then
      entry.fns = before and before.fns or {}
      entry.fns[#entry.fns + 1] = fn
    end
    pending[request.key] = entry
    return value
  end

  function perform.series(request)
    local rows = {}
    for i, sample in ipairs(load(request.file).series[request.key] or {}) do
      rows[i] = { t = sample[1], value = sample[2] }
    end
    return rows
  end

  --- The newest sample of a series that is old enough.
  function perform.before(request)
    local list = load(request.file).series[request.key] or {}
    local latest = request.over and host.clock.wall() - request.over or math.huge
    for i = #list, 1, -1 do
      if list[i][1] <= latest then
        return { t = list[i][1], value = list[i][2] }
      end
    end
    return nil
  end

  function adapter.perform(verb, request)
    return perform[verb](request, context.current().step)
  end

  --- Is it there already? A run that was killed after it kept its values keeps them again.
  local function has_sample(list, sample)
    for i = #list, math.max(1, #list - 20), -1 do
      if list[i][1] == sample.t and list[i][2] == sample.value then
        return true
      end
    end
    return false
  end

  local function add_samples(content, samples)
    for _, sample in ipairs(samples) do
      local list = content.series[sample.name] or {}
      list[#list + (has_sample(list, sample) and 0 or 1)] = host.json.array { sample.t, sample.value }
      while #list > SERIES_CAP do
        table.remove(list, 1)
      end
      content.series[sample.name] = list
    end
  end

  local function apply(content, pending)
    for key, set in pairs(pending) do
      local value = set.value
      if set.fns then -- another run may have written since: no count is lost
        value = content.values[key]
        for _, fn in ipairs(set.fns) do
          value = keepable(key, fn(value))
        end
      end
      content.values[key] = value
    end
  end

  local function take_lock(file)
    for _ = 1, LOCK_TRIES do
      local lock, _, err = journal.lock("state-" .. file)
      if lock then
        return lock
      elseif err.code ~= "locked" then
        error(errors.journal { message = err.message, code = err.code }, 0)
      end
      host.task.sleep(0.02)
    end
    error(errors.effect { message = ("state '%s' is being written by another run"):format(file), outcome = "failed" }, 0)
  end

  --- Changes a file by `alter(content)` while nobody else does.
  local function write(file, alter)
    local lock = take_lock(file)
    committed[file] = nil -- another run may have written meanwhile
    local content = load(file)
    alter(content)
    local ok, err = journal.state_put(file, assert(host.json.encode(content)))
    lock:release()
    if not ok then
      error(errors.journal { message = ("cannot keep state: %s"):format(err.message), code = err.code }, 0)
    end
  end

  --- Which end of which step of which run this is: one that was killed between the file and its step.end comes to
  --- the same end again, and must not count twice.
  local function mark_of(step)
    local place = step.path .. "/" .. step.id
    local before = ends[place] or 0
    if run.recording then
      before = before + run.recording:ended_well(step.path, step.id)
    end
    ends[place] = (ends[place] or 0) + 1
    return ("%s %s #%d"):format(run.id, place, before + 1)
  end

  --- Is it written already? Then nothing is done; else it is noted, the newest last.
  local function note_mark(content, mark)
    local by = content.by or {}
    for _, known in ipairs(by) do
      if known == mark then
        return true
      end
    end
    by[#by + 1] = mark
    if #by > MARKS then
      table.remove(by, 1)
    end
    content.by = host.json.array(by)
    return false
  end

  --- Writes what a step that ended well has set; in a dry run into the overlay. Its checks' values wait for
  --- the end of the run: a write for each step would cost more than most checks.
  ---@param step table the step's record
  function run.commit_state(step)
    local mark = step.state_pending and not run.dry and mark_of(step)
    for file, pending in pairs(step.state_pending or {}) do
      if run.dry then
        apply(load(file), pending)
      else
        write(file, function(content)
          if not note_mark(content, mark) then
            apply(content, pending)
          end
        end)
      end
    end
    run.samples = run.samples or {}
    for _, sample in ipairs(step.samples or {}) do
      run.samples[#run.samples + 1] = sample
    end
    step.state_pending, step.samples = nil, nil
  end

  --- Before the end of a live run is written: the checks' values join their series.
  function run.keep_series()
    if run.dry or not run.samples or #run.samples == 0 then
      return
    end
    local ok, err = pcall(write, file_name(run, ""), function(content)
      add_samples(content, run.samples)
    end)
    if not ok then
      host.term.message("warning", "the checks' values were not kept: " .. tostring(err))
    end
  end

  return adapter
end
