/* Lua values -> JSON text, into one growing buffer that the collector owns. */
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../term/filter.h"
#include "heap.h"
#include "json.h"

struct buffer {
  char *data;
  size_t len, room;
};

struct writer {
  lua_State *L;
  struct buffer *out;
  unsigned flags;
  const char *first;
  char wrong[160];
};

static int buffer_gc(lua_State *L) {
  struct buffer *b = lua_touserdata(L, 1);
  free(b->data);
  b->data = NULL;
  b->len = b->room = 0;
  return 0;
}

static struct buffer *push_buffer(lua_State *L) {
  struct buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
  memset(b, 0, sizeof *b);
  if (luaL_newmetatable(L, "opsrun.json.buffer")) {
    lua_pushcfunction(L, buffer_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}

/* At least `more` free bytes behind len. */
static char *reserve(struct writer *w, size_t more) {
  struct buffer *b = w->out;
  if (b->room - b->len < more) {
    if (more > SIZE_MAX / 4 || b->room > SIZE_MAX / 4) luaL_error(w->L, "text too long");
    size_t room = b->room * 2 > b->len + more ? b->room * 2 : b->len + more + 256;
    heap_check(room); /* it is the playbook's as well */
    char *data = realloc(b->data, room);
    if (data == NULL) luaL_error(w->L, "not enough memory");
    b->data = data;
    b->room = room;
  }
  return b->data + b->len;
}

static void put(struct writer *w, const char *text, size_t len) {
  memcpy(reserve(w, len), text, len);
  w->out->len += len;
}

static void put_char(struct writer *w, char c) {
  *reserve(w, 1) = c;
  w->out->len++;
}

static void put_special(struct writer *w, unsigned char c) {
  static const char names[] = {
      ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
  char text[8];
  int len;
  if (c == '"' || c == '\\') len = snprintf(text, sizeof text, "\\%c", c);
  else if (c < sizeof names && names[c] != '\0')
    len = snprintf(text, sizeof text, "\\%c", names[c]);
  else if (c < 0x80) len = snprintf(text, sizeof text, "\\u%04x", c);
  else if ((w->flags & JSON_LOSSLESS) != 0) len = snprintf(text, sizeof text, "\\udc%02x", c);
  else len = snprintf(text, sizeof text, "\xEF\xBF\xBD");
  put(w, text, (size_t)len);
}

/* Characters that the terminal filter would show as something that is no JSON. */
static void put_hidden(struct writer *w, uint32_t code) {
  char text[16];
  int len = code < 0x10000
                ? snprintf(text, sizeof text, "\\u%04x", code)
                : snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800u + ((code - 0x10000u) >> 10),
                           0xDC00u + ((code - 0x10000u) & 0x3FFu));
  put(w, text, (size_t)len);
}

static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

static void put_string(struct writer *w, const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len, *plain = p;
  put_char(w, '"');
  while (p < end) {
    if (is_plain(*p)) {
      p++;
      continue;
    }
    uint32_t code;
    int n = *p < 0x80 ? 0 : utf8_next(p, (size_t)(end - p), &code);
    if (n > 0 && !filter_hides(code)) {
      p += n;
      continue;
    }
    put(w, (const char *)plain, (size_t)(p - plain));
    if (n > 0) put_hidden(w, code);
    else put_special(w, *p);
    p += n > 0 ? n : 1;
    plain = p;
  }
  put(w, (const char *)plain, (size_t)(p - plain));
  put_char(w, '"');
}

static bool fail(struct writer *w, const char *what) {
  snprintf(w->wrong, sizeof w->wrong, "%s", what);
  return false;
}

static bool put_number(struct writer *w, int idx) {
  char text[40];
  if (lua_isinteger(w->L, idx)) {
    int len = snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(w->L, idx));
    put(w, text, (size_t)len);
    return true;
  }
  double value = lua_tonumber(w->L, idx);
  if (isnan(value)) return fail(w, "nan cannot be written as JSON");
  if (isinf(value)) return fail(w, "an infinite number cannot be written as JSON");
  int len = 0;
  for (int digits = 15; digits <= 17; digits++) { /* the shortest that comes back the same */
    len = snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  if (strpbrk(text, ".e") == NULL) len += snprintf(text + len, sizeof text - (size_t)len, ".0");
  put(w, text, (size_t)len);
  return true;
}

static bool put_value(struct writer *w, int idx, int depth);

static bool put_array(struct writer *w, int idx, lua_Integer count, int depth) {
  put_char(w, '[');
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) put_char(w, ',');
    lua_rawgeti(w->L, idx, i);
    if (!put_value(w, lua_gettop(w->L), depth + 1)) return false;
    lua_pop(w->L, 1);
  }
  put_char(w, ']');
  return true;
}

struct key {
  const char *text;
  size_t len;
  lua_Integer anchor; /* index in the table that keeps the string alive */
};

static int compare_keys(const void *one, const void *two) {
  const struct key *a = one, *b = two;
  int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
  if (order != 0) return order;
  return a->len < b->len ? -1 : a->len > b->len ? 1 : 0;
}

/* `first` goes before the others, at the outermost level only. */
static void move_first(struct key *keys, size_t count, const char *first) {
  for (size_t i = 0; first != NULL && i < count; i++) {
    if (keys[i].len != strlen(first) || memcmp(keys[i].text, first, keys[i].len) != 0) continue;
    struct key found = keys[i];
    memmove(keys + 1, keys, i * sizeof *keys);
    keys[0] = found;
    return;
  }
}

/* Collects the text keys; leaves the userdata with them and the table that anchors the strings,
   since a `__json` function or a finalizer may take a key out of the table meanwhile. */
static struct key *collect_keys(lua_State *L, int idx, size_t *count) {
  struct key *keys = lua_newuserdatauv(L, (*count + 1) * sizeof *keys, 0);
  lua_createtable(L, *count < 1 << 20 ? (int)*count : 0, 0);
  int anchors = lua_gettop(L);
  size_t used = 0;
  lua_pushnil(L);
  while (used < *count && lua_next(L, idx) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    keys[used].text = lua_tolstring(L, -1, &keys[used].len);
    used++;
    keys[used - 1].anchor = (lua_Integer)used;
    lua_pushvalue(L, -1);
    lua_rawseti(L, anchors, (lua_Integer)used);
  }
  lua_settop(L, anchors);
  *count = used;
  return keys;
}

static bool put_object(struct writer *w, int idx, size_t count, int depth) {
  lua_State *L = w->L;
  if (count == 0) {
    put(w, "{}", 2);
    return true;
  }
  struct key *keys = collect_keys(L, idx, &count);
  int anchors = lua_gettop(L);
  qsort(keys, count, sizeof *keys, compare_keys);
  if (depth == 1) move_first(keys, count, w->first);
  for (size_t i = 0; i < count; i++) {
    put_char(w, i == 0 ? '{' : ',');
    put_string(w, keys[i].text, keys[i].len);
    put_char(w, ':');
    lua_rawgeti(L, anchors, keys[i].anchor);
    lua_rawget(L, idx);
    if (!put_value(w, lua_gettop(L), depth + 1)) return false;
    lua_pop(L, 1);
  }
  put_char(w, '}');
  lua_pop(L, 2);
  return true;
}

/* One walk tells what a table is: text keys only, 1 … n only, or neither. */
static bool put_table(struct writer *w, int idx, int depth) {
  lua_State *L = w->L;
  if (depth > JSON_DEPTH) return fail(w, "nested deeper than 64, or a table that holds itself");
  bool array = json_is_array(L, idx);
  size_t texts = 0, numbers = 0;
  lua_Integer highest = 0;
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      texts++;
    } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1) {
      numbers++;
      if (lua_tointeger(L, -1) > highest) highest = lua_tointeger(L, -1);
    } else {
      const char *key = luaL_tolstring(L, -1, NULL);
      snprintf(w->wrong, sizeof w->wrong, "a table with the key '%.60s' cannot be written as JSON",
               key);
      return false;
    }
  }
  if (numbers == 0 && !array) return put_object(w, idx, texts, depth);
  if (texts > 0)
    return fail(w, "a table with both text keys and numbers cannot be written as JSON");
  /* A marked array may have holes, but not so many that they are most of it. */
  if ((size_t)highest != numbers && (!array || (size_t)highest / 8 > numbers + 8))
    return fail(w, "a list with holes cannot be written as JSON");
  return put_array(w, idx, highest, depth);
}

static bool put_value(struct writer *w, int idx, int depth) {
  lua_State *L = w->L;
  luaL_checkstack(L, 16, "json");
  int type = lua_type(L, idx);
  if ((type == LUA_TTABLE || type == LUA_TUSERDATA) &&
      luaL_getmetafield(L, idx, "__json") != LUA_TNIL) {
    if (depth > 2 * JSON_DEPTH) return fail(w, "'__json' leads to '__json' without end");
    if (lua_type(L, -1) != LUA_TSTRING) {
      lua_pushvalue(L, idx);
      lua_call(L, 1, 1);
    }
    bool good = put_value(w, lua_gettop(L), depth + 1);
    lua_pop(L, 1);
    return good;
  }
  size_t len = 0;
  switch (type) {
    case LUA_TNIL: put(w, "null", 4); return true;
    case LUA_TBOOLEAN:
      if (lua_toboolean(L, idx)) put(w, "true", 4);
      else put(w, "false", 5);
      return true;
    case LUA_TNUMBER: return put_number(w, idx);
    case LUA_TSTRING: {
      const char *text = lua_tolstring(L, idx, &len);
      put_string(w, text, len);
      return true;
    }
    case LUA_TTABLE: return put_table(w, idx, depth);
    default:
      if (json_is_null(L, idx)) {
        put(w, "null", 4);
        return true;
      }
      snprintf(w->wrong, sizeof w->wrong, "a %.40s cannot be written as JSON",
               luaL_typename(L, idx));
      return false;
  }
}

int json_encode(lua_State *L, int idx, unsigned flags, const char *first) {
  idx = lua_absindex(L, idx);
  int base = lua_gettop(L);
  struct writer w = {.L = L, .flags = flags, .first = first};
  luaL_checkstack(L, 12, "json");
  w.out = push_buffer(L);
  bool good = put_value(&w, idx, 1);
  if (!good) {
    lua_settop(L, base);
    lua_pushnil(L);
    lua_pushstring(L, w.wrong);
    return 2;
  }
  lua_settop(L, base + 1);
  lua_pushlstring(L, w.out->data, w.out->len);
  free(w.out->data); /* the collector would, but late */
  memset(w.out, 0, sizeof *w.out);
  lua_replace(L, base + 1);
  return 1;
}
