--- Going back to an earlier release: which one was good, what the database has learnt since, whether it serves.
--- Releases that were verified are remembered in `state "deploys"`, under "verified SERVICE": {release = seconds}.

local outage = require "outage"

local rollbacks = {}

--- So many verified releases of a service are remembered.
local KEPT = 50
--- A target that is not among the newest is looked for among so many.
local DEPTH = 500

local function key_of(name)
  return "verified " .. name
end

--- Releases of a service that were verified, as seconds since 1970 by id.
---@param name string the service
---@return table<string, number>
function rollbacks.verified(name)
  return state "deploys":get(key_of(name), {})
end

--- Remembers that a release passed its verification. The header names the state: uses = { state = { "deploys" } }.
---@param name string
---@param id string
function rollbacks.remember(name, id)
  local epoch = math.floor(now().epoch)
  state "deploys":update(key_of(name), function(known)
    local ids = { id }
    for other in pairs(known or {}) do
      if other ~= id then ids[#ids + 1] = other end
    end
    table.sort(ids, function(a, b) return (a == id and math.huge or known[a]) > (b == id and math.huge or known[b]) end)
    local kept = {}
    for i = 1, math.min(#ids, KEPT) do
      kept[ids[i]] = ids[i] == id and epoch or known[ids[i]]
    end
    return kept
  end)
end

local function find(rows, id)
  for i, row in ipairs(rows) do
    if row.id == id then return row, i end
  end
  return nil
end

--- How long ago a release was made: to the minute when that is more than an hour.
local function age_of(row, moment)
  local seconds = math.max(0, math.floor(moment.epoch) - row.time)
  return moment - (moment - (seconds > 3600 and seconds - seconds % 60 or seconds))
end

--- The last releases of a service, for `show`, and the one to go back to: the target; else the newest before what serves
--- that was verified; else the newest before it, about which nobody knows. Fails when there is none.
---@param name string the service
---@param count integer so many are looked at
---@param target string? an id
---@return table rows id, age, state, now, verified, what
---@return table choice from, to (rows of service:releases(), from may be nil), why
function rollbacks.choose(name, count, target)
  local serving, list = service(name):status().release, service(name):releases { limit = count }
  if target and not find(list, target) or serving and not find(list, serving) then
    list = service(name):releases { limit = DEPTH }
  end
  local verified, from, at = rollbacks.verified(name), find(list, serving)
  local moment = now()
  local rows, best, newest = { columns = { "id", "age", "state", "serves", "verified", "what" } }, nil, nil
  for i, row in ipairs(list) do
    local ready = row.state == "ready" and row.id ~= serving
    local older = ready and i > (at or 0)
    if older then
      newest = newest or row
      best = best or verified[row.id] and row or nil
    end
    if i <= count or row.id == target or row.id == serving then
      rows[#rows + 1] = {
        id = row.id, age = age_of(row, moment), state = row.state,
        serves = row.id == serving and "now" or nil, verified = verified[row.id] and "yes" or nil,
        what = (row.commit and row.commit:sub(1, 8) .. " " or "") .. (row.text or ""),
      }
    end
  end
  local to = best or newest
  if target then to = find(list, target) end
  local why = target and "asked for" or best and "the newest before it that was verified" or "the newest before it; nobody verified it"
  if not to then
    fail(target and "%s has no release '%s'" or "%s has no ready release before the one that serves: release a fix", name, target)
  elseif to.id == serving then
    fail("%s serves %s already", name, to.id)
  elseif to.state ~= "ready" then
    fail("release %s of %s is %s", to.id, name, to.state)
  end
  return rows, { from = from or serving and { id = serving } or nil, to = to, why = why }
end

--- Migrations that were applied after a release was made: the code of before may not know what they did.
---@param db string a connection
---@param opts { table: string, name: string, at: string } where they are written down; `at`: a column with a time, or with
--- digits that are one, as Supabase's versions
---@param since number seconds since 1970
---@return table rows name, applied; oldest first
function rollbacks.migrations(db, opts, since)
  local from = sql.format("SELECT %I::text AS name, to_jsonb(%I) #>> '{}' AS applied FROM %I", opts.name, opts.at, opts.table)
  local rows = { columns = { "name", "applied" } }
  for _, row in ipairs(sql(db):query(from .. " ORDER BY 2")) do
    local digits = row.applied and row.applied:match "^%d%d%d%d%d%d%d%d%d%d%d%d%d%d"
    local y, m, d, h, min, s = (digits or ""):match "^(%d%d%d%d)(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)"
    local at = digits and ("%s-%s-%sT%s:%s:%sZ"):format(y, m, d, h, min, s) or row.applied
    if at and time.parse(at).epoch > since then
      rows[#rows + 1] = { name = row.name, applied = row.applied }
    end
  end
  return rows
end

--- Whether what an application says of its version means a release: its id, or the beginning of its commit.
---@param said any
---@param release { id: string, commit: string? }
---@return boolean
function rollbacks.is_version(said, release)
  said = tostring(said)
  return said == release.id or #said >= 7 and release.commit ~= nil and release.commit:sub(1, #said) == said
end

--- Whether a release serves: by the service, by the application's own health, and by the version it tells.
---@param p { service: string, api: string, health: string, status_at: string, expect: string[], version_at: string? }
---@param release table a row of service:releases()
---@return boolean
function rollbacks.serves(p, release)
  if service(p.service):status().release ~= release.id or not outage.is_well(p.api, p) then return false end
  if not p.version_at then return true end
  local answer = try(function() return http(p.api):get(p.health, { timeout = "10s" }) end)
  return answer ~= nil and rollbacks.is_version(answer:at(p.version_at), release)
end

return rollbacks
