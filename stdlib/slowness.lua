--- What may make an application slow: a deployment, its machines, its database, its cache; and what a restart of it would
--- destroy of the evidence. Reads only, but for `keep` with a command that dumps.

local assessment = require "assessment"
local outage = require "outage"
local processes = require "processes"
local releases = require "releases"
local traffic = require "traffic"

local slowness = {}

--- Fewer lookups than this say nothing of a cache's hits.
local LOOKUPS = 10
--- So many PINGs, and milliseconds one may take.
local PINGS, PING_MS = 5, 50
--- So many processes, deployments, commits, lines are shown.
local SHOWN = 10

local PROCESSES = { "host", "pid", "user", "belongs", "percent", "program" }
--- Words by which applications complain of being slow.
local SLOW = { "slow", "timeout", "timed out" }

--- Causes, and what is done about each.
slowness.CAUSES = {
  application = "the application itself: restart one instance after another",
  deploy = "a deploy: deploy/rollback.lua",
  code = "its code: deploy/release.lua with a hotfix",
  database = "the database: incident/high-db-cpu.lua, or db-exhaustion",
  cache = "the cache: incident/cache-degraded.lua",
  host = "its machines: end what takes them, or add one",
}

--- Whether a finding, by the first words of its name, is out of order; without a name: whether any is.
---@param found table? list of assessment.check
---@param name string?
---@return boolean
function slowness.is_bad(found, name)
  for _, finding in ipairs(found or {}) do
    local is_meant = not name or finding.what:sub(1, #name) == name
    if is_meant and (finding.verdict == "warning" or finding.verdict == "critical") then return true end
  end
  return false
end

--- What was deployed or committed lately.
---@param p table parameters: deploys_api, deploys_at, repo, recent
---@return table { fresh = boolean, at = number? } was something deployed within p.recent; when, in seconds since 1970
function slowness.deploys(p)
  if not p.deploys_api and not p.repo then return skip "neither parameter 'deploys_api' nor 'repo' is given" end
  local fresh, at = false, nil
  if p.repo then show(releases.commits(p.repo, SHOWN), { title = "last commits" }) end
  if p.deploys_api then
    local rows = releases.deployed(p.deploys_api, p.deploys_at, SHOWN)
    show(rows, { title = "last deployments" })
    fresh = rows[1] and rows[1].age and rows[1].age < p.recent or false
    at = rows[1] and rows[1].at and rows[1].at.epoch
    if fresh then note("the last deployment is %s old, younger than %s", rows[1].age, p.recent) end
  end
  return { fresh = fresh, at = at }
end

--- Lines of an application's log that say something was slow or not in time, the most frequent first.
---@param log string as named in the environment
---@param window table a duration
function slowness.complaints(log, window)
  local seen = logs(log):scan {
    window = traffic.last(window), slow = { match = SLOW, ignore_case = true, group = "message", shape = true, top = SHOWN, tail = 100 },
  }
  note("%d lines of %s say slow or timeout, of %d from %s to %s", seen.slow.count, log, seen.lines, seen.from, seen.to)
  if seen.slow.count == 0 then return end
  show(seen.slow.groups, { title = "most frequent" })
  artifact("slow-lines.log", table.concat(seen.slow.tail, "\n") .. "\n")
end

--- Memory in use on a machine, as its kernel counts what it could still give, in percent.
local function memory_of(host)
  local text = shell.read({ "cat", "/proc/meminfo" }, { host = host }).stdout
  local total, free = text:match "MemTotal:%s+(%d+)", text:match "MemAvailable:%s+(%d+)"
  return 100 * (tonumber(total) - tonumber(free)) // tonumber(total)
end

--- Keeps a finding that is said and judges nothing: a machine may be busy, and all well.
local function find(found, name, value, threshold)
  local verdict, limit = judge(value, threshold)
  found[#found + 1] = { what = name, says = value .. " %", verdict = verdict }
  note("%s %s %%%s", name, value, verdict ~= "ok" and (", %s: %s"):format(verdict, limit) or "")
end

--- What a machine's processors, memory and connections are at, and which processes take most.
---@param hosts string[]? of the environment; without: this machine
---@param port integer connections there are counted
---@param over table a duration: measured over so long
---@return table found as of assessment.check, but told only
function slowness.machines(hosts, port, over)
  local found, list = {}, { columns = PROCESSES }
  for i = 1, hosts and #hosts or 1 do
    local host = hosts and hosts[i]
    local on = host and " on " .. host or ""
    local machine, rows = processes.measure(over, host)
    find(found, "processors used" .. on, machine.busy, "cpu_used")
    find(found, "memory used" .. on, memory_of(host), "memory_used")
    note("%d connections of visitors%s, load %s", outage.connections(port, host), on, machine.load[1])
    for _, row in ipairs(processes.first(rows, SHOWN)) do
      row.host = host or "here"
      list[#list + 1] = row
    end
  end
  show(list, { title = "what takes the processors, in percent of one", columns = PROCESSES })
  artifact("machines.csv", list)
  return found
end

--- What share of lookups a Redis finds right now, and how long it takes to answer.
---@param name string the connection's name
---@param over table a duration: its hits are counted over so long
---@return table found of assessment.check
function slowness.cache(name, over)
  local found = {}
  if not assessment.answers(found, "cache", function() return redis(name):ping() end) then return found end
  local began = now()
  for _ = 1, PINGS do redis(name):ping() end
  local took = math.ceil(1000 * (now() - began).seconds / PINGS)
  assessment.check(found, "cache answers in", took, { unit = "ms", above = { warning = PING_MS } })
  local before = redis(name):info "stats"
  sleep(over)
  local after = redis(name):info "stats"
  local hits = after.keyspace_hits - before.keyspace_hits
  local all = hits + after.keyspace_misses - before.keyspace_misses
  note("%d lookups in %s", all, over)
  if all >= LOOKUPS then assessment.check(found, "cache hits", 100 * hits // all, "cache_hits") end
  return found
end

--- The likeliest cause: what is out of order itself comes before what may only have brought something with it.
---@param seen table { database, cache, host = found or nil, deploy = { fresh } or nil }
---@return string one of CAUSES
function slowness.cause(seen)
  for _, name in ipairs { "database", "cache", "host" } do
    if slowness.is_bad(seen[name]) then return name end
  end
  return seen.deploy and seen.deploy.fresh and "deploy" or "application"
end

--- The playbook that mends a cause, with its parameters; nil where a person has to.
---@param cause string one of CAUSES
---@param p table parameters: db, cache, team
---@param database table? what was found out about the database
---@return string? playbook, table? params
function slowness.remedy(cause, p, database)
  if cause == "deploy" then return "deploy/rollback.lua", {} end
  if cause == "code" then return "deploy/release.lua", { kind = "hotfix" } end
  if cause == "cache" then return "incident/cache-degraded.lua", { cache = p.cache, team = p.team } end
  if cause == "database" then
    local is_full = slowness.is_bad(database, "connections used")
    return is_full and "incident/db-exhaustion.lua" or "incident/high-db-cpu.lua", { db = p.db, team = p.team }
  end
  return nil
end

--- Keeps of each instance what is gone once it is restarted: its threads as the kernel sees them, and what a command of the
--- place dumps. What cannot be read is named, and is no reason not to restart.
---@param names string[] services of the environment
---@param dump string? a command; the service's name is its argument
function slowness.keep(names, dump)
  for _, name in ipairs(names) do
    local threads, why = try(function()
      local pid = service(name):status().pid
      if not pid then fail("nobody knows its process id: services.%s of the environment has no pid_file", name) end
      return shell.read({ "ps", "-L", "-o", "pid,tid,stat,wchan:24,time,comm", "-p", tostring(pid) }).stdout
    end)
    if threads then
      artifact(("threads-%s.txt"):format(name), threads)
    else
      note("no threads of %s: %s", name, why)
    end
    if dump then shell.run({ dump, name }, { to = ("dump-%s"):format(name) }) end
  end
end

return slowness
