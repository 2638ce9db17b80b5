/* host.chunk with the interpreter that is linked: what loads, and what facts a chunk gives. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "check.h"
#include "lua/chunk_dump.h"
#include "lua/state.h"

static lua_State *L;

/* Runs Lua that has `chunk` (the library) and returns a string. */
static const char *run(const char *code) {
  lua_settop(L, 0);
  if (luaL_dostring(L, code) != LUA_OK) {
    printf("%s\n", lua_tostring(L, -1));
    return "error";
  }
  const char *text = lua_tostring(L, -1);
  return text == NULL ? "nil" : text;
}

static int gives(const char *code, const char *expected) {
  const char *got = run(code);
  if (strcmp(got, expected) == 0) return 1;
  printf("got '%s', expected '%s'\n", got, expected);
  return 0;
}

/* "name:line" of one list of facts about `source`. */
static int facts(const char *list, const char *source, const char *expected) {
  lua_pushstring(L, source);
  lua_setglobal(L, "SOURCE");
  lua_pushstring(L, list);
  lua_setglobal(L, "LIST");
  return gives(
      "local facts = assert(chunk.analyse(SOURCE, 'x.lua')) local out = {} "
      "for i, f in ipairs(facts[LIST]) do "
      "out[i] = (f.name or '') .. ':' .. f.line .. (f.callee and '@' .. f.callee or '') end "
      "return table.concat(out, ' ')",
      expected);
}

static void test_load(void) {
  CHECK(gives("return chunk.load('return x', 'x.lua', {x = '7'})()", "7"), "globals come from env");
  CHECK(gives("return select(2, chunk.load('local = 1', 'x.lua', {})).message",
              "x.lua:1: <name> expected near '='"),
        "a syntax error names file and line");
  CHECK(gives("return select(2, chunk.load(string.dump(function() end), 'x.lua', {})).code",
              "bytecode"),
        "bytecode is refused");
  CHECK(gives("return tostring(chunk.load('\\27', 'x.lua', {}))", "nil"), "so is a lone escape");
  CHECK(gives("local seen local f = chunk.load('local function a(...)\\nreturn ask(...)\\nend\\n"
              "return a(1, nil, 3)', 'x.lua', {ask = function(...) "
              "seen = debug.traceback() return ... end})"
              "local n = select('#', f()) "
              "return (seen:find('x.lua:2', 1, true) and seen:find('x.lua:4', 1, true)) "
              "and not seen:find('tail call', 1, true) and tostring(n)",
              "3"),
        "a call that is returned keeps its frame, and all its results");
  CHECK(gives("return tostring(chunk.call(function() return 1 end, 100))", "true"), "call");
  CHECK(gives("return select(2, chunk.call(function() return '5' end, 1000))", "5"),
        "call returns what the function returns");
  CHECK(gives("local ok, err = chunk.call(function() while true do end end, 10000) return err",
              "[string \"local ok, err = chunk.call(function() while t...\"]:1: it does not come "
              "to an end"),
        "what does not end is ended");
  CHECK(gives("local _, e = chunk.call(function() error({}) end, 99, function() return 'h' end) "
              "return e",
              "h"),
        "a handler sees the error where it is raised");
}

static void test_globals(void) {
  CHECK(facts("reads", "note('x')\nlocal f = function()\n return shw end", "note:1 shw:3"),
        "reads are found with their lines, in functions too");
  CHECK(facts("writes", "step = 1\nlocal function f() count = 2 end", "step:1 count:2"), "writes");
  CHECK(facts("reads", "local x = 1\nreturn x", ""), "locals are none");
  CHECK(facts("environment", "local e = _ENV\nfunction e.f() end", ":1"), "_ENV as a value");
  CHECK(facts("environment", "local function f() local _ENV = {} x = 1 end", ":1"), "_ENV local");
  CHECK(facts("environment", "_ENV.x = 1", ""), "_ENV.x is the global x");
  CHECK(facts("writes", "_ENV.x = 1", "x:1"), "and told as such");
}

/* With more constants than an instruction can name, globals are reached another way. */
static void test_many_constants(void) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "local function f(t)\n");
  for (int i = 0; i < 400; i++) {
    lua_pushfstring(L, "t = 'text %d'\n", i);
    luaL_addvalue(&b);
  }
  luaL_addstring(&b, "shw(t)\ncount = t\nend");
  luaL_pushresult(&b);
  lua_setglobal(L, "LONG");
  CHECK(gives("local f = chunk.analyse(LONG, 'x.lua') local r, w, e = "
              "f.reads, f.writes, f.environment "
              "return #r .. r[1].name .. r[1].line .. #w .. w[1].name .. w[1].line .. #e",
              "1shw4021count4030"),
        "globals are found behind 400 constants");
}

static void test_outer(void) {
  CHECK(facts("outer", "local n = 0\nstep('x', function()\n n = n + 1 end)", "n:3@step"),
        "a step that assigns a local of the file");
  CHECK(facts("outer", "local n = 0\nstep('x', {a = 1}, function() n = 1 end)", "n:2@step"),
        "with options before it");
  CHECK(facts("outer", "local n\nstep('x', function() local f = function() n = 1 end end)", "n:2"),
        "however deep");
  CHECK(facts("outer",
              "local idle\ngroup('g', {}, function() idle = step('x', function() end) end)",
              "idle:2@group"),
        "in a group it says group");
  CHECK(facts("outer",
              "step('x', function() local n = 0 each({}, function() n = n + 1 end) end)", ""),
        "a local of the step is its own");
  CHECK(facts("outer",
              "local n = 0\nn = n + 1\nlocal t = {}\nstep('x', function() t.a = 1 end)", ""),
        "the file assigns its own locals, and fields are no locals");
  CHECK(facts("outer", "local f\nlocal function g() f = 1 end\nstep('x', g)", "f:2"),
        "a helper that assigns");
}

static void test_tested(void) {
  CHECK(facts("tested", "if sql 'p':exec('x') then end\nlocal r = shell.run{}\nnote(r)\n"
              "if not r then end\nlocal n = sql 'p':exec('y').count\nif n then end\n"
              "local db = sql 'p'\nreturn function() while http.post('/') do end end",
              "exec:1@sql run:4@shell post:8@http"),
        "a call's result used bare in a condition is found, also through a local");
  CHECK(facts("tested", "local r = sql 'p':exec('x') if r.count > 0 then end r = 5 if x then end", ""),
        "a field of it is not");
}

/* A dump cut anywhere is an error, never a crash. */
static void test_cut_dump(void) {
  run("return string.dump(load(\"local n = 0 step('x', function() n = n + y end)\"))");
  size_t len = 0;
  const char *dump = lua_tolstring(L, -1, &len);
  struct chunk_unit unit = {NULL};
  CHECK(chunk_read(&unit, (const unsigned char *)dump, len) == NULL, "a whole dump reads");
  chunk_unit_free(&unit);
  int refused = 1;
  for (size_t cut = 0; cut < len; cut++) {
    refused &= chunk_read(&unit, (const unsigned char *)dump, cut) != NULL;
    chunk_unit_free(&unit);
  }
  CHECK(refused, "a dump cut at any byte is refused");
  unsigned char flipped[4096];
  for (size_t at = 0; at < len && len < sizeof flipped; at++) {
    memcpy(flipped, dump, len);
    flipped[at] ^= 0xff;
    (void)chunk_read(&unit, flipped, len);
    chunk_unit_free(&unit);
  }
}

int main(void) {
  L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_host_chunk);
  lua_call(L, 0, 1);
  lua_setglobal(L, "chunk");
  test_load();
  test_globals();
  test_many_constants();
  test_outer();
  test_tested();
  test_cut_dump();
  lua_close(L);
  return CHECK_RESULT();
}
