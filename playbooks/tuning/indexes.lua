--- Indexes: a report of unused, missing, doubled, invalid and bloated ones; one is made, others are dropped or rebuilt.
---@usage opsrun play tuning/indexes.lua -e production
---@usage opsrun play tuning/indexes.lua -e production -p create="orders_user ON orders (user_id, created_at DESC)"
---@usage opsrun play tuning/indexes.lua -e production -p drop=invalid,orders_old -p rebuild=orders_user
local indexes = require "indexes"
local statements = require "statements"
local tuning = require "tuning"

playbook {
  title    = "Index report, creation, rebuild",
  about    = "Reads only, unless it is told what to make, drop or rebuild. All of that happens while everybody writes on.",
  kind     = "routine",   schedule = "Wed 08:00",   lock = true,
  params   = {
    db       = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    rows     = { type = "integer",  default = 10000,     help = "tables this large should not be read from end to end" },
    distinct = { type = "integer",  default = 100,       help = "an index might begin with a column of so many values" },
    corr     = { type = "number",   default = 0.1,       help = "whose order the rows lie in by less than this, 0 to 1" },
    top      = { type = "integer",  default = 10,        help = "so many tables" },
    min_age  = { type = "duration", default = "7d",      help = "unused says nothing before it was counted for so long" },
    bloat    = { type = "percent",  default = 50,        help = "an index is bloated when more of it is empty" },
    large    = { type = "size",     default = "10mb",    help = "and when it is this large" },
    create   = { type = "string",   optional = true,     help = "index to make: NAME ON TABLE (COLUMNS), as behind CREATE INDEX" },
    explain  = { type = "string",   optional = true,     help = "a SELECT with its values, whose plan has to use it then" },
    drop     = { type = "list", of = "string", optional = true, help = "indexes to drop; 'invalid': all that are not valid" },
    rebuild  = { type = "list", of = "string", optional = true, help = "bloated indexes to rebuild" },
    rate     = { type = "size",     default = "20mb",    help = "of a table are indexed in a second: for the time it is told to take" },
    within   = { type = "duration", default = "2h",      help = "each of them may take so long" },
    team     = { type = "string",   optional = true,     help = "who always hears the result" },
    mail     = { type = "string",   optional = true,     help = "who hears when it fails" },
  },
  limits   = { indexes = 10 },
  tell     = { ["{team}"] = "always", ["{mail}"] = "critical" },
  sources  = {
    "runbook 000: Optimization Strategies", "runbook 000: Database Optimization (Weekly)", "runbook 001: Issue: High Database CPU",
    "runbook 001: Query Optimization", "runbook 003: Database Query Optimization", "runbook 004: Query Optimization",
    "runbook 004: Database Performance",
  },
}

local function name_all(list)
  local names = {}
  for i, one in ipairs(list) do names[i] = ("%s (%s MB)"):format(one.name, one.mb) end
  return table.concat(names, ", ")
end

local unused = step("Find unused indexes", { fresh = "1h" }, function(p)
  local age, list = indexes.counted_for(p.db), indexes.unused(indexes.all(p.db))
  note("used or not is counted for %.1f days, on this server: a replica counts its own", age / 86400)
  if #list == 0 then return list end
  show(list, { title = "no statement used them; unique ones and those of constraints left out" })
  artifact("unused-indexes.csv", list)
  if age >= p.min_age.seconds then return list end
  note("that is less than %s: none of them is taken for unused", p.min_age)
  return {}
end)

step("Find missing indexes", function(p)
  local tables, names = statements.scanned(p.db, p.rows, p.top), {}
  if #tables == 0 then return note("no table of %d rows or more is read from end to end", p.rows) end
  show(tables, { title = "read from end to end", columns = { "table", "rows", "scans", "rows_a_scan", "index_scans" } })
  artifact("tables-read-whole.csv", tables)
  for i, row in ipairs(tables) do names[i] = row.table end
  local hints = indexes.hints(p.db, names, p.distinct, p.corr)
  if #hints > 0 then
    show(hints, { title = "columns an index might begin with: which one, the statements say",
                  columns = { "table", "column", "values", "correlation" } })
  end
  suggest("tuning/slow-queries.lua", { db = p.db })
end)

local found = step("Find invalid, doubled and bloated indexes", { fresh = "1h" }, function(p)
  local list = indexes.all(p.db)
  local invalid, doubled, bloated = indexes.invalid(list), indexes.doubled(list), indexes.bloated(list, p.bloat, p.large.bytes)
  check("indexes that are not valid", #invalid, { above = { warning = 0 } })
  if #invalid > 0 then show(invalid, { title = "not valid: left behind, they cost and are never used" }) end
  if #doubled > 0 then show(doubled, { title = "there is another one just like it" }) end
  if #bloated > 0 then show(bloated, { title = "mostly empty, in percent (a guess)" }) end
  local candidates, names = { columns = invalid.columns }, {}
  for _, some in ipairs { invalid, doubled, unused() } do
    for _, one in ipairs(some) do candidates[#candidates + 1] = one end
  end
  for _, name in ipairs(p.drop or {}) do
    if name ~= "invalid" then names[#names + 1] = name end
    for _, one in ipairs(name == "invalid" and invalid or {}) do names[#names + 1] = one.schema .. "." .. one.name end
  end
  return {
    drop    = indexes.named(candidates, names, "unused, doubled or invalid"),
    rebuild = indexes.named(bloated, p.rebuild or {}, "bloated"),
  }
end)

step("Create an index", { needs = { "create" } }, function(p)
  local wanted = indexes.wanted(p.db, p.create)
  local there = indexes.find(p.db, wanted.schema, wanted.name)
  if there and there.valid then return skip("it is there already: %s", there.definition) end
  local seconds = math.max(1, wanted.bytes // p.rate.bytes)
  for _, one in ipairs(indexes.holders(p.db, "1m")) do
    note("it has to wait for pid %d (%s), whose transaction is open for %d s", one.pid, one.application, one.seconds)
  end
  confirm { "Make index %s? %s.%s has %d rows in %.1f MB, which are read twice: about %d s", wanted.text, wanted.schema, wanted.table,
            wanted.rows, wanted.bytes / 1024 ^ 2, seconds, impact = wanted.rows }
  indexes.create(p.db, wanted, p.within)
end)

step("See that it is used", { needs = { "create" } }, function(p)
  local wanted = indexes.wanted(p.db, p.create)
  local there = indexes.find(p.db, wanted.schema, wanted.name)
  check(wanted.name .. " is valid", there and there.valid or false, { expect = true, or_fail = true })
  if not p.explain then return note "name a SELECT by -p explain to see whether its plan uses it" end
  local plan = tuning.plan(p.db, p.explain)
  show(plan.text, { title = "its plan" })
  local used = (" " .. table.concat(plan.uses, " ") .. " "):find(" " .. wanted.name .. " ", 1, true) ~= nil
  check("the plan uses it", used, { expect = true, or_fail = "its plan does not use it" })
end)

step("Drop indexes", { needs = { "drop" } }, function(p)
  local ours = found().drop
  if #ours == 0 then return skip "no index is not valid" end
  confirm { "Drop %d indexes of %s: %s?", #ours, p.db, name_all(ours), impact = #ours, details = ours }
  for _, one in ipairs(ours) do indexes.drop(p.db, one, p.within) end
end)

step("Rebuild indexes", { needs = { "rebuild" } }, function(p)
  local ours = found().rebuild
  confirm { "Rebuild %d indexes of %s: %s?", #ours, p.db, name_all(ours), impact = #ours, details = ours }
  for _, one in ipairs(ours) do indexes.rebuild(p.db, one, p.within) end
  for _, one in ipairs(ours) do
    local now = indexes.find(p.db, one.schema, one.name)
    check(one.name .. " is valid", now and now.valid, { expect = true })
    note("%s: %s MB before, %s MB now", one.name, one.mb, now and now.mb)
  end
end)

step("See that none is left invalid", function(p)
  local invalid = indexes.invalid(indexes.all(p.db))
  check("indexes that are not valid", #invalid, { above = { warning = 0 } })
end)
