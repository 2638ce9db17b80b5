/* Cells of a PostgreSQL result as Lua values. */
#ifndef OPSRUN_LUA_SQL_VALUES_H
#define OPSRUN_LUA_SQL_VALUES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pushes the value of a cell's text form by its type's oid [-0, +1, m]: booleans, integers, floats;
   numeric as a number (or its text with `exact`); json decoded; bytea as bytes; arrays of these as
   tables, with json.null for NULL; everything else as text. */
void sql_push_value(lua_State *L, uint32_t type, const char *text, size_t len, bool exact);

#endif
