/* The library host.sql, thin over src/clients/sql.h. What may be sent is decided in
 * runtime/primitives/sql.lua; nothing here looks at a statement.
 *
 * place(url) -> {host, port, database, user} | nil, text      never the password
 * environment(url, database|nil) -> {PGHOST =, PGPASSWORD = secret, …} | nil, text
 * connect{url=, database=, application_name=, timeout=, statement_timeout=} -> conn | nil, err
 *     url: string or secret; times in seconds
 * conn:run(items, {timeout=, max_rows=, max_bytes=, truncate=, no_pipeline=, batch=, exact=})
 *     -> {result, …}, at_end | nil, err
 *     items: "sync" | {text, values…, n=} | {text, describe = true}; values: nil, json.null, boolean,
 *     number, string, secret. All are sent in one go; an error skips to the next "sync".
 *     result: {rows = {row, …}, columns = {name, …}, types = {oid, …}, affected = n|nil, tag =,
 *     truncated =, parameters = {oid, …}} or false for an item the server did not answer.
 *     A row is a table by column name; NULL is an absent field.
 *     err of the server: {message, code = SQLSTATE, outcome = "failed", detail, hint, constraint,
 *     table, position, item}; code "cap": more than max_rows or max_bytes.
 *     batch = n streams: at_end is false while there is more, then
 * conn:next(timeout, {exact=}) -> {result, …}, at_end | nil, err
 * copy = true (with no_pipeline, one item): COPY … FROM STDIN; at_end is false when the server waits:
 * conn:copy(data, timeout) -> true | nil, err    then conn:copy_end(reason|nil, timeout) -> as run
 * conn:usable() -> boolean   conn:pid() -> integer   conn:version() -> integer (150020)
 * conn:parameter(name) -> string | nil   conn:close() */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/sql.h"
#include "client.h"
#include "json.h"
#include "secret.h"
#include "sql_values.h"
#include "state.h"
#include "task.h"
#include "util.h"

#define CONN_TYPE "opsrun.sql"
#define MAX_ITEMS 64
#define MAX_VALUES 65535 /* the protocol's limit */

static const struct sql_api *api;

/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_api(lua_State *L) {
  api = client_need(L, api, "sql", "opsrun_sql_api");
  return api != NULL;
}

static struct sql_conn *check_conn(lua_State *L) {
  struct sql_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  if (*box == NULL) luaL_error(L, "the connection is closed");
  return *box;
}

/* -- connecting --------------------------------------------------------------------------------- */

static int l_place(lua_State *L) {
  size_t len = 0;
  const char *url = util_to_sink(L, 1, &len);
  luaL_argcheck(L, url != NULL, 1, "expected a string or a secret");
  if (!need_api(L)) {
    lua_getfield(L, -1, "message");
    lua_remove(L, -2);
    return 2;
  }
  struct sql_place place;
  char *error = NULL;
  if (!api->place(url, &place, &error)) {
    lua_pushnil(L);
    lua_pushstring(L, error != NULL ? error : "out of memory");
    free(error);
    return 2;
  }
  lua_createtable(L, 0, 4);
  lua_pushstring(L, place.host);
  lua_setfield(L, -2, "host");
  lua_pushstring(L, place.port);
  lua_setfield(L, -2, "port");
  lua_pushstring(L, place.database);
  lua_setfield(L, -2, "database");
  lua_pushstring(L, place.user);
  lua_setfield(L, -2, "user");
  return 1;
}

/* Where the variables of an environment go: the table at `table`. */
struct variables {
  lua_State *L;
  int table;
  bool failed; /* then the reason is on top */
};

static void add_variable(void *data, const char *name, const char *value, bool is_secret) {
  struct variables *into = data;
  if (into->failed) return;
  if (!is_secret) {
    lua_pushstring(into->L, value);
  } else if (secret_push(into->L, name, value, strlen(value), true) != 1) {
    into->failed = true;
    return;
  }
  lua_setfield(into->L, into->table, name);
}

static int l_environment(lua_State *L) {
  size_t len = 0;
  const char *url = util_to_sink(L, 1, &len), *database = luaL_optstring(L, 2, NULL);
  luaL_argcheck(L, url != NULL, 1, "expected a string or a secret");
  lua_settop(L, 2);
  if (!need_api(L)) {
    lua_getfield(L, -1, "message");
    lua_remove(L, -2);
    return 2;
  }
  lua_newtable(L);
  struct variables into = {.L = L, .table = 3, .failed = false};
  char *error = NULL;
  if (!api->environment(url, database, add_variable, &into, &error)) {
    lua_pushnil(L);
    lua_pushstring(L, error != NULL ? error : "out of memory");
    free(error);
    return 2;
  }
  if (into.failed) return 2; /* nil and the reason */
  return 1;
}

static int push_connected(lua_State *L, struct op *op) {
  struct sql_conn **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, CONN_TYPE);
  *box = api->connected(op);
  return 1;
}

static int l_connect(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  task_check_can_wait(L);
  if (!need_api(L)) return 2;
  size_t len = 0;
  lua_getfield(L, 1, "url");
  const char *url = util_to_sink(L, -1, &len);
  if (url == NULL) return luaL_error(L, "field 'url': expected a string or a secret");
  const char *name = util_field_string(L, 1, "application_name", NULL);
  const char *database = util_field_string(L, 1, "database", NULL);
  struct sql_target target = {
      .url = url,
      .application_name = name,
      .database = database,
      .statement_timeout_ms = util_milliseconds(util_field_number(L, 1, "statement_timeout", 0))};
  struct op *op = api->connect(&target, util_milliseconds(util_field_number(L, 1, "timeout", 10)));
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, push_connected);
}

static int l_close(lua_State *L) {
  struct sql_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  struct sql_conn *conn = *box;
  *box = NULL;
  if (conn != NULL) api->release(conn);
  return 0;
}

/* -- items -------------------------------------------------------------------------------------- */

static void free_items(struct sql_item *items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (int v = 0; v < items[i].value_count; v++) free((char *)items[i].values[v]);
    free((void *)items[i].values);
    free((char *)items[i].text);
  }
  free(items);
}

/* The text form of the value on top: *out is a copy, or NULL for null. Returns why not, or NULL. */
static const char *copy_value(lua_State *L, char **out) {
  char number[64];
  const char *text = number;
  size_t len = 0;
  *out = NULL;
  if (lua_isnil(L, -1) || json_is_null(L, -1)) return NULL;
  if (lua_isboolean(L, -1)) {
    text = lua_toboolean(L, -1) ? "true" : "false";
    len = strlen(text);
  } else if (lua_isinteger(L, -1)) {
    len = (size_t)snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, -1));
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    double value = lua_tonumber(L, -1);
    if (isnan(value)) len = (size_t)snprintf(number, sizeof number, "NaN");
    else if (isinf(value))
      len = (size_t)snprintf(number, sizeof number, value > 0 ? "Infinity" : "-Infinity");
    else len = (size_t)snprintf(number, sizeof number, "%.17g", value);
  } else {
    text = util_to_sink(L, -1, &len);
    if (text == NULL) return "cannot be bound: expected null, boolean, number, string or secret";
    if (memchr(text, '\0', len) != NULL) return "holds a NUL byte, which text cannot carry";
  }
  *out = malloc(len + 1);
  if (*out == NULL) return "out of memory";
  memcpy(*out, text, len);
  (*out)[len] = '\0';
  return NULL;
}

/* Fills one item from the table at idx. Returns why not, or NULL. */
static const char *read_item(lua_State *L, int idx, struct sql_item *item) {
  lua_rawgeti(L, idx, 1);
  size_t len = 0;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  if (text == NULL) return "the statement is no string";
  if (strlen(text) != len) return "the statement holds a NUL byte";
  item->text = strdup(text);
  lua_pop(L, 1);
  if (item->text == NULL) return "out of memory";
  if (util_field_boolean(L, idx, "describe", false)) {
    item->kind = SQL_DESCRIBE;
    return NULL;
  }
  int64_t count = util_field_integer(L, idx, "n", 0);
  if (count < 0 || count > MAX_VALUES) return "too many values";
  if (count == 0) return NULL;
  char **values = calloc((size_t)count, sizeof *values);
  if (values == NULL) return "out of memory";
  item->values = (const char *const *)values;
  for (int v = 0; v < (int)count; v++) {
    lua_rawgeti(L, idx, v + 2);
    const char *why = copy_value(L, &values[v]);
    lua_pop(L, 1);
    item->value_count = v + 1;
    if (why != NULL) return why;
  }
  return NULL;
}

/* The items of the list at idx, or NULL and *why. */
static struct sql_item *read_items(lua_State *L, int idx, size_t *count, const char **why) {
  size_t length = (size_t)luaL_len(L, idx);
  *why = "the list of statements is empty or too long";
  if (length == 0 || length > MAX_ITEMS) return NULL;
  struct sql_item *items = calloc(length, sizeof *items);
  *why = items == NULL ? "out of memory" : NULL;
  for (size_t i = 0; items != NULL && i < length && *why == NULL; i++) {
    lua_rawgeti(L, idx, (lua_Integer)i + 1);
    if (lua_istable(L, -1)) *why = read_item(L, lua_gettop(L), &items[i]);
    else items[i].kind = SQL_SYNC;
    lua_settop(L, idx + 1);
  }
  if (*why == NULL) {
    *count = length;
    return items;
  }
  if (items != NULL) free_items(items, length);
  return NULL;
}

/* -- results ------------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const char *name, const char *text) {
  if (text == NULL || text[0] == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void push_names(lua_State *L, const struct sql_result *result) {
  lua_createtable(L, result->column_count, 0);
  json_mark_array(L, -1);
  for (int i = 0; i < result->column_count; i++) {
    lua_pushstring(L, result->columns[i].name);
    lua_rawseti(L, -2, i + 1);
  }
}

/* Pushes the list of rows; the list of column names is at `names`. */
static void push_rows(lua_State *L, const struct sql_result *result, int names, bool exact) {
  lua_createtable(L, result->row_count < INT32_MAX ? (int)result->row_count : 0, 2);
  const char *at = result->data;
  for (size_t row = 0; row < result->row_count; row++) {
    lua_createtable(L, 0, result->column_count);
    for (int i = 0; i < result->column_count; i++) {
      int32_t length;
      memcpy(&length, at, sizeof length);
      at += sizeof length;
      if (length >= 0) {
        lua_rawgeti(L, names, i + 1);
        sql_push_value(L, result->columns[i].type, at, (size_t)length, exact);
        lua_rawset(L, -3);
        at += length;
      }
      at++;
    }
    lua_rawseti(L, -2, (lua_Integer)row + 1);
  }
}

static void push_types(lua_State *L, const struct sql_result *result) {
  lua_createtable(L, result->column_count, 0);
  for (int i = 0; i < result->column_count; i++) {
    lua_pushinteger(L, result->columns[i].type);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "types");
  if (result->parameters == NULL) return;
  lua_createtable(L, result->parameter_count, 0);
  for (int i = 0; i < result->parameter_count; i++) {
    lua_pushinteger(L, result->parameters[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "parameters");
}

static void push_result(lua_State *L, const struct sql_result *result, bool exact) {
  if (!result->has_answer && result->columns == NULL) {
    lua_pushboolean(L, 0);
    return;
  }
  lua_createtable(L, 0, 6);
  int table = lua_gettop(L);
  set_text(L, "tag", result->tag);
  if (result->affected >= 0) {
    lua_pushinteger(L, (lua_Integer)result->affected);
    lua_setfield(L, table, "affected");
  }
  if (result->truncated) {
    lua_pushboolean(L, 1);
    lua_setfield(L, table, "truncated");
  }
  push_names(L, result);
  push_rows(L, result, table + 1, exact);
  lua_setfield(L, table, "rows");
  lua_setfield(L, table, "columns");
  push_types(L, result);
}

static int push_fault(lua_State *L, struct op *op, const struct sql_fault *fault) {
  util_push_error(L, OP_FAILED, fault->code[0] != '\0' ? fault->code : "error", fault->message);
  set_text(L, "detail", fault->detail);
  set_text(L, "hint", fault->hint);
  set_text(L, "constraint", fault->constraint);
  set_text(L, "table", fault->table);
  set_text(L, "context", fault->context);
  lua_pushinteger(L, (lua_Integer)fault->item + 1);
  lua_setfield(L, -2, "item");
  if (fault->position > 0) {
    lua_pushinteger(L, fault->position);
    lua_setfield(L, -2, "position");
  }
  if (op->stopped != OP_STOP_NONE)
    set_text(L, "stopped", op->stopped == OP_STOP_TIMEOUT ? "timeout" : "cancel");
  return 2;
}

static int push_run(lua_State *L, struct op *op, bool exact) {
  const struct sql_fault *fault = api->fault(op);
  if (fault->set) return push_fault(L, op, fault);
  size_t count = 0;
  const struct sql_result *results = api->results(op, &count);
  lua_createtable(L, (int)count, 0);
  luaL_checkstack(L, 12, "rows");
  for (size_t i = 0; i < count; i++) {
    push_result(L, &results[i], exact);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushboolean(L, api->at_end(op));
  return 2;
}

static int push_run_numbers(lua_State *L, struct op *op) { return push_run(L, op, false); }
static int push_run_exact(lua_State *L, struct op *op) { return push_run(L, op, true); }

static size_t field_size(lua_State *L, int idx, const char *name) {
  int64_t value = util_field_integer(L, idx, name, 0);
  return value > 0 ? (size_t)value : 0;
}

static int l_run(lua_State *L) {
  struct sql_conn *conn = check_conn(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_newtable(L);
    lua_replace(L, 3);
  }
  task_check_can_wait(L);
  struct sql_options options = {
      .no_pipeline = util_field_boolean(L, 3, "no_pipeline", false),
      .truncate = util_field_boolean(L, 3, "truncate", false),
      .copy = util_field_boolean(L, 3, "copy", false),
      .max_rows = field_size(L, 3, "max_rows"),
      .max_bytes = field_size(L, 3, "max_bytes"),
      .batch_rows = field_size(L, 3, "batch"),
      .timeout_ms = util_milliseconds(util_field_number(L, 3, "timeout", 0))};
  bool exact = util_field_boolean(L, 3, "exact", false);
  lua_pushvalue(L, 2); /* read_items clears above its list */
  size_t count = 0;
  const char *why = NULL;
  struct sql_item *items = read_items(L, 4, &count, &why);
  if (items == NULL) return util_push_error(L, OP_NOT_SENT, "value", why);
  if (api->is_busy(conn)) {
    free_items(items, count);
    return util_push_error(L, OP_NOT_SENT, "busy", "the connection is still running a statement");
  }
  struct op *op = api->run(conn, items, count, &options);
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, exact ? push_run_exact : push_run_numbers);
}

static int l_next(lua_State *L) {
  struct sql_conn *conn = check_conn(L);
  double timeout = luaL_optnumber(L, 2, 0);
  bool exact = lua_istable(L, 3) && util_field_boolean(L, 3, "exact", false);
  task_check_can_wait(L);
  struct op *op = api->next(conn, util_milliseconds(timeout));
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "busy", "no stream to read from");
  return task_await(L, op, exact ? push_run_exact : push_run_numbers);
}

static int push_true(lua_State *L, struct op *op) {
  (void)op;
  lua_pushboolean(L, 1);
  return 1;
}

static int l_copy(lua_State *L) {
  struct sql_conn *conn = check_conn(L);
  size_t len = 0;
  const char *data = luaL_checklstring(L, 2, &len);
  double timeout = luaL_optnumber(L, 3, 0);
  task_check_can_wait(L);
  struct op *op = api->copy(conn, data, len, util_milliseconds(timeout));
  if (op == NULL) return util_push_error(L, OP_FAILED, "busy", "no COPY waits for data");
  return task_await(L, op, push_true);
}

static int l_copy_end(lua_State *L) {
  struct sql_conn *conn = check_conn(L);
  const char *reason = luaL_optstring(L, 2, NULL);
  double timeout = luaL_optnumber(L, 3, 0);
  task_check_can_wait(L);
  struct op *op = api->copy_end(conn, reason, util_milliseconds(timeout));
  if (op == NULL) return util_push_error(L, OP_FAILED, "busy", "no COPY waits for its end");
  return task_await(L, op, push_run_numbers);
}

/* -- facts -------------------------------------------------------------------------------------- */

static int l_usable(lua_State *L) {
  struct sql_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  lua_pushboolean(L, *box != NULL && api->is_usable(*box));
  return 1;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, api->backend_pid(check_conn(L)));
  return 1;
}

static int l_version(lua_State *L) {
  lua_pushinteger(L, api->server_version(check_conn(L)));
  return 1;
}

static int l_parameter(lua_State *L) {
  lua_pushstring(L, api->parameter(check_conn(L), luaL_checkstring(L, 2)));
  return 1;
}

int luaopen_host_sql(lua_State *L) {
  static const luaL_Reg methods[] = {{"run", l_run},         {"next", l_next},
                                     {"copy", l_copy},       {"copy_end", l_copy_end},
                                     {"usable", l_usable},   {"pid", l_pid},
                                     {"version", l_version}, {"parameter", l_parameter},
                                     {"close", l_close},     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"place", l_place},
                                       {"environment", l_environment},
                                       {"connect", l_connect},
                                       {NULL, NULL}};
  luaL_newmetatable(L, CONN_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
