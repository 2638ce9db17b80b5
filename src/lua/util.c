/* Stack helpers of the bindings. */
#include "util.h"

#include <math.h>
#include <stdarg.h>

#include "secret.h"

int util_push_error(lua_State *L, enum op_outcome outcome, const char *code, const char *message) {
  lua_pushnil(L);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, message != NULL ? message : "out of memory");
  lua_setfield(L, -2, "message");
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, op_outcome_name(outcome));
  lua_setfield(L, -2, "outcome");
  return 2;
}

int util_push_errorf(lua_State *L, enum op_outcome outcome, const char *code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const char *message = lua_pushvfstring(L, fmt, args);
  va_end(args);
  int count = util_push_error(L, outcome, code, message);
  lua_remove(L, -count - 1);
  return count;
}

static int bad_field(lua_State *L, const char *name, const char *expected) {
  return luaL_error(L, "field '%s': expected %s, got %s", name, expected, luaL_typename(L, -1));
}

const char *util_field_string(lua_State *L, int idx, const char *name, size_t *len) {
  int type = lua_getfield(L, idx, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING && type != LUA_TNUMBER) bad_field(L, name, "a string");
  return lua_tolstring(L, -1, len);
}

double util_field_number(lua_State *L, int idx, const char *name, double otherwise) {
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL) {
    if (type != LUA_TNUMBER) bad_field(L, name, "a number");
    otherwise = lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  return otherwise;
}

int64_t util_field_integer(lua_State *L, int idx, const char *name, int64_t otherwise) {
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL) {
    int is_integer = 0;
    otherwise = lua_tointegerx(L, -1, &is_integer);
    if (type != LUA_TNUMBER || !is_integer) bad_field(L, name, "an integer");
  }
  lua_pop(L, 1);
  return otherwise;
}

bool util_field_boolean(lua_State *L, int idx, const char *name, bool otherwise) {
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL) {
    if (type != LUA_TBOOLEAN) bad_field(L, name, "a boolean");
    otherwise = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return otherwise;
}

uint64_t util_milliseconds(double seconds) {
  if (!(seconds > 0)) return 0;
  return (uint64_t)fmin(ceil(seconds * 1000), INT32_MAX);
}

uint64_t util_field_milliseconds(lua_State *L, int idx, const char *name) {
  double seconds = util_field_number(L, idx, name, 0);
  if (!(seconds >= 0)) bad_field(L, name, "seconds");
  return util_milliseconds(seconds);
}

const char *util_to_sink(lua_State *L, int idx, size_t *len) {
  if (lua_type(L, idx) == LUA_TSTRING) return lua_tolstring(L, idx, len);
  return secret_value(L, idx, len);
}
