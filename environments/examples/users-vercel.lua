--- Example: a user management, a Vue front end and Node functions on Vercel, PostgreSQL with Prisma at a provider (the product
--- of runbook 003). Secrets come from a keeper of passwords.
--- Copy it to environments/production.lua; `opsrun doctor -e production` says what is missing.
return {
  label     = "users, production",
  protected = true,                        -- its name is typed before the first change
  timezone  = "Etc/UTC",

  sql = {
    primary = {
      -- command: what this command prints is the secret. It is run once, when the database is first needed, and gets the variables
      -- that env names beside PATH and HOME
      url = secret.command { "pass", "show", "users/database_url", timeout = "20s", env = { "PASSWORD_STORE_DIR" } },
      statement_timeout = "30s",           -- no statement of ours runs longer
    },
  },

  http = {
    api       = { base = "https://users.example.com" },
    staging   = { base = "https://staging.users.example.com", bearer = secret.prompt "Token of staging" },      -- typed when needed
    vercel    = { base = "https://api.vercel.com", bearer = secret.env "VERCEL_TOKEN" },      -- Vercel's own API
    vercel_status   = { base = "https://www.vercel-status.com" },      -- pages on which providers say how they are
    postgres_status = { base = "https://status.database.example.com" },
  },

  services = {
    app = {
      vercel = "prj_users",                -- the project's id, or its name
      team   = "team_users",               -- the team it belongs to: team_… or its short name
      http   = "vercel",                   -- the connection of above
      domain = "users.example.com",        -- asked which deployment it shows
      timeout = "10m",                     -- a deployment may take so long
    },
  },

  notify = {
    team   = { { slack = secret.env "SLACK_WEBHOOK" } },      -- #incidents
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY" } },
    dba    = { { slack = secret.env "SLACK_WEBHOOK_DBA" } },
  },

  rules = {
    changes = { ask = { "service app", "sql.exec primary" } },      -- asked about once more, whatever the playbook asks itself
  },

  params = {
    api = "api", db = "primary", team = "team", oncall = "oncall", dba = "dba", deploys_api = "vercel",
    deploys_at = "/v6/deployments?projectId=prj_users&teamId=team_users&target=production",
    providers = { "vercel_status", "postgres_status" },      -- asked whether it is them
    ["daily/health-check"] = { detail = "/health", parts = { "services.database" }, site = "api", report = "team" },
    ["incident/assess"] = { site = "api", detail = "/health", parts = { "services.database" } },
    ["incident/database-down"] = { provider = "postgres_status" },
    ["incident/db-exhaustion"] = { roles = { "prisma" } },      -- only sessions of this login are ended
    ["incident/error-rate"] = { figures = "/api/metrics", audit = "audit_logs" },
    ["incident/service-degradation"] = { paths = { "/health", "/api/users?limit=1" }, crit = 2000, warn = 1000 },
    ["deploy/rollback"] = { version_at = "version" },      -- where /health says which version it is
    ["deploy/verify"] = { service = "app", version_at = "version", endpoints = { "/", "/api/users?limit=1" } },
    ["recovery/restore-database"] = { source = "snapshot" },      -- the provider's own ways, done by a person
  },
}
