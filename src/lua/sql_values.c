/* Cells of a PostgreSQL result as Lua values, by the oid of their type. */
#include "sql_values.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define ARRAY_DEPTH 6 /* PostgreSQL's own limit */

/* oids of pg_type.dat, fixed for ever. */
enum {
  T_BOOL = 16, T_BYTEA = 17, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_TEXT = 25, T_OID = 26,
  T_XID = 28, T_CID = 29, T_JSON = 114, T_FLOAT4 = 700, T_FLOAT8 = 701, T_NUMERIC = 1700,
  T_JSONB = 3802, T_XID8 = 5069
};

struct array_type {
  uint32_t array, element;
};

/* Arrays whose elements are not plain text come first; the others share one conversion. */
static const struct array_type arrays[] = {
    {1000, T_BOOL},  {1001, T_BYTEA},  {1016, T_INT8},   {1005, T_INT2},    {1007, T_INT4},
    {1028, T_OID},   {1011, T_XID},    {1012, T_CID},    {199, T_JSON},     {1021, T_FLOAT4},
    {1022, T_FLOAT8}, {1231, T_NUMERIC}, {3807, T_JSONB}, {271, T_XID8},    {1009, T_TEXT},
    {1015, T_TEXT},  {1014, T_TEXT},   {1003, T_TEXT},   {1002, T_TEXT},    {2951, T_TEXT},
    {1182, T_TEXT},  {1115, T_TEXT},   {1185, T_TEXT},   {1183, T_TEXT},    {1270, T_TEXT},
    {1187, T_TEXT},  {1041, T_TEXT},   {651, T_TEXT},    {1040, T_TEXT},    {2210, T_TEXT},
    {2211, T_TEXT},  {3221, T_TEXT},   {791, T_TEXT},    {1561, T_TEXT},    {1563, T_TEXT},
    {1008, T_TEXT},  {2207, T_TEXT},   {4090, T_TEXT},   {4097, T_TEXT},    {1034, T_TEXT}};

static uint32_t element_of(uint32_t type) {
  for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
    if (arrays[i].array == type) return arrays[i].element;
  return 0;
}

/* A decimal as the server writes it: an optional minus, digits, at most one point among them. */
struct decimal {
  int64_t digits; /* all of them, the point left out; the sign is applied */
  int behind;     /* how many stand behind the point */
  bool negative;
};

/* False for what is longer than 18 digits or of another shape. Most numbers of a table pass here, at a
   third of what strtoll and strtod take. */
static bool read_decimal(const char *text, size_t len, struct decimal *out) {
  bool negative = len > 0 && text[0] == '-', point = false;
  size_t at = negative ? 1 : 0, first = at;
  int64_t digits = 0;
  int count = 0, behind = 0;
  if (at == len) return false;
  for (; at < len; at++) {
    if (text[at] >= '0' && text[at] <= '9') {
      if (++count > 18) return false; /* one more may not fit into 64 bits */
      digits = digits * 10 + (text[at] - '0');
      behind += point;
    } else if (text[at] == '.' && !point && at > first && at + 1 < len) {
      point = true;
    } else {
      return false;
    }
  }
  *out = (struct decimal){negative ? -digits : digits, behind, negative};
  return true;
}

static void push_integer(lua_State *L, const char *text, size_t len) {
  struct decimal decimal;
  if (read_decimal(text, len, &decimal) && decimal.behind == 0) {
    lua_pushinteger(L, decimal.digits);
    return;
  }
  char *end = NULL;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno != 0 || end != text + len || len == 0) lua_pushlstring(L, text, len);
  else lua_pushinteger(L, (lua_Integer)value);
}

/* A quotient of two whole numbers that doubles hold exactly is the nearest double, as strtod gives it. */
static void push_float(lua_State *L, const char *text, size_t len) {
  static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
  static const int64_t exact_below = INT64_C(1) << 53;
  struct decimal decimal;
  if (read_decimal(text, len, &decimal) && llabs(decimal.digits) < exact_below &&
      (decimal.digits != 0 || !decimal.negative)) { /* -0 has a sign of its own */
    lua_pushnumber(L, (lua_Number)decimal.digits / powers[decimal.behind]);
    return;
  }
  char *end = NULL;
  double value = strtod(text, &end); /* takes NaN, Infinity and -Infinity as the server writes them */
  if (end != text + len || len == 0) lua_pushlstring(L, text, len);
  else lua_pushnumber(L, value);
}

/* A numeric without a fraction is an integer when it fits, so sums of bigint stay exact. */
static void push_numeric(lua_State *L, const char *text, size_t len) {
  if (memchr(text, '.', len) == NULL) {
    push_integer(L, text, len);
    if (lua_type(L, -1) == LUA_TNUMBER) return;
    lua_pop(L, 1);
  }
  push_float(L, text, len);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static void push_bytes(lua_State *L, const char *text, size_t len) {
  if (len < 2 || text[0] != '\\' || text[1] != 'x' || len % 2 != 0) {
    lua_pushlstring(L, text, len);
    return;
  }
  luaL_Buffer buffer;
  size_t bytes = (len - 2) / 2;
  char *out = luaL_buffinitsize(L, &buffer, bytes);
  for (size_t i = 0; i < bytes; i++) {
    int high = hex_digit(text[2 + 2 * i]), low = hex_digit(text[3 + 2 * i]);
    out[i] = high < 0 || low < 0 ? '?' : (char)(high * 16 + low);
  }
  luaL_pushresultsize(&buffer, bytes);
}

static void push_json(lua_State *L, const char *text, size_t len) {
  if (json_decode(L, text, len, JSON_PLAIN) == 1) return;
  lua_pop(L, 2);
  lua_pushlstring(L, text, len); /* deeper or larger than we decode: its text is still true */
}

static void push_scalar(lua_State *L, uint32_t type, const char *text, size_t len, bool exact) {
  switch (type) {
    case T_BOOL: lua_pushboolean(L, len == 1 && text[0] == 't'); return;
    case T_INT2:
    case T_INT4:
    case T_INT8:
    case T_OID:
    case T_XID:
    case T_CID:
    case T_XID8: push_integer(L, text, len); return;
    case T_FLOAT4:
    case T_FLOAT8: push_float(L, text, len); return;
    case T_NUMERIC:
      if (exact) lua_pushlstring(L, text, len);
      else push_numeric(L, text, len);
      return;
    case T_JSON:
    case T_JSONB: push_json(L, text, len); return;
    case T_BYTEA: push_bytes(L, text, len); return;
    default: lua_pushlstring(L, text, len);
  }
}

/* -- arrays: {1,NULL,"a \"quoted\" one",{…}} ---------------------------------------------------- */

struct array_reader {
  const char *at, *end;
  uint32_t element;
  bool exact;
};

/* Reads a quoted element; `at` is behind the opening quote. */
static bool push_quoted(lua_State *L, struct array_reader *in) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  while (in->at < in->end && *in->at != '"') {
    if (*in->at == '\\' && in->at + 1 < in->end) in->at++;
    luaL_addchar(&buffer, *in->at++);
  }
  luaL_pushresult(&buffer);
  if (in->at == in->end) return false;
  in->at++;
  size_t len = 0;
  const char *text = lua_tolstring(L, -1, &len);
  push_scalar(L, in->element, text, len, in->exact);
  lua_remove(L, -2);
  return true;
}

static void push_bare(lua_State *L, struct array_reader *in) {
  const char *start = in->at;
  while (in->at < in->end && *in->at != ',' && *in->at != '}') in->at++;
  size_t len = (size_t)(in->at - start);
  if (len == 4 && memcmp(start, "NULL", 4) == 0) {
    json_push_null(L);
    return;
  }
  lua_pushlstring(L, start, len); /* so that it ends in a NUL for the number readers */
  push_scalar(L, in->element, lua_tostring(L, -1), len, in->exact);
  lua_remove(L, -2);
}

/* `at` is behind the opening brace. Pushes a table; false when the text is not an array's. */
static bool push_array(lua_State *L, struct array_reader *in, int depth) {
  if (depth > ARRAY_DEPTH) return false;
  luaL_checkstack(L, 6, "array");
  lua_newtable(L);
  json_mark_array(L, -1);
  if (in->at < in->end && *in->at == '}') {
    in->at++;
    return true;
  }
  for (lua_Integer i = 1; in->at < in->end; i++) {
    if (*in->at == '{') {
      in->at++;
      if (!push_array(L, in, depth + 1)) return false;
    } else if (*in->at == '"') {
      in->at++;
      if (!push_quoted(L, in)) return false;
    } else {
      push_bare(L, in);
    }
    lua_rawseti(L, -2, i);
    if (in->at == in->end) return false;
    char next = *in->at++;
    if (next == '}') return true;
    if (next != ',') return false;
  }
  return false;
}

void sql_push_value(lua_State *L, uint32_t type, const char *text, size_t len, bool exact) {
  bool may_be_array = len > 0 && (text[0] == '{' || text[0] == '[');
  uint32_t element = may_be_array ? element_of(type) : 0;
  if (element == 0) {
    push_scalar(L, type, text, len, exact);
    return;
  }
  struct array_reader in = {text, text + len, element, exact};
  if (len > 0 && text[0] == '[') { /* bounds other than from 1: [0:2]={…} */
    const char *equals = memchr(text, '=', len);
    if (equals != NULL) in.at = equals + 1;
  }
  int top = lua_gettop(L);
  if (in.at < in.end && *in.at == '{') {
    in.at++;
    if (push_array(L, &in, 1) && in.at == in.end) return;
  }
  lua_settop(L, top);
  lua_pushlstring(L, text, len);
}
