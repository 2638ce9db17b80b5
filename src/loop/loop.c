/* The process's uv_loop and the order of one turn. */
#include "loop.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "op.h"

static uv_loop_t the_loop;
static _Atomic uint64_t turns; /* read by the thread that watches for runaways too */

int loop_open(void) { return uv_loop_init(&the_loop); }

uv_loop_t *loop_uv(void) { return &the_loop; }

uint64_t loop_turns(void) { return atomic_load_explicit(&turns, memory_order_relaxed); }

bool loop_turn(void) {
  atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
  if (op_drain_ready() > 0) {
    /* Keep the outside world moving even while tasks keep each other busy. */
    uv_run(&the_loop, UV_RUN_NOWAIT);
    return true;
  }
  int alive = uv_run(&the_loop, UV_RUN_ONCE);
  return op_drain_ready() > 0 || alive != 0;
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void loop_close(void) {
  uv_walk(&the_loop, close_handle, NULL);
  while (uv_run(&the_loop, UV_RUN_NOWAIT) != 0) continue;
  uv_loop_close(&the_loop);
}

uint64_t loop_now_ns(void) {
  struct timespec ts;
  if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) abort();
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
