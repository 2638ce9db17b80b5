/* Finds which of many byte strings occurs next in a text, at memory-like speed: a shift table over
   three-byte groups (Wu and Manber), so that most bytes are never looked at. */
#ifndef OPSRUN_TERM_MASK_MATCH_H
#define OPSRUN_TERM_MASK_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MATCH_MIN = 3 }; /* shortest pattern */

struct pattern {
  char *text;
  size_t len;
  uint32_t owner; /* whose form it is */
  char quote;     /* it stands in these quotes, which stay; 0 if not */
};

struct matcher;

/* Takes ownership of the patterns' texts when it succeeds; NULL when out of memory. Equal patterns
   count once: the first one's owner. All patterns have at least MATCH_MIN bytes. */
struct matcher *matcher_make(struct pattern *patterns, size_t count);

/* Zeroes and frees everything. NULL is allowed. */
void matcher_free(struct matcher *m);

/* The longest pattern at the first place at or behind `from` where one begins, that place in *at;
   NULL when there is none. */
const struct pattern *matcher_find(const struct matcher *m, const char *text, size_t len,
                                   size_t from, size_t *at);

/* Where the longest suffix of the text begins that a pattern begins with and goes beyond; len when
   there is none. Bytes from there on may be the start of a match. */
size_t matcher_pending(const struct matcher *m, const char *text, size_t len);

#endif
