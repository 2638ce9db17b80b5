#!/bin/sh
# What the masking writer does a second, by how many secrets there are: three runs each, the best.
# usage: bench/mask.sh [MEGABYTES]; the figure to reach is 100 MB/s with 64 secrets.
set -eu
cd "$(dirname "$0")/.."
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
${CC:-cc} -O2 -std=gnu11 -D_GNU_SOURCE -Isrc -o "$room/mask" bench/mask.c src/term/mask.c src/term/mask_forms.c \
  src/term/mask_leaves.c src/term/mask_match.c src/term/filter.c
for secrets in 1 8 64 256; do
  for _ in 1 2 3; do "$room/mask" "$secrets" "${1:-256}"; done | sort -n -k2 | tail -n 1
done | while read -r secrets rate; do printf '%4d secrets: %6d MB/s\n' "$secrets" "$rate"; done
