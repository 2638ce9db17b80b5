-- The thresholds of the source runbooks: where several gave a number for one measure, the strictest. `source` says
-- which runbook: 000 to 004, and the heading or table; (ours): none gave one. An environment says otherwise in
-- thresholds/ENVIRONMENT.lua, for all environments in an own thresholds/default.lua; a playbook in its header.
return {
  -- requests
  error_rate         = {
    unit = "%",  above = { warning = 1, critical = 5 },
    source = "001 Error Rate; 000 high_error_rate; 003, 004 > 1 %",
  },
  response_time_mean = { unit = "ms", above = { warning = 1000 }, source = "000 performance_degradation" },
  response_time_p95  = { unit = "ms", above = { warning = 200, critical = 500 }, source = "001 Response Time; 002 KPI p95 < 500 ms" },
  slow_requests      = { unit = "s",  above = { warning = 2 }, source = "000 Daily Log Review; 003, 004 p95 > 2 s" },
  request_rate       = {
    change = { above = { warning = "100%", critical = "900%" } },
    source = "001 Request Rate: twice, ten times the normal",
  },
  active_users       = {
    change = { below = { warning = "30%", critical = "50%" }, over = "7d" },
    source = "001 Active Users; a week before (ours)",
  },
  failed_logins      = { unit = "a minute", above = { critical = 10 }, source = "003 Failed Logins" },
  uptime             = { unit = "%",  below = { critical = 99.9 }, source = "002 KPI uptime: 43 minutes a month" },

  -- machines
  memory_used        = { unit = "%",  above = { warning = 80, critical = 90 }, source = "000 high_memory_usage; 001 Memory Usage" },
  heap_growth        = { above = { warning = "50mb" }, source = "000 Heap Analysis" },
  cpu_used           = { unit = "%",  above = { warning = 70, critical = 85 }, source = "001 CPU Usage" },
  disk_used          = { unit = "%",  above = { warning = 80, critical = 90 }, source = "001 Disk Usage: less than 20, 10 % free" },
  network_used       = {
    unit = "%",  above = { warning = 70, critical = 90 },
    source = "001 Network I/O: near its limit; the numbers (ours)",
  },

  -- databases and caches
  connections_used   = { unit = "%",  above = { warning = 80, critical = 95 }, source = "001 Connection Pool; 003 Database Connections" },
  query_time_mean    = { unit = "ms", above = { warning = 100 }, source = "000, 001, 002 statements slower than 100 ms in the mean" },
  query_time_p95     = { unit = "ms", above = { warning = 100, critical = 500 }, source = "001 Query Time; 003 Scaling Triggers" },
  replication_lag    = { unit = "s",  above = { warning = 5, critical = 30 }, source = "001 Replication Lag" },
  deadlocks          = { unit = "an hour", above = { warning = 5, critical = 20 }, source = "001 Deadlocks" },
  dead_rows          = { above = { warning = 1000 }, source = "002 Database Maintenance: n_dead_tup > 1000" },
  cache_hits         = { unit = "%",  below = { warning = 70 }, source = "000 low_cache_hit_rate" },

  -- jobs, backups, certificates
  queue_depth        = { above = { critical = 1000 }, source = "002 Queue Depth Alert" },
  jobs_in_time       = { unit = "%",  below = { critical = 95 }, source = "002 KPI: within five minutes" },
  backup_age         = {
    above = { warning = "26h", critical = "7d" }, missing = "critical",
    source = "003 daily; none readable in 7 days (ours)",
  },
  certificate_days   = {
    unit = "days", below = { warning = 30, critical = 7 }, missing = "critical",
    source = "001 SSL Certificate Expiring; 30 days (ours)",
  },
  retention_overdue  = { unit = "rows", above = { warning = 0 }, source = "004 Retention Policy Compliance" },

  -- functions, builds, money
  function_time      = { unit = "s",  above = { warning = 20 }, source = "003 Scaling Triggers" },
  function_memory    = { unit = "%",  above = { warning = 90 }, source = "003 Scaling Triggers" },
  bundle_size        = { change = { above = { warning = "20%" } }, source = "003 Frontend Performance: against the last build" },
  budget_spent       = { unit = "%",  above = { warning = 50, critical = 100 }, source = "003 Cost Monitoring: 50, 80, 100 %" },
  cost_per_user      = { unit = "USD a month", above = { warning = 0.10 }, source = "002 KPI cost" },
}
