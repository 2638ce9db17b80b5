set -euo pipefail
sessions="SELECT pid, usename, application_name, state, extract(epoch FROM now() - state_change)::int AS seconds,
  left(query, 200) AS query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name NOT IN ('lab-keeper', 'lab-observer')"
idle="$sessions AND state LIKE 'idle%' AND state_change < now() - interval '2s'"
ask() { psql "$DATABASE_URL" -XAtq -c "$1"; }
save() { psql "$DATABASE_URL" -Xq --csv -c "$2" >"$BENCH_EVIDENCE/$1"; }
percent() {
  ask "SELECT 100 * count(*) / (current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int) FROM pg_stat_activity WHERE backend_type = 'client backend'"
}

echo "$(percent) % used"
ask "SELECT state, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1"
ask "SELECT application_name, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1"
curl -fsS -m 10 -H "Authorization: Bearer $ADMIN_TOKEN" "$APP_URL/api/admin/pool" | jq .data
save idle-sessions.csv "$sessions AND state LIKE 'idle%'"
save idle-in-transaction.csv "$sessions AND state LIKE 'idle in transaction%'"
save blocked-chains.csv "SELECT waiting.pid, blocker FROM pg_stat_activity AS waiting,
  unnest(pg_blocking_pids(waiting.pid)) AS blocker WHERE wait_event_type = 'Lock'"
ask "$idle"
count=$(ask "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM ($idle) AS idle")
deadline=$((SECONDS + 300))
until [ "$(percent)" -lt 80 ]; do
  if [ "$SECONDS" -gt "$deadline" ]; then echo "the pool does not recover" >&2; exit 1; fi
  sleep 5
done
jq -n --arg text "$count sessions were ended, $(percent) % of the connections are used" '{$text}' |
  curl -fsS -m 10 -H "Content-Type: application/json" -d @- "$TEAM_HOOK" >/dev/null
echo "answer: $count sessions ended"
