/* Claims about host.json: what comes back, what is refused and where it says so. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lua/json.h"
#include "lua/secret.h"

static lua_State *L;

/* Does the chunk, with `json` and `secret`, return true? */
static bool holds(const char *chunk) {
  if (luaL_dostring(L, chunk) != LUA_OK) {
    printf("raised: %s\n", lua_tostring(L, -1));
    lua_settop(L, 0);
    return false;
  }
  bool good = lua_toboolean(L, -1) != 0;
  if (!good && lua_gettop(L) > 1) printf("got: %s\n", luaL_tolstring(L, -2, NULL));
  lua_settop(L, 0);
  return good;
}

/* encode(decode(text)) is the text. */
static bool comes_back(const char *text) {
  bool good = json_decode(L, text, strlen(text), JSON_LOSSLESS) == 1 &&
              json_encode(L, -1, JSON_LOSSLESS, NULL) == 1 &&
              strcmp(lua_tostring(L, -1), text) == 0;
  if (!good) printf("%s became %s\n", text, lua_tostring(L, -1));
  lua_settop(L, 0);
  return good;
}

static bool refuses(const char *text, const char *error) {
  bool good = json_decode(L, text, strlen(text), 0) == 2 && lua_isnil(L, -2) &&
              strcmp(lua_tostring(L, -1), error) == 0;
  if (!good) printf("%s: %s\n", text, lua_tostring(L, -1));
  lua_settop(L, 0);
  return good;
}

static void check_values(void) {
  static const char *const same[] = {"null",
                                     "true",
                                     "false",
                                     "0",
                                     "-1",
                                     "9007199254740993",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "1.0",
                                     "0.1",
                                     "-0.0",
                                     "1e+300",
                                     "4.94065645841247e-324",
                                     "1.7976931348623157e+308",
                                     "\"\"",
                                     "\"a\\u0000b\"",
                                     "\"\\n\\t\\\"\\\\\"",
                                     "\"é€😀\"",
                                     "{}",
                                     "[]",
                                     "[[],{}]",
                                     "[null,1,null]",
                                     "{\"a\":{\"b\":[1,2.5,\"x\"]},\"c\":null}",
                                     "\"\\u202e\\u200b\\u0085\\udb40\\udc41\"",
                                     "\"\\udcff\\udc80x\""};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    CHECK(comes_back(same[i]), "JSON text comes back as it was");
  CHECK(holds("return math.type(json.decode '9007199254740993') == 'integer'"),
        "an integer stays an integer");
  CHECK(holds("return json.decode '18446744073709551616' == 2^64"), "beyond 64 bits it is a float");
  CHECK(holds("local v = json.decode '[1e2, 5]' return math.type(v[1]) == 'float' and v[2] == 5"),
        "an exponent makes a float");
  CHECK(holds("return json.decode '{\"a\":1,\"a\":2}'.a == 2"), "the last of two equal keys wins");
  CHECK(holds("return json.decode '\"\\\\ud83d\\\\ude00\"' == '😀'"),
        "a surrogate pair is one character");
  CHECK(holds("return json.decode '\"\\\\ud83d\"' == '\\u{fffd}'"), "half a pair is U+FFFD");
  CHECK(holds("return json.decode 'null' == json.null and tostring(json.null) == 'null'"),
        "null is json.null");
  CHECK(holds("for i = 1, 2000 do local x = string.unpack('d', string.pack('i8', i * 7919 * 104729 "
              "* 15485863 ~ i << 50))\n"
              "if x == x and x ~= 1/0 and x ~= -1/0 and json.decode(json.encode(x)) ~= x then "
              "return false end end return true"),
        "every float comes back the same");
}

static void check_encode(void) {
  CHECK(holds("local s = json.encode {b = 1, a = 2, type = 3} return s == "
              "'{\"a\":2,\"b\":1,\"type\":3}', s"),
        "keys are sorted");
  CHECK(holds("local s = json.encode({b = 1, type = {type = 2, a = 1}}, {first = 'type'}) return s "
              "== '{\"type\":{\"a\":1,\"type\":2},\"b\":1}', s"),
        "one key may go first, outermost only");
  CHECK(holds("return json.encode {} == '{}' and json.encode(json.array {}) == '[]'"),
        "an empty table is an object unless marked");
  CHECK(holds("local s, e = json.encode {1, 2, x = 3} return s == nil and e:find 'both' ~= nil, e"),
        "mixed keys are refused");
  CHECK(holds("local s, e = json.encode {1, nil, nil, nil, 5} return s == nil and e:find 'holes' "
              "~= nil, e"),
        "holes are refused");
  CHECK(holds("return json.encode(json.array {1, nil, 3}) == '[1,null,3]'"),
        "a marked array may lack elements");
  CHECK(holds("local t = {} t.t = t local s, e = json.encode(t) return s == nil and e:find "
              "'itself' ~= nil, e"),
        "a table within itself is refused");
  CHECK(holds("local s, e = json.encode(0/0) return s == nil and e:find 'nan' ~= nil"),
        "nan is refused");
  CHECK(
      holds("local s, e = json.encode {f = print} return s == nil and e:find 'function' ~= nil, e"),
      "a function is refused");
  CHECK(
      holds(
          "local s, e = json.encode {[true] = 1} return s == nil and e:find \"'true'\" ~= nil, e"),
      "an odd key is named");
  CHECK(holds("local d = setmetatable({}, {__json = function() return '5m' end}) return "
              "json.encode {d} == '[\"5m\"]'"),
        "__json may be a function");
  CHECK(
      holds("local d = setmetatable({}, {__json = 'fixed'}) return json.encode(d) == '\"fixed\"'"),
      "__json may be a text");
  CHECK(holds("local d d = setmetatable({}, {__json = function() return d end}) local s, e = "
              "json.encode(d) return s == nil and e:find '__json' ~= nil, e"),
        "__json without end is refused");
  CHECK(holds("local t = {a = 1, b = 2, c = 3} t.b = setmetatable({}, {__json = function() t.a = "
              "nil t.c = nil for i = 1, 1000 do local _ = ('x'):rep(i) end return 1 end}) return "
              "json.encode(t):find '^{' ~= nil"),
        "a table may change while it is written");
  CHECK(holds("return json.encode(secret.new('DB', 'correct horse')) == '\"‹secret:DB›\"'"),
        "a secret is written as its name");
  CHECK(holds("return json.encode '\\xff\\xc3' == '\"\\u{fffd}\\u{fffd}\"'"),
        "bytes that are no UTF-8 become U+FFFD");
  CHECK(holds("return json.canonical '\\xff' ~= json.canonical '\\xfe'"),
        "but differ in the canonical form");
  CHECK(holds("return json.decode(json.encode('\\xff\\0a', {lossless = true}), {lossless = true}) "
              "== '\\xff\\0a'"),
        "and come back when asked for");
  CHECK(holds("return json.encode '\\u{202e}' == '\"\\\\u202e\"'"),
        "bidirectional controls are escaped");
}

static char *nested(int depth) {
  char *text = malloc((size_t)depth * 2 + 2);
  if (text == NULL) abort();
  memset(text, '[', (size_t)depth);
  text[depth] = '7';
  memset(text + depth + 1, ']', (size_t)depth);
  text[depth * 2 + 1] = '\0';
  return text;
}

static void check_errors(void) {
  CHECK(refuses("", "line 1 column 1: expected a value, the text ends"),
        "an empty text is refused");
  CHECK(refuses("{\"a\":1,\n \"é\" 2}", "line 2 column 6: expected ':' after the key"),
        "errors name line and column");
  CHECK(refuses("[1,]", "line 1 column 4: expected a value"), "no comma at the end");
  CHECK(refuses("01", "line 1 column 1: a number must not begin with 0"), "no leading zero");
  CHECK(refuses("1.", "line 1 column 1: a digit must follow the point"), "no bare point");
  CHECK(refuses("1e999", "line 1 column 1: number out of range"), "no infinity");
  CHECK(refuses("nul", "line 1 column 1: expected a value"), "no half words");
  CHECK(refuses("\"a\tb\"", "line 1 column 3: control character inside a string"),
        "no control characters");
  CHECK(refuses("\"abc", "line 1 column 5: the text ends inside a string"), "strings end");
  CHECK(refuses("\"\\", "line 1 column 3: the text ends inside a string"), "escapes end");
  CHECK(refuses("\"\\x\"", "line 1 column 3: unknown escape in a string"),
        "unknown escapes are refused");
  CHECK(refuses("1 2", "line 1 column 3: unexpected text after the value"), "one value only");
  CHECK(refuses("{1:2}", "line 1 column 2: expected a key in double quotes"), "keys are strings");
  char *fits = nested(64), *deep = nested(65);
  CHECK(json_decode(L, fits, strlen(fits), 0) == 1, "64 levels are read");
  CHECK(json_encode(L, -1, 0, NULL) == 1 && strcmp(lua_tostring(L, -1), fits) == 0, "and written");
  lua_settop(L, 0);
  CHECK(refuses(deep, "line 1 column 65: nested deeper than 64"), "65 are refused");
  CHECK(json_decode(L, deep, strlen(deep), JSON_DEEP) == 1, "unless deep trees are asked for");
  free(fits);
  free(deep);
  fits = nested(JSON_DEPTH_DEEP), deep = nested(JSON_DEPTH_DEEP + 1);
  CHECK(json_decode(L, fits, strlen(fits), JSON_DEEP) == 1, "then 4000 levels are read");
  CHECK(json_decode(L, deep, strlen(deep), JSON_DEEP) == 2, "and 4001 are refused");
  lua_settop(L, 0);
  free(fits);
  free(deep);
}

/* Every beginning of a text is refused, without reading beyond it. */
static void check_cuts(void) {
  static const char text[] =
      "{\"a\":[1,2.5e3,\"x\\u00e9\\n\",true,null],\"b\":{\"c\":\"\\ud83d\\ude00\"}}";
  for (size_t cut = 0; cut < sizeof text - 1; cut++) {
    char *copy = malloc(cut + 1);
    if (copy == NULL) abort();
    memcpy(copy, text, cut);
    CHECK(json_decode(L, copy, cut, 0) == 2, "a text that was cut is refused");
    lua_settop(L, 0);
    free(copy);
  }
}

int main(void) {
  L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "json", luaopen_host_json, 1);
  luaL_requiref(L, "secret", luaopen_host_secret, 1);
  lua_settop(L, 0);
  check_values();
  check_encode();
  check_errors();
  check_cuts();
  lua_close(L);
  return CHECK_RESULT();
}
