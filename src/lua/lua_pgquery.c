/* The library host.pgquery: parse(text) -> JSON text of the parse tree
   | nil, {message, code = "42601", outcome = "not sent", position}. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "../clients/pgquery.h"
#include "client.h"
#include "state.h"
#include "util.h"

static const struct pgquery_api *api;

static int l_parse(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  if (strlen(text) != len)
    return util_push_error(L, OP_NOT_SENT, "42601", "the statement holds a NUL byte");
  api = client_need(L, api, "pgquery", "opsrun_pgquery_api");
  if (api == NULL) return 2;
  char *error = NULL;
  int position = 0;
  char *tree = api->parse(text, &error, &position);
  if (tree == NULL) {
    util_push_error(L, OP_NOT_SENT, "42601", error);
    api->release(error);
    lua_pushinteger(L, position);
    lua_setfield(L, -2, "position");
    return 2;
  }
  lua_pushstring(L, tree);
  api->release(tree);
  return 1;
}

int luaopen_host_pgquery(lua_State *L) {
  static const luaL_Reg functions[] = {{"parse", l_parse}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
