/* Lines typed while no question is open: who presses Enter wants to know what goes on. They are
 * read and thrown away, so they answer nothing and garble nothing. */
#ifndef OPSRUN_TERM_KEYS_H
#define OPSRUN_TERM_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "../loop/op.h"

/* An operation that finishes when Enter was pressed since the last one finished, and fails with
   code "timeout" after timeout_ms (0: waits for ever). One at a time, else "busy". Without a
   terminal only the time-out ends it. NULL: out of memory. */
struct op *keys_wait(uint64_t timeout_ms);

/* By the prompts: while one is open what is typed is its own. */
void keys_pause(bool pause);

/* By status.c, before it draws: reads what was typed. Returns by how many rows its echo moved the
   cursor down. */
int keys_take(void);

#endif
