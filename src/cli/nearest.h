/* The word somebody probably meant. */
#ifndef OPSRUN_NEAREST_H
#define OPSRUN_NEAREST_H

#include <stddef.h>

/* How many single-letter edits (insert, delete, replace, swap of neighbours) lead from a to b.
   Words longer than 63 bytes count as far away. */
size_t nearest_distance(const char *a, const char *b);

/* Is `distance` small enough, for a word of this length, to suggest the candidate? */
int nearest_is_close(size_t distance, size_t length);

#endif
