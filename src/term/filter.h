/* The terminal filter: bytes that came from elsewhere never steer the terminal. What passes is
 * printable, well-formed UTF-8, line feed and tab. What does not is shown:
 *   \r           carriage return
 *   \x1b         other control bytes, and bytes that are no UTF-8
 *   \u{202e}     C1 controls, the 12 bidirectional controls, characters without width, tags, line
 * and paragraph separators, fillers, non-characters */
#ifndef OPSRUN_TERM_FILTER_H
#define OPSRUN_TERM_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter {
  unsigned char held[4]; /* the beginning of a character whose rest has not come */
  size_t held_len;
};

typedef void (*filter_sink)(void *context, const char *text, size_t len);

/* Feeds a chunk. The struct starts zeroed. */
void filter_feed(struct filter *f, const char *text, size_t len, filter_sink sink, void *context);

/* No more will come: shows what is held. */
void filter_flush(struct filter *f, filter_sink sink, void *context);

/* Is this character shown as \u{…}? For all beyond ASCII. */
bool filter_hides(uint32_t code);

/* Length of the well-formed UTF-8 character at p, its number in *code. 0: these bytes are none.
   -1: they may become one with more bytes. left > 0. */
int utf8_next(const unsigned char *p, size_t left, uint32_t *code);

#endif
