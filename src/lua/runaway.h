/* Computations without end. While a task computes, the loop stands still, and with it every timer and
 * the handling of signals. Two lines stand against that:
 *   a look each 100,000 instructions, which raises an error in the task; it comes again until the
 *   loop turns, so that no protected call outlives it;
 *   a thread that sees the loop stand still all the same, since a call of Lua's library (a pattern, a
 *   huge text) is one instruction: it ends the process with last words (last_words.h). */
#ifndef OPSRUN_RUNAWAY_H
#define OPSRUN_RUNAWAY_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* Installs the look in a coroutine [-0, +0, -]. */
void runaway_watch(lua_State *L);

/* A task computes from now on, `ends_ns` (monotonic, 0 for none) is when its time is over, `place` is
   for last words. Returns what was so before; runaway_leave puts that back. */
struct runaway_task {
  bool computes;
  uint64_t ends_ns;
  const char *place;
};
struct runaway_task runaway_enter(uint64_t ends_ns, const char *place);
void runaway_leave(struct runaway_task before);

/* When everything must be over, 0 for never. */
void runaway_deadline(uint64_t ns);

/* What only declares is given so long, in seconds, 0 when it is over. */
void runaway_loading(unsigned seconds);

/* Starts the thread, once; cheap when it runs. Without threads there is no second line. */
void runaway_start(void);

#endif
