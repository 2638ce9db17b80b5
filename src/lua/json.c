/* The library host.json, and the two values JSON has and Lua has not: null and the array mark. */
#include "json.h"

#include <lauxlib.h>
#include <string.h>

#include "util.h"

static const char null_key;
static const char array_key;

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

/* Kept in the registry under its own address: one value a state, equal only to itself. */
void json_push_null(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "null");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

bool json_is_null(lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TUSERDATA) return false;
  const void *mine = lua_touserdata(L, idx);
  json_push_null(L);
  bool same = mine == lua_touserdata(L, -1);
  lua_pop(L, 1);
  return same;
}

static void push_array_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0); /* all arrays share it: nobody may add to it */
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

void json_mark_array(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  push_array_metatable(L);
  lua_setmetatable(L, idx);
}

bool json_is_array(lua_State *L, int idx) {
  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return false;
  push_array_metatable(L);
  bool same = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return same;
}

static unsigned flags_of(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return JSON_PLAIN;
  luaL_checktype(L, idx, LUA_TTABLE);
  return (util_field_boolean(L, idx, "lossless", false) ? JSON_LOSSLESS : JSON_PLAIN) |
         (util_field_boolean(L, idx, "deep", false) ? JSON_DEEP : JSON_PLAIN);
}

static int l_encode(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  unsigned flags = flags_of(L, 2);
  const char *first = lua_isnil(L, 2) ? NULL : util_field_string(L, 2, "first", NULL);
  return json_encode(L, 1, flags, first);
}

static int l_canonical(lua_State *L) {
  luaL_checkany(L, 1);
  return json_encode(L, 1, JSON_LOSSLESS, NULL);
}

static int l_decode(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  return json_decode(L, text, len, flags_of(L, 2));
}

static int l_array(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1)) {
    luaL_argcheck(L, json_is_array(L, 1), 1, "this table has a metatable already");
    lua_settop(L, 1);
  }
  json_mark_array(L, 1);
  return 1;
}

static int l_is_array(lua_State *L) {
  lua_pushboolean(L, json_is_array(L, 1));
  return 1;
}

int luaopen_host_json(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", l_encode},     {"canonical", l_canonical},
                                       {"decode", l_decode},     {"array", l_array},
                                       {"is_array", l_is_array}, {NULL, NULL}};
  luaL_newlib(L, functions);
  json_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
