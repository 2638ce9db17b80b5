/* The event loop of the process: one uv_loop, one ready queue, drained after the loop turned.
   Knows no Lua and no protocol. */
#ifndef OPSRUN_LOOP_H
#define OPSRUN_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Makes the loop. Returns 0, or a negative uv error. Call once, before anything else here. */
int loop_open(void);

/* The loop itself, for clients that watch descriptors. Valid between loop_open and loop_close. */
uv_loop_t *loop_uv(void);

/* Turns once: runs what is ready; if nothing was, waits for at least one event, then runs what
   that made ready. Returns false when nothing is pending any more and nothing was ready. */
bool loop_turn(void);

/* Closes every handle and the loop. Pending operations are dropped without a result. */
void loop_close(void);

/* How often the loop has turned: whoever computes without end sees it stand still. Any thread. */
uint64_t loop_turns(void);

/* Monotonic time in nanoseconds, not cached (unlike uv_now). */
uint64_t loop_now_ns(void);

#endif
