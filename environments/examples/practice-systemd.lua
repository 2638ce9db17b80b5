--- Example: a practice application on machines of your own: systemd units behind nginx, PostgreSQL with a replica, Redis,
--- Sentry (the product of runbook 001). opsrun runs on a machine of operations and reaches the others by ssh.
--- Copy it to environments/production.lua; `opsrun doctor -e production` tries every connection and says what is missing.
return {
  label     = "practice, production",      -- what is shown to whoever plays
  protected = true,                        -- its name is typed before the first change
  timezone  = "Etc/UTC",                   -- the zone of hours, windows, and log lines that name none

  hosts = {                                -- machines, by name; opsrun uses the ssh client, and host keys are always checked
    bastion = {
      address     = "bastion.example.com", -- a name, an alias of ~/.ssh/config, or an IP address
      user        = "jump",                -- who logs in there; default: what ssh's own configuration says
      port        = 2222,                  -- default 22
      key         = "/etc/opsrun/id_ops",  -- private key without a passphrase; without this ssh's own keys and agent
      known_hosts = "/etc/opsrun/known_hosts",      -- the only file of host keys that counts
    },
    db1 = { address = "10.0.0.5", user = "postgres", jump = "bastion" },      -- jump: reached through that host
    web = {                                -- a group; what stands behind its members holds for all of them
      { name = "web1", address = "10.0.0.3" },      -- name: what playbooks and reports call it
      { name = "web2", address = "10.0.0.4" },
      user   = "deploy", jump = "bastion", connect_timeout = "5s",
      config = "/etc/opsrun/ssh_config",   -- an ssh configuration instead of ~/.ssh/config
      reads  = { "journalctl -u subjunctive-backend" },      -- commands that only look: allowed in dry runs, you vouch for it
    },
  },

  sql = {
    primary = {
      url = secret.file "/etc/opsrun/database_url",      -- a file that only you may read: postgresql://user:password@host/database
      statement_timeout = "30s",           -- no statement of ours runs longer
      lock_timeout      = "2s",            -- nor waits longer for a lock
      trusted_functions = { "practice.streak" },      -- functions of yours that change nothing: reads may call them
    },
    replica = { url = secret.env "REPLICA_URL", statement_timeout = "30s" },
  },

  redis = {
    cache = {
      url      = "rediss://cache.internal:6380/0",      -- redis://host:port/number; rediss is with TLS
      user     = "opsrun",                 -- a login of the server's access list; leave it out where there is none
      password = secret.env "REDIS_PASSWORD",
      ca       = "/etc/opsrun/internal-ca.pem",      -- the authority its certificate is of, when it is a private one
      timeout  = "5s", connect_timeout = "3s",      -- for an answer; for the connection
    },
  },

  http = {
    api    = { base = "https://api.practice.example.com", timeout = "10s", connect_timeout = "5s" },
    site   = { base = "https://practice.example.com" },
    sentry = { base = "https://sentry.io", bearer = secret.env "SENTRY_TOKEN" },      -- what fails in the application
    graphs = {                             -- a server with a login and a certificate of the company's own
      base  = "https://graphs.internal",
      basic = { user = "opsrun", password = secret.env "GRAPHS_PASSWORD" },      -- user and password, as a browser asks for them
      ca    = "/etc/opsrun/internal-ca.pem",      -- the authority its certificate is of
      reads = { "POST /api/query" },       -- a POST that only asks: allowed in dry runs, you vouch for it
    },
  },

  services = {                             -- what can be restarted, by name
    app = {
      systemd  = "subjunctive-backend.service",      -- the unit
      host     = "web",                    -- a host or a group of above: one after another; without it this machine
      user     = "root",                   -- who systemctl runs as there
      releases = "/srv/practice/releases", -- a directory with one directory for each release …
      current  = "/srv/practice/current",  -- … and the link to the one that runs: deploy/rollback moves it
      timeout  = "2m",                     -- a change may take so long
    },
    nginx    = { systemd = "nginx.service", host = "web", user = "root" },
    postgres = { systemd = "postgresql.service", host = "db1", user = "root" },
  },

  logs = {                                 -- logs on this machine; * stands for anything, rotated and compressed ones are read too
    app      = { paths = { "/var/log/subjunctive/app.log*" }, format = "json", time = "timestamp" },      -- time: the field with it
    access   = { paths = { "/var/log/nginx/access.log*" }, format = "nginx" },
    postgres = { paths = { "/var/log/postgresql/*.log*" } },      -- without format the first line decides
  },

  smtp = {                                 -- the server that mails go to
    url = "smtp://mail.example.com:587", from = "opsrun@example.com", user = "opsrun", password = secret.env "SMTP_PASSWORD",
    ca  = "/etc/opsrun/internal-ca.pem",   -- as above; without it the authorities of the system
  },

  notify = {                               -- who is told, by name
    team   = { { slack = secret.file "/etc/opsrun/slack" }, { email = "team@example.com" } },
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY" }, { command = { "/usr/local/bin/page-us", "-v" } } },      -- command: gets JSON
    dba    = { { email = { "dba@example.com", "lead@example.com" } } },
  },

  rules = {
    changes = {
      who    = { "ana", "@ops" },          -- who may change anything here: accounts, and groups with @
      within = "Mon..Fri 08:00..20:00",    -- outside these hours only with --override rules.within --because TEXT
      deny   = { "shell.run docker rm" },  -- never done here
    },
  },

  params = {                               -- for all playbooks that have the parameter, then for one
    api = "api", db = "primary", cache = "cache", team = "team", oncall = "oncall", dba = "dba",
    ["daily/health-check"] = {
      site = "site", units = { "nginx", "redis" }, logs = "app", backups = "/backups/subjunctive/*.dump.gz", report = "team",
      pool_size = 30,                      -- pool_size 10 and max_overflow 20 of the application
    },
    ["weekly/backup-verification"] = {
      bucket = "subjunctive-backups", prefix = "database/",      -- S3; keys are found by the aws command, or access_key and secret_key
      staging = "replica", tables = { "exercises", "user_progress" },
    },
    ["incident/assess"] = { site = "site", services = { "nginx", "app" }, logs = "app" },
    ["incident/cache-degraded"] = { mail = "team" },
    ["incident/database-down"] = {
      service = "postgres", host = "db1", data = { "/var/lib/postgresql" }, clients = { "app" }, log = "postgres",
    },
    ["incident/db-exhaustion"] = { idle = "10m" },      -- sessions idle for so long are ended
    ["incident/deadlocks"] = { log = "postgres", lead = "dba" },
    ["incident/disk-space"] = { logs = { "/var/log/subjunctive", "/var/log/nginx" }, backups = "/backups/subjunctive" },
    ["incident/error-rate"] = { access = "access", logs = "app", sentry = "sentry", sentry_at = "/api/0/organizations/practice/issues/" },
    ["incident/high-cpu"] = { host = "web1" },
    ["incident/high-db-cpu"] = { host = "db1" },
    ["incident/high-memory"] = { host = "web1", service = "app" },
    ["incident/redis-memory"] = { target = "2gb", prefixes = { "exercises:" } },      -- keys that may be computed anew
    ["incident/replication-lag"] = { replica = "replica" },
    ["incident/service-degradation"] = { access = "access", logs = "app", services = { "app" }, warn = 200, crit = 500 },
    ["incident/service-outage"] = { site = "site", services = { "nginx", "app" }, log_files = { "/var/log/subjunctive/app.log" } },
    ["deploy/rollback"] = { migrations = "alembic_version" },
    ["deploy/verify"] = { service = "app", logs = "app" },
    ["recovery/restore-database"] = {
      bucket = "subjunctive-backups", prefix = "database/", services = { "app" }, tables = { "exercises", "user_progress" },
    },
    ["scale/connection-pool"] = { services = { "app" }, stats = "/api/admin/pool", more_name = "DB_MAX_OVERFLOW" },
    ["tuning/indexes"] = { mail = "dba" },
    ["tuning/slow-queries"] = { read = "postgres", mail = "dba" },
  },
}
