-- The lab of this checkout: ./dev lab up, then eval "$(./dev lab env)".
return {
  label    = "lab",
  timezone = "Etc/UTC",
  sql      = {
    primary = { url = secret.env "DATABASE_URL", statement_timeout = "30s" },
    replica = { url = secret.env "REPLICA_URL", statement_timeout = "30s" },         -- ./dev lab break replication-lag
  },
  redis    = {
    cache  = { url = secret.env "REDIS_URL" },
    secure = { url = secret.env "REDISS_URL", ca = env "APP_CA" },
  },
  http     = {
    api    = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" },
    ["api-2"] = { base = env "APP_2_URL", bearer = secret.env "ADMIN_TOKEN" },        -- ./dev lab break pool-exhausted
    secure = { base = env "APP_TLS_URL", ca = env "APP_CA" },
    site   = { base = env "SITE_URL" },
    vercel = { base = env "VERCEL_URL", bearer = secret.env "VERCEL_TOKEN" },          -- ./dev lab break bad-deployment
    netlify = { base = env "NETLIFY_URL", bearer = secret.env "NETLIFY_TOKEN" },
    shop   = { base = env "SHOP_URL" },
    docs   = { base = env "DOCS_URL" },
  },
  smtp     = {
    url  = env "SMTP_URL", ca = env "APP_CA", from = "opsrun@lab.example",
    user = "opsrun", password = secret.env "SMTP_PASSWORD",
  },
  notify   = {
    team   = { { webhook = env "TEAM_HOOK" } },
    report = { { email = "report@lab.example" } },
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY", url = env "PAGERDUTY_URL" }, { email = "oncall@lab.example" } },
  },
  hosts    = { web = { "web1", "web2", config = env "SSH_CONFIG", reads = { "cat", "date" } } },
  services = {      -- it runs on another machine of the lab: what a command leaves behind here ends with it
    shop = { vercel = "prj_lab", team = "team_lab", http = "vercel" },
    docs = { netlify = "lab-site", http = "netlify" },
    nightly = { host = "web1", start = env "LAB_NIGHTLY_START", stop = env "LAB_NIGHTLY_STOP", pid_file = env "LAB_NIGHTLY_PID" },
    app = { host = "web1", releases = env "LAB_RELEASES", current = env "LAB_CURRENT",    -- ./dev lab break bad-release
            start = env "LAB_APP_START", stop = env "LAB_APP_STOP", status = env "LAB_APP_STATUS", pid_file = env "LAB_APP_PID" },
    ["app-2"] = { host = "web2", start = env "LAB_APP_2_START", stop = env "LAB_APP_2_STOP",
                  pid_file = env "LAB_APP_2_PID" },                                   -- ./dev lab break service-degradation
    worker = { compose = "worker", dir = env "OPSRUN_LAB_DIR", host = "web1" },         -- ./dev lab break queue-depth
    postgres = { host = "web1", start = env "LAB_POSTGRES_START", stop = env "LAB_POSTGRES_STOP", pid_file = env "LAB_POSTGRES_PID" },
  },
  logs     = {
    app      = { paths = { env "APP_LOG" }, format = "json" },
    postgres = { paths = { env "POSTGRES_LOG" } },
    access   = { paths = { env "ACCESS_LOG" }, format = "nginx" },
  },
  params   = {
    ["daily/health-check"] = {
      api = "api", detail = "/api/health", parts = { "database" }, persist = "2s",
      analytics = "/api/admin/monitoring/analytics", performance = "/api/admin/database/performance",
      queues = "/api/admin/queues/stats", cache_stats = "/api/cache/analytics",
      db = "primary", cache = "cache", site = "secure", logs = "app",
      report = "report", team = "team", oncall = "oncall",
    },
    ["weekly/backup-verification"] = {
      bucket = env "S3_BUCKET", endpoint = env "S3_URL", access_key = env "S3_KEY", secret_key = secret.env "S3_SECRET",
      media = "media/", db = "primary", staging = "primary", same_server = true,      -- the lab has one server
      report = "report", team = "team", oncall = "oncall",
    },
    ["incident/assess"] = {
      api = "api", site = "secure", detail = "/api/health", parts = { "database" },
      deploys_api = "api", deploys_at = "/v6/deployments", analytics = "/api/admin/monitoring/analytics",
      services = { "app" }, cache = "cache", db = "primary", jobs = "media_items", job_state = "status", searches = "events",
      logs = "app", queues = "/api/admin/queues/stats", providers = { "api" }, team = "team",
    },
    ["incident/cache-degraded"] = {                                                   -- ./dev lab break cache-degraded
      cache = "cache", db = "primary", detail = "/api/health", performance = "/api/admin/database/performance",
      recent = "2s", poll = "1s", sample = "1s", pace = "200ms", team = "team", mail = "report",
    },
    ["incident/deadlocks"] = { log = "postgres", team = "team", lead = "oncall" },
    ["incident/queue-depth"] = {                                                      -- ./dev lab break queue-depth, queue-poisoned
      service = "worker", jobs = "cache", queues = { "media" }, log_files = env "LAB_WORKERS_LOG", db = "primary",
      retry = "/api/admin/queues/retry", sample = "2s", poll = "500ms", team = "team", oncall = "oncall",
    },
    ["incident/redis-memory"] = { calm = "1s", poll = "100ms" },                      -- ./dev lab break redis-memory
    ["incident/replication-lag"] = { replica = "replica", team = "team", dba = "oncall" },
    ["incident/high-db-cpu"] = { team = "team", dba = "oncall" },
    ["incident/high-cpu"] = { db = "primary", team = "team", oncall = "oncall" },     -- ./dev lab break high-cpu
    ["incident/high-memory"] = {                                                      -- ./dev lab break memory-leak
      host = "web1", service = "app", api = "api", heap = "/api/admin/memory", signal = "USR2", snapshots = env "LAB_HEAP",
      team = "team", oncall = "oncall",
    },
    ["incident/disk-space"] = {                                                       -- ./dev lab break disk-space
      mount = env "LAB_DISK", logs = env "LAB_DISK_LOGS", tmp = env "LAB_DISK_TMP", backups = env "LAB_DISK_BACKUPS",
      journal = env "LAB_DISK_JOURNAL", live_max = "8mb", api = "api", db = "primary", team = "team", oncall = "oncall",
    },
    ["incident/service-outage"] = {                                                   -- ./dev lab break app-down
      services = { "app" }, log_files = env "APP_LOG", db = "primary", cache = "cache", team = "team", oncall = "oncall",
      calm = "2s", poll = "1s",
    },
    ["incident/database-down"] = {                                                    -- also: database-recovering, database-disk-full
      api = "api", service = "postgres", log = "postgres", data = env "LAB_POSTGRES_DATA", clients = { "app" }, team = "team",
      oncall = "oncall", pause = "300ms", poll = "300ms", reconnect = "5s",
    },
    ["deploy/rollback"] = {                                                           -- ./dev lab break bad-release
      version_at = "version", db = "primary", migrations = "schema_migrations", migration_name = "name", migration_at = "applied_at",
      recover = "20s", poll = "300ms", team = "team", oncall = "oncall",
    },
    ["deploy/verify"] = {
      version_at = "version", db = "primary", endpoints = { "/api/health" }, figures = "/api/admin/monitoring/analytics",
      time_name = "avg_response_time", logs = "app", poll = "1s", team = "team",
    },
    ["incident/service-degradation"] = {                                              -- eval "$(./dev lab env)" after the break
      api = "site", paths = { "/api/orders/17" }, probes = 2, access = "access", logs = "app", providers = { "api" },
      deploys_api = "api", recent = "1h", db = "primary", cache = "cache", services = { "app", "app-2" }, sample = "5s",
      least = 5, crit = 800, hard = 900, pause = "1s", calm = "5s", poll = "1s", team = "team", oncall = "oncall",
    },
    ["incident/error-rate"] = {                                                       -- eval "$(./dev lab env)" after the break
      api = "site", access = "access", logs = "app", sentry = "api", sentry_at = "/api/0/organizations/lab/issues/?query=is:unresolved",
      deploys_api = "api", recent = "1h", db = "primary", audit = "audit_logs", flags_table = "feature_flags", cache = "cache",
      providers = { "api" }, sample = "5s", least = 20, calm = "5s", poll = "1s", team = "team", oncall = "oncall",
    },
    ["flags/toggle"] = {
      name = "new-search", action = "kill", db = "primary", list_at = "data", site = "site", observe = "/api/search",
      observe_at = "engine", observe_on = "new-search", calm = "300ms", poll = "100ms", team = "team", oncall = "oncall",
    },
    ["tuning/indexes"] = {                                                            -- ./dev lab break slow-queries
      rows = 5000, large = "256kb", min_age = "0s", distinct = 5, corr = 0.3, within = "1m", team = "team", mail = "report",
    },
    ["tuning/slow-queries"] = {                                                       -- ./dev lab break slow-queries
      mean_ms = 0.5, tiny_ms = 0.3, log_ms = 100, log_for = "5s", read = "postgres", team = "team", mail = "report",
    },
    ["scale/connection-pool"] = {                                                     -- eval "$(./dev lab env)" after the break
      apis = { "api", "api-2" }, services = { "app", "app-2" }, configs = env "LAB_POOL_FILES",
      more_name = "DB_POOL_OVERFLOW", watch = "3s", sample = "1s", calm = "2s", poll = "300ms", team = "team",
    },
    ["scale/workers"] = { db = "primary", pool = 1, api = "api", cores = 0, poll = "200ms", over = "500ms" },     -- it has none to spare
    ["recovery/restore-database"] = {                                                 -- ./dev lab break data-lost
      dir = env "LAB_DUMPS", flag = env "LAB_FLAG", services = { "app" }, api = "api", settle = "500ms", team = "team", oncall = "oncall",
    },
    ["incident/db-exhaustion"] = {
      api  = "api",
      team = "team",
      keep = { "lab-keeper", "lab-observer", "pgbouncer", "pg_dump", "pg_restore" },
    },
  },
}
