--- Example: a front end on Vercel, Supabase, and a Python backend that scripts of its own start and stop (the product of
--- runbook 004). opsrun runs on the machine of the backend.
--- Copy it to environments/production.lua; `opsrun doctor -e production` says what is missing.
return {
  label     = "app, production",
  protected = true,                        -- its name is typed before the first change
  timezone  = "Etc/UTC",

  sql = {
    -- Supabase: the "session pooler" or the direct address; the "transaction pooler" forgets settings between statements
    primary = { url = secret.env "SUPABASE_DB_URL", statement_timeout = "30s" },
  },

  redis = { cache = { url = secret.env "REDIS_URL" } },      -- with the password in it

  http = {
    api      = { base = "https://app.example.com", bearer = secret.env "ADMIN_TOKEN" },
    backend  = { base = "http://localhost:8000" },
    supabase = {
      base    = "https://abcdefgh.supabase.co",
      headers = { apikey = secret.env "SUPABASE_SERVICE_ROLE_KEY" },      -- headers of every request, by name
    },
    vercel   = { base = "https://api.vercel.com", bearer = secret.env "VERCEL_TOKEN" },
    supabase_status = { base = "https://status.supabase.com" },
    vercel_status   = { base = "https://www.vercel-status.com" },
  },

  services = {
    app = {                                -- what nobody supervises: commands, as lists of words or as texts for bash
      start    = { "supervisorctl", "start", "backend" },      -- on this machine it must hand the process to somebody else
      stop     = { "supervisorctl", "stop", "backend" },       -- ends when it is down
      restart  = { "supervisorctl", "restart", "backend" },    -- without it: stop, then start
      status   = "supervisorctl status backend | grep -q RUNNING",      -- ends with 0 while it runs
      pid_file = "/run/backend.pid",       -- shows whether it was started anew
      user     = "backend",                -- who they run as
    },
    front = { vercel = "prj_app", team = "team_app", http = "vercel", domain = "app.example.com" },
  },

  logs = { app = { paths = { "/var/log/backend/*.log*" }, format = "json" } },

  notify = {
    team   = { { slack = secret.env "SLACK_WEBHOOK" } },
    oncall = { { pagerduty = secret.env("PAGERDUTY_KEY", { allow_short = true }) } },      -- allow_short: even below 8 characters
  },

  rules = { changes = { ask = "redis cache", deny = "files /etc" } },      -- one item needs no list

  params = {
    api = "api", db = "primary", cache = "cache", team = "team", oncall = "oncall", expect = { "ok" }, logs = "app",
    deploys_api = "vercel", deploys_at = "/v6/deployments?projectId=prj_app&teamId=team_app&target=production",
    providers = { "supabase_status", "vercel_status" },
    ["daily/health-check"] = {
      health = "/api/health", detail = "/api/monitoring/health", parts = { "database", "supabase" }, site = "api", report = "team",
      pool_size = 50,                      -- pool_size 20 and max_overflow 30 of the backend
    },
    ["incident/assess"] = {
      health = "/api/health", detail = "/api/monitoring/health", services = { "app" }, site = "api", vercel = "prj_app",
    },
    ["incident/database-down"] = { health = "/api/health", status_at = "database", expect = "connected", provider = "supabase_status" },
    ["incident/db-exhaustion"] = { status = "/api/monitoring/health" },
    ["incident/disk-space"] = { health = "/api/health", logs = { "/var/log/backend" } },
    ["incident/error-rate"] = { flags_table = "feature_flags", audit = "security_audit" },
    ["incident/service-degradation"] = { health = "/api/health", services = { "app" } },
    ["incident/service-outage"] = { health = "/api/health", services = { "app" } },
    ["scale/connection-pool"] = { stats = "/api/monitoring/health", stats_at = "pool" },
    ["flags/toggle"] = { via = "db", table = "feature_flags", observe = "/api/features" },
    ["deploy/rollback"] = { service = "front", health = "/api/health" },
    ["deploy/verify"] = { service = "front", health = { "/api/health", "/api/monitoring/health" } },
    ["recovery/restore-database"] = { source = "pitr" },      -- to a moment, by Supabase (Pro); done by a person
  },
}
