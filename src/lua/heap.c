/* Counting what Lua allocates. */
#include "heap.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>

#include "../cli/msg.h"
#include "last_words.h"

static size_t used, cap = HEAP_DEFAULT_CAP;

/* lua_Alloc. Of a new block `old` is a type, no size. */
static void *allocate(void *unused, void *block, size_t old, size_t size) {
  (void)unused;
  size_t before = block != NULL ? old : 0;
  if (size == 0) {
    used -= before;
    free(block);
    return NULL;
  }
  if (size > before && (size > cap || used - before > cap - size)) {
    size_t wanted = size > SIZE_MAX - (used - before) ? SIZE_MAX : used - before + size;
    last_words_say(LAST_WORDS_MEMORY, wanted, cap, false);
  }
  void *moved = realloc(block, size);
  if (moved == NULL) last_words_say(LAST_WORDS_NO_MEMORY, used - before + size, cap, false);
  used += size - before;
  return moved;
}

static int on_panic(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  msg_error(text != NULL ? text : "an error outside of any call", "this is a bug of opsrun");
  return 0; /* Lua aborts */
}

lua_State *heap_new_state(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L != NULL) lua_atpanic(L, on_panic);
  return L;
}

void heap_set_cap(size_t bytes) { cap = bytes; }

void heap_check(size_t bytes) {
  if (bytes <= cap && used <= cap - bytes) return;
  last_words_say(LAST_WORDS_MEMORY, bytes > SIZE_MAX - used ? SIZE_MAX : used + bytes, cap, false);
}

/* From half of the cap on, whenever a quarter was added to what the last look left. */
void heap_relieve(lua_State *L) {
  static size_t kept;
  if (used < cap / 2 || used < kept + kept / 4) return;
  lua_gc(L, LUA_GCCOLLECT);
  kept = used;
}

static int l_cap(lua_State *L) {
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes > 0, 1, "expected bytes");
  heap_set_cap((size_t)bytes);
  return 0;
}

static int l_used(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)used);
  return 1;
}

int luaopen_host_memory(lua_State *L) {
  static const luaL_Reg functions[] = {{"cap", l_cap}, {"used", l_used}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
