/* host.chunk: playbook text to a function, and raw facts about what it does with variables.
 *
 * load(text, name, env) -> function | nil, {message, code}
 *     `name` is what messages show ("db-exhaustion.lua"). Text only: bytecode can crash the
 *     interpreter. Tail calls are made plain calls, so that no frame is lost. code: "bytecode" or
 *     "syntax"; a syntax error's message starts "name:line: ".
 * call(fn, limit [, handler]) -> true, results… | false, error
 *     Calls it with at most about `limit` instructions, then "it does not come to an end". For code
 *     that only declares; it cannot wait in there. handler(error) -> error is called where it was
 *     raised, so that it can ask where that is.
 * analyse(text, name) -> facts | nil, {message, code}
 *     facts.reads, facts.writes   {{name, line}, …} globals, in order of appearance
 *     facts.environment           {{line}, …} other uses of _ENV
 *     facts.outer                 {{name, line, callee}, …} a function assigns a local of the file;
 *                                 callee: the global it is handed to ("step", "group"), if any
 *     facts.tested                {{name, line, callee}, …} callee's function or method `name` was
 *                                 called and its result is used bare in a condition, or compared
 *                                 with a constant; name "": the handle itself was called
 *     facts.handles               {{name, line, callee, field}, …} the global `callee` was called with
 *                                 that text, or with a field of that name; no name: with anything else
 */
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "chunk_dump.h"
#include "chunk_walk.h"
#include "runaway.h"
#include "state.h"
#include "util.h"

#define NAME_MAX_BYTES 200

/* A call of the library is one instruction, however long it takes: then the process is ended. */
enum { LOADING_SECONDS = 5 };

/* Compiles; leaves the function, or nil and an error (returns 2). */
static int compile(lua_State *L, const char *text, size_t len, const char *name) {
  if (strlen(name) > NAME_MAX_BYTES) name += strlen(name) - NAME_MAX_BYTES;
  if (len > 0 && text[0] == LUA_SIGNATURE[0])
    return util_push_errorf(L, OP_FAILED, "bytecode", "'%s' is compiled bytecode, not text", name);
  const char *chunk = lua_pushfstring(L, "=%s", name);
  int status = luaL_loadbufferx(L, text, len, chunk, "t");
  lua_remove(L, -2);
  if (status == LUA_OK) return 1;
  if (status == LUA_ERRMEM) return luaL_error(L, "out of memory while compiling '%s'", name);
  return util_push_error(L, OP_FAILED, "syntax", lua_tostring(L, -1));
}

/* Bytes of a dump, grown in a userdata so that errors free it. */
static int collect(lua_State *L, const void *bytes, size_t size, void *context) {
  (void)L;
  luaL_addlstring(context, bytes, size);
  return 0;
}

static int gc_unit(lua_State *L) {
  struct chunk_unit *unit = lua_touserdata(L, 1);
  chunk_unit_free(unit);
  return 0;
}

/* Pushes a userdata whose finalizer frees what chunk_read allocates. */
static struct chunk_unit *push_unit(lua_State *L) {
  struct chunk_unit *unit = lua_newuserdatauv(L, sizeof *unit, 0);
  memset(unit, 0, sizeof *unit);
  if (luaL_newmetatable(L, "opsrun.chunk_unit")) {
    lua_pushcfunction(L, gc_unit);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return unit;
}

/* Dumps the function on top and reads the dump, which is left on the stack: [… fn unit dump]. */
static struct chunk_unit *push_read(lua_State *L, const char *name) {
  int fn = lua_gettop(L);
  struct chunk_unit *unit = push_unit(L);
  /* lua_dump wants the function on top while the buffer must own the top: another stack for it. */
  lua_State *dumper = lua_newthread(L);
  lua_pushvalue(L, fn);
  lua_xmove(L, dumper, 1);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  lua_dump(dumper, collect, &buffer, 0);
  luaL_pushresult(&buffer);
  lua_remove(L, -2); /* the thread */
  size_t size = 0;
  const char *dump = lua_tolstring(L, -1, &size);
  const char *problem = chunk_read(unit, (const unsigned char *)dump, size);
  if (problem != NULL) luaL_error(L, "cannot analyse '%s': %s", name, problem);
  return unit;
}

#define OP_CALL 68u
#define OP_TAILCALL 69u

/* A tail call forgets the frame it stands in, and with it the author's line, which every error and
   every record of an effect names. So `return f(x)` becomes a call whose results are returned: the
   compiler puts the return behind it anyway. Returns how many were changed. */
static size_t keep_frames(const struct chunk_function *f, unsigned char *dump) {
  size_t changed = 0;
  for (size_t pc = 0; pc < f->code_count; pc++) {
    uint32_t code = f->code[pc];
    if ((code & 0x7fu) != OP_TAILCALL) continue;
    code = (code & 0x00ff7f80u) | OP_CALL; /* k and C cleared: nothing to close, all results */
    memcpy(dump + f->code_at + pc * sizeof code, &code, sizeof code);
    changed++;
  }
  for (size_t i = 0; i < f->child_count; i++) changed += keep_frames(f->children[i], dump);
  return changed;
}

/* Replaces the function on top by one without tail calls. */
static void remove_tail_calls(lua_State *L, const char *name) {
  int fn = lua_gettop(L);
  struct chunk_unit *unit = push_read(L, name);
  size_t size = 0;
  const char *dump = lua_tolstring(L, -1, &size);
  luaL_Buffer buffer;
  unsigned char *copy = (unsigned char *)luaL_buffinitsize(L, &buffer, size);
  memcpy(copy, dump, size);
  size_t changed = keep_frames(unit->main, copy);
  luaL_pushresultsize(&buffer, size);
  if (changed > 0) {
    if (luaL_loadbufferx(L, lua_tostring(L, -1), size, name, "b") != LUA_OK) lua_error(L);
    lua_replace(L, fn);
  }
  lua_settop(L, fn);
}

static int l_load(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  const char *name = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int count = compile(L, text, len, name);
  if (count != 1) return count;
  remove_tail_calls(L, name);
  lua_pushvalue(L, 3);
  if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1); /* a chunk without globals has none */
  return 1;
}

static void on_limit(lua_State *L, lua_Debug *frame) {
  (void)frame;
  lua_sethook(L, NULL, 0, 0);
  luaL_where(L, 0); /* the hook is no function of its own: level 0 is the one that runs */
  lua_pushliteral(L, "it does not come to an end");
  lua_concat(L, 2);
  lua_error(L);
}

static int l_call(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_Integer limit = luaL_checkinteger(L, 2);
  luaL_argcheck(L, limit > 0 && limit <= INT_MAX, 2, "out of range");
  bool handled = !lua_isnoneornil(L, 3);
  if (handled) luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  lua_pushvalue(L, 1);
  runaway_start();
  runaway_loading(LOADING_SECONDS);
  lua_sethook(L, on_limit, LUA_MASKCOUNT, (int)limit);
  int status = lua_pcall(L, 0, LUA_MULTRET, handled ? 3 : 0);
  runaway_watch(L);
  runaway_loading(0);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 3);
  return lua_gettop(L) - 2;
}

static void push_entry(lua_State *L, const struct chunk_fact *fact) {
  lua_createtable(L, 0, 3);
  if (fact->name != NULL) {
    lua_pushlstring(L, fact->name, fact->name_len);
    lua_setfield(L, -2, "name");
  }
  lua_pushinteger(L, fact->line);
  lua_setfield(L, -2, "line");
  if (fact->is_field) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "field");
  }
  if (fact->callee != NULL) {
    lua_pushlstring(L, fact->callee, fact->callee_len);
    lua_setfield(L, -2, "callee");
  }
}

static const char *const lists[] = {"reads", "writes", "environment", "outer", "tested",
                                    "handles"};

/* Called for every fact: appends it to its list in the table at index 4. */
static void on_fact(void *context, const struct chunk_fact *fact) {
  lua_State *L = context;
  luaL_checkstack(L, 4, "facts");
  lua_getfield(L, 4, lists[fact->kind]);
  push_entry(L, fact);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

static int l_analyse(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  int count = compile(L, text, len, name);
  if (count != 1) return count;
  lua_createtable(L, 0, 4); /* 4: the answer */
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    lua_newtable(L);
    lua_setfield(L, 4, lists[i]);
  }
  lua_pushvalue(L, 3);
  struct chunk_unit *unit = push_read(L, name);
  chunk_walk(unit, on_fact, L);
  chunk_walk_tested(unit->main, on_fact, L);
  chunk_walk_handles(unit->main, on_fact, L);
  lua_pushvalue(L, 4);
  return 1;
}

static const luaL_Reg chunk_library[] = {
    {"load", l_load}, {"call", l_call}, {"analyse", l_analyse}, {NULL, NULL}};

int luaopen_host_chunk(lua_State *L) {
  luaL_newlib(L, chunk_library);
  return 1;
}
