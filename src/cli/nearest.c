/* Edit distance for suggestions; runtime/text.lua does the same for the Lua side. */
#include "nearest.h"

#include <string.h>

#define WORD_CAP 64

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t nearest_distance(const char *a, const char *b) {
  size_t la = strlen(a), lb = strlen(b);
  if (la >= WORD_CAP || lb >= WORD_CAP) return WORD_CAP;
  size_t rows[3][WORD_CAP + 1];
  for (size_t j = 0; j <= lb; j++) rows[0][j] = j;
  for (size_t i = 1; i <= la; i++) {
    size_t *before2 = rows[(i + 1) % 3], *before = rows[(i + 2) % 3], *row = rows[i % 3];
    row[0] = i;
    for (size_t j = 1; j <= lb; j++) {
      size_t cost = a[i - 1] != b[j - 1];
      row[j] = least(least(before[j] + 1, row[j - 1] + 1), before[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least(row[j], before2[j - 2] + 1);
    }
  }
  return rows[la % 3][lb];
}

int nearest_is_close(size_t distance, size_t length) {
  return distance <= (length <= 3 ? 1 : length <= 7 ? 2 : 3);
}
