--- Morning health check: everything is looked at side by side and judged, and who should know hears the sum.
---@usage opsrun play daily/health-check.lua -e production
local backups = require "backups"
local certificates = require "certificates"
local disks = require "disks"
local docker = require "docker"
local health = require "health"
local postgres = require "postgres"
local systemd = require "systemd"

playbook {
  title  = "Morning health check",   kind = "routine",   owner = "operations",
  about  = "Reads only. What the environment does not name is skipped, aloud; what does not answer fails and hides nothing else.",
  params = {
    api         = { type = "http",     optional = true,     help = "the application" },
    health      = { type = "route",    default = "/health", help = "where it gives its status" },
    status_at   = { type = "string",   default = "status",  help = "where the word stands: status, data.status" },
    expect      = { type = "list", of = "string", default = { "healthy", "ok" }, help = "words that mean well" },
    persist     = { type = "duration", default = "15m",     help = "not well: look again this long before it is believed" },
    detail      = { type = "route",    optional = true,     help = "detailed health: memory, uptime, version, pool" },
    parts       = { type = "list", of = "string", default = {}, help = "what it must call connected: database" },
    analytics   = { type = "route",    optional = true,     help = "avg_response_time, error_rate, cache_hit_rate" },
    period      = { type = "string",   default = "24h",     help = "over which time figures are asked for" },
    performance = { type = "route",    optional = true,     help = "connection_count, avg_query_time, slow_queries" },
    db          = { type = "sql",      optional = true,     help = "database, as named in the environment" },
    pool_size   = { type = "integer",  optional = true,     help = "connections its pool may have" },
    cache_stats = { type = "route",    optional = true,     help = "hit_rate, total_requests, invalidation_events" },
    cache       = { type = "redis",    optional = true,     help = "redis, as named in the environment" },
    disk_ignore = { type = "list", of = "string", default = {}, help = "mounts that are left out" },
    units       = { type = "list", of = "string", optional = true, help = "systemd units: active, and few errors" },
    containers  = { type = "list", of = "string", optional = true, help = "containers that must run" },
    queues      = { type = "route",    optional = true,     help = "queue statistics: depth, failed" },
    err_window  = { type = "duration", default = "1h",      help = "errors in the journal are counted over this time" },
    logs        = { type = "logs",     optional = true,     help = "log, as named in the environment" },
    log_window  = { type = "window",   default = "last 24h", help = "its errors are counted over this time" },
    site        = { type = "http",     optional = true,     help = "https connection whose certificate is looked at" },
    backups     = { type = "string",   optional = true,     help = "where they are: /backups/*.dump" },
    resp_ms     = { type = "number",   default = 500,       help = "response time: warning above" },
    error_pct   = { type = "percent",  default = 1,         help = "requests that fail: warning above, critical above 5" },
    cache_pct   = { type = "percent",  default = 80,        help = "cache hits: warning below" },
    conn_pct    = { type = "percent",  default = 80,        help = "database connections: warning above, critical above 95" },
    disk_warn   = { type = "percent",  default = 80,        help = "disk and redis memory used: warning above" },
    disk_crit   = { type = "percent",  default = 90,        help = "disk and redis memory used: critical above" },
    errors      = { type = "integer",  default = 10,        help = "errors in journal and logs: warning above" },
    cert_crit   = { type = "integer",  default = 7,         help = "days left on the certificate: critical below" },
    backup_age  = { type = "duration", default = "26h",     help = "newest backup: critical when older" },
    report      = { type = "string",   optional = true,     help = "who always gets the summary" },
    team        = { type = "string",   optional = true,     help = "who gets it from a warning on" },
    oncall      = { type = "string",   optional = true,     help = "who gets it when something is critical" },
  },
  uses   = { shell = { "systemctl show", "docker ps" } },      -- they ask over a socket: declared reads
  tell   = { ["{report}"] = "always", ["{team}"] = "warning", ["{oncall}"] = "critical" },
  sources = { "runbook 000: Morning Health Check (5 minutes)", "runbook 001: Morning Health Check (9 AM)",
              "runbook 002: Morning Health Check (9:00 AM)", "runbook 003: Health Check Endpoints", "runbook 004: Health Check Endpoints" },
}

group("Look at everything", { together = true, keep_going = true }, function()
  step("Application health", { needs = { "api" } }, function(p)
    local answer, word, expected = health.status(p.api, { path = p.health, at = p.status_at, expect = p.expect, persist = p.persist })
    check("application status", word, { expect = expected, missing = "critical" })
    check("response time", math.ceil(1000 * answer.time), { unit = "ms", above = { warning = p.resp_ms } })
  end)

  step("Detailed health", { needs = { "api", "detail" } }, function(p)
    local answer = health.ask(p.api, p.detail)
    for _, part in ipairs(p.parts) do check(part, answer:at(part), { expect = "connected", missing = "critical" }) end
    check("age of the detailed health", health.age(answer), { unit = "s", above = { warning = 300 } })
    check("memory of the application", health.memory(answer), "memory_used")
    show(health.facts(answer, { "memory", "uptime", "version", "pool" }))
  end)

  step("Figures of the application", { needs = { "api", "analytics" } }, function(p)
    local figures = health.ask(p.api, p.analytics, { period = p.period })
    check("average response time", health.number(figures, "avg_response_time"), { unit = "ms", above = { warning = p.resp_ms } })
    check("error rate", health.number(figures, "error_rate"), { unit = "%", above = { warning = p.error_pct, critical = 5 } })
    check("cache hit rate", health.number(figures, "cache_hit_rate"), { unit = "%", below = { warning = p.cache_pct } })
  end)

  step("Database performance", { needs = { "api", "performance" } }, function(p)
    local figures = health.ask(p.api, p.performance)
    note("%d connections", health.number(figures, "connection_count"))
    check("mean query time", health.number(figures, "avg_query_time"), "query_time_mean")
    check("slow queries", health.number(figures, "slow_queries"), { above = { warning = 10 } })
  end)

  step("Database connections", { needs = { "db" } }, function(p)
    local pool, limits = postgres.connections(p.db), { unit = "%", above = { warning = p.conn_pct, critical = 95 } }
    if check("connections used", pool.percent, limits) ~= "ok" then suggest("incident/db-exhaustion.lua", { db = p.db }) end
    if p.pool_size then check("pool used", 100 * pool.used // p.pool_size, limits) end
    show(pool.by_state, { title = ("%d of %d connections, by state"):format(pool.used, pool.limit) })
  end)

  step("Cache figures", { needs = { "api", "cache_stats" } }, function(p)
    local figures = health.ask(p.api, p.cache_stats, { period = p.period })
    check("cache hits", health.number(figures, "hit_rate"), { unit = "%", below = { warning = p.cache_pct } })
    show(health.facts(figures, { "total_requests", "invalidation_events" }))
  end)

  step("Redis", { needs = { "cache" } }, function(p)
    check("redis answers", redis(p.cache):ping(), { expect = "PONG" })
    local info = redis(p.cache):info()
    local most = info.maxmemory > 0 and info.maxmemory or info.total_system_memory      -- 0: no limit of its own
    check("redis memory used", 100 * info.used_memory // most, { unit = "%", above = { warning = p.disk_warn, critical = p.disk_crit } })
    note("%d clients, %d operations a second", info.connected_clients, info.instantaneous_ops_per_sec)
  end)

  step("Disks", function(p)
    local limits = { warning = p.disk_warn, critical = p.disk_crit }
    for _, fs in ipairs(disks.own(p.disk_ignore)) do
      check("disk " .. fs.label, fs.percent, { unit = "%", above = limits })
      if fs.inodes_percent > p.disk_warn then check("inodes " .. fs.mount, fs.inodes_percent, { unit = "%", above = limits }) end
    end
  end)

  step("Units", { needs = { "units" } }, function(p)
    for _, row in ipairs(systemd.units(p.units)) do check("unit " .. row.unit, row.state, { expect = "active" }) end
  end)
  step("Containers", { needs = { "containers" } }, function(p)
    local rows, states = docker.containers()
    for _, name in ipairs(p.containers) do check("container " .. name, states[name], { expect = "running", missing = "critical" }) end
    show(rows)
  end)

  step("Queues", { needs = { "api", "queues" } }, function(p)
    local figures = health.ask(p.api, p.queues)
    check("jobs that wait", health.number(figures, "depth"), { above = { warning = 1000 } })
    check("jobs that failed", health.number(figures, "failed"), { above = { warning = 0 } })
  end)

  step("Errors in the journal", { needs = { "units" } }, function(p)
    for _, u in ipairs(p.units) do check("errors of " .. u, systemd.errors(u, p.err_window), { above = { warning = p.errors } }) end
  end)
  step("Errors in the logs", { needs = { "logs" } }, function(p)
    local words = { "ERROR", "FATAL", [["level":"error"]] }
    local seen = logs(p.logs):scan { window = p.log_window, errors = { match = words, group = "message", shape = true, top = 5 } }
    check("errors in " .. p.logs, seen.errors.count, { above = { warning = p.errors } })
    if seen.errors.count > 0 then show(seen.errors.groups, { title = "most frequent" }) end
  end)

  step("Certificate", { needs = { "site" } }, function(p)
    check("days left on the certificate", certificates.look(p.site).days, { below = { warning = 30, critical = p.cert_crit } })
  end)

  step("Newest backup", { needs = { "backups" } }, function(p)
    local newest = backups.newest(p.backups)
    note(newest.path)
    check("age of the newest backup", newest.age, { above = { critical = p.backup_age } })
    check("size of the newest backup", newest.size, { unit = "bytes", below = { critical = 1 } })
  end)
end)
