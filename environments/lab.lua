-- The lab of this checkout: ./dev lab up, then eval "$(./dev lab env)".
return {
  label    = "lab",
  timezone = "Etc/UTC",
  sql      = { primary = { url = secret.env "DATABASE_URL", statement_timeout = "30s" } },
  redis    = {
    cache  = { url = secret.env "REDIS_URL" },
    secure = { url = secret.env "REDISS_URL", ca = env "APP_CA" },
  },
  http     = { api = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" } },
  smtp     = {
    url  = env "SMTP_URL", ca = env "APP_CA", from = "opsrun@lab.example",
    user = "opsrun", password = secret.env "SMTP_PASSWORD",
  },
  notify   = {
    team   = { { webhook = env "TEAM_HOOK" } },
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY", url = env "PAGERDUTY_URL" }, { email = "oncall@lab.example" } },
  },
  params   = {
    ["incident/db-exhaustion"] = {
      api  = "api",
      team = "team",
      keep = { "lab-keeper", "lab-observer", "pgbouncer", "pg_dump", "pg_restore" },
    },
  },
}
