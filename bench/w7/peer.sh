set -euo pipefail
# awk adds in floating point, so the ids are summed without their common part
psql "$DATABASE_URL" -XAtq -F , -v FETCH_COUNT=10000 -c 'SELECT id, status, total, made FROM bench_orders' |
  awk -F , '$2 == "paid" { count++; sum += substr($1, 8) } END { printf "%d %.0f\n", count, sum }' | {
  read -r count sum
  # the first seven digits are the same for all: 9007199 and nine more
  echo "answer: $count paid, sum $(((count * 9007199 * 1000000000) + sum))"
}
