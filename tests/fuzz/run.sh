#!/bin/sh
# Builds and runs the fuzz targets: tests/fuzz/run.sh SECONDS [NAME…]. Findings are left in
# build/fuzz/NAME/; the exit code is 1 if there is one. Needs clang-14.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:?usage: run.sh SECONDS [NAME…]}
shift
[ $# -gt 0 ] || set -- json filter mask store resp logs
out=${OPSRUN_FUZZ_DIR:-$root/build/fuzz}
clang=${CLANG:-clang-14}
flags="-std=c11 -D_GNU_SOURCE -g -O1 -fno-sanitize-recover=all -fsanitize=fuzzer,address,undefined"
src=$root/src
mask="$src/term/mask.c $src/term/mask_match.c $src/term/mask_forms.c $src/term/mask_leaves.c $src/term/filter.c"
code=0
for name in "$@"; do
  case $name in
    filter) sources="$src/term/filter.c"; libraries="" ;;
    mask) sources=$mask; libraries="" ;;
    store)
      sources="$src/store/store_chain.c $src/store/store_io.c $src/term/errtext.c"
      libraries="-l:libnettle.a" ;;
    json)
      sources="$src/lua/json.c $src/lua/json_encode.c $src/lua/json_decode.c $src/lua/util.c
        $src/lua/secret.c $src/lua/secret_made.c $src/store/*.c $src/loop/op.c $src/loop/loop.c $src/term/errtext.c $mask"
      libraries="-l:liblua5.4.a -l:libuv_a.a -l:libnettle.a -lm -ldl -lpthread" ;;
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
  if (cd "$out/$name" && ./fuzz -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
      -print_final_stats=1 corpus "$root/tests/fuzz/seeds/$name" >log 2>&1); then
    echo "fuzz $name: $(grep -m1 number_of_executed_units "$out/$name/log" | grep -o '[0-9]*$') inputs, no finding"
  else
    echo "fuzz $name: a finding, see $out/$name/log"
    code=1
  fi
done
exit $code
