/* host.fileops: files and directories, off the loop.
 *
 *   run{verb=, …} -> the client's answer (src/clients/files.h) | nil, {message, code, outcome}
 *
 * verb: "list" "stat" "read" "tail" "checksum" "systems" "holders", and the changes "write"
 * "append" "remove" "compress" "truncate" "touch" "mkdir". Fields, all optional: path, pattern,
 * recursive, any_type, older_than, newer_than (seconds), larger_than (bytes), open (boolean), sort
 * ("name" "size" "oldest" "newest"), limit, children, cap (bytes), offset and length of a checksum
 * (bytes), items = {{path =, id =}, …},
 * allowed = {prefix, …}, text (may be a secret), mode, level, size, keep, held, create, dry,
 * timeout (seconds). */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/files.h"
#include "client.h"
#include "json.h"
#include "state.h"
#include "task.h"
#include "util.h"

enum { CAP_DEFAULT = 16 * 1024 * 1024 };

static const struct files_api *client;

/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_client(lua_State *L) {
  client = client_need(L, client, "files", "opsrun_files_api");
  return client != NULL;
}

/* A path must not end early at a NUL [-0, +1, v]. */
static const char *path_field(lua_State *L, int idx, const char *name) {
  size_t len = 0;
  const char *text = util_field_string(L, idx, name, &len);
  if (text != NULL && strlen(text) != len) luaL_error(L, "field '%s' holds a NUL byte", name);
  return text;
}

static int option_field(lua_State *L, const char *name, const char *const *options, int otherwise) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) return otherwise;
  return luaL_checkoption(L, -1, NULL, options);
}

static void read_filter(lua_State *L, struct files_filter *filter) {
  static const char *const sorts[] = {"name", "size", "oldest", "newest", NULL};
  filter->pattern = path_field(L, 1, "pattern");
  filter->recursive = util_field_boolean(L, 1, "recursive", false);
  filter->any_type = util_field_boolean(L, 1, "any_type", false);
  filter->older_than = util_field_number(L, 1, "older_than", -1);
  filter->newer_than = util_field_number(L, 1, "newer_than", -1);
  filter->larger_than = util_field_integer(L, 1, "larger_than", -1);
  lua_getfield(L, 1, "open");
  filter->open = lua_isnil(L, -1) ? -1 : lua_toboolean(L, -1);
  filter->sort = (enum files_sort)option_field(L, "sort", sorts, FILES_BY_NAME);
  filter->limit = util_field_integer(L, 1, "limit", 0);
  filter->children = util_field_boolean(L, 1, "children", false);
}

/* The strings of a list live as long as the list does, which stays on the stack. */
static const char *list_text(lua_State *L, int list, lua_Integer index) {
  if (lua_rawgeti(L, list, index) != LUA_TSTRING) luaL_error(L, "expected a list of texts");
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

/* A block that Lua frees, left on the stack [-0, +1, m]. */
static void *scratch(lua_State *L, size_t count, size_t size) {
  void *block = lua_newuserdatauv(L, count * size + 1, 0);
  memset(block, 0, count * size + 1);
  return block;
}

static void read_items(lua_State *L, struct files_request *request) {
  if (lua_getfield(L, 1, "items") == LUA_TNIL) return;
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  lua_Unsigned count = lua_rawlen(L, list);
  if (count > files_most) luaL_error(L, "more than %d files", files_most);
  struct files_item *items = scratch(L, (size_t)count, sizeof *items);
  for (lua_Unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    int item = lua_gettop(L);
    items[i].path = path_field(L, item, "path");
    items[i].id = path_field(L, item, "id");
    if (items[i].path == NULL) luaL_error(L, "file %d has no path", (int)i + 1);
    lua_settop(L, item - 1); /* the strings are held by the item, the item by the list */
  }
  request->items = items;
  request->item_count = (size_t)count;
}

static void read_allowed(lua_State *L, struct files_request *request) {
  if (lua_getfield(L, 1, "allowed") == LUA_TNIL) return;
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  lua_Unsigned count = lua_rawlen(L, list);
  if (count > 10000) luaL_error(L, "too many prefixes");
  const char **allowed = scratch(L, (size_t)count, sizeof *allowed);
  for (lua_Unsigned i = 0; i < count; i++) allowed[i] = list_text(L, list, (lua_Integer)i + 1);
  request->allowed = allowed;
  request->allowed_count = (size_t)count;
}

/* Reads the table at 1; what the request points to stays on the stack [-0, +n, v]. */
static void read_request(lua_State *L, struct files_request *request) {
  static const char *const verbs[] = {"list",    "stat",   "read",   "tail",     "checksum",
                                      "systems", "holders", "write", "append",   "remove",
                                      "compress", "truncate", "touch", "mkdir",  NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 40, "no room for a request");
  memset(request, 0, sizeof *request);
  lua_getfield(L, 1, "verb");
  request->verb = (enum files_verb)luaL_checkoption(L, -1, NULL, verbs);
  request->path = path_field(L, 1, "path");
  bool needs_path = request->verb < FILES_WRITE && request->verb != FILES_SYSTEMS;
  if (needs_path && request->path == NULL) luaL_error(L, "no path");
  read_filter(L, &request->filter);
  read_items(L, request);
  read_allowed(L, request);
  lua_getfield(L, 1, "text");
  request->text = util_to_sink(L, -1, &request->text_len);
  if (request->text == NULL) request->text = "";
  request->cap = util_field_integer(L, 1, "cap", CAP_DEFAULT);
  request->limit = request->filter.limit;
  request->mode = (int)util_field_integer(L, 1, "mode", -1);
  request->level = (int)util_field_integer(L, 1, "level", 6);
  request->size = util_field_integer(L, 1, "size", 0);
  request->offset = util_field_integer(L, 1, "offset", 0);
  request->length = util_field_integer(L, 1, "length", -1);
  if (request->cap < 0 || request->limit < 0 || request->size < 0 || request->offset < 0)
    luaL_error(L, "below zero");
  if (request->level < 1 || request->level > 9) luaL_error(L, "level: 1 to 9");
  request->keep = util_field_boolean(L, 1, "keep", false);
  request->held = util_field_boolean(L, 1, "held", false);
  request->create = util_field_boolean(L, 1, "create", false);
  request->recursive = request->filter.recursive;
  request->dry = util_field_boolean(L, 1, "dry", false);
  request->timeout_ms = util_field_milliseconds(L, 1, "timeout");
}

static int push_answer(lua_State *L, struct op *op) {
  size_t len = 0;
  bool raw = false;
  const char *text = client->answer(op, &len, &raw);
  if (raw) {
    lua_pushlstring(L, text, len);
    return 1;
  }
  return json_decode(L, text, len, JSON_PLAIN);
}

static int l_run(lua_State *L) {
  struct files_request request;
  if (!need_client(L)) return 2;
  task_check_can_wait(L);
  read_request(L, &request);
  struct op *op = client->start(&request);
  if (op == NULL) return luaL_error(L, "out of memory");
  return task_await(L, op, push_answer);
}

static const luaL_Reg library[] = {{"run", l_run}, {NULL, NULL}};

int luaopen_host_fileops(lua_State *L) {
  luaL_newlib(L, library);
  return 1;
}
