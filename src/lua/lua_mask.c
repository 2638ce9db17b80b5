/* The library host.mask over src/term/mask.c. */
#include "lua_mask.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../term/mask.h"
#include "json.h"

#define STREAM_TYPE "opsrun.mask.stream"

/* Takes ownership of the text. */
static void push_owned(lua_State *L, char *text, size_t len) {
  if (text == NULL) luaL_error(L, "not enough memory");
  lua_pushlstring(L, text, len);
  free(text);
}

static void push_field(lua_State *L, const char *text, size_t len) {
  size_t masked_len = 0;
  char *masked = mask_field(text, len, &masked_len);
  push_owned(L, masked, masked_len);
}

/* Replaces the value on the top of the stack by one without secrets, strings within tables too. */
static void mask_value(lua_State *L) {
  size_t len = 0, masked_len = 0, hits = 0;
  luaL_checkstack(L, 8, "mask");
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING) {
    const char *text = lua_tolstring(L, -1, &len);
    push_field(L, text, len);
    lua_replace(L, -2);
  } else if (type == LUA_TNUMBER) {
    const char *text = luaL_tolstring(L, -1, &len);
    char *masked = mask_text(text, len, &masked_len, &hits);
    push_owned(L, masked, masked_len);
    lua_remove(L, -2);
    if (hits > 0) lua_replace(L, -2);
    else lua_pop(L, 1);
  } else if (type == LUA_TTABLE) {
    lua_newtable(L);
    if (json_is_array(L, -2)) json_mark_array(L, -1);
    lua_pushnil(L);
    while (lua_next(L, -3) != 0) { /* old new key value */
      mask_value(L);
      lua_pushvalue(L, -2);
      if (lua_type(L, -1) == LUA_TSTRING) mask_value(L);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    lua_replace(L, -2);
  }
}

/* Writes the escape at `at` (its backslash) as what it stands for; returns the bytes it took. */
static size_t unescape(const char *at, size_t left, char *out, size_t *used) {
  static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
  if (left < 2) return left;
  const char *known = memchr(from, at[1], sizeof from - 1);
  if (at[1] != 'u' || left < 6) {
    out[(*used)++] = known != NULL ? to[known - from] : at[1];
    return 2;
  }
  char digits[5] = {at[2], at[3], at[4], at[5], '\0'};
  unsigned long code = strtoul(digits, NULL, 16);
  if (code < 0x80) {
    out[(*used)++] = (char)code;
  } else if (code >= 0xDC80 && code <= 0xDCFF) { /* our own form of a byte that is no UTF-8 */
    out[(*used)++] = (char)(code & 0xFF);
  } else if (code < 0x800) {
    out[(*used)++] = (char)(0xC0 | (code >> 6));
    out[(*used)++] = (char)(0x80 | (code & 0x3F));
  } else {
    out[(*used)++] = (char)(0xE0 | (code >> 12));
    out[(*used)++] = (char)(0x80 | ((code >> 6) & 0x3F));
    out[(*used)++] = (char)(0x80 | (code & 0x3F));
  }
  return 6;
}

/* The string behind the quote at text[at - 1]; returns where it ends. `plain` gets what it says. */
static size_t read_string(const char *text, size_t len, size_t at, char *plain, size_t *used,
                          bool *escaped) {
  *used = 0;
  *escaped = false;
  while (at < len && text[at] != '"') {
    if (text[at] == '\\') {
      *escaped = true;
      at += unescape(text + at, len - at, plain, used);
    } else {
      plain[(*used)++] = text[at++];
    }
  }
  return at;
}

/* Does a string of the JSON text hold a secret that shows only when its escapes are undone? A form
   with quotes or backslashes of its own, such as a shell's, is not in the text as it is. */
static bool hides_a_secret(lua_State *L, const char *text, size_t len) {
  if (memchr(text, '\\', len) == NULL) return false;
  char *plain = malloc(len);
  if (plain == NULL) luaL_error(L, "not enough memory");
  bool found = false;
  for (size_t at = 0; at < len && !found; at++) {
    if (text[at] != '"') continue;
    size_t used = 0, hits = 0;
    bool escaped = false;
    at = read_string(text, len, at + 1, plain, &used, &escaped);
    char *masked = escaped ? mask_text(plain, used, NULL, &hits) : NULL;
    found = escaped && (masked == NULL || hits > 0);
    free(masked);
  }
  explicit_bzero(plain, len);
  free(plain);
  return found;
}

void mask_push_json(lua_State *L, const char *text, size_t len) {
  size_t masked_len = 0, hits = 0;
  char *masked = mask_text(text, len, &masked_len, &hits);
  push_owned(L, masked, masked_len);
  int masked_at = lua_gettop(L);
  const char *clean = lua_tostring(L, masked_at);
  bool hidden = hides_a_secret(L, clean, masked_len);
  if (hits == 0 && !hidden) return;
  if (!hidden && json_decode(L, clean, masked_len, JSON_PLAIN) == 1) {
    lua_settop(L, masked_at);
    return;
  }
  /* A form stood behind escapes, began inside one or was a bare number: mask value by value. */
  lua_settop(L, masked_at);
  if (json_decode(L, text, len, JSON_LOSSLESS) == 1) {
    mask_value(L);
    if (json_encode(L, -1, JSON_LOSSLESS, "type") == 1) lua_replace(L, masked_at);
  }
  lua_settop(L, masked_at);
}

static int l_apply(lua_State *L) {
  size_t len = 0, masked_len = 0, hits = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  if (mask_count() == 0) {
    lua_settop(L, 1);
  } else {
    char *masked = mask_text(text, len, &masked_len, &hits);
    push_owned(L, masked, masked_len);
  }
  lua_pushinteger(L, (lua_Integer)hits);
  return 2;
}

static int l_field(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  push_field(L, text, len);
  return 1;
}

static int l_json(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  mask_push_json(L, text, len);
  return 1;
}

static int l_names(lua_State *L) {
  lua_createtable(L, (int)mask_count(), 0);
  for (size_t i = 0; i < mask_count(); i++) {
    lua_pushstring(L, mask_name(i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* The pieces of one feed are joined in a buffer of the stream, then handed to fn. */
struct stream {
  struct mask_stream mask;
  char *out;
  size_t len, room;
  bool failed;
};

static void take(void *context, const char *text, size_t len) {
  struct stream *s = context;
  if (s->failed) return;
  if (s->room - s->len < len) {
    size_t room = (s->len + len) * 2;
    char *out = realloc(s->out, room);
    if (out == NULL) {
      s->failed = true;
      return;
    }
    s->out = out;
    s->room = room;
  }
  memcpy(s->out + s->len, text, len);
  s->len += len;
}

static int hand_on(lua_State *L, struct stream *s, int code) {
  if (code != 0 || s->failed) return luaL_error(L, "not enough memory");
  if (s->len > 0) {
    lua_getiuservalue(L, 1, 1);
    lua_pushlstring(L, s->out, s->len);
    s->len = 0;
    lua_call(L, 1, 0);
  }
  return 0;
}

static int stream_feed(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM_TYPE);
  size_t len = 0;
  const char *text = luaL_checklstring(L, 2, &len);
  return hand_on(L, s, mask_stream_feed(&s->mask, text, len));
}

static int stream_flush(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM_TYPE);
  return hand_on(L, s, mask_stream_flush(&s->mask));
}

static int stream_gc(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM_TYPE);
  mask_stream_close(&s->mask);
  free(s->out);
  memset(s, 0, sizeof *s);
  return 0;
}

static int l_stream(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct stream *s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  mask_stream_open(&s->mask, take, s);
  if (luaL_newmetatable(L, STREAM_TYPE)) {
    static const luaL_Reg methods[] = {
        {"feed", stream_feed}, {"flush", stream_flush}, {"__gc", stream_gc}, {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

int luaopen_host_mask(lua_State *L) {
  static const luaL_Reg functions[] = {{"apply", l_apply}, {"field", l_field},   {"json", l_json},
                                       {"names", l_names}, {"stream", l_stream}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
