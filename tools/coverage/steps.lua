--- Which steps of a playbook do what its procedure's numbered steps ask for: for each number the ids of steps, with
--- spaces. `tell` is the header's. A playbook that is written has its numbers here; tests/meta/coverage.lua sees to it
--- that each id is a step of it.
return {
  ["daily/health-check"] = {
    "application-health", "detailed-health", "figures-of-the-application", "database-performance", "database-connections", "cache-figures",
    "redis", "disks", "units containers", "queues", "errors-in-the-journal errors-in-the-logs", "certificate", "newest-backup", "tell",
  },
  ["weekly/backup-verification"] = {
    "list-the-backups", "fetch-the-newest look-into-it", "create-the-scratch-database", "agree restore-into-it", "compare-with-production",
    "media-files", "drop-the-scratch-database", "note-that-it-is-proved tell",
  },
  ["deploy/rollback"] = {
    "look-at-the-last-releases", "see-what-the-database-has-learnt-since", "agree-on-it", "put-it-back", "see-it-serve", "verify-it",
    "pause", "tell tell-while-it-lasts",
  },
  ["deploy/verify"] = {
    "ask-how-it-is", "ask-its-endpoints sign-in ask-the-database", "watch-it", "read-its-log", "try-the-flows", "tell",
  },
  ["incident/assess"] = {
    "application detailed-health front-end", "deployments changes-of-configuration-and-dependencies", "figures-of-the-application",
    "this-machine", "services units containers redis database", "errors-in-the-logs errors-at-vercel", "queues", "database", "database",
    "providers", "sum-it-up",
  },
  ["incident/cache-degraded"] = {
    "look-at-the-hit-rate", "look-at-redis make-room-in-redis", "look-for-what-changed", "remove-what-expired warm-what-misses",
    "rebuild-it", "clear-it see-that-the-data-is-right", "watch-the-hit-rate", "tell",
  },
  ["incident/database-down"] = {
    "see-who-reaches-it", "look-at-the-server save-its-log", "ask-its-provider", "look-inside-it", "make-room-on-its-disk start-it-once",
    "wait-for-it", "decide-what-else", "restart-clients-that-stay-away", "see-that-all-is-well", "tell tell-that-it-is-down",
  },
  ["incident/db-exhaustion"] = {
    "count-connections", "ask-the-application-for-its-pool", "save-the-evidence", "find-idle-sessions", "terminate-idle-sessions",
    "recount-and-repeat", "restart-the-leaking-container", "fit-the-pool", "watch-the-pool-recover", "note-the-leak tell-the-team",
  },
  ["incident/deadlocks"] = {
    "count-deadlocks", "read-the-server-s-log", "save-who-waits-for-whom", "find-the-roots release-the-queues ask-for-the-others",
    "mend-the-order-of-transactions", "watch-the-queues-go count-the-next-hour", "tell",
  },
  ["incident/disk-space"] = {
    "look-at-the-file-systems", "find-the-largest-files", "find-what-others-hold", "plan agree-on-the-plan",
    "remove-old-compressed-logs compress-old-logs", "vacuum-the-journal", "remove-leftovers-of-docker remove-volumes",
    "remove-old-backups", "remove-old-temporary-files", "cut-oversized-live-logs",
    "look-again see-that-the-database-writes see-that-the-application-is-well", "keep-it-from-coming-back", "tell",
  },
  ["flags/toggle"] = {
    "read-the-flag", "agree-on-it", "switch-it", "read-it-again see-the-application-follow", "write-down-who-and-why", "tell",
  },
  ["incident/error-rate"] = {
    "measure-the-errors compare-with-before", "read-the-error-messages ask-sentry",
    "look-for-deployments look-for-changes-of-flags-and-secrets look-at-the-feature-flags", "ask-what-it-depends-on",
    "cause mend-the-cause", "watch-it-fall", "tell tell-while-it-lasts",
  },
  ["incident/high-cpu"] = {
    "measure-the-processors look-at-the-containers", "look-at-the-database", "look-for-deploys-cron-jobs-and-backups", "start-more-workers",
    "find-the-runaway-job rein-it-in", "see-whether-it-lasts watch-it-calm-down", "tell",
  },
  ["incident/high-db-cpu"] = {
    "measure-the-processors save-what-runs", "save-what-runs", "find-slow-statements", "look-at-the-server-s-own-work",
    "find-runaway-statements end-runaway-statements", "find-tables-without-a-fitting-index", "note-what-is-left",
    "watch-it-calm-down watch-that-none-comes-back", "tell",
  },
  ["incident/queue-depth"] = {
    "look-at-the-queues", "look-at-the-workers save-their-logs", "look-at-what-failed", "see-that-what-they-need-is-well",
    "start-more-workers", "try-failed-jobs-again", "watch-it-drain", "send-the-workers-back", "tell",
  },
  ["incident/high-memory"] = {
    "measure-the-memory look-at-the-containers", "ask-the-application-for-its-heap ask-for-the-heap-again", "watch-who-grows",
    "name-the-service take-a-snapshot-of-the-heap", "drain-it restart-it put-it-back", "watch-it-stay-low", "find-the-leak", "tell",
  },
  ["incident/redis-memory"] = {
    "look-at-the-memory", "look-at-the-host", "survey-the-keys", "find-keys-that-never-expire", "agree-on-the-remedy", "raise-maxmemory",
    "let-keys-expire drop-keys", "change-the-eviction-policy", "make-the-settings-last", "watch-it-recover",
    "note-what-is-left tell-the-team",
  },
  ["incident/replication-lag"] = {
    "look-at-the-primary", "look-at-the-replica", "look-at-its-machine", "save-what-runs",
    "find-what-holds-replay-up cancel-what-holds-replay-up", "route-reads-to-the-primary", "watch-it-catch-up", "tell",
  },
  ["incident/service-degradation"] = {
    "ask-the-providers", "look-for-deployments", "measure-each-endpoint", "search-the-application-s-log", "look-at-the-machines",
    "look-at-the-database", "look-at-the-cache", "cause mend-the-cause ask-the-database-s-provider",
    "save-what-a-restart-destroys restart-one-instance-after-another", "watch-it-hold", "tell call-on-call",
  },
  ["incident/service-outage"] = {
    "see-how-far-it-reaches", "look-at-services-and-host", "save-the-logs", "see-who-is-connected", "ask-database-and-redis",
    "cause make-room-on-the-disk restart-redis leave-it-to-its-own-playbook", "restart-what-failed", "restart-the-whole-stack",
    "watch-it-hold", "tell-while-it-lasts",
  },
  ["recovery/restore-database"] = {
    "find-the-backup fetch-the-backup look-into-it", "look-at-the-database agree", "agree", "dump-the-present-state", "close-the-doors",
    "restore-it-beside", "prove-it spot-check", "put-it-in-place", "restore-it-beside prove-it", "open-the-doors see-that-all-is-well",
    "put-it-in-place", "tell keep-the-old-one restore-it-at-the-provider",
  },
  ["tuning/indexes"] = {
    "find-unused-indexes", "find-missing-indexes", "find-invalid-doubled-and-bloated-indexes", "create-an-index", "create-an-index",
    "see-that-it-is-used", "drop-indexes rebuild-indexes see-that-none-is-left-invalid", "tell",
  },
  ["tuning/slow-queries"] = {
    "look-at-the-counters", "find-slow-statements", "find-what-is-asked-too-often", "look-at-a-plan measure-it",
    "log-slow-statements-for-a-while", "propose-what-is-to-be-done", "tell",
  },
  ["scale/connection-pool"] = {
    "watch-pools-and-database", "watch-pools-and-database", "count-who-has-a-pool", "say-which-size-fits",
    "agree-on-it set-it set-it-where-a-platform-keeps-it", "watch-nobody-wait", "tell",
  },
  ["scale/workers"] = {
    "count-the-workers look-at-the-queue", "look-for-room-on-the-machine look-for-room-in-the-database", "change-the-number",
    "change-the-number", "see-them-at-work see-the-queue-fall", "say-how-it-goes-back", "tell",
  },
}
