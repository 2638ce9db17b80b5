--- A first look at an incident: which parts answer, what changed lately, and what all of it speaks for. Reads only.
-- An assessment is made while things are down: what does not answer is a finding, and ends nothing.

local docker = require "docker"
local health = require "health"
local postgres = require "postgres"
local statements = require "statements"

local assessment = {}

--- Nobody waits longer for one look.
local SOON = "10s"
--- Ticks of the machine's clock, over all its processors, that make a measure, and how often it is looked for them.
local TICKS, LOOKS = 20, 200

--- What an error looks like in a log, of text or of JSON.
assessment.ERRORS = { "ERROR", "FATAL", [["level":"error"]] }

--- What a finding speaks for, by the first words of its name. Causes stand before what they cause, so what is
--- suggested first is what to mend first. `bad` is the severity of a critical finding; a warning is P2.
local SPEAKS_FOR = {
  { "disk", bad = "P1", play = "incident/disk-space.lua" },
  { "database", bad = "P0", play = "incident/database-down.lua" },
  { "connections used", bad = "P1", play = "incident/db-exhaustion.lua" },
  { "longest statement", bad = "P1", play = "incident/high-db-cpu.lua" },
  { "sessions that wait for a lock", bad = "P1", play = "incident/deadlocks.lua" },
  { "redis memory", bad = "P1", play = "incident/redis-memory.lua" },
  { "redis", bad = "P1", play = "incident/cache-degraded.lua" },
  { "memory used", bad = "P1", play = "incident/high-memory.lua" },
  { "processors used", bad = "P1", play = "incident/high-cpu.lua" },
  { "jobs that wait", bad = "P1", play = "incident/queue-depth.lua" },
  { "service", bad = "P1", play = "incident/service-outage.lua" },
  { "container", bad = "P1", play = "incident/service-outage.lua" },
  { "unit", bad = "P1", play = "incident/service-outage.lua" },
  { "error rate", bad = "P1", play = "incident/error-rate.lua", deploy = true },
  { "average response time", bad = "P1", play = "incident/service-degradation.lua", deploy = true },
  { "application", bad = "P0", play = "incident/service-outage.lua", deploy = true },
  { "front end", bad = "P0", play = "incident/service-outage.lua", deploy = true },
  { "provider", bad = "P2" },
}

--- What each severity asks of people.
assessment.RESPOND = {
  P0 = "everybody now: hands on within 15 minutes", P1 = "hands on within 15 minutes", P2 = "within the hour", P3 = "next business day",
}

-- findings ----------------------------------------------------------------------------------------------

--- Checks a value, and keeps what came of it.
---@param found table list the finding is added to
---@param name string
---@param value any
---@param limits table|string as of `check`
---@return string verdict
function assessment.check(found, name, value, limits)
  local verdict = check(name, value, limits)
  local unit = (type(limits) == "table" and limits or thresholds.of(limits)).unit
  local says = value == nil and "not known" or unit and ("%s %s"):format(value, unit) or tostring(value)
  found[#found + 1] = { what = name, says = says, verdict = verdict }
  return verdict
end

--- Asks a part whether it is there. That it is not, or says nothing for ten seconds, is critical, with the reason.
---@param found table
---@param name string
---@param ask function returns true or what it answers
---@return any answer nil when there was none
function assessment.answers(found, name, ask)
  local answer, why = try(ask)
  assessment.check(found, name, answer ~= nil and "answers" or why, { expect = "answers" })
  return answer
end

--- Reads what only helps to understand. That it cannot be read is said, and is no fault of what it is about.
---@param found table
---@param name string what is unknown then
---@param look function
---@return any value nil when it could not be read
function assessment.reads(found, name, look)
  local value, why = try(look)
  if value == nil then
    assessment.check(found, name, nil, {})
    found[#found].says = why or "says nothing"
    note("%s: %s", name, found[#found].says)
  end
  return value
end

-- looks -------------------------------------------------------------------------------------------------

--- How much of all processors was taken, measured over a second: a moment's look, which cannot tell a peak from a trouble.
---@return number percent
function assessment.processors()
  local function ticks()
    local sum, idle, fields = 0, 0, 0
    for number in files.read "/proc/stat":match "^cpu +([%d ]+)":gmatch "%d+" do
      fields = fields + 1
      if fields <= 8 then sum = sum + tonumber(number) end             -- the rest is counted in these already
      if fields == 4 or fields == 5 then idle = idle + tonumber(number) end
    end
    return sum, idle
  end
  local before, idle_before = ticks()
  sleep(1)
  local after, idle_after = ticks()
  for _ = 1, LOOKS do      -- in a dry run sleep only moves the clock: looked at until there is something to measure
    if after - before >= TICKS then break end
    sleep(0.01)
    after, idle_after = ticks()
  end
  return math.floor(100 * (1 - (idle_after - idle_before) / math.max(after - before, 1)) + 0.5)
end

--- What a provider says of itself, by the status.json that its status page serves.
---@param name string a connection of the environment
---@return string indicator "none" when all is well, else minor, major, critical
---@return string? description
function assessment.provider(name)
  local answer = http(name):get("/api/v2/status.json", { timeout = SOON })
  return answer:need "status.indicator", answer:at "status.description"
end

--- What an application says of itself in detail: its parts that must be connected are checked, the rest is shown.
---@param found table
---@param answer table of health.ask
---@param parts string[]
function assessment.detail(found, answer, parts)
  for _, part in ipairs(parts) do
    assessment.check(found, "application: " .. part, answer:at(part), { expect = "connected" })
  end
  show(health.facts(answer, { "uptime", "version", "memory", "pool" }))
end

--- Checks the state of several things.
---@param found table
---@param kind string "service", "unit"
---@param rows table? none when they could not be read
---@param field string what holds their name
---@param well string the state that is well
function assessment.states(found, kind, rows, field, well)
  for _, row in ipairs(rows or {}) do
    assessment.check(found, kind .. " " .. row[field], row.state, { expect = well })
  end
end

--- Checks that containers run, shows all there are, and keeps the last lines of those named.
---@param found table
---@param names string[]
---@param lines integer
function assessment.containers(found, names, lines)
  local seen = assessment.reads(found, "containers", function()
    local rows, states = docker.containers()
    return { rows = rows, states = states }
  end)
  if not seen then return end
  show(seen.rows)
  for _, name in ipairs(names) do
    assessment.check(found, "container " .. name, seen.states[name], { expect = "running", missing = "critical" })
    local _, why = try(docker.keep_logs, name, lines)
    if why then note("%s is no evidence: %s", name, why) end
  end
end

--- Shows the most frequent and the last errors of a log.
---@param found table
---@param log string as named in the environment
---@param window table a window
---@param count integer so many of the last
function assessment.errors(found, log, window, count)
  local seen = assessment.reads(found, "errors in " .. log, function()
    local query = { match = assessment.ERRORS, group = "message", shape = true, top = 5, tail = count }
    return logs(log):scan { window = window, errors = query }
  end)
  if not seen then return end
  assessment.check(found, "errors in " .. log, seen.errors.count, { above = { warning = count } })
  if seen.errors.count == 0 then return end
  show(seen.errors.groups, { title = "most frequent" })
  show(table.concat(seen.errors.tail, "\n"), { title = ("the last %d"):format(#seen.errors.tail) })
end

--- The last errors of a project at Vercel, by its command; one before February 2026 does not know these options, and fails.
-- Asked over the network: a declared read, which the playbook's `uses` must allow as "vercel logs".
---@param project string
---@param window table a window, up to now
---@param count integer
---@return string lines
function assessment.vercel(project, window, count)
  local since = ("%dm"):format(math.floor(math.max(1, (now() - window.from).seconds / 60)))
  local text = shell.read({ "vercel", "logs", "--project", project, "--environment", "production", "--level", "error",
    "--since", since, "--limit", tostring(count), "--json" }, { net = true, timeout = "30s" }).text
  return text == "" and "none" or text
end

--- Asks providers how they are, side by side: "none" is well.
---@param found table
---@param names string[] connections of the environment
function assessment.providers(found, names)
  each(names, function(name)
    local said
    local indicator = assessment.reads(found, "provider " .. name, function()
      local word, description = assessment.provider(name)
      said = description
      return word
    end)
    if indicator then assessment.check(found, "provider " .. name, indicator, { expect = "none" }) end
    if said then note("%s: %s", name, said) end
  end)
end

--- What clients do in a database now: sessions by state, the longest statement, who waits. All of it goes into an artifact.
---@param found table
---@param db string
---@param long table a duration: a statement that runs longer is a warning
function assessment.activity(found, db, long)
  local pool = postgres.connections(db)
  assessment.check(found, "connections used", pool.percent, { unit = "%", above = thresholds.of("connections_used").above })
  show(pool.by_state, { title = ("%d of %d connections, by state"):format(pool.used, pool.limit) })
  local running, waiting, longest = statements.running(db), postgres.blocked_chains(db), 0
  for _, row in ipairs(running) do
    if row.kind == "client backend" and row.seconds > longest then longest = row.seconds end
  end
  assessment.check(found, "longest statement", longest, { unit = "s", above = { warning = long.seconds } })
  assessment.check(found, "sessions that wait for a lock", #waiting, { above = { warning = 0 } })
  artifact("activity-running", running)
  artifact("activity-waiting", waiting)
end

--- What the application is at by its own tables. One that is not there is said.
---@param found table
---@param db string
---@param opts { jobs: string?, job_state: string, job_open: string[], searches: string? } tables ("media_items",
--- "shop.media_items"); the column of a job's state, and which states are open
function assessment.operations(found, db, opts)
  local function count(name, relation, condition, values)
    local schema, bare = relation:match "^([^.]+)%.(.+)$"
    local from = schema and sql.format("%I.%I", schema, bare) or sql.format("%I", relation)
    local number = assessment.reads(found, name, function()
      return sql(db):value("SELECT count(*) FROM " .. from .. " WHERE " .. condition, values, { timeout = SOON })
    end)
    if number then note("%s: %d", name, number) end
  end
  if opts.jobs then
    count("jobs in work", opts.jobs, sql.format("%I = ANY ($1::text[])", opts.job_state), { opts.job_open })
  end
  if opts.searches then
    count("searches of the last minute", opts.searches, "created_at > now() - interval '1 minute'", {})
  end
end

-- the sum -----------------------------------------------------------------------------------------------

local function meaning(name)
  for rank, entry in ipairs(SPEAKS_FOR) do
    if name:sub(1, #entry[1]) == entry[1] then return entry, rank end
  end
  return {}, #SPEAKS_FOR + 1
end

--- What all findings come to.
---@param lists table[] lists of findings, as the steps returned them
---@param fresh_deploy boolean was something deployed just before
---@return table sum severity ("P0" … "P3"), rows (severity, what, says, play; worst first), plays (playbooks: those for
--- what is broken, causes before what they cause, then those for warnings)
function assessment.sum(lists, fresh_deploy)
  local rows, plays, known = { columns = { "severity", "what", "says", "play" } }, {}, {}
  local severity = "P3"
  for _, found in ipairs(lists) do
    for _, finding in ipairs(found) do
      if finding.verdict ~= "ok" and not known[finding.what] then
        local entry, rank = meaning(finding.what)
        local level = finding.verdict == "critical" and (entry.bad or "P2") or finding.verdict == "warning" and "P2" or "P3"
        known[finding.what] = true
        rows[#rows + 1] = {
          severity = level, what = finding.what, says = finding.says, rank = rank,
          play = finding.verdict ~= "unknown" and (fresh_deploy and entry.deploy and "deploy/rollback.lua" or entry.play) or nil,
        }
        if level < severity then severity = level end
      end
    end
  end
  local function by_rank(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.what < b.what
  end
  table.sort(rows, function(a, b)      -- what is only a warning comes after what is broken, whatever causes which
    if (a.severity < "P2") ~= (b.severity < "P2") then return a.severity < "P2" end
    return by_rank(a, b)
  end)
  for _, row in ipairs(rows) do
    if row.play and not known[row.play] then
      known[row.play] = true
      plays[#plays + 1] = row.play
    end
  end
  table.sort(rows, function(a, b)
    if a.severity ~= b.severity then return a.severity < b.severity end
    return by_rank(a, b)
  end)
  for _, row in ipairs(rows) do row.rank = nil end
  return { severity = severity, rows = rows, plays = plays }
end

--- The sum as one page of text, for people who were not there.
---@param sum table of `sum`
---@return string
function assessment.page(sum)
  local lines = { ("suggested severity %s: %s"):format(sum.severity, assessment.RESPOND[sum.severity]) }
  for _, row in ipairs(sum.rows) do
    lines[#lines + 1] = ("%s  %s: %s"):format(row.severity, row.what, row.says)
  end
  if #sum.rows == 0 then lines[#lines + 1] = "nothing that was looked at is out of order" end
  for _, playbook in ipairs(sum.plays) do
    lines[#lines + 1] = "play " .. playbook
  end
  return table.concat(lines, "\n")
end

--- Tells somebody the sum. Nobody named: nothing happens.
---@param who string? as named in the environment
---@param sum table of `sum`
function assessment.tell(who, sum)
  if not who then return end
  notify(who)(assessment.page(sum), {
    title = "Assessment: suggested severity " .. sum.severity,
    severity = sum.severity < "P2" and "critical" or sum.severity == "P2" and "warning" or "info",
    summary = ("tell %s the assessment, %s"):format(who, sum.severity),
  })
end

return assessment
