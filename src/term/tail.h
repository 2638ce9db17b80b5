/* The last lines of what a command prints while it runs, masked and filtered, for the place above
 * the status line. Shown when the command takes longer than a second and nothing else prints. */
#ifndef OPSRUN_TERM_TAIL_H
#define OPSRUN_TERM_TAIL_H

#include <stddef.h>

enum { TAIL_LINES = 4, TAIL_LINE_CAP = 512, TAIL_STREAMS = 2 };

struct tail_line {
  char bytes[TAIL_LINE_CAP];
  size_t len;
};

struct tail;

/* NULL where there is no terminal to show it on, or no memory: then nothing is shown. */
struct tail *tail_open(void);

/* Bytes of one of the command's streams, 0 or 1: a secret is found across chunks of a stream. */
void tail_feed(struct tail *t, int stream, const char *bytes, size_t len);

/* NULL is allowed. */
void tail_close(struct tail *t);

/* By status.c: the newest lines, oldest first, at most `most`; valid until the next feed. None when
   several commands print at once: their lines would be nobody's. */
size_t tail_lines(const struct tail_line **lines, size_t most);

#endif
