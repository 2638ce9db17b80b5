--- Example: a media search on one machine: containers of docker compose (API, workers, PostgreSQL, Redis) behind nginx
--- (the product of runbook 002). opsrun runs on that machine.
--- Copy it to environments/production.lua; `opsrun doctor -e production` says what is missing.
return {
  label     = "media, production",
  protected = true,                        -- its name is typed before the first change
  timezone  = "America/New_York",          -- the zone of hours and windows, and of log lines that name none

  sql = {
    primary = {
      url = secret.env "DATABASE_URL",     -- postgresql://user:password@localhost/media
      statement_timeout  = "60s",          -- no statement of ours runs longer
      trusted_statements = { "SELECT media.refresh_estimates()" },      -- this very text changes nothing, you vouch for it
    },
    staging = { url = secret.env "STAGING_DATABASE_URL" },      -- where the weekly backup is restored to
  },

  redis = {
    cache = {
      url = env "REDIS_ADDRESS",           -- env: a variable that is no secret; here redis://localhost:6379/0
      trusted_commands = { "ft.search" },  -- commands of a module of yours that only read
    },
  },

  http = {
    api  = { base = "http://localhost:3000", bearer = secret.env "ADMIN_TOKEN" },
    site = { base = "https://media.example.com" },
  },

  services = {
    app = {
      compose = "api", dir = "/srv/media", -- the service's name in the compose file, and where that file lies
      file    = "docker-compose.yml", project = "media",      -- both only where docker would not find them by itself
      image   = "ai-media-search", tag = "latest",      -- its tags are the releases; tag: the one the compose file names
    },
    worker = { compose = "worker", dir = "/srv/media" },      -- scale/workers and incident/queue-depth start more of it
    postgres = { docker = "postgres" },    -- a container, by its name
    redis  = { docker = "redis" },
    nginx  = { systemd = "nginx.service", user = "root" },
  },

  logs = {
    app    = { paths = { "/srv/media/logs/api-*.log*" } },
    access = { paths = { "/srv/media/logs/access.log*" }, format = "nginx" },
  },

  smtp = { url = "smtp://localhost:25", from = "opsrun@media.example.com", clear = true },      -- clear: without TLS, to this machine only

  notify = {
    team   = { { slack = secret.env "SLACK_WEBHOOK" } },
    report = { { email = "ops@media.example.com" } },      -- an address, or a list of them; sent by the server of smtp
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY" }, { email = "oncall@media.example.com" } },
    status = { { webhook = "https://status.example.com/hooks/media", bearer = secret.env "STATUS_TOKEN" } },      -- the status page
  },

  rules = {
    read_only = false,                     -- true: nothing at all is changed here, whoever asks
    changes   = { deny = { "shell.run docker volume rm", "files /srv/media/uploads" } },      -- what people uploaded stays
  },

  params = {
    api = "api", db = "primary", cache = "cache", team = "team", oncall = "oncall", docker = true,
    ["daily/health-check"] = {
      health = "/api/health", queues = "/api/admin/queues/stats", units = { "nginx" }, site = "site", logs = "app",
      containers = { "api-container", "worker-container", "postgres", "redis" }, backups = "/backups/*.dump", report = "report",
    },
    ["weekly/backup-verification"] = {
      endpoint = "https://s3.example.com", bucket = "media-backups", prefix = "postgres/", media = "media/",
      access_key = "media-backups", secret_key = secret.env "S3_SECRET_KEY",      -- without both the aws command finds its own keys
      staging = "staging", tables = { "users", "media_items" }, report = "report",
    },
    ["incident/assess"] = {
      health = "/api/health", site = "site", services = { "nginx", "app", "worker" }, jobs = "media_items", searches = "search_history",
      queues = "/api/admin/queues/stats", logs = "app",
    },
    ["incident/cache-degraded"] = { mail = "report" },
    ["incident/database-down"] = { health = "/api/health", service = "postgres", container = "postgres", clients = { "app", "worker" } },
    ["incident/db-exhaustion"] = { pool = "api-container" },      -- restarted if the pool stays full
    ["incident/disk-space"] = {
      health = "/api/health", logs = { "/srv/media/logs", "/var/log" }, backups = "/backups", protect = { "/srv/media/uploads" },
    },
    ["incident/error-rate"] = { access = "access", logs = "app" },
    ["incident/high-cpu"] = { worker = "worker" },
    ["incident/high-memory"] = { service = "app" },
    ["incident/queue-depth"] = {
      service = "worker", jobs = "cache", queues = { "media", "embeddings" }, containers = { "worker-container" },
      idempotent = { "embed", "thumbnail" },      -- jobs that may be done twice without harm
    },
    ["incident/redis-memory"] = { prefixes = { "search:" } },
    ["incident/service-degradation"] = { health = "/api/health", access = "access", logs = "app", services = { "app" } },
    ["incident/service-outage"] = {
      health = "/api/health", site = "site", services = { "nginx", "redis", "app" }, cache_service = "redis", status = "status",
      containers = { "api-container", "worker-container" }, log_files = { "/var/log/syslog" }, stack = "app",
    },
    ["deploy/rollback"] = { health = "/api/health" },
    ["deploy/verify"] = { health = { "/api/health" }, service = "app", logs = "app" },
    ["recovery/restore-database"] = {
      health = "/api/health", endpoint = "https://s3.example.com", bucket = "media-backups",
      access_key = "media-backups", secret_key = secret.env "S3_SECRET_KEY",
      flag = "/var/www/maintenance.flag", services = { "app", "worker" },      -- flag: the file that says maintenance is on
    },
    ["scale/workers"] = { service = "worker", jobs = "cache", queues = { "media", "embeddings" } },
  },
}
