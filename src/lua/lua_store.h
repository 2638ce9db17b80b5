/* What the two halves of host.store share: the library and the methods of a run. */
#ifndef OPSRUN_LUA_STORE_H
#define OPSRUN_LUA_STORE_H

#include <lauxlib.h>
#include <lua.h>

#include "../store/store.h"

struct store_box {
  struct store_run *run; /* NULL once closed */
};

/* Pushes a run of Lua's, still closed. [-0, +1, m] */
struct store_box *store_new_box(lua_State *L);

/* Pushes nil and the error; returns 2. [-0, +2, m] */
int store_push_failure(lua_State *L, const struct store_error *error);

/* Pushes what was dropped off a journal's end, or nil; returns 1. [-0, +1, m] */
int store_push_torn(lua_State *L, size_t bytes);

/* Pushes the names and frees them; returns 1. [-0, +1, m] */
int store_push_names(lua_State *L, char **names, size_t count);

/* A metatable of this name with these methods; pushes nothing. [-0, +0, m] */
void store_make_type(lua_State *L, const char *name, const luaL_Reg *methods);
void store_run_type(lua_State *L);

#endif
