/* host.http: one request, one answer.
 *
 *   request{method=, url=, …} -> answer | nil, {message, code, outcome}
 *   check{the same}           -> true | nil, why     nothing is sent, nothing waits (an error table
 *                                instead of why: the client module itself is missing)
 *
 * Fields beside method and url, all optional: origin (the URL must be of it), label (what messages
 * call the peer), headers = {{name, value}, …}, bearer, user and password, body, ca, timeout,
 * connect_timeout (seconds), cap (bytes), follow (redirects, at most 3), kind = "read" | "change",
 * fresh, decode (booleans). A url, a header's value, bearer, user, password, body may be secrets; a
 * body may also be a list of texts and secrets, sent joined: for peers that want a key inside.
 * file: the path of a file that is the body.
 *
 * An answer: {status, headers = {name in small letters -> values joined by ", "}, header_list =
 * {{name, value}, …} as sent, body, time = seconds in all, timing = {resolve, connect, tls,
 * first_byte, total}, redirects, tls = {subject, issuer, starts, expires, names} or nil}. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/http.h"
#include "client.h"
#include "state.h"
#include "task.h"
#include "util.h"

#define HEADERS_MAX 100

static const struct http_api *client;

/* Loads the client on first use. False: an error's two values were pushed [-0, +0|2, m]. */
/* Loads the client when first needed. False: nil and an error table are pushed. */
static bool need_client(lua_State *L) {
  client = client_need(L, client, "http", "opsrun_http_api");
  return client != NULL;
}

/* Field as bytes to send, a secret's too; they live while the field stays on the stack
   [-0, +1, v]. */
static struct http_bytes sink_field(lua_State *L, int idx, const char *name) {
  struct http_bytes bytes = {NULL, 0};
  if (lua_getfield(L, idx, name) == LUA_TNIL) return bytes;
  bytes.data = util_to_sink(L, -1, &bytes.len);
  if (bytes.data == NULL)
    luaL_error(L, "field '%s': expected a string or a secret, got %s", name, luaL_typename(L, -1));
  return bytes;
}

static struct http_bytes text_field(lua_State *L, int idx, const char *name) {
  struct http_bytes bytes = {NULL, 0};
  bytes.data = util_field_string(L, idx, name, &bytes.len);
  return bytes;
}

/* The pieces of the list on top, joined in memory that is wiped after the request took its copy
   [-0, +1, v]. */
static struct http_bytes join_pieces(lua_State *L) {
  int list = lua_gettop(L);
  lua_Unsigned count = lua_rawlen(L, list);
  size_t total = 0;
  for (int pass = 0; pass < 2; pass++) {
    char *at = pass == 1 ? lua_newuserdatauv(L, total + 1, 0) : NULL;
    for (lua_Unsigned i = 1; i <= count; i++) {
      size_t len = 0;
      lua_rawgeti(L, list, (lua_Integer)i);
      const char *piece = util_to_sink(L, -1, &len);
      if (piece == NULL) luaL_error(L, "field 'body': piece %d is no string and no secret", (int)i);
      if (pass == 0) total += len;
      else at = mempcpy(at, piece, len);
      lua_pop(L, 1);
    }
  }
  return (struct http_bytes){lua_touserdata(L, -1), total};
}

static struct http_bytes body_field(lua_State *L, int idx) {
  if (lua_getfield(L, idx, "body") == LUA_TTABLE) return join_pieces(L);
  lua_pop(L, 1);
  return sink_field(L, idx, "body");
}

/* Wipes what join_pieces made; it lies on the stack above the request. */
static void wipe_body(lua_State *L, const struct http_request *request) {
  for (int i = lua_gettop(L); i > 1; i--)
    if (lua_type(L, i) == LUA_TUSERDATA && lua_touserdata(L, i) == request->body.data)
      explicit_bzero(lua_touserdata(L, i), request->body.len);
}

/* Fills `headers` from {{name, value}, …} and returns how many. Leaves two values a header on the
   stack, so that the bytes live [-0, +n, v]. */
static size_t read_headers(lua_State *L, int idx, struct http_header *headers) {
  if (lua_getfield(L, idx, "headers") == LUA_TNIL) return 0;
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  lua_Unsigned count = lua_rawlen(L, list);
  if (count > HEADERS_MAX) luaL_error(L, "more than %d headers", HEADERS_MAX);
  luaL_checkstack(L, (int)count * 2 + 4, "too many headers");
  for (lua_Unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    int pair = lua_gettop(L);
    luaL_checktype(L, pair, LUA_TTABLE);
    lua_rawgeti(L, pair, 1);
    lua_rawgeti(L, pair, 2);
    lua_remove(L, pair);
    struct http_header *header = &headers[i];
    header->name.data = lua_type(L, -2) == LUA_TSTRING
                            ? lua_tolstring(L, -2, &header->name.len) : NULL;
    header->value.data = util_to_sink(L, -1, &header->value.len);
    if (header->name.data == NULL || header->value.data == NULL)
      luaL_error(L, "header %d: expected a name and a string or a secret", (int)i + 1);
  }
  return (size_t)count;
}

/* Reads the table at 1. What the request points to stays on the stack [-0, +n, v]. */
static void read_request(lua_State *L, struct http_request *request, struct http_header *headers) {
  static const char *const kinds[] = {"read", "change", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 40, "no room for a request");
  memset(request, 0, sizeof *request);
  request->method = text_field(L, 1, "method");
  request->url = sink_field(L, 1, "url");
  request->origin = text_field(L, 1, "origin");
  request->label = text_field(L, 1, "label");
  request->bearer = sink_field(L, 1, "bearer");
  request->user = sink_field(L, 1, "user");
  request->password = sink_field(L, 1, "password");
  request->body = body_field(L, 1);
  request->file = text_field(L, 1, "file");
  request->ca = text_field(L, 1, "ca");
  request->timeout_ms = util_field_milliseconds(L, 1, "timeout");
  request->connect_timeout_ms = util_field_milliseconds(L, 1, "connect_timeout");
  int64_t cap = util_field_integer(L, 1, "cap", 0);
  int64_t follow = util_field_integer(L, 1, "follow", 0);
  if (cap < 0) luaL_error(L, "field 'cap': expected bytes");
  request->cap = (size_t)cap;
  request->follow = follow <= 0 ? 0 : follow > HTTP_MAX_REDIRECTS ? HTTP_MAX_REDIRECTS
                                                                  : (unsigned)follow;
  request->fresh = util_field_boolean(L, 1, "fresh", false);
  request->decode = util_field_boolean(L, 1, "decode", false);
  lua_getfield(L, 1, "kind");
  request->change = luaL_checkoption(L, -1, "read", kinds) == 1;
  request->headers = headers;
  request->header_count = read_headers(L, 1, headers);
}

/* -- the answer ------------------------------------------------------------------------------ */

/* Pushes the header's name in small letters [-0, +1, m]. */
static void push_small_letters(lua_State *L, struct http_bytes name) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, name.len);
  for (size_t i = 0; i < name.len; i++) {
    char c = name.data[i];
    out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  luaL_pushresultsize(&buffer, name.len);
}

/* Adds the header to the map at `map`, behind an earlier one of that name. */
static void add_to_map(lua_State *L, int map, const struct http_header *header) {
  push_small_letters(L, header->name);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, map) == LUA_TSTRING) {
    lua_pushliteral(L, ", ");
    lua_pushlstring(L, header->value.data, header->value.len);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
    lua_pushlstring(L, header->value.data, header->value.len);
  }
  lua_rawset(L, map);
}

/* Sets headers and header_list of the table on top. */
static void set_headers(lua_State *L, const struct http_response *response) {
  int count = (int)response->header_count;
  lua_createtable(L, 0, count);
  lua_createtable(L, count, 0);
  int list = lua_gettop(L), map = list - 1;
  for (int i = 0; i < count; i++) {
    const struct http_header *header = &response->headers[i];
    add_to_map(L, map, header);
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, header->name.data, header->name.len);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, header->value.data, header->value.len);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, list, i + 1);
  }
  lua_setfield(L, -3, "header_list");
  lua_setfield(L, -2, "headers");
}

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static void set_timing(lua_State *L, const struct http_timing *time) {
  lua_createtable(L, 0, 5);
  set_number(L, "resolve", time->resolve);
  set_number(L, "connect", time->connect);
  set_number(L, "tls", time->tls);
  set_number(L, "first_byte", time->first_byte);
  set_number(L, "total", time->total);
  lua_setfield(L, -2, "timing");
  set_number(L, "time", time->total);
}

static void set_tls(lua_State *L, const struct http_tls *tls) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, tls->subject);
  lua_setfield(L, -2, "subject");
  lua_pushstring(L, tls->issuer);
  lua_setfield(L, -2, "issuer");
  lua_pushinteger(L, tls->starts);
  lua_setfield(L, -2, "starts");
  lua_pushinteger(L, tls->expires);
  lua_setfield(L, -2, "expires");
  lua_createtable(L, (int)tls->name_count, 0);
  for (size_t i = 0; i < tls->name_count; i++) {
    lua_pushstring(L, tls->names[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "names");
  lua_setfield(L, -2, "tls");
}

static int push_answer(lua_State *L, struct op *op) {
  const struct http_response *response = client->response(op);
  luaL_checkstack(L, 12, "no room for an answer");
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, response->status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, response->body.data != NULL ? response->body.data : "", response->body.len);
  lua_setfield(L, -2, "body");
  lua_pushinteger(L, response->redirects);
  lua_setfield(L, -2, "redirects");
  set_headers(L, response);
  set_timing(L, &response->time);
  if (response->tls != NULL) set_tls(L, response->tls);
  return 1;
}

/* -- the library ----------------------------------------------------------------------------- */

static int l_request(lua_State *L) {
  struct http_header headers[HEADERS_MAX];
  struct http_request request;
  if (!need_client(L)) return 2;
  task_check_can_wait(L);
  read_request(L, &request, headers);
  struct op *op = client->request(&request);
  wipe_body(L, &request);
  if (op == NULL) return luaL_error(L, "out of memory");
  return task_await(L, op, push_answer);
}

static int l_check(lua_State *L) {
  struct http_header headers[HEADERS_MAX];
  struct http_request request;
  char text[400];
  if (!need_client(L)) return 2;
  read_request(L, &request, headers);
  const char *wrong = client->check(&request, text, sizeof text);
  if (wrong != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg library[] = {{"request", l_request}, {"check", l_check}, {NULL, NULL}};

int luaopen_host_http(lua_State *L) {
  luaL_newlib(L, library);
  return 1;
}
