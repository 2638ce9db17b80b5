-- The kill matrix's environment: the lab's servers, and one that counts (counting_server.py).
return {
  label    = "matrix",
  timezone = "Etc/UTC",
  sql      = { primary = { url = secret.env "DATABASE_URL", statement_timeout = "30s" } },
  redis    = { cache = { url = secret.env "REDIS_URL" } },
  http     = { count = { base = env "COUNT_URL" } },
  notify   = { team = { { webhook = env "COUNT_HOOK" } } },
}
