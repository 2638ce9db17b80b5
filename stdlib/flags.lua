--- Feature flags of an application: what they are, one of them switched with a way back, who switched which and why.
-- They lie in a table with the columns name, enabled, kill_switch and rollout_percentage, or behind a route of the application,
-- which gives a list of such and takes {"name", "enabled" or "kill_switch"}. `p` are the parameters of flags/toggle.lua.

local flags = {}

--- Nobody waits longer for one answer.
local SOON = "10s"
--- So many switches are remembered.
local KEPT = 100

local COLUMNS = { "name", "enabled", "kill_switch", "rollout_percentage" }

--- What can be done with a flag: the column, and what it becomes.
flags.ACTIONS = {
  enable = { column = "enabled", value = true }, disable = { column = "enabled", value = false },
  kill = { column = "kill_switch", value = true }, unkill = { column = "kill_switch", value = false },
}

--- A table's name as a statement has it.
---@param name string perhaps with a schema: "shop.feature_flags"
---@return string
function flags.relation(name)
  local schema, bare = name:match "^([^.]+)%.(.+)$"
  return schema and sql.format("%I.%I", schema, bare) or sql.format("%I", name)
end

--- All flags there are.
---@param p { via: string, db: string, table: string, api: string, route: string, list_at: string? } via: "db" or "api";
--- list_at: where the list stands in the answer; without it the answer is the list
---@return table rows name, enabled, kill_switch, rollout_percentage
function flags.list(p)
  if p.via == "db" then
    if not p.db then fail "parameter 'db' is not given: which database do the flags lie in?" end
    return sql(p.db):query(("SELECT name, enabled, kill_switch, rollout_percentage FROM %s ORDER BY name"):format(flags.relation(p.table)),
      nil, { timeout = SOON })
  end
  local answer, rows = http(p.api):get(p.route, { timeout = SOON }), { columns = COLUMNS }
  for i, item in ipairs(p.list_at and answer:need(p.list_at) or answer.json) do
    rows[i] = {
      name = item.name, enabled = item.enabled == true, kill_switch = item.kill_switch == true,
      rollout_percentage = item.rollout_percentage,
    }
  end
  return rows
end

--- One flag. A name that is not there fails, and tells those that are: an UPDATE of it would change nothing, silently.
---@param p table as of `list`
---@param name string
---@return table row
function flags.read(p, name)
  local names = {}
  for i, row in ipairs(flags.list(p)) do
    if row.name == name then return row end
    names[i] = row.name
  end
  fail("no flag is named '%s'; there are: %s", name, #names > 0 and table.concat(names, ", ") or "none")
end

--- Whether anybody sees the feature.
---@param row table of `list`
---@return boolean
function flags.is_on(row)
  return row.enabled and not row.kill_switch
end

--- Sets one column of one flag: of exactly one row, or of none.
local function write(p, name, column, value)
  local summary = ("set %s of flag %s to %s"):format(column, name, value)
  if p.via == "api" then
    http(p.api):post(p.route, { json = { name = name, [column] = value }, timeout = SOON, summary = summary })
    return
  end
  local statement = ("UPDATE %s SET %s = $2 WHERE name = $1"):format(flags.relation(p.table), sql.format("%I", column))
  sql(p.db):transaction(function(tx)
    local done = tx:exec(statement, { name, value }, { on_dry = { count = 1 } })
    if done.count ~= 1 then fail("%d rows of %s are named '%s', not one: none was changed", done.count, p.table, name) end
  end, { summary = summary })
end

--- Sees to it that a flag is switched. The way back is what its column was, unless somebody else has put it back by then.
---@param p table as of `list`
---@param name string
---@param action string one of ACTIONS
---@param opts { lasts: string?, expires: any }? as of ensure
---@return table handle of ensure: .ours, .back()
function flags.switched(p, name, action, opts)
  local column, value = flags.ACTIONS[action].column, flags.ACTIONS[action].value
  local before = flags.read(p, name)[column]
  local function is() return flags.read(p, name)[column] == value end
  return ensure(("%s of flag %s is %s"):format(column, name, value), {
    is = is,
    make = function() write(p, name, column, value) end,
    back = function()
      if is() then write(p, name, column, before) end
    end,
    lasts = opts and opts.lasts,
    expires = opts and opts.expires,
  })
end

--- Whether visitors see a feature, by one request that tells; not whether it does well. nil when nobody answers.
---@param p { api: string, observe: string, observe_at: string, observe_on: string } a path; where the answer's JSON tells, and what
--- stands there while the feature is on
---@return boolean? on, string said
function flags.observed(p)
  local answer, why = try(function() return http(p.api):get(p.observe, { timeout = SOON, retries = 0 }) end)
  if not answer then return nil, why end
  local said = tostring(answer:at(p.observe_at))
  return said == p.observe_on, said
end

--- Remembers a switch. The header names the state: uses = { state = { "flags" } }.
---@param entry { name: string, action: string, who: string, why: string, expires: string? }
function flags.remember(entry)
  local made = { at = math.floor(now().epoch) }
  for field, value in pairs(entry) do made[field] = value end
  state "flags":update("switches", function(known)
    local kept = { made }
    for i = 1, math.min(#(known or {}), KEPT - 1) do kept[i + 1] = known[i] end
    return kept
  end)
end

--- Switches that were made here lately, the newest first.
---@param span table a duration
---@return table rows at, flag, action, who, why
function flags.lately(span)
  local rows, moment = { columns = { "at", "flag", "action", "who", "why" } }, now()
  for _, made in ipairs(state "flags":get("switches", {})) do
    local ago = moment.epoch - made.at
    if ago <= span.seconds then
      rows[#rows + 1] = {
        at = moment - math.max(0, math.floor(ago)), flag = made.name, action = made.action, who = made.who, why = made.why,
      }
    end
  end
  return rows
end

return flags
