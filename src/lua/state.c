/* The Lua state: which libraries the runtime gets, the private host table, and the runtime's own
 * `require`, which knows the embedded modules (or OPSRUN_RUNTIME_DIR) and nothing else. */
#include "state.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli/exitcode.h"
#include "../cli/msg.h"
#include "heap.h"
#include "secret.h"
#include "task.h"

#define MODULE_MAX 128

static char *read_whole_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return NULL;
  char *text = NULL;
  size_t size = 0, capacity = 0;
  for (;;) {
    if (size == capacity) {
      capacity = capacity == 0 ? 16384 : capacity * 2;
      char *grown = realloc(text, capacity);
      if (grown == NULL) break;
      text = grown;
    }
    size_t got = fread(text + size, 1, capacity - size, file);
    size += got;
    if (got == 0) {
      fclose(file);
      *len = size;
      return text;
    }
  }
  fclose(file);
  free(text);
  return NULL;
}

/* Pushes the text of a module, or nil [-0, +1, m]. */
static void push_source(lua_State *L, const char *module) {
  const char *root = getenv("OPSRUN_RUNTIME_DIR");
  size_t len = 0;
  if (root == NULL) {
    const char *text = embed_find(module, &len);
    if (text == NULL) lua_pushnil(L);
    else lua_pushlstring(L, text, len);
    return;
  }
  char path[PATH_MAX];
  int used = snprintf(path, sizeof path, "%s/", root);
  for (const char *c = module; *c != '\0' && used < PATH_MAX - 8; c++)
    path[used++] = *c == '.' ? '/' : *c;
  snprintf(path + used, 8, ".lua");
  char *text = read_whole_file(path, &len);
  if (text == NULL) lua_pushnil(L);
  else lua_pushlstring(L, text, len);
  free(text);
}

/* source(module) -> text | nil: for the loader, which loads stdlib modules into the sandbox. */
static int l_source(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  if (strncmp(module, "stdlib.", 7) != 0 || strlen(module) >= MODULE_MAX || strstr(module, "..") != NULL || strchr(module, '/') != NULL)
    return 0;
  push_source(L, module);
  return 1;
}

/* require(module): runs a runtime module once and remembers its value. */
static int l_require(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), module) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (strncmp(module, "runtime.", 8) != 0)
    return luaL_error(L, "the runtime has no module '%s'", module);
  push_source(L, module);
  size_t len = 0;
  const char *text = lua_tolstring(L, -1, &len);
  if (text == NULL) return luaL_error(L, "the runtime has no module '%s'", module);
  char chunk[MODULE_MAX + 2];
  snprintf(chunk, sizeof chunk, "=%s", module);
  /* Our own modules are embedded compiled; only here may a chunk be anything but text. */
  if (luaL_loadbufferx(L, text, len, chunk, NULL) != LUA_OK) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(1), module);
  return 1;
}

static void open_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                       {LUA_TABLIBNAME, luaopen_table},
                                       {LUA_STRLIBNAME, luaopen_string},
                                       {LUA_MATHLIBNAME, luaopen_math},
                                       {LUA_UTF8LIBNAME, luaopen_utf8},
                                       {NULL, NULL}};
  for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  static const char *const removed[] = {"dofile", "loadfile", "load", "print", "warn"};
  for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
    lua_pushnil(L);
    lua_setglobal(L, removed[i]);
  }
  lua_newtable(L);
  lua_pushcclosure(L, l_require, 1);
  lua_setglobal(L, "require");
}

static void push_host(lua_State *L, const struct cli_options *options) {
  static const luaL_Reg parts[] = {{"task", luaopen_host_task},
                                   {"memory", luaopen_host_memory},
                                   {"json", luaopen_host_json},
                                   {"term", luaopen_host_term},
                                   {"store", luaopen_host_store},
                                   {"mask", luaopen_host_mask},
                                   {"secret", luaopen_host_secret},
                                   {"digest", luaopen_host_digest},
                                   {"clock", luaopen_host_clock},
                                   {"random", luaopen_host_random},
                                   {"chunk", luaopen_host_chunk},
                                   {"signals", luaopen_host_signals},
                                   {"system", luaopen_host_system},
                                   {"files", luaopen_host_files},
                                   {"fileops", luaopen_host_fileops},
                                   {"logs", luaopen_host_logs},
                                   {"process", luaopen_host_process},
                                   {"sql", luaopen_host_sql},
                                   {"pgquery", luaopen_host_pgquery},
                                   {"http", luaopen_host_http},
                                   {"smtp", luaopen_host_smtp},
                                   {"redis", luaopen_host_redis},
                                   {"where", luaopen_host_where},
                                   {NULL, NULL}};
  lua_newtable(L);
  for (const luaL_Reg *part = parts; part->func != NULL; part++) {
    lua_pushcfunction(L, part->func);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, part->name);
  }
  options_push(L, options);
  lua_setfield(L, -2, "options");
  lua_pushcfunction(L, l_source);
  lua_setfield(L, -2, "source");
}

static int build_and_load(lua_State *L) {
  const struct cli_options *options = lua_touserdata(L, 1);
  lua_settop(L, 0);
  luaL_checkversion(L);
  open_libraries(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "runtime.main");
  lua_call(L, 1, 1);
  push_host(L, options);
  return 2;
}

int state_run(const struct cli_options *options) {
  lua_State *L = heap_new_state();
  if (L == NULL) {
    msg_error("out of memory at start", NULL);
    return EXIT_BUG;
  }
  lua_gc(L, LUA_GCGEN, 0, 0);
  lua_pushcfunction(L, build_and_load);
  lua_pushlightuserdata(L, (void *)options);
  int code = EXIT_BUG;
  if (lua_pcall(L, 1, 2, 0) != LUA_OK || task_run_main(L, 1) != LUA_OK) {
    const char *text = luaL_tolstring(L, -1, NULL);
    msg_error(text, "this is a bug of opsrun: please report it with the command line");
  } else if (lua_isinteger(L, -1)) {
    code = (int)lua_tointeger(L, -1);
  }
  /* The state is not closed: the process ends, and a finalizer could wait on a dead loop. */
  return code;
}
