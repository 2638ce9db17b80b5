--- Replication lag: how far the replica is behind, where it hangs, and what holds its replay up is cancelled from a list.
---@usage opsrun play incident/replication-lag.lua -e production -p replica=replica1 -p host=db2
local activity = require "activity"
local replication = require "replication"
local statements = require "statements"

playbook {
  title    = "Replication lag",
  about    = "Looks at both ends, network and replay apart; cancels statements on the replica that hold replay up; watches it catch up.",
  kind     = "incident",
  severity = "medium",   respond = "30m",
  params   = {
    db      = { type = "sql",      default = "primary", help = "the primary, as named in the environment" },
    replica = { type = "sql",      optional = true,     help = "the replica, as named in the environment" },
    host    = { type = "hosts",    optional = true,     help = "machine the replica runs on; without it: this one, if it is" },
    over    = { type = "duration", default = "5s",      help = "its processors are measured over so long" },
    warn    = { type = "duration", default = "5s",      help = "behind: warning above this" },
    crit    = { type = "duration", default = "30s",     help = "behind: critical above this" },
    slots   = { type = "size",     default = "1gb",     help = "log retained by a slot: warning above this" },
    long    = { type = "duration", default = "5m",      help = "writes on the primary that run longer are shown" },
    pids    = { type = "list", of = "integer", default = {}, help = "cancel no other statements than these" },
    keep    = { type = "list", of = "string", default = { "pg_dump", "pg_basebackup" },
                help = "application names whose statements are never cancelled" },
    roles   = { type = "list", of = "string", default = {}, help = "cancel statements of these roles only" },
    poll    = { type = "duration", default = "5s",      help = "look this often while it catches up" },
    soon    = { type = "duration", default = "30s",     help = "reads are routed to the primary when it is not better by then" },
    drain   = { type = "duration", default = "15m",     help = "wait this long for it" },
    calm    = { type = "duration", default = "5m",      help = "and has to stay so for this long" },
    team    = { type = "string",   optional = true,     help = "who hears the result, as named in the environment" },
    dba     = { type = "string",   optional = true,     help = "database administrator: hears when it stays critical or fails" },
  },
  uses     = { shell = { "cat", "df" } },      -- on another machine: looks at its processors and its disk
  limits   = { sessions = 20 },
  lock     = true,
  tell     = { ["{team}"] = "always", ["{dba}"] = "critical" },
  sources  = { "runbook 001: Database Metrics" },
}

local HOLDERS = { "pid", "application", "user", "state", "seconds", "query" }

local RUNNING = { "pid", "application", "user", "seconds", "waits", "query" }

local function check_lag(p)
  local lag = replication.lag(p.db, p.replica)
  check("replica behind", lag.seconds, { unit = "s", above = { warning = p.warn.seconds, critical = p.crit.seconds } })
  return lag
end

step("Look at the primary", function(p)
  local senders, slots, most = replication.senders(p.db), replication.slots(p.db), 0
  check("replicas connected", #senders, { below = { critical = 1 } })
  if #senders > 0 then show(senders, { title = "replicas, bytes they miss" }) end
  if #slots > 0 then show(slots, { title = "slots, bytes they retain" }) end
  for _, slot in ipairs(slots) do most = math.max(most, slot.retained or 0) end
  if check("log retained by a slot", most, { unit = "bytes", above = { warning = p.slots.bytes } }) == "warning" then
    suggest("incident/disk-space.lua")
  end
  artifact("replicas.csv", senders)
  artifact("slots.csv", slots)
end)

step("Look at the replica", { needs = { "replica" } }, function(p)
  local state = replication.state(p.replica)
  if not state.standby then fail("'%s' is no replica: it takes writes", p.replica) end
  check("receiver", state.receiver, { expect = "streaming", missing = "critical" })
  if state.paused then note "replay is paused by hand: pg_wal_replay_resume() goes on" end
  local lag = check_lag(p)
  note("%d bytes behind%s", lag.bytes, lag.where and ", most of them in the " .. lag.where or "")
  show(state, { title = "what it says of itself" })
end)

step("Look at its machine", { needs = { "replica" } }, function(p)
  local percent, why = statements.cpu(p.replica, p.over, p.host)
  if not percent then return skip("%s", why) end
  check("processors used by the replica", percent, "cpu_used")
  check("disk of the replica", replication.disk_used(p.replica, p.host), "disk_used")
end)

step("Save what runs", { needs = { "replica" } }, function(p)
  local there, here = statements.running(p.replica), statements.running(p.db, p.long)
  if #there > 0 then show(there, { title = "statements on the replica", columns = RUNNING }) end
  if #here > 0 then show(here, { title = "long statements on the primary", columns = RUNNING }) end
  artifact("replica-running.csv", there)
  artifact("primary-running.csv", here)
end)

local holders = step("Find what holds replay up", { needs = { "replica" }, fresh = "1m" }, function(p)
  local lag, waits = replication.lag(p.db, p.replica), replication.state(p.replica).waits
  if lag.seconds < p.warn.seconds then return skip("the replica is %s s behind, less than %s", lag.seconds, p.warn) end
  note("replay waits for %s", waits or "nothing that is known")
  local ours, others = activity.divide(replication.holders(p.replica), p)
  for _, one in ipairs(others) do
    note("left alone: pid %d, %s s: %s", one.pid, one.seconds, one.why)
  end
  return ours
end)

step("Cancel what holds replay up", { needs = { "replica" } }, function(p)
  local list, pids = holders(), {}
  if #list == 0 then return skip "no statement that is ours to cancel holds replay up" end
  for i, one in ipairs(list) do pids[i] = one.pid end
  show(list, { columns = HOLDERS })
  note "there is no way back: who asked has to ask again"
  confirm { "Cancel %d statements on %s, pid %s? They only read", #list, p.replica, table.concat(pids, ", "), impact = #list }
  activity.cancel(p.replica, list)
end)

step("Route reads to the primary", { optional = true, needs = { "replica" } }, function(p)
  local function is_better() return replication.lag(p.db, p.replica).seconds < p.crit.seconds end
  try(wait_until, ("the replica is less than %s behind"):format(p.crit), { every = p.poll, within = p.soon }, is_better)
  if is_better() then return skip("the replica is less than %s behind", p.crit) end
  manual { "Route reads to the primary until the replica has caught up, and back then: how is the application's own" }
end)

step("Watch it catch up", { needs = { "replica" } }, function(p)
  local function is_near() return replication.lag(p.db, p.replica).seconds < p.warn.seconds end
  wait_until(("the replica is less than %s behind"):format(p.warn), { every = p.poll, within = p.drain }, is_near)
  hold(p.calm, { every = p.poll, tolerate = 1 }, is_near)
  check_lag(p)
end)
