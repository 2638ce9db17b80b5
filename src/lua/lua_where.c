/* host.where(): the author's line that led here. */
#include <lauxlib.h>
#include <string.h>

#include "state.h"

/* Runtime chunks are named "runtime.…", stdlib ones "stdlib.…"; everything else is an author's. */
static int is_ours(const char *source, const char *room) {
  return strncmp(source, room, strlen(room)) == 0;
}

/* where() -> "db-exhaustion.lua:42" of the innermost frame of a playbook, else of stdlib, else
   nil. */
static int l_where(lua_State *L) {
  lua_Debug frame;
  lua_Debug found;
  int have = 0;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline < 0 || is_ours(frame.short_src, "runtime.")) continue;
    int is_stdlib = is_ours(frame.short_src, "stdlib.");
    if (is_stdlib && have) continue;
    found = frame;
    have = 1;
    if (!is_stdlib) break;
  }
  if (!have) return 0;
  lua_pushfstring(L, "%s:%d", found.short_src, found.currentline);
  return 1;
}

int luaopen_host_where(lua_State *L) {
  lua_pushcfunction(L, l_where);
  return 1;
}
