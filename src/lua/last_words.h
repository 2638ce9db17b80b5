/* How opsrun ends itself when nothing else can be done: a computation that nothing can interrupt, or
 * memory that is used up. One record goes into the journal of the run that is open, one message to
 * stderr, and the process ends at once, like one that was killed: such a run can be resumed.
 *
 * It may be said by the main thread, in the middle of an allocation of Lua's, and by the thread that
 * watches it. So whoever writes the journal holds it meanwhile, and no Lua is called while it is held. */
#ifndef OPSRUN_LAST_WORDS_H
#define OPSRUN_LAST_WORDS_H

#include <stdbool.h>
#include <stdint.h>

struct store_run;

enum last_words_why {
  LAST_WORDS_NONE,
  LAST_WORDS_DEADLINE, /* the run's time was over */
  LAST_WORDS_TIMEOUT,  /* a step's */
  LAST_WORDS_SIGNAL,   /* somebody asked for the end */
  LAST_WORDS_LOADING,  /* a playbook that only declares computes on and on */
  LAST_WORDS_MEMORY,   /* more than was allowed */
  LAST_WORDS_NO_MEMORY /* the system has none left */
};

/* Held while the journal is written: last words wait for it, or for the next look. */
void last_words_hold(void);
bool last_words_try_hold(void);
void last_words_release(void);

/* The run whose journal takes them, from now on; last_words_forget when it is closed. */
void last_words_of(struct store_run *run);
void last_words_forget(const struct store_run *run);

/* Where the running task stands: "PATH\tSTEP", or NULL for no step. Kept by its address: it lives as
   long as the process. */
void last_words_place(const char *place);

/* How many changes were begun and have no recorded outcome: if any, the exit code is 7. */
void last_words_in_flight(int change);

/* Says them and ends the process. `amount` and `limit`: bytes of memory, else 0. The caller holds the
   journal, or (`held_already` false) it is held here. */
_Noreturn void last_words_say(enum last_words_why why, uint64_t amount, uint64_t limit,
                              bool held_already);

#endif
