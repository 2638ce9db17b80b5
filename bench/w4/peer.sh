set -euo pipefail
count=$(seq "$BENCH_CHECKS" |
  xargs -P 50 -I{} curl -fsS -m 10 -w '\n' "$BENCH_CHECKS_URL/services/{}/health" |
  jq -r .status | grep -cx healthy)
echo "answer: $count healthy"
