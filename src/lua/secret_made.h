/* Secrets that a run makes itself: generated, sealed, opened again. */
#ifndef OPSRUN_LUA_SECRET_MADE_H
#define OPSRUN_LUA_SECRET_MADE_H

#include <lua.h>

/* Parts of `host.secret`:
     generate(name, bytes, "hex" | "base64url") -> secret: so many random bytes, written as text;
       the text never is a Lua string
     seal(secret, context) -> bytes that only this home opens | nil, err
     unseal(bytes, context, name) -> secret | nil, err      err: {message, code, outcome} */
int secret_generate(lua_State *L);
int secret_seal(lua_State *L);
int secret_unseal(lua_State *L);

#endif
