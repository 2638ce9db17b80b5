/* Stack helpers that every binding shares. Nothing here knows a protocol. */
#ifndef OPSRUN_LUA_UTIL_H
#define OPSRUN_LUA_UTIL_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

/* Pushes nil and an error table {message, code, outcome}; returns 2 [-0, +2, m]. `message` may be
   NULL. */
int util_push_error(lua_State *L, enum op_outcome outcome, const char *code, const char *message);

/* The same with a format (lua_pushfstring's: %s %d %f %I). */
int util_push_errorf(lua_State *L, enum op_outcome outcome, const char *code, const char *fmt, ...);

/* Field `name` of the table at `idx` as a string, or NULL when nil. Raises for another type. The
   string lives while the table does: it is left on the stack [-0, +1, v]. */
const char *util_field_string(lua_State *L, int idx, const char *name, size_t *len);

/* Field as a number (seconds, counts), or `otherwise` when nil [-0, +0, v]. */
double util_field_number(lua_State *L, int idx, const char *name, double otherwise);
int64_t util_field_integer(lua_State *L, int idx, const char *name, int64_t otherwise);
bool util_field_boolean(lua_State *L, int idx, const char *name, bool otherwise);

/* Seconds as whole milliseconds, rounded up; 0 for none, below zero or NaN; at most INT32_MAX, 24
   days, which is the most that libcurl and PostgreSQL's statement_timeout take. */
uint64_t util_milliseconds(double seconds);

/* Field in seconds as milliseconds, 0 when nil. Raises for what is no number from 0 on [-0, +0, v]. */
uint64_t util_field_milliseconds(lua_State *L, int idx, const char *name);

/* A string or an opaque secret, for the sinks that may know a secret's value: connection strings,
   headers, process environment, standard input. Never use it for argv, logs or messages. NULL when
   neither. The bytes live while the value stays on the stack [-0, +0, -]. */
const char *util_to_sink(lua_State *L, int idx, size_t *len);

#endif
