set -euo pipefail
counts=$(grep -F '"level":"error"' "$BENCH_LOG" |
  jq -r --arg from "$BENCH_FROM" --arg to "$BENCH_TO" 'select(.time >= $from and .time < $to) | .message' |
  sort | uniq -c | sort -rn)
awk 'NR == 1 { most = $1; $1 = ""; message = $0; sum = most; next }
     { sum += $1 }
     END { printf "answer: %d errors, %d times%s\n", sum, most, message }' <<<"$counts"
