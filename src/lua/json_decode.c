/* JSON text -> Lua values. A descent of bounded depth; strings without escapes are pushed straight
 * from the text, the others through one scratch buffer that the collector owns. */
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct reader {
  lua_State *L;
  const char *start, *at, *end;
  unsigned flags;
  int scratch;       /* stack index of the userdata below, 0 while there is none */
  const char *wrong; /* what is wrong at `at`, or NULL */
};

static bool fail(struct reader *r, const char *what) {
  r->wrong = what;
  return false;
}

static void skip_space(struct reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
    r->at++;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Four hex digits at `at`, or -1. */
static int read_hex4(struct reader *r) {
  if (r->end - r->at < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_value(r->at[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  r->at += 4;
  return value;
}

static char *put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | (code >> 6));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | (code >> 12));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | (code >> 18));
    *out++ = (char)(0x80 | ((code >> 12) & 0x3F));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

/* After "\u". A pair makes one character; a lone half is U+FFFD, or with JSON_LOSSLESS the byte
   that the encoder hid in it. */
static char *read_unicode(struct reader *r, char *out) {
  int unit = read_hex4(r);
  if (unit < 0) {
    fail(r, "'\\u' needs four hex digits");
    return NULL;
  }
  if (unit < 0xD800 || unit > 0xDFFF) return put_utf8(out, (uint32_t)unit);
  if (unit < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
    const char *before = r->at;
    r->at += 2;
    int low = read_hex4(r);
    if (low >= 0xDC00 && low <= 0xDFFF)
      return put_utf8(out,
                      0x10000u + (((uint32_t)unit - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u));
    r->at = before;
  }
  if ((r->flags & JSON_LOSSLESS) != 0 && unit >= 0xDC80 && unit <= 0xDCFF) {
    *out++ = (char)(unit & 0xFF);
    return out;
  }
  return put_utf8(out, 0xFFFD);
}

static char *read_escape(struct reader *r, char *out) {
  if (r->at >= r->end) {
    fail(r, "the text ends inside a string");
    return NULL;
  }
  switch (*r->at++) {
    case '"': *out++ = '"'; return out;
    case '\\': *out++ = '\\'; return out;
    case '/': *out++ = '/'; return out;
    case 'b': *out++ = '\b'; return out;
    case 'f': *out++ = '\f'; return out;
    case 'n': *out++ = '\n'; return out;
    case 'r': *out++ = '\r'; return out;
    case 't': *out++ = '\t'; return out;
    case 'u': return read_unicode(r, out);
    default:
      r->at--;
      fail(r, "unknown escape in a string");
      return NULL;
  }
}

/* Room for a decoded string: never longer than its source. */
static char *scratch_for(struct reader *r, size_t size) {
  if (r->scratch != 0 && lua_rawlen(r->L, r->scratch) >= size)
    return lua_touserdata(r->L, r->scratch);
  char *room = lua_newuserdatauv(r->L, size < 256 ? 256 : size * 2, 0);
  lua_replace(r->L, r->scratch);
  return room;
}

/* The opening quote is behind us. */
static bool read_string(struct reader *r) {
  const char *from = r->at, *p = from;
  while (p < r->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
  if (p < r->end && *p == '"') {
    lua_pushlstring(r->L, from, (size_t)(p - from));
    r->at = p + 1;
    return true;
  }
  const char *close = p;
  while (close < r->end && *close != '"') close += *close == '\\' && close + 1 < r->end ? 2 : 1;
  if (close >= r->end) {
    r->at = r->end;
    return fail(r, "the text ends inside a string");
  }
  char *room = scratch_for(r, (size_t)(close - from)), *out = room;
  while (*r->at != '"') {
    unsigned char c = (unsigned char)*r->at;
    if (c < 0x20) return fail(r, "control character inside a string");
    r->at++;
    if (c != '\\') *out++ = (char)c;
    else if ((out = read_escape(r, out)) == NULL) return false;
  }
  r->at++;
  lua_pushlstring(r->L, room, (size_t)(out - room));
  return true;
}

static bool is_digit(const struct reader *r, const char *p) {
  return p < r->end && *p >= '0' && *p <= '9';
}

/* Checks JSON's own grammar, which is narrower than strtod's. */
static bool scan_number(struct reader *r, const char **stop, bool *integer) {
  const char *p = r->at;
  if (*p == '-') p++;
  if (!is_digit(r, p)) return fail(r, "expected a value");
  if (*p == '0' && is_digit(r, p + 1)) return fail(r, "a number must not begin with 0");
  while (is_digit(r, p)) p++;
  *integer = true;
  if (p < r->end && *p == '.') {
    *integer = false;
    if (!is_digit(r, ++p)) return fail(r, "a digit must follow the point");
    while (is_digit(r, p)) p++;
  }
  if (p < r->end && (*p == 'e' || *p == 'E')) {
    *integer = false;
    p++;
    if (p < r->end && (*p == '+' || *p == '-')) p++;
    if (!is_digit(r, p)) return fail(r, "a digit must follow the exponent");
    while (is_digit(r, p)) p++;
  }
  *stop = p;
  return true;
}

static bool push_integer(struct reader *r, const char *stop) {
  bool negative = *r->at == '-';
  uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, value = 0;
  for (const char *p = r->at + (negative ? 1 : 0); p < stop; p++) {
    unsigned digit = (unsigned)(*p - '0');
    if (value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  lua_pushinteger(r->L, (lua_Integer)(negative ? 0 - value : value));
  return true;
}

static bool read_number(struct reader *r) {
  const char *stop;
  bool integer;
  if (!scan_number(r, &stop, &integer)) return false;
  if (!integer || !push_integer(r, stop)) {
    size_t len = (size_t)(stop - r->at);
    char small[64], *copy = len < sizeof small ? small : lua_newuserdatauv(r->L, len + 1, 0);
    memcpy(copy, r->at, len);
    copy[len] = '\0';
    double value = strtod(copy, NULL);
    if (copy != small) lua_pop(r->L, 1);
    if (isinf(value)) return fail(r, "number out of range");
    lua_pushnumber(r->L, value);
  }
  r->at = stop;
  return true;
}

static bool read_word(struct reader *r, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
    return fail(r, "expected a value");
  r->at += len;
  if (*word == 'n') json_push_null(r->L);
  else lua_pushboolean(r->L, *word == 't');
  return true;
}

static bool read_value(struct reader *r, int depth);

static bool read_array(struct reader *r, int depth) {
  lua_newtable(r->L);
  json_mark_array(r->L, -1);
  skip_space(r);
  if (r->at < r->end && *r->at == ']') {
    r->at++;
    return true;
  }
  for (lua_Integer i = 1;; i++) {
    if (!read_value(r, depth + 1)) return false;
    lua_rawseti(r->L, -2, i);
    skip_space(r);
    if (r->at >= r->end) return fail(r, "the text ends inside an array");
    char c = *r->at;
    if (c != ',' && c != ']') return fail(r, "expected ',' or ']'");
    r->at++;
    if (c == ']') return true;
  }
}

static bool read_object(struct reader *r, int depth) {
  lua_newtable(r->L);
  skip_space(r);
  if (r->at < r->end && *r->at == '}') {
    r->at++;
    return true;
  }
  for (;;) {
    skip_space(r);
    if (r->at >= r->end) return fail(r, "the text ends inside an object");
    if (*r->at != '"') return fail(r, "expected a key in double quotes");
    r->at++;
    if (!read_string(r)) return false;
    skip_space(r);
    if (r->at >= r->end || *r->at != ':') return fail(r, "expected ':' after the key");
    r->at++;
    if (!read_value(r, depth + 1)) return false;
    lua_rawset(r->L, -3);
    skip_space(r);
    if (r->at >= r->end) return fail(r, "the text ends inside an object");
    char c = *r->at;
    if (c != ',' && c != '}') return fail(r, "expected ',' or '}'");
    r->at++;
    if (c == '}') return true;
  }
}

static bool read_value(struct reader *r, int depth) {
  skip_space(r);
  if (r->at >= r->end) return fail(r, "expected a value, the text ends");
  if (depth > JSON_DEPTH && (*r->at == '{' || *r->at == '[')) {
    if ((r->flags & JSON_DEEP) == 0) return fail(r, "nested deeper than 64");
    if (depth > JSON_DEPTH_DEEP) return fail(r, "nested deeper than 4000");
  }
  luaL_checkstack(r->L, 6, "json");
  switch (*r->at) {
    case '{': r->at++; return read_object(r, depth);
    case '[': r->at++; return read_array(r, depth);
    case '"': r->at++; return read_string(r);
    case 't': return read_word(r, "true");
    case 'f': return read_word(r, "false");
    case 'n': return read_word(r, "null");
    default: return read_number(r);
  }
}

/* Columns count characters, since that is what an editor shows. */
static void place_of(const struct reader *r, int *line, int *column) {
  *line = 1;
  *column = 1;
  for (const char *p = r->start; p < r->at; p++) {
    if (*p == '\n') {
      ++*line;
      *column = 1;
    } else if (((unsigned char)*p & 0xC0) != 0x80) {
      ++*column;
    }
  }
}

int json_decode(lua_State *L, const char *text, size_t len, unsigned flags) {
  int base = lua_gettop(L);
  lua_pushnil(L); /* the scratch buffer's place */
  struct reader r = {.L = L, .start = text, .at = text, .end = text + len, .flags = flags};
  r.scratch = base + 1;
  bool good = read_value(&r, 1);
  if (good) {
    skip_space(&r);
    if (r.at < r.end) good = fail(&r, "unexpected text after the value");
  }
  if (good) {
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
    return 1;
  }
  lua_settop(L, base);
  int line, column;
  place_of(&r, &line, &column);
  lua_pushnil(L);
  lua_pushfstring(L, "line %d column %d: %s", line, column, r.wrong);
  return 2;
}
