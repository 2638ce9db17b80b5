/* JSON on the Lua stack. 64-bit integers stay exact both ways, integers stay integers, floats come
 * back as the same float. What the outside may rely on:
 *
 * decode: object -> table; array -> table marked as one; null -> json.null (also in objects); an
 * integer that fits 64 bits -> integer, any other number -> float (1e999 is an error); the last of
 * two equal keys wins; bytes of strings are handed on as they came.
 *
 * encode: a table with text keys -> object, keys sorted; a sequence, or a table marked by
 * json.array -> array (an absent element is null); the empty table -> object. Mixed keys and holes
 * are errors, so are nan and inf. A float keeps a point (1.0). A value whose metatable has `__json`
 * (a string, or a function of the value) is written as that. Bytes that are no UTF-8 become U+FFFD;
 * with JSON_LOSSLESS \udc80 … \udcff, which decode with the same flag turns back into the bytes.
 * So the output is always UTF-8. Controls and invisible characters are written as \uXXXX: the text
 * passes the terminal filter unchanged.
 *
 * Both: at most 64 levels, unless JSON_DEEP is said. */
#ifndef OPSRUN_LUA_JSON_H
#define OPSRUN_LUA_JSON_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH = 64, JSON_DEPTH_DEEP = 4000 };

/* JSON_DEEP: decode takes JSON_DEPTH_DEEP levels; for parse trees, of our own making. */
enum json_flags { JSON_PLAIN = 0, JSON_LOSSLESS = 1, JSON_DEEP = 2 };

/* Pushes the value and returns 1; or pushes nil and "line 3 column 7: …" and returns 2
   [-0, +(1|2), m]. The text need not end in a NUL. */
int json_decode(lua_State *L, const char *text, size_t len, unsigned flags);

/* Pushes the text of the value at idx and returns 1; or nil and an error text and returns 2. With
   `first` (or NULL) that key of the outermost object is written before the others
   [-0, +(1|2), e]. */
int json_encode(lua_State *L, int idx, unsigned flags, const char *first);

/* The null value [-0, +1, m]. */
void json_push_null(lua_State *L);
bool json_is_null(lua_State *L, int idx);

/* Marks the table at idx as an array, whatever it holds [-0, +0, m]. */
void json_mark_array(lua_State *L, int idx);
bool json_is_array(lua_State *L, int idx);

/* The library `host.json`: encode(value [, {first=, lossless=}]) -> text | nil, err;
   canonical(value) -> text | nil, err (lossless, for digests); decode(text [, {lossless=, deep=}]) ->
   value | nil, err; null; array(t) -> t; is_array(v) -> boolean [-0, +1, e]. */
int luaopen_host_json(lua_State *L);

#endif
