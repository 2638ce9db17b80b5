--- Example: an exam system, a front end and functions on Netlify, PostgreSQL at a provider (the product of runbook 000).
--- Copy it to environments/production.lua and put your own names and addresses in. No secret stands here, only where each is;
--- `opsrun doctor -e production` says which are missing, `opsrun params PLAYBOOK -e production` what a playbook would get.
return {
  label     = "exams, production",         -- what is shown to whoever plays; without it the name of this file
  protected = true,                        -- before the first change the name of this file has to be typed; --yes does not count
  timezone  = "Europe/Madrid",             -- what hours, windows and log lines without a zone mean; default Etc/UTC

  sql = {                                  -- PostgreSQL; "primary" is the name that playbooks take unless told otherwise
    primary = {
      url = secret.env "DATABASE_URL",     -- postgresql://user:password@host/database: it holds a password, so it is a secret
      connect_timeout   = "5s",            -- give up connecting after so long
      statement_timeout = "30s",           -- no statement of ours runs longer than this; the server itself ends it
      lock_timeout      = "2s",            -- nor waits longer than this for somebody else's lock
    },
    staging = { url = secret.env "STAGING_DATABASE_URL" },      -- another server, where backups are tried out
  },

  http = {                                 -- addresses, by name; playbooks say which path below them is asked for
    api     = { base = "https://exams.example.com", bearer = secret.env "ADMIN_TOKEN" },      -- bearer: "Authorization: Bearer …"
    site    = { base = "https://exams.example.com", timeout = "10s" },      -- what students see; its certificate is looked at
    netlify = { base = "https://api.netlify.com/api/v1", bearer = secret.env "NETLIFY_TOKEN" },      -- Netlify's own API
  },

  services = {                             -- what can be restarted or put back to an earlier release, and how
    app = { netlify = "exams.example.com", http = "netlify", timeout = "10m" },      -- site id or domain; http: the name above
  },

  logs = {                                 -- logs that can be read on this machine
    app = { paths = { "/var/log/netlify-functions/*.log*" }, format = "json", time = "timestamp" },      -- time: the JSON field with it
  },

  notify = {                               -- who is told, by name; each name is a list of channels, all of them are told
    team   = { { slack = secret.env "SLACK_WEBHOOK" } },                    -- the address of a Slack "incoming webhook"
    report = { { webhook = "https://hooks.example.com/ops", bearer = secret.env "HOOK_TOKEN" } },      -- JSON by POST, to anything
    oncall = {
      { pagerduty = secret.env "PAGERDUTY_KEY", url = "https://events.eu.pagerduty.com/v2/enqueue" },      -- url: only outside the US
      { terminal = true },                 -- and a line on the terminal of whoever plays
    },
  },

  rules = {                                -- what holds here whatever a playbook allows; looking is never held back
    changes = {
      ask = { "service", "sql.exec primary" },      -- these are asked about once more before they are made
    },
  },

  params = {                               -- values for playbooks, instead of typing -p; first those for all that have the parameter
    api = "api", db = "primary", team = "team", oncall = "oncall", status_at = "data.status", recent = "2h",
    analytics = "/api/admin/monitoring/analytics", performance = "/api/admin/database/performance",
    deploys_api = "netlify", deploys_at = "/sites/exams.example.com/deploys",

    -- then those for one playbook: "room/name" without .lua
    ["daily/health-check"] = {
      health = "/api/admin/health", cache_stats = "/api/cache/analytics", site = "site", logs = "app", report = "report",
      resp_ms = 1000, pool_size = 20,      -- pool_size: DB_POOL_MAX of the application
    },
    ["weekly/backup-verification"] = { dir = "/srv/backups", staging = "staging", tables = { "students", "exam_attempts" } },
    ["incident/assess"] = { health = "/api/admin/health", site = "site", logs = "app" },
    ["incident/cache-degraded"] = { endpoints = { "exam-info", "system-settings", "active-exams" } },
    ["incident/db-exhaustion"] = { keep = { "pgbouncer", "pg_dump", "exams-payments" } },      -- their sessions are never ended
    ["incident/high-db-cpu"] = { long = "10m" },      -- statements that run longer are asked about
    ["incident/error-rate"] = { figures = "/api/admin/monitoring/analytics", logs = "app" },
    ["incident/service-degradation"] = { health = "/api/admin/health", paths = { "/api/exam-info", "/api/active-exams" }, logs = "app" },
    ["deploy/rollback"] = { health = "/api/admin/health", service = "app" },
    ["deploy/verify"] = { health = { "/api/admin/health" }, service = "app", logs = "app", endpoints = { "/api/exam-info" } },
    ["scale/connection-pool"] = { stats = "/api/admin/database/performance", serverless = true },      -- functions: a connection each
    ["recovery/restore-database"] = { dir = "/srv/backups", tables = { "students", "exam_attempts" } },
  },
}
