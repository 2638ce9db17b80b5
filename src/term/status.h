/* The status line's side of src/term/term.c. */
#ifndef OPSRUN_TERM_STATUS_H
#define OPSRUN_TERM_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the line off the screen if it is there; it is drawn again at the next tick. */
void status_clear(void);

/* By term.c: is the cursor where the line may be drawn; unfiltered bytes to stderr. */
bool status_may_draw(void);
void status_write(const char *bytes, size_t len);

#endif
