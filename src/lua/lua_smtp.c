/* host.smtp: one mail, as it is given.
 *
 *   send{host=, port=, protection = "starttls"|"tls"|"clear", user=, password=, from=, to = {…},
 *        message=, ca=, timeout=} -> true | nil, {message, code, outcome}
 *
 * user, password, ca and timeout (seconds) are optional; password may be a secret. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "../clients/smtp.h"
#include "client.h"
#include "state.h"
#include "task.h"
#include "util.h"

static const struct smtp_api *client;

/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_client(lua_State *L) {
  client = client_need(L, client, "smtp", "opsrun_smtp_api");
  return client != NULL;
}

/* A text without NUL bytes, or NULL when nil; it lives while it stays on the stack [-0, +1, v]. */
static const char *text_field(lua_State *L, const char *name) {
  size_t len = 0;
  const char *text = util_field_string(L, 1, name, &len);
  if (text != NULL && strlen(text) != len) luaL_error(L, "field '%s': it holds a NUL byte", name);
  return text;
}

static const char *secret_field(lua_State *L, const char *name) {
  size_t len = 0;
  if (lua_getfield(L, 1, name) == LUA_TNIL) return NULL;
  const char *text = util_to_sink(L, -1, &len);
  if (text == NULL || strlen(text) != len)
    luaL_error(L, "field '%s': expected a text or a secret without NUL bytes", name);
  return text;
}

/* Fills `to` from the list `to`; the texts stay on the stack [-0, +n, v]. */
static size_t read_recipients(lua_State *L, const char **to) {
  lua_getfield(L, 1, "to");
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  lua_Unsigned count = lua_rawlen(L, list);
  if (count > SMTP_RECIPIENTS_MAX)
    luaL_error(L, "more than %d recipients", (int)SMTP_RECIPIENTS_MAX);
  luaL_checkstack(L, (int)count + 4, "too many recipients");
  for (lua_Unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    size_t len = 0;
    to[i] = luaL_checklstring(L, -1, &len);
    if (strlen(to[i]) != len) luaL_error(L, "recipient %d holds a NUL byte", (int)i + 1);
  }
  return (size_t)count;
}

static int push_sent(lua_State *L, struct op *op) {
  (void)op;
  lua_pushboolean(L, 1);
  return 1;
}

static int l_send(lua_State *L) {
  static const char *const protections[] = {"starttls", "tls", "clear", NULL};
  const char *to[SMTP_RECIPIENTS_MAX];
  struct smtp_mail mail = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (!need_client(L)) return 2;
  task_check_can_wait(L);
  luaL_checkstack(L, 20, "no room for a mail");
  int64_t port = util_field_integer(L, 1, "port", 0);
  if (port < 1 || port > 65535) return luaL_error(L, "field 'port': expected 1 to 65535");
  mail.port = (uint16_t)port;
  mail.timeout_ms = util_field_milliseconds(L, 1, "timeout");
  lua_getfield(L, 1, "protection");
  mail.protection = (enum smtp_protection)luaL_checkoption(L, -1, "starttls", protections);
  mail.host = text_field(L, "host");
  mail.user = text_field(L, "user");
  mail.password = secret_field(L, "password");
  mail.from = text_field(L, "from");
  mail.ca = text_field(L, "ca");
  mail.message = util_field_string(L, 1, "message", &mail.message_len);
  mail.to = to;
  mail.to_count = read_recipients(L, to);
  struct op *op = client->send(&mail);
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, push_sent);
}

int luaopen_host_smtp(lua_State *L) {
  static const luaL_Reg library[] = {{"send", l_send}, {NULL, NULL}};
  luaL_newlib(L, library);
  return 1;
}
