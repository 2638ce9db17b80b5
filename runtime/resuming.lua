--- Opens a run again: takes its lock, folds its journal, loads what it was playing, says what changed since.
--- For resume and undo.
local author_globals = require "runtime.author.globals"
local call = require "runtime.call"
local engine = require "runtime.engine"
local environments = require "runtime.environment"
local errors = require "runtime.errors"
local frozen = require "runtime.frozen"
local journal = require "runtime.journal"
local loader = require "runtime.loader"
local offline = require "runtime.offline"
local params = require "runtime.params"
local plain = require "runtime.plain"
local recording = require "runtime.recording"
local run_of = require "runtime.run"
local step_options = require "runtime.step_options"
local used = require "runtime.used"
local resuming = {}

local may_go_on = { suspended = true, interrupted = true, failed = true, refused = true, ["in doubt"] = true }

local why_not = {
  done = "it is done",
  undone = "what it did was taken back",
  closed = "it was closed",
}

--- Raises `refused` unless a run in this state may be gone on with.
local function need_open(id, rec, doing)
  local state = rec:state()
  if doing == "replay" then
    return
  elseif rec.start.mode ~= "live" then
    error(errors.refused {
      message = ("run '%s' was a dry run: it changed nothing, there is nothing to %s"):format(id, doing),
      hint = "opsrun play plays it live",
    }, 0)
  elseif not may_go_on[state] and not (doing == "undo" and state == "done") then
    error(errors.refused {
      message = ("run '%s' cannot be %s: %s"):format(id, doing == "undo" and "undone" or "resumed", why_not[state] or state),
      hint = "opsrun status lists the runs that can go on",
    }, 0)
  end
end

--- The run's flags that were decisions about what is played; the rest comes from this command's line.
local kept_flags = { "params", "from", "until", "skip", "fail_on", "config" }

local function merged(services, rec)
  local flags, recorded = {}, rec.start.flags or {}
  for name, value in pairs(services.options.flags) do
    flags[name] = value
  end
  flags.from = nil -- of a resume: what is run again, not where the run began
  for _, name in ipairs(kept_flags) do
    flags[name] = recorded[name]
  end
  flags.config = services.options.flags.config or flags.config
  return flags
end

--- The frozen copy of the run, or nil when it could not be kept.
local function copy_of(services, id, rec, store)
  if not rec.start.frozen then
    return nil
  end
  local text, err = store:fetch(rec.start.frozen)
  local copy = text and services.host.json.decode(text)
  if not copy then
    error(errors.precondition {
      message = ("run '%s': its frozen playbook cannot be read: %s"):format(id, err and err.message or "it is no JSON"),
      hint = "opsrun log shows what was done; it has to be finished or taken back by hand",
    }, 0)
  end
  return copy
end

--- The playbook as it is on disk now: where it was then, else where its name is found; or nil.
local function current_text(live, was)
  local there, text = pcall(live.read, was.path, was.name)
  if there then
    return text
  end
  local found, path = pcall(live.find, was.name)
  if not found then
    return nil
  end
  local read, other = pcall(live.read, path, was.name)
  return read and other or nil
end

--- The parameters that each playbook of the run declares, by its name.
local function declared_by(book, called, into)
  into[book.name] = book.header.params or {}
  for _, entry in pairs(called) do
    if entry.book then
      declared_by(entry.book, entry.called, into)
    end
  end
  return into
end

--- What is another in the environment now, of the part that the run leans on.
local function environment_changes(self)
  local run = {
    copy = self.copy,
    values = self.recording.start.params or {},
    effects = self.recording.effects,
    books = declared_by(self.book, self.called, {}),
  }
  local now = self.environment.plain and self.environment.plain() or {}
  return frozen.differences("environment", used.part(self.copy.environment, run), used.part(now, run))
end

--- What was changed since the run began, in words.
local function changes_of(self, live)
  local lines = {}
  local function compare(text)
    local now = current_text(live, text)
    local difference = now and frozen.first_difference(text.text, now)
    if difference then
      lines[#lines + 1] = ("%s %s"):format(text.name, difference)
      self.playbook_changed = true
    end
  end
  if self.copy then
    compare(self.copy.playbook)
    for _, text in pairs(self.copy.calls) do
      compare(text)
    end
    for _, line in ipairs(environment_changes(self)) do
      lines[#lines + 1] = line
    end
  elseif self.book.digest ~= self.recording.start.digest then
    lines[#lines + 1] = ("%s was changed, and no copy of it could be kept"):format(self.book.name)
    self.playbook_changed, self.no_copy = true, true
  end
  for _, line in ipairs(frozen.differences("parameter", self.recording.start.params, params.shown(self.values))) do
    lines[#lines + 1] = line
  end
  return lines
end

local function refuse_changed(id, lines, no_copy)
  error(errors.refused {
    message = ("run '%s' does not simply go on, something changed since it began:\n  %s"):format(
      id, table.concat(lines, "\n  ")),
    hint = no_copy and "put the playbook back as it was"
      or "--accept goes on all the same, with the playbook as it was; --edited plays the changed playbook, "
        .. "if every recorded call still matches",
    code = "changed",
  }, 0)
end

--- Opens a run for going on with it. Raises `refused` when it may not be, when another process holds it, when
--- something changed and neither --accept nor --edited was said.
---@param services {host: table, options: table}
---@param id string
---@param doing "resume"|"undo"|"replay"
---@return table opened {id, store, recording, copy, environment, book, declared, called, values, services, changes}
function resuming.open(services, id, doing)
  local store, records, notice
  if doing == "replay" then
    store, records, notice = journal.look_in(id)
  else
    store, records, notice = journal.open(id)
  end
  local rec = recording.read(records)
  if not rec.start then
    error(errors.refused { message = ("run '%s' ended before it did anything"):format(id), hint = "play it again" }, 0)
  end
  if (rec.start.format or 0) > journal.format then
    error(errors.precondition {
      message = ("run '%s' was made by opsrun %s, whose journal this one does not know"):format(id, tostring(rec.start.opsrun)),
      hint = "go on with it by that version",
    }, 0)
  end
  need_open(id, rec, doing)
  local self = { id = id, store = store, recording = rec, notice = notice }
  local flags = merged(services, rec)
  self.copy = copy_of(services, id, rec, store)
  local live = loader.source(services.host)
  local edited = services.options.flags.edited
  self.services = {
    host = services.host,
    options = { command = "play", words = { rec.start.playbook }, flags = flags },
    source = self.copy and not edited and frozen.source(self.copy, live) or nil,
  }
  self.environment = environments.load(self.services, rec.start.environment)
  local globals
  globals, self.declared = author_globals(services.host)
  local which = edited and self.copy and self.copy.playbook.path or rec.start.playbook
  self.book = loader.load(self.services, which, { globals = globals })
  step_options.verify(self.declared.nodes, self.book.header)
  self.called = call.load(self.services, self.book, author_globals)
  self.values = params.resolve(self.services, self.book, self.environment, flags.params or {})
  self.values = params.with(self.values, plain.revive(rec.start.moments or {}), self.book.header.params)
  self.changes = changes_of(self, live)
  local accepted = services.options.flags.accept or edited and self.playbook_changed
  if doing ~= "replay" and #self.changes > 0 and (self.no_copy or not accepted) then
    refuse_changed(id, self.changes, self.no_copy)
  end
  return self
end

--- The run's table, with all it did before in it.
---@param opened table
function resuming.run(opened)
  local run = run_of.new(opened.services, opened.book, opened.environment, opened.values)
  run.called, run.recording = opened.called, opened.recording
  run.id, run.store = opened.id, opened.store
  run.seed = opened.recording.start.seed
  run.stack_top[1] = opened.recording.stack_top
  run.samples_from = opened.recording.samples_from
  return run
end

--- Plays the opened run's playbook against its journal, in silence. Raises `refused` where they disagree.
function resuming.verify(opened)
  local run = resuming.run(opened)
  run.offline, run.played = true, {}
  run_of.open(opened.services, run, opened.declared)
  local ok, failure = pcall(engine.run, run, opened.declared)
  run_of.close(run)
  failure = not ok and errors.wrap(failure) or failure
  if failure and failure.code == "mismatch" then
    error(failure, 0)
  end
  local missed = offline.missed(run)
  if #missed > 0 then
    error(errors.refused {
      message = ("step '%s' changed something, and the changed playbook does not come to it"):format(missed[1]),
      hint = "--accept goes on with the playbook as it was",
      code = "mismatch",
    }, 0)
  end
end

return resuming
