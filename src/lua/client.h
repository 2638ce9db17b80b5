/* The clients (src/clients) as their bindings load them. */
#ifndef OPSRUN_LUA_CLIENT_H
#define OPSRUN_LUA_CLIENT_H

#include <lua.h>

/* `api`, or when it is NULL the client `name`, loaded now. NULL: nil and an error table are pushed
   [-0, +(0|2), m]. */
const void *client_need(lua_State *L, const void *api, const char *name, const char *symbol);

#endif
