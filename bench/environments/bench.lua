-- The lab, and what the benchmark puts beside it. bench/run sets the variables.
return {
  label    = "bench",
  timezone = "Etc/UTC",
  sql      = { primary = { url = secret.env "DATABASE_URL", statement_timeout = "120s" } },
  redis    = { cache = { url = secret.env "REDIS_URL" } },
  http     = {
    api    = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" },
    secure = { base = env "APP_TLS_URL", ca = env "APP_CA" },
    checks = { base = env "BENCH_CHECKS_URL" },
    instant = { base = env "BENCH_INSTANT_URL" },
  },
  notify   = { team = { { webhook = env "TEAM_HOOK" } } },
  logs     = { app = { paths = { env "BENCH_LOG" }, format = "json" } },
  params   = {
    ["daily/health-check"] = {
      api = "api", detail = "/api/health", parts = { "database" }, persist = "0s",
      analytics = "/api/admin/monitoring/analytics", performance = "/api/admin/database/performance",
      queues = "/api/admin/queues/stats", cache_stats = "/api/cache/analytics",
      db = "primary", cache = "cache", site = "secure", logs = "app",
    },
    ["incident/db-exhaustion"] = {
      api = "api", team = "team", keep = { "lab-keeper", "lab-observer" },
    },
  },
}
