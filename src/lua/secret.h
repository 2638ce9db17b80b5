/* Secrets: opaque userdata whose text is only their name. Every new one is registered with the
 * masking writer (term/mask.h) in the same breath. */
#ifndef OPSRUN_LUA_SECRET_H
#define OPSRUN_LUA_SECRET_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The secret at idx: its bytes, followed by a NUL, and their length, or NULL if the value is no secret [-0, +0, -]. */
const char *secret_value(lua_State *L, int idx, size_t *len);

/* Makes a secret: registered with the masking writer first, then pushed; or nil and a reason
   [-0, +1|2, m]. Returns how many values were pushed. */
int secret_push(lua_State *L, const char *name, const char *value, size_t len, bool short_ok);

/* The library `host.secret`: new(name, value, {allow_short=}) -> secret | nil, error;
   env(NAME) -> secret | nil; file(path) -> secret | nil, error; is(v) -> boolean; name(secret) ->
   string; generate, seal, unseal: see secret_made.h [-0, +1, e]. */
int luaopen_host_secret(lua_State *L);

#endif
