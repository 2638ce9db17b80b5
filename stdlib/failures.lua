--- What fails, how often, since when, and what that speaks for: a deployment, one feature, a dependency. Reads only.

local assessment = require "assessment"
local flags = require "flags"
local health = require "health"
local slowness = require "slowness"
local traffic = require "traffic"

local failures = {}

--- Nobody waits longer for one answer.
local SOON = "10s"
--- So many endpoints, messages and issues are shown.
local SHOWN = 10
--- Messages of before that are told apart: what is not among them is new.
local KNOWN = 5000

--- Causes, and what is done about each.
failures.CAUSES = {
  deploy = "the last deployment: deploy/rollback.lua",
  feature = "one feature: its flag is killed, flags/toggle.lua",
  dependency = "what it depends on: that one's playbook",
  other = "something else: a person mends it",
}

--- What is played for a finding about a dependency, by the first words of its name; causes stand before what they cause.
local PLAYS = {
  { "database", "incident/database-down.lua", "db" }, { "connections used", "incident/db-exhaustion.lua", "db" },
  { "sessions that wait", "incident/deadlocks.lua", "db" }, { "longest statement", "incident/high-db-cpu.lua", "db" },
  { "cache", "incident/cache-degraded.lua", "cache" },
}

-- how much fails ----------------------------------------------------------------------------------------

--- The share of requests that failed lately; what was refused (4xx) is counted apart and is no failure.
---@param p table parameters: access (log), sample (duration), or figures (route) and api
---@param since table? a time: what came before it does not count
---@return table { failed_percent, requests, failed, refused_percent }; by the application's own figures failed_percent alone
function failures.now(p, since)
  if p.access then
    local window = traffic.last(p.sample)
    if since and since > window.from then window = time.window(since, window.to > since and window.to or since + 1) end
    return traffic.within(p.access, window)
  elseif p.figures then
    return { failed_percent = health.number(health.ask(p.api, p.figures), "error_rate") }
  end
  fail "neither parameter 'access' nor 'figures' is given: nobody tells how many requests fail"
end

--- Whether there were enough requests to judge by: one error of two is no 50 %.
---@param seen table of `now`
---@param least integer
---@return boolean
function failures.is_enough(seen, least)
  return seen.requests == nil or seen.requests >= least
end

--- Endpoints by what fails of them now, and what failed of them before.
---@param log string the access log
---@param window table a duration: now
---@param before table a duration: up to `window` ago
---@return table rows endpoint, requests, failed, percent, before (percent, nil when nobody asked for it then), refused, statuses;
--- most failures first
function failures.compare(log, window, before)
  local recent = traffic.last(window)
  local known, earlier = traffic.find(log, recent, SHOWN), {}
  for _, row in ipairs(traffic.measure(log, time.window(recent.to - before, recent.from), known)) do earlier[row.endpoint] = row end
  local rows = traffic.measure(log, recent, known)
  for _, row in ipairs(rows) do
    local was = earlier[row.endpoint]
    row.percent, row.before = row.failed_percent, was and was.requests > 0 and was.failed_percent or nil
  end
  rows = traffic.most(rows, "failed", #rows)
  rows.columns = { "endpoint", "requests", "failed", "percent", "before", "refused", "statuses" }
  return rows
end

--- Whether requests began to fail with the last deployment, if that is recent: before it they did not.
---@param log string? the access log; without one nobody knows, and it may have been so
---@param deployed { fresh: boolean, at: number? }? of slowness.deploys
---@param before table a duration: looked at so far back
---@param limit number percent
---@return boolean
function failures.began_with(log, deployed, before, limit)
  if not deployed or not deployed.fresh or not log then return deployed ~= nil and deployed.fresh end
  local earlier = traffic.within(log, time.window(now() - before, time.parse(deployed.at)))
  note("before the deployment %s %% of %d requests failed", earlier.failed_percent, earlier.requests)
  return earlier.failed_percent <= limit
end

-- what fails --------------------------------------------------------------------------------------------

--- From when on an error is a new one: since the last deployment, if that is recent, else since the window began.
---@param deployed { fresh: boolean, at: number? }? of slowness.deploys
---@param window table a duration
---@return table time
local function new_since(deployed, window)
  return deployed and deployed.fresh and time.parse(deployed.at) or now() - window
end

--- The most frequent errors in an application's log, and which of them were not there before.
---@param p table parameters: logs, window, before (durations: the last so long, and so far back)
---@param deployed table? of slowness.deploys
---@return table rows count, new ("new" or nil), message; most frequent first
function failures.messages(p, deployed)
  local function scan(from, to, top, tail)
    return logs(p.logs):scan {
      window = time.window(from, to), errors = { match = assessment.ERRORS, group = "message", shape = true, top = top, tail = tail },
    }.errors
  end
  local to, since = now() + 1, new_since(deployed, p.window)
  local seen, known, rows = scan(since, to, SHOWN, 100), {}, { columns = { "count", "new", "message" } }
  for _, group in ipairs(scan(to - p.before < since and to - p.before or since, since, KNOWN, 1).groups) do known[group.value] = true end
  for i, group in ipairs(seen.groups) do
    rows[i] = { message = group.value, count = group.count, new = not known[group.value] and "new" or nil }
  end
  if seen.count > 0 then artifact("errors.log", table.concat(seen.tail, "\n") .. "\n") end
  return rows
end

--- Open issues of Sentry, by its list of issues.
---@param p table parameters: sentry (a connection), sentry_at ("/api/0/organizations/ORG/issues/?project=ID&query=is:unresolved"),
--- window (a duration)
---@param deployed table? of slowness.deploys
---@return table rows count, users, new, message; most frequent first
function failures.issues(p, deployed)
  local since, rows = new_since(deployed, p.window), { columns = { "count", "users", "new", "message" } }
  for i, item in ipairs(http(p.sentry):get(p.sentry_at, { timeout = SOON }).json) do
    local first = health.epoch(item.firstSeen)
    rows[i] = {
      message = item.title, count = (tonumber(item.count) or 0) // 1 | 0, users = item.userCount,
      new = first and since < first and "new" or nil,
    }
  end
  table.sort(rows, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.message < b.message
  end)
  for i = #rows, SHOWN + 1, -1 do rows[i] = nil end
  return rows
end

-- what changed ------------------------------------------------------------------------------------------

--- Switches of flags and secrets that a place writes down in a table of its own.
---@param db string
---@param relation string a table with the columns actor, action, created_at
---@param span table a duration
---@return table rows at, actor, action; newest first
function failures.audited(db, relation, span)
  return sql(db):query([[SELECT created_at::text AS at, actor, action FROM ]] .. flags.relation(relation) .. [[
    WHERE created_at > now() - $1::interval AND action ~* 'flag|secret|key|token|password|config|env'
    ORDER BY created_at DESC LIMIT 20]], { span }, { timeout = SOON })
end

--- Files with secrets that were written to lately; what is in them is not read.
---@param paths string[]
---@param span table a duration
---@return table rows path, age
function failures.written(paths, span)
  local rows = { columns = { "path", "age" } }
  for _, path in ipairs(paths) do
    local entry = files.stat(path)
    if not entry then fail("%s is not there", path) end
    if entry.age < span then rows[#rows + 1] = { path = path, age = entry.age } end
  end
  return rows
end

--- Where the flags lie, as the functions of `flags` take it; nil when nobody said.
---@param p table parameters: flags_table, db, flags_route, api, flags_list_at
---@return table?
function failures.flags_of(p)
  if not p.flags_table and not p.flags_route then return nil end
  return { via = p.flags_table and "db" or "api", db = p.db, table = p.flags_table, api = p.api, route = p.flags_route,
           list_at = p.flags_list_at }
end

--- Flags that are on, and the one that is named by most of what fails.
---@param list table rows of flags.list
---@param ... table rows message, count, of each place where errors are told
---@return string[] names
---@return string? likely
function failures.suspects(list, ...)
  local names, likely, most = {}, nil, 0
  for _, flag in ipairs(list) do
    if flags.is_on(flag) then
      local sum = 0
      for _, messages in ipairs { ... } do
        for _, row in ipairs(messages) do
          if row.message:find(flag.name, 1, true) then sum = sum + row.count end
        end
      end
      names[#names + 1] = flag.name
      if sum > most then likely, most = flag.name, sum end
    end
  end
  return names, likely
end

-- what it speaks for ------------------------------------------------------------------------------------

--- Asks database and cache how they are, and providers what they say of themselves.
---@param p table parameters: db, cache, providers, long (duration)
---@return table found of assessment.check
function failures.dependencies(p)
  local found = {}
  if p.db then
    local there = assessment.answers(found, "database", function() return sql(p.db):value("SELECT 1", nil, { timeout = SOON }) end)
    if there then assessment.activity(found, p.db, p.long) end
  end
  if p.cache then assessment.answers(found, "cache", function() return redis(p.cache):ping() end) end
  if p.providers then assessment.providers(found, p.providers) end
  return found
end

local function is_broken(found)
  for _, finding in ipairs(found or {}) do
    if finding.verdict == "critical" then return true end
  end
  return false
end

--- The likeliest cause: what is broken itself; then the one feature that is named, since to kill it is the milder remedy; then a
--- deployment that the failures began with; then what is only strained.
---@param seen { found: table?, flag: string?, deploy: boolean? }
---@return string one of CAUSES
function failures.cause(seen)
  if is_broken(seen.found) then return "dependency" end
  return seen.flag and "feature" or seen.deploy and "deploy" or slowness.is_bad(seen.found) and "dependency" or "other"
end

--- The playbook that mends a cause, with its parameters; nil where a person has to.
---@param cause string one of CAUSES
---@param p table parameters: db, cache, team, service, expires, and those of `flags_of`
---@param seen { found: table?, flag: string? } what was found about dependencies; the flag to be killed
---@return string? playbook, table? params
function failures.remedy(cause, p, seen)
  if cause == "deploy" then return "deploy/rollback.lua", { service = p.service, db = p.db, team = p.team } end
  if cause == "feature" then
    local params = failures.flags_of(p)
    params.name, params.action, params.why, params.expires, params.team = seen.flag, "kill", "error rate", p.expires, p.team
    return "flags/toggle.lua", params
  end
  for _, entry in ipairs(cause == "dependency" and PLAYS or {}) do
    if slowness.is_bad(seen.found, entry[1]) then return entry[2], { [entry[3]] = p[entry[3]], team = p.team } end
  end
  return nil
end

return failures
