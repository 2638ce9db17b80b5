/* What decodes can be encoded, means the same again, and passes the terminal filter unchanged. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lua/heap.h"
#include "lua/json.h"
#include "term/filter.h"

/* The fuzzer has a cap of its own. */
void heap_check(size_t bytes) { (void)bytes; }

static const char *expected;
static size_t compared;

static void compare(void *context, const char *text, size_t len) {
  (void)context;
  if (memcmp(expected + compared, text, len) != 0) abort();
  compared += len;
}

static void check(lua_State *L, const char *text, size_t len, unsigned flags) {
  size_t first_len, second_len;
  if (json_decode(L, text, len, flags) != 1) return;
  if (json_encode(L, -1, flags, NULL) != 1) abort();
  const char *first = lua_tolstring(L, -1, &first_len);
  if (json_decode(L, first, first_len, flags) != 1) abort();
  if (json_encode(L, -1, flags, NULL) != 1) abort();
  const char *second = lua_tolstring(L, -1, &second_len);
  /* Lossy, two keys that differ in bytes that are no UTF-8 become one. */
  if (flags == JSON_LOSSLESS && (first_len != second_len || memcmp(first, second, first_len) != 0))
    abort();
  struct filter f = {.held_len = 0};
  expected = first;
  compared = 0;
  filter_feed(&f, first, first_len, compare, NULL);
  if (f.held_len != 0 || compared != first_len) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (L == NULL) {
    L = luaL_newstate();
    luaL_openlibs(L);
  }
  check(L, (const char *)data, size, JSON_PLAIN);
  lua_settop(L, 0);
  check(L, (const char *)data, size, JSON_LOSSLESS);
  lua_settop(L, 0);
  return 0;
}
