/* Masking of JSON texts: the result is still JSON. */
#ifndef OPSRUN_LUA_LUA_MASK_H
#define OPSRUN_LUA_LUA_MASK_H

#include <lua.h>
#include <stddef.h>

/* Pushes the JSON text with every secret masked. A text that is no JSON is masked as it is
   [-0, +1, e]. */
void mask_push_json(lua_State *L, const char *text, size_t len);

/* The library `host.mask`: apply(text) -> text, places; field(text) -> text (one whole value: a
   short secret that fills it is masked too); json(text) -> text, still JSON; names() -> list;
   stream(fn) -> stream with :feed(text) and :flush(): fn(text) gets masked pieces [-0, +1, e]. */
int luaopen_host_mask(lua_State *L);

#endif
