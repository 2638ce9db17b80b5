--- What a run's journal says, folded so that the run can be gone on with: which steps ended and how, what every
--- effect came to, the ways back that are still open. Pure: records in, tables out.
local recording = {}
recording.__index = recording

--- One text for the key of an effect.
local function key_of(record)
  return table.concat({ record.path, record.step, record.attempt, record.branch, record.ordinal }, "\0")
end
recording.key_of = key_of

local function step_key(path, id)
  return path .. "\0" .. id
end

local function is_change(record)
  return record.class == "change" or record.class == "tell"
end

local on = {}

on["run.start"] = function(self, r)
  self.start = r
end

on["run.resume"] = function(self, r)
  self.resumed[#self.resumed + 1] = r
  self.finish, self.waiting, self.unwinding = nil, {}, false
  if r.frozen then -- a changed playbook was taken
    self.start.frozen, self.start.digest = r.frozen, r.digest
  end
end

on["unwind"] = function(self, r)
  self.ended_well = not r.failed and not r.undo
  self.unwinding = true -- from here on ways back are taken at the run's end, not inside a step
end

on["run.end"] = function(self, r)
  self.finish = r
  self.samples_from = #self.checks + 1 -- a run that ended has kept its checks' values
end

on["run.closed"] = function(self, r)
  self.closed = r
end

on["step.start"] = function(self, r)
  local key = step_key(r.path, r.step)
  local entry = self.steps[key]
  if not entry then
    entry = { path = r.path, id = r.step, name = r.name, inner = r.inner, starts = {}, begins = {}, pushes = {} }
    entry.parent = r.parent and step_key(r.parent.path, r.parent.step) or nil
    self.steps[key] = entry
    self.order[#self.order + 1] = entry
    local above = entry.parent and self.steps[entry.parent]
    if above then
      above.children = above.children or {}
      table.insert(above.children, entry)
    end
  end
  entry.attempt, entry.began = r.attempt, r.n
  entry.starts[r.attempt] = entry.starts[r.attempt] or r.n
  entry.state, entry.ended, entry.value, entry.not_kept, entry.error, entry.reason = nil, nil, nil, nil, nil, nil
end

on["step.end"] = function(self, r)
  local entry = self.steps[step_key(r.path, r.step)]
  if entry then
    entry.state, entry.ended, entry.value, entry.not_kept = r.state, r.n, r.value, r.not_kept
    entry.error, entry.reason, entry.seconds, entry.t = r.error, r.reason, r.seconds, r.t
    self.last_step = entry
    entry.well = (entry.well or 0) + (r.state == "done" and 1 or 0)
  end
end

on["effect.begin"] = function(self, r)
  local key = key_of(r)
  local effect = { key = key, begin = r, n = r.n, t = r.t, branch = r.branch, attempt = r.attempt, at_end = self.unwinding }
  self.effects[key] = effect
  local entry = self.steps[step_key(r.path, r.step)]
  if entry then
    table.insert(entry.begins, effect)
  end
end

on["effect.end"] = function(self, r)
  local key = key_of(r)
  local effect = self.effects[key]
  if r.class == "ask" then
    self.asked[r.target] = true
    local entry = self.steps[step_key(r.path, r.step)]
    if entry then
      entry.asks = entry.asks or {}
      table.insert(entry.asks, { gate = r.target, attempt = r.attempt })
    end
  elseif r.resolved and effect and effect.begin then
    self.asked[("%s.outcome.%d"):format(r.step, effect.begin.n)] = true
  end
  if is_change(r) and effect and not (effect.finish and effect.finish.outcome ~= "unknown") then
    effect.finish = r
  elseif not is_change(r) or not effect then
    self.effects[key] = {
      key = key, finish = r, n = r.n, t = r.t, branch = r.branch, attempt = r.attempt, at_end = self.unwinding,
    }
  end
end

on["wait"] = function(self, r)
  local key = key_of(r)
  self.effects[key] = { key = key, wait = r, finish = r, n = r.n, t = r.t, branch = r.branch, attempt = r.attempt }
end

on["time.wait"] = function(self, r)
  local key = key_of(r)
  local effect = { key = key, pause = r, finish = r, n = r.n, t = r.t, branch = r.branch, attempt = r.attempt }
  self.effects[key] = effect
  local entry = self.steps[step_key(r.path, r.step)]
  if entry then
    table.insert(entry.begins, effect) -- what led to it is not read again: the time it named stands
  end
end

on["caught"] = function(self, r)
  if r.ordinal then
    self.caught[key_of(r)] = true
  end
end

on["check"] = function(self, r)
  self.checks[#self.checks + 1] = r
end

on["undo.push"] = function(self, r)
  local way = { number = r.number, kind = r.kind, text = r.text, step = r.step, path = r.path, n = r.n }
  self.stack[r.number] = way
  self.stack_top = math.max(self.stack_top, r.number)
  if r.slot then
    self.pushes[table.concat({ r.path, r.step, r.attempt, r.branch, r.slot }, "\0")] = way
  end
  local entry = r.path and self.steps[step_key(r.path, r.step)]
  if entry then
    table.insert(entry.pushes, way)
  end
end

on["undo.done"] = function(self, r)
  local way = self.stack[r.number]
  if way then
    way.done, way.at_end = r.ok, self.unwinding
  end
end

on["settled"] = function(self)
  for _, way in pairs(self.stack) do
    if way.kind == "undo" and not way.done then -- one that was taken before stays taken
      way.settled, way.done = true, true
    end
  end
end

on["gate.wait"] = function(self, r)
  self.waiting[r.gate] = r
end

on["answer"] = function(self, r)
  self.answers[r.gate] = r
end

on["gate"] = function(self, r)
  self.gates[r.gate] = r
end

--- Adds what a type of records comes to: for rooms whose records nobody else reads.
---@param fn fun(self: table, record: table)
function recording.fold(type, fn)
  on[type] = fn
end

--- Folds records, in order.
---@param records table[]
---@return table recording
function recording.read(records)
  local self = setmetatable({
    steps = {}, order = {}, effects = {}, caught = {}, checks = {}, stack = {}, stack_top = 0, pushes = {},
    resumed = {}, asked = {}, waiting = {}, answers = {}, gates = {}, samples_from = 1, count = #records,
  }, recording)
  for _, record in ipairs(records) do
    local fold = on[record.type]
    if fold then
      fold(self, record)
    end
  end
  return self
end

--- How often a step ended well.
function recording:ended_well(path, id)
  local entry = self:step(path, id)
  return entry and entry.well or 0
end

--- The entry of a step, or nil when it never began.
function recording:step(path, id)
  return self.steps[step_key(path, id)]
end

--- Is the outcome of a change not known: begun, and no end, or an end that says so?
function recording.in_doubt(effect)
  return effect.begin ~= nil and (effect.finish == nil or effect.finish.outcome == "unknown")
end

--- Did this change happen, or may it have, or did its failure decide what the step did next?
local function counts(self, effect)
  if effect.pause or recording.in_doubt(effect) then
    return true
  end
  return effect.finish.outcome == "done" or self.caught[effect.key] == true
end

--- Every entry below this one, itself included.
local function subtree(entry, into)
  into = into or {}
  into[#into + 1] = entry
  for _, child in ipairs(entry.children or {}) do
    subtree(child, into)
  end
  return into
end
recording.subtree = subtree

--- Up to where a step that was cut short is taken from the journal: the number of its last change's record, or of
--- the pause it was suspended in; nil when none of its changes, nor its children's, had begun.
---@return integer?
function recording:cut(entry)
  local last
  local from, till = entry.starts[entry.attempt], entry.ended or math.huge
  for _, below in ipairs(subtree(entry)) do
    for _, effect in ipairs(below.begins) do
      local own = (below ~= entry or effect.attempt == entry.attempt) and not effect.at_end
      if own and effect.n > from and effect.n <= till and counts(self, effect) and self.effects[effect.key] == effect then
        last = math.max(last or 0, effect.n)
      end
    end
  end
  return last
end

--- Can this effect's record stand for the effect? A failure only where the playbook caught it and went on.
function recording:returnable(effect)
  if effect.pause then
    return true
  elseif effect.wait then
    return effect.wait.ok or self.caught[effect.key] == true
  elseif recording.in_doubt(effect) then
    return true
  end
  return effect.finish.outcome == "done" or self.caught[effect.key] == true
end

--- The effects that a scope may be asked for, in the order in which they were over.
local function scope_of(self, list, cut)
  local scope = { cut = cut, order = {}, index = {}, position = 1, most = {}, recording = self }
  table.sort(list, function(a, b)
    return (a.finish and a.finish.n or math.huge) < (b.finish and b.finish.n or math.huge)
  end)
  for i, effect in ipairs(list) do
    scope.order[i], scope.index[effect.key] = effect, i
    local branch, ordinal = effect.key:match "^(.*)%z(%d+)$"
    scope.most[branch] = math.max(scope.most[branch] or 0, tonumber(ordinal))
  end
  return scope
end

--- Everything by the step it belongs to, made once.
local function effects_by_step(self)
  if not self.by_step then
    self.by_step = {}
    for _, effect in pairs(self.effects) do
      local record = effect.begin or effect.finish
      local key = step_key(record.path, record.step)
      self.by_step[key] = self.by_step[key] or {}
      table.insert(self.by_step[key], effect)
    end
  end
  return self.by_step
end

--- Effects of an entry and of what is below it up to `cut`; of a child that was over by then only when it has to
--- be gone through again for its ways back. What a `when` read is not asked for again.
local function collect(self, entry, cut, list, all)
  for _, effect in ipairs(effects_by_step(self)[step_key(entry.path, entry.id)] or {}) do
    local wanted = effect.attempt == entry.attempt and effect.n <= cut and not effect.at_end
      and not effect.branch:find "when%-"
    if wanted and (all or self:returnable(effect)) then
      list[#list + 1] = effect
    end
  end
  for _, child in ipairs(entry.children or {}) do
    if all or not (child.ended and child.ended <= cut) or recording.to_go_through(child) then
      collect(self, child, cut, list, all)
    end
  end
  return list
end

--- What is taken from the journal for a step: its records, and those below it, up to `cut`, in the order in
--- which they were over; so branches that ran side by side go on in that order.
---@param all boolean? failures nobody caught as well, and what is below steps that are over
---@return table scope {cut, order, index, position, most}
function recording:scope(entry, cut, all)
  return scope_of(self, collect(self, entry, cut, {}, all), cut)
end

--- The same for a way back that was begun at the run's end and cut short; nil when nothing of it had begun.
---@param way table
---@param path string
---@param step string
function recording:way_scope(way, path, step)
  local name = "%f[%w]u" .. way.number .. "%f[%W]"
  local list, cut = {}, nil
  for _, effect in ipairs(effects_by_step(self)[step_key(path, step)] or {}) do
    if effect.branch:find(name) then -- at the end, or inside its step, which was cut short in the middle of it
      list[#list + 1] = effect
      if effect.begin and counts(self, effect) then
        cut = math.max(cut or 0, effect.n)
      end
    end
  end
  local taken = {}
  for _, effect in ipairs(list) do
    if cut and effect.n <= cut and self:returnable(effect) then
      taken[#taken + 1] = effect
    end
  end
  return cut and scope_of(self, taken, cut) or nil
end

--- The ways back that a step, or what is below it, has registered and nobody has taken.
function recording.open_ways(entry)
  local list = {}
  for _, below in ipairs(subtree(entry)) do
    for _, way in ipairs(below.pushes) do
      if not way.done then
        list[#list + 1] = way
      end
    end
  end
  return list
end

--- Has a step that is over to be gone through again, for its ways back and its clocks?
function recording.to_go_through(entry)
  return #recording.open_ways(entry) > 0 or entry.clocks ~= nil
end

--- All of the run's ways back nobody has taken, last first.
function recording:pending()
  local list = {}
  for number = self.stack_top, 1, -1 do
    local way = self.stack[number]
    if way and not way.done then
      list[#list + 1] = way
    end
  end
  return list
end

--- Changes nobody knows the outcome of, in order.
function recording:doubts()
  local list = {}
  for _, effect in pairs(self.effects) do
    if recording.in_doubt(effect) then
      list[#list + 1] = effect
    end
  end
  table.sort(list, function(a, b)
    return a.n < b.n
  end)
  return list
end

--- How the run stands: the state its last end wrote, else "in doubt" or "interrupted"; "closed" when somebody
--- said that nothing more will come of it.
function recording:state()
  if self.closed then
    return "closed"
  elseif self.finish and self.finish.state ~= "in doubt" then
    return self.finish.state
  end
  return #self:doubts() > 0 and "in doubt" or self.finish and self.finish.state or "interrupted"
end

return recording
