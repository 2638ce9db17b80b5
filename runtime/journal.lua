--- The journal: what was intended, what came of it, and every decision the playbook did not make.
--- Shapes of the records are in docs/JOURNAL.md; this module is the only user of the store.
local context = require "runtime.context"
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local report = require "runtime.report"
local tasks = require "runtime.tasks"
local journal = {}

--- Version of the record shapes; in every run.start.
journal.format = 1

--- A value larger than this many bytes of JSON is not kept in the journal.
local value_cap = 1024 * 1024

local host

function journal.open_host(given)
  host = given
end

--- "incident/db-exhaustion.lua" -> "db-exhaustion"
local function short_name(playbook)
  return (playbook:match "([^/]+)$"):gsub("%.lua$", ""):gsub("[^%w_.-]", "-"):sub(1, 40)
end

--- The records of checked lines.
local function decoded(id, lines)
  local records = {}
  for index, line in ipairs(lines) do
    local record, why = host.json.decode(line.text)
    if not record then
      error(errors.precondition {
        message = ("run '%s' line %d is no record: %s"):format(id, index, tostring(why)),
      }, 0)
    end
    records[index] = record
  end
  return records
end

local function fail(err, where)
  error(errors.journal {
    message = ("cannot write the journal: %s"):format(err.message or tostring(err)),
    hint = ("look at the space and rights of '%s'"):format(where or host.store.home()),
    code = err.code,
  }, 0)
end

--- The number of the first id with this beginning that was not given yet. An id of a run that was removed is not
--- given again while a later one of its minute is there: what was told of it is not taken for the new one's.
local function first_free(base)
  local last = 0
  for _, id in ipairs(host.store.list(base) or {}) do
    local number = id == base and 1 or id:sub(1, #base) == base and tonumber(id:match("^%-(%d+)$", #base + 1))
    last = math.max(last, number or 0)
  end
  return last + 1
end

--- Makes the run's directory and journal. The id is short and unique: 1121-0312-db-exhaustion,
--- with -2, -3 … behind it within one minute.
---@param playbook string path of the playbook
---@return string id, table store the open run of the store
function journal.create(playbook)
  local stamp = host.clock.utc(host.clock.wall())
  local month, day, hour, minute = stamp:match "^%d+%-(%d+)%-(%d+)T(%d+):(%d+)"
  local base = ("%s%s-%s%s-%s"):format(month, day, hour, minute, short_name(playbook))
  local first = first_free(base)
  for attempt = first, first + 10000 do
    local id = attempt == 1 and base or (base .. "-" .. attempt)
    local store, err = host.store.create(id)
    if store then
      return id, store
    end
    if err.code ~= "exists" then
      fail(err)
    end
  end
  error(errors.journal { message = "cannot find a free run id for '" .. base .. "'" }, 0)
end

--- Opens a run that has ended, or whose process has: to append to it, and for nobody else meanwhile. Raises
--- `refused` when another process holds it, `precondition` when it is missing or damaged.
---@param id string
---@return table store, table[] records, string? notice what was cut off behind the last whole line
function journal.open(id)
  local store, err = host.store.open(id, "append")
  if not store and err.code == "locked" then
    local holder = err.holder or {}
    error(errors.refused {
      message = ("run '%s' is held by process %s on %s since %s"):format(
        id, tostring(holder.pid or "?"), holder.host or "this machine", holder.since or "?"
      ),
      hint = "one process at a time goes on with a run: opsrun log RUN --follow watches it",
      code = "locked",
    }, 0)
  elseif not store then
    error(errors.precondition {
      message = err.message,
      code = err.code,
      hint = err.code == "damaged" and "a journal is never repaired silently: opsrun verify RUN says more" or nil,
    }, 0)
  end
  local notice = err -- beside the run: what was cut off its end
  local lines, why = store:read()
  if not lines then
    error(errors.precondition { message = why.message, code = why.code }, 0)
  end
  return store, decoded(id, lines), notice
end

--- Opens a run to look at it, whoever goes on with it meanwhile.
---@return table store, table[] records, string? notice
function journal.look_in(id)
  local store, err = host.store.open(id, "read")
  if not store then
    error(errors.precondition { message = err.message, code = err.code }, 0)
  end
  local lines, notice = store:read()
  if not lines then
    error(errors.precondition { message = notice.message, code = notice.code }, 0)
  end
  return store, decoded(id, lines), notice
end

--- Keeps plain data beside the journal; its digest, or nil when it holds a secret.
---@return string? digest
function journal.keep(run, value)
  if not run.store.blob then
    return nil
  end
  local digest, err = run.store:blob(assert(host.json.encode(value)))
  if digest then
    return digest
  elseif err.code == "secret" then
    return nil
  end
  fail(err, run.store:dir())
end

--- Appends one record; with `sync` it is on disk when this returns. While a step is gone through again only for
--- its ways back, nothing is written: it stands there already.
function journal.write(run, record, sync)
  local current = context.current()
  if run.offline or current and current.silent then
    return
  end
  local text, why = host.json.encode(record)
  if not text then
    error(errors.bug { message = "a journal record cannot be encoded: " .. tostring(why) }, 0)
  end
  local ok, err = run.store:append(text, sync or false)
  if not ok then
    run.journal_broken = true
    fail(err, run.store:dir())
  end
  run.synced = run.synced or sync
end

--- The same, on disk when this returns if anything of the run had to be: one that has only read needs no sync.
function journal.write_end(run, record)
  journal.write(run, record, run.synced or false)
end

local function with_key(record, effect)
  local key = effect.key
  record.path, record.step, record.attempt = key.path, key.step, key.attempt
  record.branch, record.ordinal = key.branch, key.ordinal
  record.kind, record.class, record.target = effect.kind, effect.class, effect.target
  record.summary, record.detail = effect.summary, effect.detail
  record.digest, record.where, record.costs = effect.digest, effect.where, effect.costs
  return record
end

--- Plain data for a record, or nil and why it is not kept: too large, not data, or it holds a secret
--- (a masked value could not be given back to the playbook as it was).
---@param as_text boolean? durations and the like as people read them, not to be given back
function journal.plain(value, as_text)
  if value == nil then
    return nil
  end
  local asked, copied, text = pcall(plain.encode, host.json, value, as_text) -- metamethods of the author's may raise
  if not asked or not text then
    return nil, copied == plain.secret and "holds a secret" or "not plain data"
  end
  if #text > value_cap then
    return nil, "too large"
  end
  if host.mask.apply(text) ~= text then
    return nil, "holds a secret"
  end
  return copied
end

--- Room on disk that a change must find before it is made, for its records: its outcome too.
local change_room = 16 * 1024

--- A change's intent and token, on disk before it is made.
function journal.begin(run, effect, token)
  local body = journal.plain(effect.body) or journal.plain(effect.body, true) -- of a secret its name
  if run.store.reserve then
    local ok, err = run.store:reserve(change_room)
    if not ok then
      fail(err, run.store:dir())
    end
  end
  journal.write(run, with_key({ type = "effect.begin", token = token, body = body }, effect), true)
  run.begun = (run.begun or 0) + 1 -- how many have no recorded outcome yet
  effect.begun = tasks.in_flight(1)
end

--- The outcome of an effect. A change's is synced; a read's rides with the next sync.
---@param result {outcome: string, value: any, not_kept: string?, failure: table?}
function journal.finish(run, current, effect, result)
  local changed = effect.class == "change" or effect.class == "tell"
  if current.unrecorded and not changed then
    return -- polls of wait_until: only their last value is kept
  end
  local value, why = journal.plain(result.value)
  local failure = result.failure
  journal.write(
    run,
    with_key({
      type = "effect.end",
      outcome = result.outcome,
      value = value,
      not_kept = result.not_kept or why,
      resolved = result.resolved,
      error = failure and {
        kind = failure.kind,
        message = failure.message,
        code = failure.code,
        hint = failure.hint,
      } or nil,
    }, effect),
    changed and result.outcome ~= "not sent"
  )
  effect.begun = effect.begun and tasks.in_flight(-1)
end

--- A change that a dry run did not make.
function journal.planned(run, effect, rehearsed)
  journal.write(run, with_key({ type = "effect.planned", rehearsed = rehearsed }, effect))
end

--- A refusal by policy.
function journal.refused(run, effect, failure)
  journal.write(run, with_key({ type = "effect.refused", error = { message = failure.message } }, effect))
end

--- Reads a finished or running run's journal: decoded records in order, and a notice when the last
--- line was torn. Raises `precondition` when it is missing or damaged.
function journal.read(id)
  local store, err = host.store.open(id, "read")
  if not store then
    error(errors.precondition { message = err.message, code = err.code }, 0)
  end
  local lines, notice = store:read()
  if not lines then
    error(errors.precondition {
      message = notice.message or tostring(notice),
      code = notice.code,
      hint = "a journal is never repaired silently; the run's folder is " .. store:dir(),
    }, 0)
  end
  local records = decoded(id, lines)
  local dir = store:dir()
  if store.close then
    store:close()
  end
  return records, notice, dir
end

--- Who holds the run now, {pid, …}, or nil: the process that wrote it is gone.
function journal.holder(id)
  return host.store.holder and host.store.holder(id) or nil
end

--- Where runs are kept.
function journal.home()
  return host.store.home()
end

local function listed(part)
  local ids, err = host.store.list(part)
  if not ids then
    error(errors.precondition { message = err.message }, 0)
  end
  return ids
end

--- Ids of all runs, oldest first.
function journal.list()
  return listed()
end

--- Ids of the runs that a playbook of this name may have made, oldest first: others of the same short name too.
---@param playbook string path of the playbook
function journal.named_like(playbook)
  local name, ids = short_name(playbook), {}
  for _, id in ipairs(listed("-" .. name)) do
    local rest = id:match "^%d%d%d%d%-%d%d%d%d%-(.*)$"
    if rest == name or rest and rest:sub(1, #name) == name and rest:find("^%-%d+$", #name + 1) then
      ids[#ids + 1] = id
    end
  end
  return ids
end

--- When the run was made, in seconds since 1970; taken away meanwhile: now.
function journal.made(id)
  return host.store.made(id) or host.clock.wall()
end

--- First and last record of a run without reading what is between; nil for one that is not whole.
---@return table? first, table? last
function journal.ends(id)
  local first, last = host.store.ends(id)
  if type(last) == "table" then
    return nil, nil -- an error: it cannot be read
  end
  return first and host.json.decode(first), last and host.json.decode(last)
end

--- Deletes a run. One that somebody writes, or that another removed meanwhile, is left alone.
function journal.remove(id)
  local ok, err = host.store.remove(id)
  if not ok and err.code ~= "locked" and err.code ~= "missing" then
    error(errors.journal { message = err.message, code = err.code }, 0)
  end
end

--- All that opening a run takes is written: its first record and the frozen copy. On a full disk the reserve of 8 MiB
--- was released for it: then the operator is told. Else it is made if it is missing.
function journal.opened(run)
  if run.store:opened() then
    journal.write(run, { type = "ballast" })
    report.emit {
      event = "message",
      style = "yellow",
      text = ("the disk of '%s' is full: opsrun released its reserve of 8 MiB to open this run; make space, "
        .. "the next run puts it back"):format(host.store.home()),
    }
  end
end

--- What proves the journal up to now: "42:3f9a…", the number of records and the SHA-256 of the last.
function journal.anchor(run)
  return ("%d:%s"):format(run.store:tip())
end

--- A run's journal and blobs for verify: {records, torn, digest(line), blobs(), fetch(digest), close()}, or nil and the
--- error as the store has it.
function journal.look(id)
  local store, err = host.store.open(id, "read")
  if not store then
    return nil, err
  end
  local lines, torn = store:read()
  if not lines then
    store:close()
    return nil, torn
  end
  local look = { records = {}, torn = torn }
  for i, line in ipairs(lines) do
    look.records[i] = host.json.decode(line.text) or {}
  end
  function look.digest(line)
    return host.digest.sha256(lines[line].text)
  end
  function look.blobs()
    return store:blobs() or {}
  end
  function look.fetch(digest)
    return store:fetch(digest)
  end
  function look.close()
    store:close()
  end
  return look
end

--- What playbooks keep between runs, as text: host.store's state_get and state_put.
function journal.state_get(name)
  return host.store.state_get(name)
end

function journal.state_put(name, text)
  return host.store.state_put(name, text)
end

--- A named lock beside the runs: host.store.lock.
function journal.lock(name, note)
  return host.store.lock(name, note)
end

return journal
