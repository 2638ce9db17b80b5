/* host.redis: Redis connections and batches of commands.
 *
 * host.redis.place(url) -> {host, port, user, db, tls} | nil, message     url: string or secret
 * host.redis.connect{url=, user=, password=, ca=, name=, timeout=} -> conn | nil, err
 *     url, user, password: string or secret; timeout in seconds
 * conn:run(commands, timeout) -> {reply, …}, errors | nil, err
 *     commands: {{word, …}, …}; a word is a string, number or secret. All are sent in one write.
 *     {word, …, keys = {key, …}, at = n} stands for one command a key, the key being its word n.
 *     A reply is a string, an integer (64 bit), a list, or false for nil, also inside lists. Statuses
 *     are strings. An error reply is false, and errors[index] = {code, message}; errors is nil when
 *     there was none. Inside a list an error reply is {error = message}.
 *     err.code: "connection lost", "protocol", "too large", "timeout", "cancelled", "value", "busy".
 * conn:usable() -> boolean   conn:close() */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/redis.h"
#include "client.h"
#include "json.h"
#include "state.h"
#include "task.h"
#include "util.h"

#define CONN_TYPE "opsrun.redis"
#define MAX_WORDS 1000000

static const struct redis_api *api;

/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_api(lua_State *L) {
  api = client_need(L, api, "redis", "opsrun_redis_api");
  return api != NULL;
}

/* -- connecting --------------------------------------------------------------------------------- */

static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static int l_place(lua_State *L) {
  size_t len = 0;
  const char *url = util_to_sink(L, 1, &len);
  luaL_argcheck(L, url != NULL, 1, "expected a string or a secret");
  if (!need_api(L)) {
    lua_getfield(L, -1, "message");
    lua_remove(L, -2);
    return 2;
  }
  struct redis_place place;
  const char *why = strlen(url) == len ? api->place(url, &place) : "it holds a NUL byte";
  if (why != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  lua_createtable(L, 0, 5);
  set_text(L, "host", place.host);
  set_text(L, "port", place.port);
  set_text(L, "user", place.user);
  lua_pushinteger(L, place.db);
  lua_setfield(L, -2, "db");
  lua_pushboolean(L, place.tls);
  lua_setfield(L, -2, "tls");
  return 1;
}

static int push_connected(lua_State *L, struct op *op) {
  struct redis_conn **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, CONN_TYPE);
  *box = api->connected(op);
  return 1;
}

/* Field as text to send, a secret's too, or NULL; it lives while it stays on the stack [-0, +1, v]. */
static const char *sink_field(lua_State *L, const char *name) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) return NULL;
  size_t len = 0;
  const char *text = util_to_sink(L, -1, &len);
  if (text == NULL || strlen(text) != len)
    luaL_error(L, "field '%s': expected a string or a secret, without NUL bytes", name);
  return text;
}

static int l_connect(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  task_check_can_wait(L);
  if (!need_api(L)) return 2;
  struct redis_target target = {.url = sink_field(L, "url"),
                                .user = sink_field(L, "user"),
                                .password = sink_field(L, "password"),
                                .ca = util_field_string(L, 1, "ca", NULL),
                                .name = util_field_string(L, 1, "name", NULL)};
  if (target.url == NULL) return luaL_error(L, "field 'url': expected a string or a secret");
  struct op *op = api->connect(&target, util_milliseconds(util_field_number(L, 1, "timeout", 10)));
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, push_connected);
}

static int l_close(lua_State *L) {
  struct redis_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  struct redis_conn *conn = *box;
  *box = NULL;
  if (conn != NULL) api->release(conn);
  return 0;
}

static int l_usable(lua_State *L) {
  struct redis_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  lua_pushboolean(L, *box != NULL && api->is_usable(*box));
  return 1;
}

/* -- commands ----------------------------------------------------------------------------------- */

struct words {
  const char **texts;
  size_t *lengths;
  char (*numbers)[32];
  size_t capacity;
};

static void free_words(struct words *words) {
  free(words->texts);
  free(words->lengths);
  free(words->numbers);
}

static bool reserve_words(struct words *words, size_t count) {
  if (count <= words->capacity) return true;
  free_words(words);
  memset(words, 0, sizeof *words);
  words->texts = calloc(count, sizeof *words->texts);
  words->lengths = calloc(count, sizeof *words->lengths);
  words->numbers = calloc(count, sizeof *words->numbers);
  if (words->texts == NULL || words->lengths == NULL || words->numbers == NULL) return false;
  words->capacity = count;
  return true;
}

/* The word on top of the stack; its text lives as long as the table it came from. */
static const char *read_word(lua_State *L, struct words *words, size_t at) {
  if (lua_type(L, -1) == LUA_TNUMBER) { /* not converted in place: the caller's table stays */
    int len = 0;
    if (lua_isinteger(L, -1))
      len = snprintf(words->numbers[at], 32, "%lld", (long long)lua_tointeger(L, -1));
    else len = snprintf(words->numbers[at], 32, "%.17g", lua_tonumber(L, -1));
    words->texts[at] = words->numbers[at];
    words->lengths[at] = (size_t)len;
    return NULL;
  }
  words->texts[at] = util_to_sink(L, -1, &words->lengths[at]);
  return words->texts[at] != NULL ? NULL : "a word of a command is no string, number or secret";
}

/* Adds the command once for each of the keys on top of the stack, as its word `at` (from 0). */
static const char *add_for_keys(lua_State *L, struct redis_batch *batch, struct words *words,
                                size_t count, size_t at) {
  int keys = lua_gettop(L);
  lua_Unsigned length = lua_rawlen(L, keys);
  if (at >= count) return "the place of the key is outside of the command";
  for (lua_Unsigned i = 1; i <= length; i++) {
    lua_rawgeti(L, keys, (lua_Integer)i);
    const char *why = read_word(L, words, at);
    if (why == NULL) why = api->batch_add(batch, (int)count, words->texts, words->lengths);
    lua_settop(L, keys);
    if (why != NULL) return why;
  }
  return NULL;
}

/* Adds the command at the top of the stack. Returns why not, or NULL. */
static const char *add_command(lua_State *L, struct redis_batch *batch, struct words *words) {
  int command = lua_gettop(L);
  if (!lua_istable(L, command)) return "a command is no list of words";
  size_t count = (size_t)lua_rawlen(L, command);
  if (count == 0 || count > MAX_WORDS) return "a command is empty or too long";
  if (!reserve_words(words, count)) return "out of memory";
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, command, (lua_Integer)i + 1);
    const char *why = read_word(L, words, i);
    lua_settop(L, command);
    if (why != NULL) return why;
  }
  lua_pushliteral(L, "keys");
  if (lua_rawget(L, command) != LUA_TTABLE)
    return api->batch_add(batch, (int)count, words->texts, words->lengths);
  lua_pushliteral(L, "at");
  lua_rawget(L, command);
  lua_Integer at = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return add_for_keys(L, batch, words, count, (size_t)at - 1);
}

/* The batch of the list at 2, or NULL and *why. Raises nothing. */
static struct redis_batch *read_batch(lua_State *L, const char **why) {
  struct redis_batch *batch = api->batch_new();
  struct words words = {0};
  *why = batch == NULL ? "out of memory" : NULL;
  lua_Unsigned count = lua_rawlen(L, 2);
  if (count == 0) *why = "there is no command";
  for (lua_Unsigned i = 1; i <= count && *why == NULL; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i);
    *why = add_command(L, batch, &words);
    lua_settop(L, 2);
  }
  free_words(&words);
  if (*why == NULL) return batch;
  api->batch_free(batch);
  return NULL;
}

/* -- replies ------------------------------------------------------------------------------------ */

/* [-0, +1, m]; the reader bounds the depth. */
static void push_value(lua_State *L, const struct redis_value *value) {
  luaL_checkstack(L, 4, "a reply");
  switch (value->type) {
    case REDIS_NIL: lua_pushboolean(L, 0); break;
    case REDIS_INTEGER: lua_pushinteger(L, value->integer); break;
    case REDIS_STRING:
    case REDIS_STATUS: lua_pushlstring(L, value->text, value->size); break;
    case REDIS_ERROR:
      lua_createtable(L, 0, 1);
      lua_pushlstring(L, value->text, value->size);
      lua_setfield(L, -2, "error");
      break;
    case REDIS_ARRAY:
      lua_createtable(L, (int)value->size, 0);
      json_mark_array(L, -1);
      for (size_t i = 0; i < value->size; i++) {
        push_value(L, &value->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      break;
  }
}

/* {code, message} of an error reply: "WRONGTYPE Operation against …" [-0, +1, m]. */
static void push_error_reply(lua_State *L, const struct redis_value *value) {
  const char *space = memchr(value->text, ' ', value->size);
  size_t word = space != NULL ? (size_t)(space - value->text) : value->size;
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, value->text, word);
  lua_setfield(L, -2, "code");
  lua_pushlstring(L, value->text, value->size);
  lua_setfield(L, -2, "message");
}

static int push_replies(lua_State *L, struct op *op) {
  size_t count = 0;
  const struct redis_value *replies = api->replies(op, &count);
  luaL_checkstack(L, 6, "replies");
  lua_createtable(L, (int)count, 0);
  int list = lua_gettop(L);
  json_mark_array(L, list);
  lua_pushnil(L); /* errors, when there are any */
  for (size_t i = 0; i < count; i++) {
    if (replies[i].type == REDIS_ERROR) {
      if (lua_isnil(L, list + 1)) {
        lua_newtable(L);
        lua_replace(L, list + 1);
      }
      push_error_reply(L, &replies[i]);
      lua_rawseti(L, list + 1, (lua_Integer)i + 1);
      lua_pushboolean(L, 0);
    } else {
      push_value(L, &replies[i]);
    }
    lua_rawseti(L, list, (lua_Integer)i + 1);
  }
  return 2;
}

static int l_run(lua_State *L) {
  struct redis_conn **box = luaL_checkudata(L, 1, CONN_TYPE);
  if (*box == NULL) return luaL_error(L, "the connection is closed");
  luaL_checktype(L, 2, LUA_TTABLE);
  double timeout = luaL_optnumber(L, 3, 0);
  lua_settop(L, 2);
  task_check_can_wait(L);
  luaL_checkstack(L, 8, "commands");
  if (api->is_busy(*box))
    return util_push_error(L, OP_NOT_SENT, "busy", "the connection is still waiting for an answer");
  const char *why = NULL;
  struct redis_batch *batch = read_batch(L, &why);
  if (batch == NULL) return util_push_error(L, OP_NOT_SENT, "value", why);
  struct op *op = api->run(*box, batch, util_milliseconds(timeout));
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, push_replies);
}

int luaopen_host_redis(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"run", l_run}, {"usable", l_usable}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"place", l_place}, {"connect", l_connect}, {NULL, NULL}};
  luaL_newmetatable(L, CONN_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
