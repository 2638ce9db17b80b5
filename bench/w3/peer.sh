set -euo pipefail
ask() { redis-cli -p "$REDIS_PORT" "$@"; }
count=$(ask --scan | sed 's/^/TTL /' | ask | grep -cx -e -1)
echo "answer: $count never expire"
