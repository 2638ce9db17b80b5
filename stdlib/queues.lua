--- Queues of jobs: how many wait and since when, how many come and go, which failed and why. Asked of the application,
--- or read from Redis where its jobs lie as Bull keeps them, when it does not answer.

local health = require "health"

local queues = {}

--- Jobs of one request to be tried again, and jobs that were done of which it is known how long they took.
local BATCH, DONE = 100, 200
--- So many jobs must have ended to tell how many of them fail; and looks until they have.
local ENDED, LOOKS = 10, 100
--- What a queue's facts are called by the application.
local TOLD = { depth = "waiting", failed = "failed", added = "added", completed = "completed", oldest = "oldest_seconds" }

--- Adds the rows up: the deepest, oldest and the sums are what a run is judged by.
local function sum(rows, in_time)
  local all = { rows = rows, depth = 0, failed = 0, oldest = 0, added = 0, completed = 0, in_time = in_time }
  for _, row in ipairs(rows) do
    for _, field in ipairs { "depth", "failed", "added", "completed" } do
      all[field] = all[field] + row[field]
    end
    all.oldest = math.max(all.oldest, row.oldest)
  end
  rows.columns = { "queue", "depth", "oldest", "active", "failed" }
  return all
end

--- What the application tells: `queues`, each name, waiting, active, failed, added, completed (since it counts),
--- oldest_seconds; and in_time, the percentage of jobs that were done in time, if it knows.
local function ask(api, path)
  local answer, rows = health.ask(api, path), {}
  for i, item in ipairs(answer:at "data.queues" or answer:need "queues") do
    local row = { queue = item.name, active = item.active }
    for field, name in pairs(TOLD) do
      row[field] = tonumber(item[name])
      if not row[field] then fail("%s does not tell '%s' of queue '%s'", api, name, item.name) end
    end
    rows[i] = row
  end
  return sum(rows, health.facts(answer, { "in_time" }).in_time)
end

--- The same from Redis. Bull numbers its jobs, so the last number is how many were added.
local function read(jobs, names, in_time)
  local rows, soon, known = {}, 0, 0
  for i, name in ipairs(names) do
    local key, server = ("bull:%s:"):format(name), redis(jobs)
    local found = server:pipeline {
      { "LLEN", key .. "wait" }, { "LLEN", key .. "active" }, { "ZCARD", key .. "failed" }, { "ZCARD", key .. "delayed" },
      { "GET", key .. "id" }, { "LINDEX", key .. "wait", "-1" }, { "ZRANGE", key .. "completed", tostring(-DONE), "-1" },
    }
    local since = found[6] and tonumber(server:hget(key .. found[6], "timestamp"))
    local added = tonumber(found[5] or 0)
    rows[i] = {
      queue = name, depth = found[1], active = found[2], failed = found[3], added = added,
      completed = added - found[1] - found[2] - found[3] - found[4],
      oldest = since and math.max(0, math.floor(now().epoch - since / 1000)) or 0,
    }
    for _, id in ipairs(found[7]) do
      local times = server:hmget(key .. id, "timestamp", "finishedOn")
      if times[1] and times[2] then
        known, soon = known + 1, soon + (tonumber(times[2]) - tonumber(times[1]) <= 1000 * in_time and 1 or 0)
      end
    end
  end
  return sum(rows, known > 0 and math.floor(1000 * soon / known + 0.5) / 10 or nil)
end

--- How the queues are.
---@param where { api: string?, stats: string?, jobs: string?, queues: string[]?, oldest: table } api and stats: who tells
--- it and where; jobs and queues: the Redis and names to read from when nobody does; oldest: a duration, done within
--- it is in time
---@return table seen rows (queue, depth, oldest, active, failed), and of all: depth, oldest (seconds), failed, added,
--- completed, in_time (percent, nil when not known); instead_of: why it was read from Redis though the application was named
function queues.look(where)
  local seen, why
  if where.api then seen, why = try(ask, where.api, where.stats) end
  if seen then return seen end
  if not where.jobs or not where.queues then
    fail("%s", why or "nobody was named who knows the queues: -p api, or -p jobs and -p queues")
  end
  seen = read(where.jobs, where.queues, where.oldest.seconds)
  seen.instead_of = why
  return seen
end

--- Seconds since this machine started: unlike now(), a rehearsal does not move them.
local function uptime()
  return tonumber(files.read("/proc/uptime"):match "%S+")
end

--- How they are, and what came and went meanwhile. A rehearsal, which does not wait, looks until some jobs have ended.
---@param where table as of `look`
---@param over any a duration
---@return table seen as of `look`, with added_rate, done_rate, failed_rate (jobs a second; in the rows: come, done, fail)
--- and failing (percent of those that ended meanwhile, nil when none did)
function queues.measure(where, over)
  local before, began = queues.look(where), uptime()
  if before.instead_of then note("%s; read from %s instead", before.instead_of, where.jobs) end
  sleep(over)
  local seen, done, failed
  for _ = 1, LOOKS do
    seen = queues.look(where)
    done, failed = math.max(0, seen.completed - before.completed), math.max(0, seen.failed - before.failed)
    if done + failed >= ENDED then break end
  end
  local seconds, was = math.max(uptime() - began, 0.01), {}
  local function rate(many) return math.floor(10 * math.max(0, many) / seconds + 0.5) / 10 end
  seen.added_rate, seen.done_rate, seen.failed_rate = rate(seen.added - before.added), rate(done), rate(failed)
  seen.failing = done + failed > 0 and math.floor(1000 * failed / (done + failed) + 0.5) / 10 or nil
  for _, row in ipairs(before.rows) do was[row.queue] = row end
  for _, row in ipairs(seen.rows) do
    local old = was[row.queue] or row
    row.come, row.done, row.fail = rate(row.added - old.added), rate(row.completed - old.completed), rate(row.failed - old.failed)
  end
  seen.rows.columns = { "queue", "depth", "oldest", "active", "failed", "come", "done", "fail" }
  return seen
end

--- The jobs that failed.
---@param api string
---@param path string
---@return table jobs id, queue, name, reason, failed_at; .reasons: rows name, reason, jobs: how many of each, most first
function queues.failed(api, path)
  local answer, rows, by = health.ask(api, path), { columns = { "name", "reason", "jobs" } }, {}
  local jobs = answer:need "data"
  for _, job in ipairs(jobs) do
    local key = job.name .. "\0" .. tostring(job.reason)
    if not by[key] then
      by[key] = { name = job.name, reason = job.reason, jobs = 0 }
      rows[#rows + 1] = by[key]
    end
    by[key].jobs = by[key].jobs + 1
  end
  table.sort(rows, function(a, b)
    if a.jobs ~= b.jobs then return a.jobs > b.jobs end
    return a.name .. tostring(a.reason) < b.name .. tostring(b.reason)
  end)
  jobs.columns, jobs.reasons = { "id", "queue", "name", "reason", "failed_at" }, rows
  return jobs
end

--- Those of some jobs that may be done twice without harm, by their names.
---@param jobs table of `failed`
---@param names string[]
---@return table jobs
function queues.of_names(jobs, names)
  local found, wanted = { columns = jobs.columns }, {}
  for _, name in ipairs(names) do wanted[name] = true end
  for _, job in ipairs(jobs) do
    if wanted[job.name] then found[#found + 1] = job end
  end
  return found
end

--- Has failed jobs tried again, in batches. After a kill a batch counts as sent when none of its failures is listed
--- any more: one that failed once more has another time. A change; the playbook's limits count `jobs`.
---@param api string
---@param path string takes {"ids": […]}
---@param jobs table of `failed`
---@param list_path string where the failed ones are listed
function queues.retry(api, path, jobs, list_path)
  batches(jobs, BATCH, function(slice)
    local ids, ours = {}, {}
    for i, job in ipairs(slice) do
      ids[i], ours[job.id .. "@" .. tostring(job.failed_at)] = job.id, true
    end
    http(api):post(path, { json = { ids = ids }, costs = { jobs = #ids }, happened = function()
      for _, job in ipairs(queues.failed(api, list_path)) do
        if ours[job.id .. "@" .. tostring(job.failed_at)] then return false end
      end
      return true
    end })
  end)
end

return queues
