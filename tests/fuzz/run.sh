#!/bin/sh
# Builds and runs the fuzz targets: tests/fuzz/run.sh SECONDS [NAME…]. Findings are left in
# build/fuzz/NAME/; the exit code is 1 if there is one. Needs clang-14. Each says the seed it had;
# OPSRUN_FUZZ_SEED gives one, an empty corpus and that seed make the same run again.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:?usage: run.sh SECONDS [NAME…]}
shift
[ $# -gt 0 ] || set -- json filter mask store resp logs judge
out=${OPSRUN_FUZZ_DIR:-$root/build/fuzz}
clang=${CLANG:-clang-14}
flags="-std=c11 -D_GNU_SOURCE -g -O1 -fno-sanitize-recover=all -fsanitize=fuzzer,address,undefined"
src=$root/src
seed=${OPSRUN_FUZZ_SEED:-0}      # 0: another one each time
mask="$src/term/mask.c $src/term/mask_match.c $src/term/mask_forms.c $src/term/mask_leaves.c $src/term/filter.c"
json="$src/lua/json.c $src/lua/json_encode.c $src/lua/json_decode.c $src/lua/util.c $src/lua/secret.c
  $src/lua/secret_made.c $src/store/*.c $src/loop/op.c $src/loop/loop.c $src/term/errtext.c $mask"
lua="-l:liblua5.4.a -l:libuv_a.a -l:libnettle.a -lm -ldl -lpthread"
# A Lua state frees later: libFuzzer would look for leaks after each input, which takes 5 ms.
no_leaks=-detect_leaks=0
code=0
for name in "$@"; do
  options="" seeds=$root/tests/fuzz/seeds/$name
  case $name in
    filter) sources="$src/term/filter.c"; libraries="" ;;
    mask) sources=$mask; libraries="" ;;
    store)
      sources="$src/store/store_chain.c $src/store/store_io.c $src/term/errtext.c"
      libraries="-l:libnettle.a" ;;
    json)
      sources=$json; libraries=$lua options=$no_leaks ;;
    judge)
      sources="-DROOT=\"$root\" $root/tests/fuzz/judge_mutate.c $json"; libraries="-l:libpg_query.a $lua"
      options="-dict=$root/tests/fuzz/judge.dict $no_leaks"
      mkdir -p "$out/judge/seeds"
      seeds=$out/judge/seeds
      (cd "$root" && lua5.4 tests/fuzz/judge_seeds.lua "$seeds") ;;
    logs)
      sources="$src/clients/logs_time.c $src/clients/logs_fields.c $src/clients/logs_search.c"
      libraries="-lm" ;;
    resp) sources="$src/clients/redis_reader.c"; libraries="-lhiredis" ;;
    *) echo "unknown fuzz target '$name'" >&2; exit 2 ;;
  esac
  mkdir -p "$out/$name/corpus"
  # shellcheck disable=SC2086
  $clang $flags -I"$src" -I/usr/include/lua5.4 "$root/tests/fuzz/fuzz_$name.c" $sources $libraries \
    -o "$out/$name/fuzz"
  said="no finding"
  # shellcheck disable=SC2086
  if ! (cd "$out/$name" && ./fuzz -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -seed="$seed" \
      -print_final_stats=1 $options corpus "$seeds" >log 2>&1); then
    said="a finding, see $out/$name/log"
    code=1
  fi
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name/log") inputs," \
    "seed $(sed -n 's/^INFO: Seed: //p' "$out/$name/log"), $said"
done
exit $code
