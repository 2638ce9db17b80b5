/* The status line's side of src/term/term.c. */
#ifndef OPSRUN_TERM_STATUS_H
#define OPSRUN_TERM_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the line, and the tail above it, off the screen if they are there; they are drawn again at
   the next tick. Call it before anything else is written to the terminal. */
void status_clear(void);

/* By term.c: is the cursor where the line may be drawn; unfiltered bytes to stderr. */
bool status_may_draw(void);
void status_write(const char *bytes, size_t len);

#endif
