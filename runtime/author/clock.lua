--- clock: a timer beside the steps, for reminders, status updates, escalation. It asks nobody, holds nobody up, and
--- ends with the run; its effects pass the gate under a key of its own. A run that is gone on with starts it again.
local arguments = require "runtime.author.arguments"
local clock_plan = require "runtime.author.clock_plan"
local context = require "runtime.context"
local errors = require "runtime.errors"
local flow = require "runtime.author.flow"
local journal = require "runtime.journal"
local recording = require "runtime.recording"
local report = require "runtime.report"
local tasks = require "runtime.tasks"
local times = require "runtime.times"
local units = require "runtime.units"
local clock = {}

local options = { "at", "every", "from", "to" }

--- The wall's clock may be set, and machines sleep: how late it is, is asked at least so often, in seconds.
local LOOK = 60

-- -- what the journal says of clocks --------------------------------------------------------------

local function known_of(self, r)
  local key = r.path .. "\0" .. r.clock
  self.clocks = self.clocks or {}
  self.clocks[key] = self.clocks[key] or {}
  return self.clocks[key]
end

recording.fold("clock.start", function(self, r)
  local known = known_of(self, r)
  known.began, known.ended = known.began or r.epoch, false
  local entry = self:step(r.path, r.step)
  if entry then
    entry.clocks = true -- the step is gone through again for them
  end
end)

recording.fold("clock.strike", function(self, r)
  local known = known_of(self, r)
  known.number, known.last = r.number, r.epoch
end)

recording.fold("clock.end", function(self, r)
  known_of(self, r).ended = true
end)

--- Changes of this clock that an earlier process began and nobody knows the outcome of.
local function doubts(run, path, id)
  local list = {}
  for _, effect in ipairs(run.recording and run.recording:doubts() or {}) do
    if effect.begin.path == path and effect.begin.step == id then
      list[#list + 1] = effect.begin.summary
    end
  end
  return list
end

-- -- one strike -----------------------------------------------------------------------------------

local function write(self, record)
  record.path, record.step, record.clock = self.ctx.path, self.step, self.id
  journal.write(self.run, record)
end

local function note(self, text)
  report.emit { event = "note", step = self.shown, text = text }
end

--- Something of it is left to a person: the end of the run says so once.
local function leave_open(self, text)
  if not self.told then
    self.told = true
    self.run.open[#self.run.open + 1] = ("clock '%s': %s"):format(self.text, text)
  end
end

--- What a strike came to; the reason why the clock ends with it, or nil.
local function settle(self, ok, raised)
  if ok then
    return nil
  end
  local err = errors.wrap(raised)
  if err.kind == "skip" then
    note(self, "nothing this time: " .. err.message)
    return nil
  elseif err.kind == "finish" then
    note(self, "ends: " .. err.message)
    return err.message
  elseif err.kind == "cancelled" or err.kind == "deadline" then
    return "stopped"
  end
  write(self, { type = "clock.failed", number = self.number, error = { kind = err.kind, message = err.message, code = err.code } })
  local at = err.where and (" (%s)"):format(err.where) or ""
  if flow.catchable(err) then -- the next one may fare better
    note(self, ("failed: %s%s"):format(err.message, at))
    leave_open(self, "failed: " .. err.message)
    return nil
  end
  note(self, ("failed and ends: %s%s"):format(err.message, at))
  leave_open(self, ("failed and ended: %s%s"):format(err.message, at))
  return err.message
end

local function strike(self, host, due)
  self.number = self.number + 1
  write(self, { type = "clock.strike", number = self.number, epoch = due, text = self.text })
  local ctx, buffer = self.ctx, {}
  ctx.buffer = buffer -- its lines stay together, whatever the steps show meanwhile
  local tick = {
    number = self.number,
    since = units.span(math.floor(host.clock.wall() - self.plan.began)),
    at = times.at(host.clock, self.zone, due),
  }
  note(self, ("clock, number %d, after %s"):format(tick.number, tostring(tick.since)))
  local ok, raised = pcall(self.fn, tick)
  if ok and self.run.commit_state then
    ok, raised = pcall(self.run.commit_state, ctx.step)
  end
  local over = settle(self, ok, raised)
  ctx.buffer = nil
  report.flush(buffer)
  return over
end

--- Strikes until there is no more to strike, or it is told to stop.
local function run_clock(self, host)
  local last = self.last
  while true do
    local due = clock_plan.after(self.plan, last)
    if not due then
      write(self, { type = "clock.end", reason = "it has struck for the last time" })
      return
    end
    local now = host.clock.wall()
    while now < due do
      if not host.task.sleep(math.min(due - now, LOOK)) or self.ctx.cancelled then
        return
      end
      now = host.clock.wall()
    end
    local over = strike(self, host, due)
    if over then
      if over ~= "stopped" then
        write(self, { type = "clock.end", reason = over })
      end
      return
    end
    last = math.max(due, now) -- what was missed while the machine slept is struck once
  end
end

-- -- beginning and end ----------------------------------------------------------------------------

local function stop(self, reason)
  if self.task then
    tasks.cancel(self.ctx, self.task, reason)
    tasks.join(self.run.context, self.task)
    self.task = nil
  end
end

--- Ends the clocks of a run; a change in flight is let finish. Once, when its steps are over.
function clock.stop_all(run)
  for _, self in pairs(run.clocks or {}) do
    stop(self, "the run's steps are over")
  end
end

--- What a clock is part of: the run, and neither its step nor what ends that.
local function context_of(current, id, shown)
  local run = current.run
  local resumes = run.recording and #run.recording.resumed + 1 or 0
  return setmetatable({
    step = { id = id, shown = shown, changes = 0 },
    path = current.path,
    attempt = 1 + resumes, -- keys of effects are told apart by it
    branch = "",
    ordinal = 0,
    beside = "a clock",
  }, { __index = run.context })
end

local function start(host, current, self)
  local run = current.run
  local known = run.recording and run.recording.clocks and run.recording.clocks[current.path .. "\0" .. self.id] or {}
  if known.ended then
    return
  end
  self.number, self.last = known.number or 0, known.last or self.plan.began
  self.shown = { key = self.id, number = current.step.shown.number, name = self.text, attempt = 1 }
  self.ctx = context_of(current, self.id, self.shown)
  run.clocks = run.clocks or {}
  local before = run.clocks[current.path .. "\0" .. self.id]
  if before then -- the step is tried again
    stop(before, "its step began again")
  end
  run.clocks[current.path .. "\0" .. self.id] = self
  for _, summary in ipairs(doubts(run, current.path, self.id)) do
    local said = ("nobody knows whether it happened when the run was cut short: %s"):format(summary)
    note(self, said)
    leave_open(self, said)
  end
  write(self, { type = "clock.start", text = self.text, words = self.words, epoch = self.plan.began })
  self.task = tasks.spawn(self.ctx, run_clock, self, host)
end

--- The moment it began, which a resumed run keeps.
local function began_of(host, current, id)
  local clocks = current.run.recording and current.run.recording.clocks
  local known = clocks and clocks[current.path .. "\0" .. id]
  return known and known.began or host.clock.wall()
end

---@param host table
function clock.build(host)
  local api = {}

  --- A timer beside the steps: from now on fn is called every so often, or at given moments, until the run ends.
  ---@param text string what it is for
  ---@param opts {every: any?, at: any?, from: any?, to: any?}
  ---@param fn fun(tick: {number: integer, since: table, at: table})
  ---@return table handle stop() ends it
  function api.clock(text, opts, fn)
    local current = context.need "clock"
    local where = host.where()
    if type(text) ~= "string" or type(opts) ~= "table" or type(fn) ~= "function" then
      arguments.misuse(where, 'clock: expected clock("what", {every = "30m"}, function() … end)')
    end
    opts = arguments.options("clock", opts, options, where)
    if current.beside or current.reads_only then
      arguments.misuse(where, ("clock: inside %s no clock is started"):format(current.beside or current.reads_only))
    end
    local run = current.run
    current.clocks = (rawget(current, "clocks") or 0) + 1
    local branch = current.branch ~= "" and ("." .. current.branch) or ""
    local id = ("%s%s.clock-%d"):format(current.step.id, branch, current.clocks)
    local zone = run.environment.timezone or "Etc/UTC"
    local plan, problem = clock_plan.new(host.clock, zone, opts, began_of(host, current, id))
    if not plan then
      arguments.misuse(where, ("clock '%s': %s"):format(text, problem))
    end
    local self = { run = run, id = id, step = current.step.id, text = text, fn = fn, plan = plan, zone = zone }
    self.words = clock_plan.words(opts)
    if run.dry then
      report.emit {
        event = "note",
        step = current.step.shown,
        text = ("would start a clock beside the steps: %s (%s)"):format(text, self.words),
      }
    elseif not run.offline and not run.ways_only then
      start(host, current, self)
    end
    return {
      stop = function()
        local calling = context.need "clock"
        if calling == self.ctx then
          error(errors.finish { message = "it stopped itself" }, 0)
        elseif self.task then
          stop(self, "its playbook stopped it")
          write(self, { type = "clock.end", reason = "stopped" })
        end
      end,
    }
  end

  return arguments.guard_all(api, host.where)
end

return clock
