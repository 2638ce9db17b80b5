/* host.logs: one pass over log files.
 *
 *   scan{paths = {…}, queries = {{name = …}, …}, …} -> the client's answer (src/clients/logs.h)
 *     | nil, {message, code, outcome}
 *
 * Fields: format ("auto" "json" "nginx" "plain"), time_field, from, to (seconds since 1970), zones =
 * {{since, offset}, …}, timeout (seconds). Of a query: name, literals = {…}, regex, ignore_case,
 * invert, field, equals, above, below, group (a field's name or "#1"), shape, top, per, tail. */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/logs.h"
#include "client.h"
#include "json.h"
#include "state.h"
#include "task.h"
#include "util.h"

static const struct logs_api *client;

/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_client(lua_State *L) {
  client = client_need(L, client, "logs", "opsrun_logs_api");
  return client != NULL;
}

/* A text that must not end early at a NUL. It lives as long as the table at idx does. */
static const char *text_field(lua_State *L, int idx, const char *name) {
  size_t len = 0;
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "field '%s': expected a text", name);
  const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  lua_pop(L, 1);
  if (text != NULL && strlen(text) != len) luaL_error(L, "field '%s' holds a NUL byte", name);
  return text;
}

/* The list at field `name`, left on the stack: its length, at most `most` [-0, +1, v]. */
static size_t list_field(lua_State *L, int idx, const char *name, size_t most) {
  if (lua_getfield(L, idx, name) == LUA_TNIL) return 0;
  luaL_checktype(L, -1, LUA_TTABLE);
  lua_Unsigned count = lua_rawlen(L, -1);
  if (count > most) luaL_error(L, "field '%s': more than %d", name, (int)most);
  return (size_t)count;
}

/* Item `i` of the list on top; it lives as long as the list does. */
static const char *list_text(lua_State *L, size_t i, size_t *len) {
  if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING) luaL_error(L, "expected texts");
  const char *text = lua_tolstring(L, -1, len);
  lua_pop(L, 1);
  return text;
}

/* The query whose table is on top. */
static void read_query(lua_State *L, struct logs_query *query) {
  int idx = lua_gettop(L);
  query->name = text_field(L, idx, "name");
  query->regex = text_field(L, idx, "regex");
  query->field = text_field(L, idx, "field");
  query->equals = text_field(L, idx, "equals");
  query->group = text_field(L, idx, "group");
  query->ignore_case = util_field_boolean(L, idx, "ignore_case", false);
  query->invert = util_field_boolean(L, idx, "invert", false);
  query->shape = util_field_boolean(L, idx, "shape", false);
  query->above = util_field_number(L, idx, "above", NAN);
  query->below = util_field_number(L, idx, "below", NAN);
  query->has_above = !isnan(query->above);
  query->has_below = !isnan(query->below);
  query->top = util_field_integer(L, idx, "top", 0);
  query->per = util_field_number(L, idx, "per", 0);
  query->tail = util_field_integer(L, idx, "tail", 0);
  if (query->name == NULL) luaL_error(L, "a query has no name");
  if (query->group != NULL && query->group[0] == '\0') luaL_error(L, "an empty group");
  if (query->top < 0 || query->tail < 0 || query->tail > logs_most_tail || !(query->per >= 0))
    luaL_error(L, "query '%s': a number is out of range", query->name);
  query->literal_count = list_field(L, idx, "literals", logs_most_literals);
  for (size_t i = 0; i < query->literal_count; i++) {
    query->literals[i] = list_text(L, i, &query->literal_lens[i]);
    if (query->literal_lens[i] == 0) luaL_error(L, "query '%s': an empty text", query->name);
  }
  lua_settop(L, idx);
}

static void read_queries(lua_State *L, struct logs_request *request) {
  size_t count = list_field(L, 1, "queries", logs_most_queries);
  struct logs_query *queries = lua_newuserdatauv(L, (count + 1) * sizeof *queries, 0);
  memset(queries, 0, (count + 1) * sizeof *queries);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_query(L, &queries[i]);
    lua_pop(L, 1);
  }
  request->queries = queries;
  request->query_count = count;
}

static void read_zones(lua_State *L, struct logs_request *request) {
  size_t count = list_field(L, 1, "zones", logs_most_zones);
  struct logs_zone *zones = lua_newuserdatauv(L, (count + 1) * sizeof *zones, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    zones[i].since = luaL_checknumber(L, -2);
    zones[i].offset = (int)luaL_checkinteger(L, -1);
    lua_pop(L, 3);
  }
  request->zones = zones;
  request->zone_count = count;
}

/* Reads the table at 1; what the request points to stays on the stack [-0, +n, v]. */
static void read_request(lua_State *L, struct logs_request *request) {
  static const char *const formats[] = {"auto", "json", "nginx", "plain", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 40, "no room for a request");
  memset(request, 0, sizeof *request);
  lua_getfield(L, 1, "format");
  request->format = (enum logs_format)luaL_checkoption(L, -1, "auto", formats);
  request->time_field = text_field(L, 1, "time_field");
  double none = NAN, from = util_field_number(L, 1, "from", none);
  request->to = util_field_number(L, 1, "to", none);
  request->has_window = !isnan(from) && !isnan(request->to);
  request->from = from;
  request->timeout_ms = util_field_milliseconds(L, 1, "timeout");
  request->path_count = list_field(L, 1, "paths", logs_most_paths);
  for (size_t i = 0; i < request->path_count; i++) {
    size_t len = 0;
    request->paths[i] = list_text(L, i, &len);
    if (strlen(request->paths[i]) != len) luaL_error(L, "a path holds a NUL byte");
  }
  if (request->path_count == 0) luaL_error(L, "no paths");
  read_zones(L, request);
  read_queries(L, request);
}

static int push_answer(lua_State *L, struct op *op) {
  size_t len = 0;
  const char *text = client->answer(op, &len);
  return json_decode(L, text, len, JSON_PLAIN);
}

static int l_scan(lua_State *L) {
  struct logs_request request;
  if (!need_client(L)) return 2;
  task_check_can_wait(L);
  read_request(L, &request);
  struct op *op = client->start(&request);
  if (op == NULL) return luaL_error(L, "out of memory");
  return task_await(L, op, push_answer);
}

static const luaL_Reg library[] = {{"scan", l_scan}, {NULL, NULL}};

int luaopen_host_logs(lua_State *L) {
  luaL_newlib(L, library);
  return 1;
}
