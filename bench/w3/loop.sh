# As the runbook has it: one redis-cli a key. Over some of the keys only.
set -euo pipefail
ask() { redis-cli -p "$REDIS_PORT" "$@"; }
count=0
while read -r key; do
  ttl=$(ask TTL "$key")
  if [ "$ttl" -eq -1 ]; then count=$((count + 1)); fi
done < <(ask --scan | head -n "$BENCH_LOOP_KEYS" || :)
echo "answer: $count never expire"
