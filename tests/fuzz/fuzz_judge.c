/* What the SQL judge says of any statement, held against a walk of the parse tree of our own.
 *
 * The judge is Lua (runtime/sql) over the JSON of PostgreSQL's parser; the whole of it runs here,
 * in a Lua state. The walk reads the same JSON with no part of it, and knows only what must not be
 * in a read. Of a statement that is judged a read:
 *   - it holds no statement but SELECT and SHOW, no INTO, no lock, one statement only;
 *   - no function of the list below is called, under whatever quotes;
 *   - every function, relation, type, operator, and name behind a dot is among what the judge
 *     collected: what it overlooks the catalogue is never asked about.
 * The judge never raises. What is rehearsed as a change holds to the same where it calls and names.
 *
 * The parser is no part of the sanitizer's build and gives the fuzzer no coverage: its counters are
 * fed with pairs of node types instead, and with the lines of the judge. */
#include <lauxlib.h>
#include <lualib.h>
#include <pg_query.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/heap.h"
#include "lua/json.h"

#ifndef ROOT
#error "ROOT is the checkout: the judge is read from there"
#endif

void heap_check(size_t bytes) { (void)bytes; }

enum { COUNTERS = 1 << 15, DEEPEST = 4096, LONGEST_NAME = 256 };
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static const char *statement; /* for the report of a finding */
static unsigned long parsed_count, read_count, change_count;

static void report(void) {
  fprintf(stderr, "judge: %lu statements parsed, %lu judged reads, %lu judged fit to be rehearsed\n",
          parsed_count, read_count, change_count);
}

static void found(const char *what, const char *name) {
  fprintf(stderr, "judge: %s '%s' in: %s\n", what, name, statement);
  abort();
}

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static uint32_t hash(uint32_t seed, const char *text) {
  for (; *text != '\0'; text++) seed = (seed ^ (uint8_t)*text) * 16777619u;
  return seed;
}

/* -- the walk ---------------------------------------------------------------------------------- */

/* Each acts, by whatever way it is called; a few of every kind that runtime/sql/refused.lua knows. */
static const char *const acting[] = {
    "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf", "pg_notify", "nextval", "setval",
    "set_config", "pg_advisory_lock", "pg_try_advisory_xact_lock", "txid_current",
    "pg_current_xact_id", "lo_unlink", "lo_create", "lo_export", "pg_read_file", "pg_ls_dir",
    "query_to_xml", "table_to_xml", "ts_stat", "pg_switch_wal", "pg_logical_emit_message",
    "pg_drop_replication_slot", "pg_stat_reset", "pg_sleep", "dblink", "dblink_exec", "pg_promote"};

struct walk {
  lua_State *L;
  int verdict; /* its index on L */
  const char *at;
  bool read, collected;
  int statements;
};

static bool is_acting(const char *name) {
  for (size_t i = 0; i < sizeof acting / sizeof acting[0]; i++)
    if (is(acting[i], name)) return true;
  return false;
}

/* A JSON string at w->at, which it leaves behind it. What is longer than the buffer is cut. */
static void take_string(struct walk *w, char *out) {
  size_t used = 0;
  if (*w->at++ != '"') abort();
  while (*w->at != '"') {
    if (*w->at == '\0') abort();
    unsigned code = (unsigned char)*w->at++;
    if (code == '\\') {
      char kind = *w->at++;
      static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
      const char *known = strchr(from, kind);
      code = known != NULL ? (unsigned char)to[known - from] : (unsigned char)kind;
      if (kind == 'u') {
        char digits[5] = {w->at[0], w->at[1], w->at[2], w->at[3], '\0'};
        code = (unsigned)strtoul(digits, NULL, 16) & 0xff; /* the writer escapes controls only */
        w->at += 4;
      }
    }
    if (used + 1 < LONGEST_NAME) out[used++] = (char)code;
  }
  w->at++;
  out[used] = '\0';
}

/* Is the name in the verdict's set or list of {schema, name}? */
static bool holds(struct walk *w, const char *field, const char *name) {
  lua_State *L = w->L;
  bool there = false;
  lua_getfield(L, w->verdict, field);
  if (lua_type(L, -1) != LUA_TTABLE) abort();
  lua_getfield(L, -1, name);
  there = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  for (lua_Integer i = 1; !there && lua_rawgeti(L, -1, i) == LUA_TTABLE; i++) {
    lua_rawgeti(L, -1, 2);
    there = lua_type(L, -1) == LUA_TSTRING && is(lua_tostring(L, -1), name);
    lua_pop(L, 2);
    if (there) lua_pushnil(L);
  }
  lua_settop(L, w->verdict);
  return there;
}

static void must_hold(struct walk *w, const char *field, const char *name) {
  if (!w->collected || strlen(name) + 1 >= LONGEST_NAME) return;
  if (!holds(w, field, name)) found(field, name);
}

/* A function of that name in somebody's own schema is another one; the catalogue is asked about it. */
static void check_name(struct walk *w, const char *what, const char *schema, const char *name) {
  if (is(what, "funcname")) {
    bool own = schema[0] != '\0' && !is(schema, "pg_catalog");
    if (w->read && !own && is_acting(name)) found("calls", name);
    if (w->collected && !holds(w, "functions", name)) must_hold(w, "qualified", name);
  } else {
    must_hold(w, is(what, "names") ? "types" : "operators", name);
  }
}

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), wanted = strlen(end);
  return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static void check_key(struct walk *w, const char *key) {
  w->statements += is(key, "stmt");
  if (!w->read) return;
  if (ends_with(key, "Stmt") && !is(key, "SelectStmt") && !is(key, "VariableShowStmt") && !is(key, "ExplainStmt"))
    found("holds", key);
  if (is(key, "intoClause") || is(key, "lockingClause")) found("holds", key);
}

static void walk_value(struct walk *w, const char *owner, const char *key, int depth);

/* Of a list of names the last one counts; of a column's every one behind the first. */
static void walk_list(struct walk *w, const char *owner, const char *key, int depth) {
  bool names = is(key, "funcname") || is(key, "operName") || is(key, "useOp") || is(key, "names") ||
               (is(key, "name") && is(owner, "A_Expr"));
  bool fields = is(key, "fields") && is(owner, "ColumnRef");
  bool indirection = is(key, "indirection");
  static const char string[] = "{\"String\":{";
  char schema[LONGEST_NAME] = "", last[LONGEST_NAME] = "";
  w->at++;
  for (int i = 0; *w->at != ']'; i++) {
    if (*w->at == ',') w->at++;
    if ((names || fields || indirection) && strncmp(w->at, string, sizeof string - 1) == 0) {
      struct walk look = *w;
      look.at += sizeof string - 1;
      char word[LONGEST_NAME] = "";
      if (*look.at == '"') {
        take_string(&look, word);
        if (!is(word, "sval") || *look.at++ != ':') abort();
        word[0] = '\0';
        take_string(&look, word);
      }
      memcpy(schema, last, sizeof schema);
      memcpy(last, word, sizeof last);
      if ((fields && i > 0) || indirection) must_hold(w, "fields", word);
    }
    walk_value(w, key, "", depth + 1);
  }
  w->at++;
  if (names && last[0] != '\0') check_name(w, key, schema, last);
}

static void walk_object(struct walk *w, const char *key, int depth) {
  w->at++;
  while (*w->at != '}') {
    char name[LONGEST_NAME];
    if (*w->at == ',') w->at++;
    take_string(w, name);
    if (*w->at++ != ':') abort();
    check_key(w, name);
    counters[(hash(hash(2166136261u, key), name)) % COUNTERS]++;
    walk_value(w, key, name, depth + 1);
  }
  w->at++;
}

static void walk_value(struct walk *w, const char *owner, const char *key, int depth) {
  if (depth > DEEPEST) abort();
  if (*w->at == '{') {
    walk_object(w, key[0] != '\0' ? key : owner, depth);
  } else if (*w->at == '[') {
    walk_list(w, owner, key, depth);
  } else if (*w->at == '"') {
    char text[LONGEST_NAME];
    take_string(w, text);
    if (is(key, "relname")) must_hold(w, "relations", text);
  } else {
    w->at += strcspn(w->at, ",]}");
  }
}

/* -- the judge --------------------------------------------------------------------------------- */

static void count_line(lua_State *L, lua_Debug *where) {
  if (lua_getinfo(L, "l", where) != 0) counters[(uint32_t)where->currentline % COUNTERS]++;
}

static lua_State *open_judge(void) {
  static const char code[] =
      "package.path = '" ROOT "/?.lua'\n"
      "local judge, rehearse = require 'runtime.sql.judge', require 'runtime.sql.rehearse_judge'\n"
      "local vouched = { evil = true, ['public.upper'] = true }\n"
      "return function(tree)\n"
      "  judge.survey(tree)\n"
      "  judge.inspect(tree, vouched)\n"
      "  local problem, verdict\n"
      "  if #(tree.stmts or {}) == 1 then problem, verdict = rehearse.inspect(tree, {}) end\n"
      "  return judge.inspect(tree, {}), not problem and verdict or nil\n"
      "end";
  lua_State *L = luaL_newstate();
  if (L == NULL) abort();
  luaL_openlibs(L);
  luaopen_host_json(L);
  lua_settop(L, 0);
  if (luaL_dostring(L, code) != LUA_OK) {
    fprintf(stderr, "judge: %s\n", lua_tostring(L, -1));
    exit(2);
  }
  lua_sethook(L, count_line, LUA_MASKLINE, 0);
  atexit(report);
  return L;
}

/* Of the verdict at `index`: what the walk of the tree must not find, or must find collected. */
static void hold_against(lua_State *L, int index, const char *tree, bool is_read) {
  struct walk w = {.L = L, .verdict = index, .at = tree};
  lua_settop(L, index);
  bool passes = lua_getfield(L, index, "problem") == LUA_TNIL;
  lua_getfield(L, index, "kind");
  bool select = is(lua_tostring(L, -1), "SelectStmt");
  lua_settop(L, index);
  w.read = is_read && passes;
  read_count += w.read;
  w.collected = passes && (select || !is_read);
  walk_value(&w, "", "", 0);
  if (passes && w.statements != 1) found("passes", "not one statement");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (L == NULL) L = open_judge();
  char *text = malloc(size + 1);
  if (text == NULL) abort();
  memcpy(text, data, size);
  text[size] = '\0';
  statement = text;
  PgQueryParseResult parsed = pg_query_parse(text);
  if (parsed.error == NULL) {
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    if (json_decode(L, parsed.parse_tree, strlen(parsed.parse_tree), JSON_DEEP) == 1) {
      if (lua_pcall(L, 1, 2, 0) != LUA_OK) found("raises", lua_tostring(L, -1));
      parsed_count++;
      change_count += lua_istable(L, 3);
      if (lua_istable(L, 3)) {
        lua_pushvalue(L, 3);
        hold_against(L, 4, parsed.parse_tree, false);
        lua_settop(L, 2);
      }
      lua_settop(L, 2);
      hold_against(L, 2, parsed.parse_tree, true);
    }
    lua_settop(L, 1);
  }
  pg_query_free_parse_result(parsed);
  free(text);
  return 0;
}
