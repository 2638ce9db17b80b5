/* Looks at the clock from inside a computation, and from beside it. */
#include "runaway.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "../loop/loop.h"
#include "../loop/signals.h"
#include "heap.h"
#include "last_words.h"

enum {
  LOOK_EVERY = 100000, /* instructions */
  GRACE_MS = 300,      /* until the first error: an operation's own end may be near */
  AGAIN_MS = 50,       /* until the next: what handles the first one needs less */
  END_MS = 500,        /* until the process is ended: a deadline is kept within a second */
  SIGNAL_END_MS = 2000 /* the same after a signal: the operator may help with a second one */
};

/* Written by the main thread, read by both. */
static _Atomic uint64_t deadline_ns, task_ends_ns, loading_ends_ns;
static atomic_bool computes;

static bool is_over(const _Atomic uint64_t *end, uint64_t now) {
  uint64_t ns = atomic_load_explicit(end, memory_order_relaxed);
  return ns != 0 && now > ns;
}

/* Why what computes now should not. */
static enum last_words_why why_over(uint64_t now) {
  if (is_over(&loading_ends_ns, now)) return LAST_WORDS_LOADING;
  if (signals_count() > 0) return LAST_WORDS_SIGNAL;
  if (is_over(&deadline_ns, now)) return LAST_WORDS_DEADLINE;
  if (is_over(&task_ends_ns, now)) return LAST_WORDS_TIMEOUT;
  return LAST_WORDS_NONE;
}

/* -- from inside ---------------------------------------------------------------------------------- */

static const char *error_text(enum last_words_why why) {
  switch (why) {
    case LAST_WORDS_SIGNAL: return "told to stop, and this computes without end";
    case LAST_WORDS_DEADLINE: return "the deadline is over, and this computes without end";
    case LAST_WORDS_TIMEOUT: return "the step's timeout is over, and this computes without end";
    default: return "this computes without end";
  }
}

static void look_at_the_clock(lua_State *L, lua_Debug *frame) {
  (void)frame;
  static uint64_t seen_turn, asked_ns;
  heap_relieve(L);
  uint64_t now = loop_now_ns(), turn = loop_turns();
  enum last_words_why why = why_over(now);
  if (turn != seen_turn || why == LAST_WORDS_NONE || why == LAST_WORDS_LOADING) {
    seen_turn = turn;
    asked_ns = now;
    return;
  }
  if (now - asked_ns < (uint64_t)GRACE_MS * 1000000u) return;
  asked_ns = now - (uint64_t)(GRACE_MS - AGAIN_MS) * 1000000u;
  luaL_error(L, "%s", error_text(why));
}

void runaway_watch(lua_State *L) { lua_sethook(L, look_at_the_clock, LUA_MASKCOUNT, LOOK_EVERY); }

/* -- what the main thread says ---------------------------------------------------------------------- */

static const char *the_place;

struct runaway_task runaway_enter(uint64_t ends_ns, const char *place) {
  struct runaway_task before = {atomic_load_explicit(&computes, memory_order_relaxed),
                                atomic_load_explicit(&task_ends_ns, memory_order_relaxed),
                                the_place};
  runaway_leave((struct runaway_task){true, ends_ns, place});
  return before;
}

void runaway_leave(struct runaway_task before) {
  the_place = before.place;
  last_words_place(before.place);
  atomic_store_explicit(&task_ends_ns, before.ends_ns, memory_order_relaxed);
  atomic_store_explicit(&computes, before.computes, memory_order_relaxed);
}

void runaway_deadline(uint64_t ns) { atomic_store(&deadline_ns, ns); }

void runaway_loading(unsigned seconds) {
  atomic_store(&loading_ends_ns, seconds == 0 ? 0 : loop_now_ns() + seconds * UINT64_C(1000000000));
}

/* -- from beside ------------------------------------------------------------------------------------ */

/* What is seen of the main thread: `since_ns` is when it began to stand still over its time, busy. */
struct watched {
  clockid_t clock;
  uint64_t turn, since_ns;
  uint64_t window_ns, window_cpu_ns;
};

enum { TICK_MS = 100, WINDOW_MS = 200, WINDOW_LEAST_MS = 2 };

static uint64_t cpu_ns(clockid_t clock) {
  struct timespec ts = {0, 0};
  clock_gettime(clock, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void begin_anew(struct watched *main_thread, uint64_t now) {
  main_thread->turn = loop_turns();
  main_thread->since_ns = main_thread->window_ns = now;
  main_thread->window_cpu_ns = cpu_ns(main_thread->clock);
}

/* Who waits for a disk or a terminal does not compute: a thread that runs uses its processor. */
static bool is_busy(struct watched *main_thread, uint64_t now) {
  if (now - main_thread->window_ns < (uint64_t)WINDOW_MS * 1000000u) return true;
  uint64_t cpu = cpu_ns(main_thread->clock);
  bool busy = cpu - main_thread->window_cpu_ns >= (uint64_t)WINDOW_LEAST_MS * 1000000u;
  main_thread->window_ns = now;
  main_thread->window_cpu_ns = cpu;
  return busy;
}

static void look_from_beside(struct watched *main_thread) {
  uint64_t now = loop_now_ns();
  enum last_words_why why = why_over(now);
  if (why == LAST_WORDS_NONE || !atomic_load(&computes) || loop_turns() != main_thread->turn ||
      !is_busy(main_thread, now)) {
    begin_anew(main_thread, now);
    return;
  }
  uint64_t limit = why == LAST_WORDS_SIGNAL ? SIGNAL_END_MS : END_MS;
  if (now - main_thread->since_ns < limit * 1000000u || !last_words_try_hold()) return;
  if (loop_turns() == main_thread->turn) last_words_say(why, 0, 0, true);
  last_words_release();
}

static void *watch_main(void *data) {
  struct watched main_thread = {.clock = *(clockid_t *)data};
  const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
  begin_anew(&main_thread, loop_now_ns());
  for (;;) {
    nanosleep(&tick, NULL);
    look_from_beside(&main_thread);
  }
  return NULL;
}

void runaway_start(void) {
  static bool started;
  static clockid_t clock;
  if (started || pthread_getcpuclockid(pthread_self(), &clock) != 0) return;
  started = true;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* handlers run on the main thread */
  pthread_t thread;
  (void)pthread_create(&thread, &attributes, watch_main, &clock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}
