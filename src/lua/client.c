/* Loads a client when its binding first needs it. */
#include "client.h"

#include "../clients/module.h"
#include "util.h"

const void *client_need(lua_State *L, const void *api, const char *name, const char *symbol) {
  if (api != NULL) return api;
  const char *error = NULL;
  api = module_load(name, symbol, &error);
  if (api == NULL) util_push_error(L, OP_NOT_SENT, "module", error);
  return api;
}
