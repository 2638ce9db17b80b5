--- Cache degraded: which endpoints miss and why, then cleanup, warming, a rebuild, and for wrong data alone a clear, until it hits.
---@usage opsrun play incident/cache-degraded.lua -e production
---@usage opsrun play incident/cache-degraded.lua -e production -p wrong='prices of yesterday'
local caches = require "caches"

playbook {
  title    = "Cache degraded",
  about    = "From the mildest to the hardest, and none while the origin is under pressure. What leaves a cache is computed anew: no undo.",
  kind     = "incident",
  severity = "medium",   respond = "1h",   lock = true,
  params   = {
    api          = { type = "http",     default = "api",    help = "the application" },
    analytics    = { type = "route",    default = "/api/cache/analytics", help = "hit_rate, total_requests, invalidation_events" },
    endpoint_min = { type = "number",   default = 0.8,      help = "endpoints that hit less, of 1, are shown and warmed" },
    warn         = { type = "percent",  default = 70,       help = "hit rate: critical below, and to be reached again" },
    ok           = { type = "percent",  default = 80,       help = "hit rate: well from here on" },
    period       = { type = "string",   default = "24h",    help = "over which time endpoints are compared" },
    recent       = { type = "duration", default = "5m",     help = "the hit rate is that of so long; the application must know it" },
    endpoints    = { type = "list", of = "string", optional = true, help = "warm these; without it those below endpoint_min" },
    pace         = { type = "duration", default = "1s",     help = "rest after each endpoint that is warmed" },
    wrong        = { type = "string",   optional = true,    help = "what is wrong in the data: only then it may be cleared" },
    cache        = { type = "redis",    optional = true,    help = "the redis behind it" },
    sample       = { type = "duration", default = "5s",     help = "its counters are watched for so long" },
    detail       = { type = "route",    optional = true,    help = "where the application tells version and uptime" },
    repo         = { type = "string",   optional = true,    help = "checkout of what is deployed: its commits are shown" },
    changed      = { type = "duration", default = "24h",    help = "commits of so long are shown" },
    db           = { type = "sql",      optional = true,    help = "the database behind it" },
    performance  = { type = "route",    optional = true,    help = "avg_query_time of the origin, in milliseconds" },
    db_max       = { type = "percent",  default = 80,       help = "with more of its connections used nothing is asked of it" },
    origin_ms    = { type = "number",   default = 500,      help = "nor with slower queries" },
    poll         = { type = "duration", default = "10s",    help = "look this often" },
    watch        = { type = "duration", default = "10m",    help = "a remedy has so long to help" },
    team         = { type = "string",   optional = true,    help = "who always hears the result" },
    mail         = { type = "string",   optional = true,    help = "who hears when it stays critical or fails" },
  },
  calls    = { "incident/redis-memory.lua" },
  tell     = { ["{team}"] = "always", ["{mail}"] = "critical" },
  sources  = { "runbook 000: Identify Bottlenecks", "runbook 000: Response Procedures", "runbook 001: Caching Strategy" },
}

local function hits(p) return caches.look(p.api, p.analytics, p.recent).hit_rate end
local function check_hits(p, rate) check("cache hit rate", rate, { unit = "%", below = { warning = p.ok, critical = p.warn } }) end

--- What a question must say: how many ask the cache now, and what the origin has to bear. Under pressure nothing more is asked of it.
local function burden(p)
  local seen, load = caches.look(p.api, p.analytics, p.recent), caches.origin(p)
  local why = caches.pressure(load, p)
  if why and load.percent and load.percent > p.db_max then suggest("incident/db-exhaustion.lua", { db = p.db }) end
  if why then fail("%s: what misses the cache would go there; play incident/db-exhaustion.lua first", why) end
  return ("%.1f requests a second%s"):format(seen.requests / p.recent.seconds,
    load.percent and (", %s %% of the connections of %s used"):format(load.percent, p.db) or "")
end

--- True when the cache hits enough within the time a remedy has; a remedy that follows is then left out.
local function recovers(p)
  return try(wait_until, ("more than %s %% are hits"):format(p.warn), { every = p.poll, within = p.watch }, function()
    return hits(p) > p.warn
  end)
end

local weak = step("Look at the hit rate", function(p)
  local day, rate = caches.look(p.api, p.analytics, p.period), hits(p)
  check_hits(p, rate)
  note("%s %% of %d requests over %s; %s invalidations", day.hit_rate, day.requests, p.period, day.invalidations)
  local rows = caches.weak(p.api, p.analytics, p.period, p.endpoint_min)
  if #rows > 0 then show(rows, { title = ("endpoints below %s, over %s"):format(p.endpoint_min, p.period) }) end
  if rate >= p.ok and not p.wrong then finish("%s %% of the requests of %s are hits: nothing to do", rate, p.recent) end
  return rows
end)

local room = step("Look at redis", { needs = { "cache" } }, function(p)
  local seen = caches.room(p.cache, p.sample)
  check("redis memory used", seen.percent, { unit = "%" })
  note("policy %s; %d evicted and %d writes refused within %s", seen.policy, seen.evicted, seen.refused, p.sample)
  return seen
end)

step("Look for what changed", function(p)
  local seen = { prefixes = p.cache and caches.prefixes(p.cache) }
  if p.detail then
    local version, uptime = caches.version(p.api, p.detail)
    seen.version = version
    note("%s is version %s, and runs since %s s", p.api, version, uptime and math.floor(uptime))
  end
  if p.repo then caches.show_commits(p.repo, p.changed) end
  local rows, is_first = caches.changes("what is known of " .. p.api, seen)
  if #rows > 0 then return show(rows, { title = "changed since the last run" }) end
  note(is_first and "nothing to compare with: the next run tells what changed" or "nothing of this changed since the last run")
end)

step("Make room in redis", { needs = { "cache" } }, function(p)
  if not room().is_short then return skip "it has room" end
  call("incident/redis-memory.lua", { cache = p.cache, team = p.team })
end)

step("Remove what expired", function(p)
  confirm("Remove expired entries from the cache of %s? %s. What can still be used stays", p.api, burden(p))
  note("%s removed", caches.tell(p.api, "/api/cache/cleanup"):at "data.removed")
end)

step("Warm what misses", { optional = true }, function(p)
  local names = p.endpoints or {}
  for _, row in ipairs(p.endpoints and {} or weak()) do names[#names + 1] = row.endpoint end
  if #names == 0 then return skip "no endpoint misses too often, and none was named: -p endpoints" end
  confirm { "Warm %d endpoints of %s, one every %s: %s? %s", #names, p.api, p.pace, table.concat(names, ", "), burden(p), impact = #names }
  for _, name in ipairs(names) do
    burden(p)
    caches.tell(p.api, "/api/cache/warm", { endpoints = { name } })
    sleep(p.pace)
  end
end)

step("Rebuild it", { optional = true }, function(p)
  if not p.wrong and recovers(p) then return skip "what was done is enough" end
  confirm("Rebuild the whole cache of %s? The origin computes all of it: %s now", p.api, burden(p))
  caches.tell(p.api, "/api/cache/rebuild")
end)

step("Clear it", { optional = true, needs = { "wrong" } }, function(p)
  confirm { "Empty the whole cache of %s, for %s? The origin bears it all until it is warm: %s now", p.api, p.wrong, burden(p),
            type = "clear all" }
  http(p.api):post("/api/cache/clear-all", { timeout = "5m" })
  caches.tell(p.api, "/api/cache/warm", p.endpoints and { endpoints = p.endpoints })
end)

step("Watch the hit rate", function(p)
  sleep(p.recent)      -- what is counted then lies behind the last remedy
  wait_until(("more than %s %% are hits"):format(p.warn), { every = p.poll, within = p.watch }, function()
    return hits(p) > p.warn
  end)
  check_hits(p, hits(p))
  local load = caches.origin(p)
  if load.query_ms then check("mean query time of the origin", load.query_ms, "query_time_mean") end
  if load.percent then check("connections used", load.percent, "connections_used") end
end)

step("See that the data is right", { needs = { "wrong" } }, function(p)
  manual { ("Look at the answers of %s: are they right now? It was: %s"):format(p.api, p.wrong) }
end)
