--- An application's own cache, asked and changed through its HTTP interface, and the origin behind it: how many requests
--- it answers, which endpoints miss, what changed about it, and how much more the origin can bear.

local health = require "health"
local keyspace = require "keyspace"
local postgres = require "postgres"

local caches = {}

--- Keys looked at for their prefixes: a sample says which there are.
local LOOKED_AT = 20000
--- So many commits are shown.
local COMMITS = 20

--- What the cache did over a period, by the application's own count. Redis itself cannot tell: an entry that is there
--- and cannot be used is a hit to it.
---@param api string the connection's name in the environment
---@param path string of the figures: hit_rate (percent), total_requests, invalidation_events
---@param period any as the application takes it: "24h", or a parameter of type duration
---@return table facts hit_rate (percent, to a tenth), requests, invalidations (nil when it does not say)
function caches.look(api, path, period)
  local answer = health.ask(api, path, { period = tostring(period) })
  return {
    hit_rate = math.floor(10 * health.number(answer, "hit_rate") + 0.5) / 10, requests = health.number(answer, "total_requests"),
    invalidations = health.facts(answer, { "invalidation_events" }).invalidation_events,
  }
end

--- Endpoints that find too little in the cache, worst first.
---@param api string
---@param path string of the figures; with breakdown=endpoint it tells endpoints, each endpoint and hit_rate (of 1)
---@param period any
---@param least number of 1
---@return table rows endpoint, hit_rate (of 1), requests
function caches.weak(api, path, period, least)
  local answer = health.ask(api, path, { period = tostring(period), breakdown = "endpoint" })
  local list, rows = answer:at "data.endpoints" or answer:need "endpoints", { columns = { "endpoint", "hit_rate", "requests" } }
  for _, item in ipairs(list) do
    local rate = tonumber(item.hit_rate)
    if rate and rate < least then
      rows[#rows + 1] = { endpoint = item.endpoint, hit_rate = rate, requests = item.requests }
    end
  end
  table.sort(rows, function(a, b)
    if a.hit_rate ~= b.hit_rate then return a.hit_rate < b.hit_rate end
    return a.endpoint < b.endpoint
  end)
  return rows
end

--- How full the Redis behind a cache is, and what it lost meanwhile. A cache that evicts by a policy is full when all is
--- well: short of room is one that refuses writes, or evicts right now.
---@param cache string
---@param over any a duration: so long its counters are watched
---@return table facts percent, max, policy, evicted, refused (each meanwhile), is_short
function caches.room(cache, over)
  local before = keyspace.memory(cache)
  sleep(over)
  local now = keyspace.memory(cache)
  local evicted, refused = now.evicted - before.evicted, now.refused - before.refused
  return {
    percent = now.percent, max = now.max, policy = now.policy, evicted = evicted, refused = refused,
    is_short = evicted > 0 or refused > 0 or (now.policy == "noeviction" and now.percent >= 95),
  }
end

--- What is known of a cache now and was not when it was looked at last: version of the application, prefixes of keys.
--- It is kept for the next run.
---@param name string what it is kept under
---@param facts table of `caches.version` and `caches.prefixes`
---@return table rows what, before, now; none when nothing changed, or nothing was kept yet
function caches.changes(name, facts)
  local before, rows = state():get(name), { columns = { "what", "before", "now" } }
  for _, what in ipairs { "version", "prefixes" } do
    if before and before[what] and facts[what] and before[what] ~= facts[what] then
      rows[#rows + 1] = { what = what, before = before[what], now = facts[what] }
    end
  end
  state():set(name, facts)
  return rows, before == nil
end

--- The version an application says it is, and since when it runs.
---@param api string
---@param path string
---@return string? version, number? uptime seconds
function caches.version(api, path)
  local said = health.facts(health.ask(api, path), { "version", "uptime" })
  return said.version and tostring(said.version), tonumber(said.uptime)
end

--- Keys by prefix, and how many of each never expire: entries that nobody reads any more show there.
---@param cache string
---@return string prefixes in one text, in the alphabet's order
function caches.prefixes(cache)
  local survey, names = keyspace.survey(cache, { cap = LOOKED_AT }), {}
  if #survey.by_prefix > 0 then
    show(survey.by_prefix, { title = "keys by prefix ('lasting' never expire)", columns = { "prefix", "keys", "lasting", "bytes" } })
  end
  for i, group in ipairs(survey.by_prefix) do
    names[i] = group.prefix
  end
  table.sort(names)
  return table.concat(names, " ")
end

--- Shows the newest commits of a checkout.
---@param repo string
---@param since any a duration
function caches.show_commits(repo, since)
  local lines = shell.read({
    "git", "-C", repo, "log", "-n", tostring(COMMITS), ("--since=%d seconds ago"):format(since.seconds), "--format=%h %cI %s",
  }):lines()
  note("%d commits in %s over %s", #lines, repo, since)
  if #lines > 0 then show(table.concat(lines, "\n")) end
end

--- How the origin bears it: what the database's connections and the application's figures say.
---@param opts { db: string?, api: string, performance: string? }
---@return table load percent (connections used), query_ms (mean); nil where nobody was named
function caches.origin(opts)
  local figures = opts.performance and health.ask(opts.api, opts.performance)
  return {
    percent = opts.db and postgres.connections(opts.db).percent,
    query_ms = figures and health.number(figures, "avg_query_time"),
  }
end

--- Why the origin should not be given more to do; nil: it may.
---@param load table of `origin`
---@param most { db_max: number, origin_ms: number }
---@return string? why
function caches.pressure(load, most)
  if load.percent and load.percent > most.db_max then
    return ("%s %% of the database's connections are used, more than %s %%"):format(load.percent, most.db_max)
  elseif load.query_ms and load.query_ms > most.origin_ms then
    return ("a query takes %s ms in the mean, more than %s ms"):format(load.query_ms, most.origin_ms)
  end
  return nil
end

--- Tells the cache to do something that may be done twice: after a kill in the middle it is told again.
---@param api string
---@param path string
---@param body table?
---@return table answer
function caches.tell(api, path, body)
  return http(api):post(path, { json = body, timeout = "5m", happened = function() return false end })
end

return caches
