set -uo pipefail
well=0 failed=0
check() { # NAME COMMAND…: well when the command succeeds
  local name=$1
  shift
  if "$@"; then echo "OK      $name"; well=$((well + 1)); else echo "NOT OK  $name"; failed=$((failed + 1)); fi
}
ask() { curl -fsS -m 10 -H "Authorization: Bearer $ADMIN_TOKEN" "$APP_URL$1"; }
holds() { # JSON FILTER
  jq -e "$2" >/dev/null <<<"$1"
}

answer=$(curl -fsS -m 10 -w '\n%{time_total}' "$APP_URL/health")
check "application status" holds "${answer%$'\n'*}" '.status == "healthy"'
check "response time" test "$(awk -v t="${answer##*$'\n'}" 'BEGIN { print (t <= 0.5) }')" = 1
answer=$(ask /api/health)
check "database" holds "$answer" '.database == "connected"'
made=$(date -d "$(jq -r .timestamp <<<"$answer")" +%s)
check "age of the detailed health" test $(($(date +%s) - made)) -le 300
check "memory of the application" holds "$answer" '.memory.used / .memory.total <= 0.8'
answer=$(ask "/api/admin/monitoring/analytics?period=24h")
check "average response time" holds "$answer" '.data.avg_response_time <= 500'
check "error rate" holds "$answer" '.data.error_rate <= 1'
check "cache hit rate" holds "$answer" '.data.cache_hit_rate >= 80'
answer=$(ask /api/admin/database/performance)
check "mean query time" holds "$answer" '.data.avg_query_time <= 100'
check "slow queries" holds "$answer" '.data.slow_queries <= 10'
check "cache hits" holds "$(ask "/api/cache/analytics?period=24h")" '.data.hit_rate >= 80'
answer=$(ask /api/admin/queues/stats)
check "jobs that wait" holds "$answer" '.data.depth <= 1000'
check "jobs that failed" holds "$answer" '.data.failed == 0'

psql "$DATABASE_URL" -XAtq -c "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
  WHERE backend_type = 'client backend' GROUP BY 1"
used=$(psql "$DATABASE_URL" -XAtq -c "SELECT 100 * count(*) / (current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int) FROM pg_stat_activity WHERE backend_type = 'client backend'")
check "connections used" test "$used" -le 80

check "redis answers" test "$(redis-cli -p "$REDIS_PORT" ping)" = PONG
used=$(redis-cli -p "$REDIS_PORT" info | tr -d '\r' | awk -F : '$1 == "used_memory" { used = $2 }
  $1 == "maxmemory" { most = $2 } $1 == "total_system_memory" { all = $2 }
  END { printf "%d", 100 * used / (most ? most : all) }')
check "redis memory used" test "$used" -le 80

check "disks" test -z "$(df -P -x devtmpfs 2>/dev/null | awk 'NR > 1 && $5 + 0 > 80 { print $6 }')"
check "errors in the log" test "$(grep -cE 'ERROR|FATAL|"level":"error"' "$BENCH_LOG")" -le 10

end=$(openssl s_client -connect "${APP_TLS_URL#https://}" -CAfile "$APP_CA" </dev/null 2>/dev/null |
  openssl x509 -noout -enddate)
check "days left on the certificate" test $((($(date -d "${end#notAfter=}" +%s) - $(date +%s)) / 86400)) -ge 30

newest=$(ls -t "$BENCH_BACKUPS"/*.dump | head -n 1)
check "age of the newest backup" test $(($(date +%s) - $(stat -c %Y "$newest"))) -le 93600
check "size of the newest backup" test -s "$newest"
echo "answer: $well well, $failed not"
exit $((failed > 0))
