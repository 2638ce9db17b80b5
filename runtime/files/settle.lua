--- Did a change of files happen that was begun and whose end nobody wrote down? What an item was right
--- before stands in the journal as its id (device, inode, size, time of the last write): of a list's entry in
--- the body, of a path in the token. Looks only.
local errors = require "runtime.errors"
local settle = {}

--- Paths whose ids a token holds; of more nothing is found out later.
local LOOKED_AT = 1000
--- In a token: there was nothing of that name.
local NOTHING = ""

local DONE, NOT = "done", "not done"

--- What the host says of a path now, or nil when nothing is there.
local function look(host, path)
  local entry, err = host.fileops.run { verb = "stat", path = path }
  if not entry then
    error(errors.from_host(err, "read"), 0)
  end
  return entry.id and entry or nil
end

--- The parts of an id.
local function parse(id)
  local place, size, written = (id or ""):match "^(%x+%.%x+)%.(%x+)%.(%x+%.%x+)$"
  return { place = place, size = size and tonumber(size, 16) or 0, written = written }
end

--- Is this still the same file, whatever was written to it?
local function is_same_file(before, now)
  return before ~= NOTHING and parse(before).place == parse(now.id).place
end

--- The token of a change: ids of its paths, in the order of its items. What came of a list has its own.
---@param host table
---@param items {path: string, id: string?}[]
---@return table? token {before = {id or "" for nothing there or false, …}}
function settle.token(host, items)
  local before, asked = host.json.array {}, 0
  for i, item in ipairs(items) do
    before[i] = false
    if not item.id then
      asked = asked + 1
      if asked > LOOKED_AT then
        return nil
      end
      local ok, entry = pcall(look, host, item.path)
      before[i] = ok and (entry and entry.id or NOTHING) -- what cannot be looked at, perform will say
    end
  end
  return asked > 0 and { before = before } or nil
end

--- The SHA-256 of a file, or of a part of it.
local function digest(host, path, offset, length)
  local answer, err = host.fileops.run { verb = "checksum", path = path, offset = offset, length = length }
  if not answer then
    error(errors.from_host(err, "read"), 0)
  end
  return answer.sha256
end

-- Each: one item -> "done" and what perform's answer says of it, "not done", or nil and why.
-- at: {path, before = id, NOTHING or nil, listed = it came from a list, now = entry or nil, body, host}
local judge = {}

local function unchanged(at)
  if at.now == nil then
    return at.before == NOTHING
  end
  return at.before == at.now.id
end

function judge.write(at)
  local text = at.body.text
  if unchanged(at) then
    return NOT -- a write leaves another inode, even of the same text
  elseif type(text) ~= "table" then
    return nil, "it was replaced, and its text is a secret that cannot be compared"
  elseif at.now and at.now.type == "file" and at.now.size == text.bytes and digest(at.host, at.path) == text.sha256 then
    return DONE, { after = text.bytes, created = at.before == NOTHING or nil }
  end
  return nil, "it is neither what it was nor what was to be written"
end

function judge.append(at)
  local text, size = at.body.text, parse(at.before).size
  if unchanged(at) or (at.before == NOTHING and at.now and at.now.size == 0) then
    return NOT
  elseif not at.now or not at.before or (at.before ~= NOTHING and not is_same_file(at.before, at.now)) then
    return nil, "it was replaced or removed since"
  elseif at.now.size == size then
    return NOT -- a write that is killed before its first byte has set the file's time all the same
  elseif type(text) ~= "table" then
    return nil, "it was written to, and the text is a secret that cannot be compared"
  elseif at.now.size >= size + text.bytes then
    if digest(at.host, at.path, size, text.bytes) == text.sha256 then
      return DONE, { after = size + text.bytes, created = at.before == NOTHING or nil }
    end
    return nil, "others wrote to it, too"
  end
  return nil, ("%d of %d bytes were appended"):format(math.max(0, at.now.size - size), text.bytes)
end

function judge.remove(at)
  if not at.now then
    return DONE
  elseif unchanged(at) then
    return NOT
  elseif at.listed and not is_same_file(at.before, at.now) then
    return DONE -- what was listed is not there any more; another by its name is left alone
  end
  return nil, at.now.type == "directory" and "it was removed in part, or changed since" or "it changed since"
end

function judge.compress(at)
  local target = look(at.host, at.path .. ".gz")
  if not target and at.now and unchanged(at) then
    return NOT
  elseif not target then
    return nil, "it changed since, and no '.gz' is beside it"
  end
  -- Its '.gz' takes its name when it is whole, with the time of the original.
  local whole = at.before and parse(target.id).written == parse(at.before).written
  if whole and not at.now and not at.body.keep then
    return DONE, { after = target.size }
  elseif whole and at.body.keep and unchanged(at) then
    return DONE, { after = target.size }
  elseif whole and unchanged(at) then
    return nil, "its '.gz' is whole and the original still there: remove one of them"
  end
  return nil, "a '.gz' beside it may be another's"
end

function judge.truncate(at)
  local to = at.body.size or 0
  if unchanged(at) then
    return NOT
  elseif at.now and at.before and is_same_file(at.before, at.now) and at.now.size == to then
    return DONE, { after = to }
  end
  return nil, "it was written to or replaced since"
end

function judge.mkdir(at)
  if not at.now then
    return NOT
  elseif at.now.type ~= "directory" then
    return nil, "it is there and no directory"
  elseif at.before == NOTHING and at.now.mode ~= (at.body.mode or 493) then -- 0755
    return nil, ("it is there with the mode %04o"):format(at.now.mode)
  end
  return DONE, { created = at.before == NOTHING or nil }
end

--- What perform would have answered. How much room a removal freed is not known any more (another name or a
--- holder may keep it): `freed` is missing then.
local function answer_of(host, verb, items)
  local answer = { items = host.json.array {}, left = host.json.array {}, count = #items, size = 0 }
  if verb ~= "remove" then
    answer.freed = 0
  end
  for i, item in ipairs(items) do
    answer.items[i] = item
    answer.size = answer.size + item.size
    if verb == "truncate" or verb == "compress" then
      answer.freed = answer.freed + item.size - item.after
    end
  end
  return answer
end

--- Some were done, others not. Doing it again does the rest and names those that were done as left: they
--- are gone, or not what was listed any more. Only a path that is cut again could lose what was written since.
local function may_finish(verb, all_listed)
  return verb == "remove" or verb == "compress" or all_listed
end

---@param host table
---@param verb string
---@param record table effect.begin
---@return "done"|"not done"|"repeat"|nil
---@return string? why
---@return table? answer of the change, where it is known
function settle.find(host, verb, record)
  local body, before = record.body, record.token and record.token.before or {}
  if verb == "touch" then
    return "repeat" -- once more is now, too
  elseif not body or not body.files then
    return nil, "the list was too long for the journal"
  end
  local items, all_listed, unknown, reason = {}, true, 0, nil
  for i, item in ipairs(body.files) do
    local was = item.id or before[i] or nil
    local at = { path = item.path, before = was, listed = item.id ~= nil, body = body, host = host, now = look(host, item.path) }
    local word, fact = judge[verb](at)
    if word == DONE then
      fact = fact or {}
      fact.path, fact.size = item.path, was and parse(was).size or 0
      items[#items + 1] = fact
    elseif not word then
      unknown, reason = unknown + 1, reason or ("'%s': %s"):format(item.path, fact)
    end
    all_listed = all_listed and at.listed
  end
  local count = #body.files
  local progress = ("%d of %d done"):format(#items, count)
  if unknown > 0 then
    return nil, count > 1 and ("%s, of %d it is not known: %s"):format(progress, unknown, reason) or reason
  elseif #items == count then
    return DONE, nil, count > 0 and answer_of(host, verb, items) or nil
  elseif #items == 0 or may_finish(verb, all_listed) then
    return NOT, #items > 0 and progress .. "; the rest can be done" or nil
  end
  return nil, progress
end

return settle
