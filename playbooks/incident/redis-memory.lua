--- Redis memory full: what fills it, then more room, keys that expire, keys that go, and whether it holds.
---@usage opsrun play incident/redis-memory.lua -e production -p target=1gb -p prefixes=page:,exercises:
local keyspace = require "keyspace"

playbook {
  title    = "Redis memory full",
  about    = "Looks first, without KEYS. Raises the limit within the host's memory, lets named keys expire or go, then watches.",
  kind     = "incident",   severity = "high",   respond = "15m",
  params   = {
    cache    = { type = "redis",    default = "cache", help = "connection, as named in the environment" },
    target   = { type = "size",     default = "512mb", help = "raise maxmemory to this; never lowered" },
    prefixes = { type = "list", of = "string", default = {}, help = "keys that begin so get a TTL if they have none" },
    drop     = { type = "list", of = "string", default = {}, help = "keys that begin so are removed; there is no way back" },
    keep     = { type = "list", of = "string", default = { "session", "sess", "queue", "bull", "celery", "resque", "lock" },
                 help = "keys that begin so are never touched" },
    policy   = { type = "choice", of = { "noeviction", "allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl" },
                 optional = true, help = "eviction policy to change to" },
    persist  = { type = "choice", of = { "rewrite", "manual" }, default = "rewrite",
                 help = "CONFIG REWRITE, or a person changes the configuration management" },
    healthy  = { type = "percent",  default = 80,      help = "recovered below this" },
    crit     = { type = "percent",  default = 95,      help = "critical above this" },
    ttl_default       = { type = "duration", default = "1h",   help = "the TTL such keys get" },
    min_host_free_pct = { type = "percent",  default = 20,     help = "of the host's memory, left free by the new limit" },
    host_free         = { type = "size",     optional = true,  help = "free memory of a host that is not this machine" },
    scan_count        = { type = "integer",  default = 1000,   help = "keys the server looks at a round" },
    scan_cap          = { type = "integer",  default = 100000, help = "keys looked at for the survey" },
    scan_pause        = { type = "duration", optional = true,  help = "rest after every 10,000 keys, on a busy server" },
    calm     = { type = "duration", default = "5m",    help = "no eviction and no refused write for this long" },
    poll     = { type = "duration", default = "5s",    help = "look this often" },
    watch    = { type = "duration", default = "5m",    help = "wait this long for the memory to fall" },
    team     = { type = "string",   optional = true,   help = "who is told how it ended, as named in the environment" },
  },
  uses     = { notify = { "{team}" } },
  limits   = { keys = 200000 },
  sources  = { "runbook 001: Issue: Redis Memory Full", "runbook 001: Caching Strategy", "runbook 002: Complete Service Outage" },
}
local size = keyspace.size

local before = step("Look at the memory", function(p)
  local memory = keyspace.memory(p.cache)
  check("memory used", memory.percent, { unit = "%", above = { warning = p.healthy, critical = p.crit } })
  show(memory, { title = "memory and keys of " .. p.cache })
  return memory
end)

step("Look at the host", function(p)
  local machine = keyspace.host_memory(p.cache, p.host_free)
  if not machine then return skip("%s runs on another machine: give its free memory by -p host_free=SIZE", p.cache) end
  check("host memory free", machine.free_percent, { unit = "%", below = { warning = p.min_host_free_pct } })
  show(machine)
end)

local survey = step("Survey the keys", function(p)
  local found = keyspace.survey(p.cache, { cap = p.scan_cap, count = p.scan_count, pause = p.scan_pause })
  note("%d of %d keys looked at%s", found.sampled, found.keys, found.estimated and ": the sums are estimates" or "")
  show(found.biggest, { title = "biggest keys", columns = { "key", "bytes", "ttl" } })
  artifact("biggest-keys.csv", found.biggest)
  artifact("by-prefix.csv", found.by_prefix)
  return found
end)

local plan = step("Find keys that never expire", function(p)
  local now, found = before(), survey()
  note("%d of %d keys have no TTL: 'lasting' below", found.lasting, found.keys)
  show(found.by_prefix, { title = "by prefix", columns = { "prefix", "keys", "bytes", "percent", "lasting", "lasting_bytes" } })
  for _, prefixes in ipairs { p.prefixes, p.drop } do
    local prefix, kept = keyspace.clash(prefixes, p.keep)
    if prefix then fail("prefix '%s' reaches keys that are kept: '%s'", prefix, kept) end
  end
  local left, why = keyspace.room(now, keyspace.host_memory(p.cache, p.host_free), p.target, p.min_host_free_pct)
  return {
    left = left, why = why, policy = p.policy ~= now.policy and p.policy or nil,
    expire = #keyspace.find(p.cache, p.prefixes, { lasting = true, count = p.scan_count }),
    drop = #keyspace.find(p.cache, p.drop, { count = p.scan_count }),
  }
end)

step("Agree on the remedy", function(p)
  local now, to = before(), plan()
  if now.percent < p.healthy then finish("%s %% of the memory is used, less than %s %%: nothing to do", now.percent, p.healthy) end
  show({
    { remedy = "raise maxmemory", how = to.left and ("%s to %s"):format(size(now.max), p.target) or "no: " .. to.why },
    { remedy = "let keys expire", how = ("%d keys, after %s"):format(to.expire, p.ttl_default) },
    { remedy = "drop keys",       how = ("%d keys"):format(to.drop) },
    { remedy = "eviction policy", how = to.policy and ("%s to %s"):format(now.policy, to.policy) or "stays " .. now.policy },
  }, { columns = { "remedy", "how" } })
  confirm { "Mend %s like this? Each change is asked for", p.cache, impact = to.expire + to.drop }
end)

step("Raise maxmemory", { optional = true }, function(p)
  local now, to = before(), plan()
  if not to.left then return skip("%s", to.why) end
  confirm("Raise maxmemory of %s from %s to %s? %s %% of the host's memory stay free", p.cache, size(now.max), p.target, to.left)
  keyspace.ensure_setting(p.cache, "maxmemory", p.target)
end)

step("Let keys expire", { optional = true }, function(p)
  local keys = keyspace.find(p.cache, p.prefixes, { lasting = true, count = p.scan_count })
  if #keys == 0 then return skip "no key that begins with one of -p prefixes is without a TTL" end
  artifact("keys-given-a-ttl.csv", keys.rows)
  confirm("Let %d keys of %s expire after %s? They hold %s", #keys, table.concat(p.prefixes, ", "), p.ttl_default, size(keys.bytes))
  note("%d of %d keys got a TTL", keyspace.expire(p.cache, keys, p.ttl_default), #keys)
end)

step("Drop keys", { optional = true }, function(p)
  local keys = keyspace.find(p.cache, p.drop, { count = p.scan_count })
  if #keys == 0 then return skip "there is no key that begins with one of -p drop" end
  artifact("keys-dropped.csv", keys.rows)
  confirm("Remove %d keys of %s, %s? There is no way back", #keys, table.concat(p.drop, ", "), size(keys.bytes))
  note("%d of %d keys are gone", keyspace.unlink(p.cache, keys), #keys)
end)

step("Change the eviction policy", { optional = true, needs = { "policy" } }, function(p)
  local now = before()
  if now.policy == p.policy then return skip("it is %s", p.policy) end
  local reach = p.policy:find "^allkeys" and now.keys or p.policy:find "^volatile" and now.expiring or 0
  confirm("Change the policy of %s from %s to %s? It may evict any of %d keys then", p.cache, now.policy, p.policy, reach)
  keyspace.ensure_setting(p.cache, "maxmemory-policy", p.policy)
end)

step("Watch it recover", function(p)
  wait_until(("less than %s %% of the memory used"):format(p.healthy), { every = p.poll, within = p.watch }, function()
    return keyspace.memory(p.cache).percent < p.healthy
  end)
  local start, machine = keyspace.memory(p.cache), keyspace.host_memory(p.cache)
  hold(p.calm, { every = p.poll }, function() return keyspace.is_calm(p.cache, start, machine) end)
  check("memory used", keyspace.memory(p.cache).percent, { unit = "%", above = { warning = p.healthy, critical = p.crit } })
  settle()      -- it holds: what fails later, a message say, is no reason to take it back
end)

step("Make the settings last", { optional = true }, function(p)
  local now, to = keyspace.memory(p.cache), plan()
  if not to.left and not to.policy then return skip "no setting was to change" end
  if p.persist == "rewrite" and now.config_file then
    confirm("Write the settings of %s, as they are, into %s (CONFIG REWRITE)? There is no way back", p.cache, now.config_file)
    local written, why = try(function() return keyspace.rewrite(p.cache) end)
    if written then return end
    note("not written: %s", why)
  end
  manual { ("Put maxmemory and policy of %s into the configuration management"):format(p.cache) }
end)

step("Note what is left", { optional = true }, function(p)
  manual { ("Review the TTLs that the applications of %s set, and whether it needs a bigger instance"):format(p.cache) }
end)

step("Tell the team", { needs = { "team" } }, function(p)
  notify(p.team)(("%s %% of the memory of %s is used, %s %% before"):format(keyspace.memory(p.cache).percent, p.cache,
    before().percent), { title = "Redis memory", severity = "warning" })
end)
