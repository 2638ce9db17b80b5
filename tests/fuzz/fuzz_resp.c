/* Hostile replies: any bytes, in slices of any length, end as values within the bounds, as "more is
 * needed", or as a refusal. The first byte says how long the slices are. */
#include <stdlib.h>
#include <string.h>

#include "clients/redis_internal.h"

static size_t elements, bytes;

/* Touches all of a value, so that what is not there is found out. */
static void walk(const struct redis_value *value, int depth) {
  if (depth > 9 || ++elements > 2 * REDIS_MAX_ELEMENTS) abort();
  switch (value->type) {
    case REDIS_NIL:
    case REDIS_INTEGER: break;
    case REDIS_STRING:
    case REDIS_STATUS:
    case REDIS_ERROR:
      if (value->text[value->size] != '\0') abort();
      for (size_t i = 0; i < value->size; i++) bytes += (unsigned char)value->text[i];
      break;
    case REDIS_ARRAY:
      for (size_t i = 0; i < value->size; i++) walk(&value->items[i], depth + 1);
      break;
    default: abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t slice = (size_t)data[0] + 1;
  struct redisReader *reader = reader_new();
  struct arena arena = {0};
  if (reader == NULL) return 0;
  for (size_t at = 1; at < size; at += slice) {
    size_t len = size - at < slice ? size - at : slice;
    if (!reader_feed(reader, (const char *)data + at, len)) break;
    int taken;
    do {
      struct redis_value value;
      const char *why = NULL;
      taken = reader_take(reader, &arena, &value, &why);
      elements = 0;
      if (taken == 1) walk(&value, 0);
      if (taken < 0 && (why == NULL || why[0] == '\0')) abort();
    } while (taken == 1);
    if (taken < 0) break;
  }
  reader_free(reader);
  arena_free(&arena);
  return 0;
}
