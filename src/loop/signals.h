/* SIGINT, SIGTERM and SIGHUP: counted, and delivered to the loop. The third ends the process at
   once, from the handler itself, since the loop may be the thing that is stuck. */
#ifndef OPSRUN_SIGNALS_H
#define OPSRUN_SIGNALS_H

#include "op.h"

/* Installs the handlers; SIGPIPE is ignored. After loop_open. Returns 0 or a negative uv error. */
int signals_open(void);

/* Async-signal-safe function the third signal calls before the process ends (restores the tty). */
void signals_set_last_words(void (*last_words)(void));

/* Calls that function, if there is one: before the process ends by another way. */
void signals_say_last_words(void);

/* How many arrived so far, and the newest one's number (0 if none). */
int signals_count(void);
int signals_last(void);

/* An operation that finishes when a signal arrives after this call. Only one at a time. */
struct op *signals_wait(void);

/* Forgets what came: before undo, so that the operator can interrupt that too. */
void signals_reset(void);

#endif
