/* The library host.store: durable runs, over struct store_api.
 *
 *   store.home() -> path                    store.list([part]) -> {id, …} oldest first, those that
 *                                               hold this text | nil, err
 *   store.create(id) -> run | nil, err      err.code "exists" when the id is taken
 *   store.open(id, "read" | "append") -> run, notice | nil, err
 *       err.code "missing", "locked" (err.holder), "damaged" (err.line, err.offset); notice: what
 *       was cut off the end of a journal that a crash left torn
 *   store.holder(id) -> {pid, host, since, note} | nil       who writes this run now
 *   store.made(id) -> seconds since 1970 | nil, err          when its folder was made
 *   store.ends(id) -> first, last | nil, err                 lines of its journal, the rest is not
 *                                           read; nil for one that is cut short or damaged
 *   store.remove(id) -> true | nil, err     with all it holds; err.code "locked", err.holder
 *   store.lock(name [, note]) -> lock | nil, holder, err     lock:release(); ends with the process
 *
 *   store.state_get(name) -> text | nil, err                 err.code "missing" when nothing was put
 *   store.state_put(name, text) -> true | nil, err           replaced whole
 *
 *   run:append(json_object [, sync]) -> true | nil, err      the store adds n, t, prev and sum
 *   run:reserve(bytes) -> true | nil, err   room on disk for what must be writable later
 *   run:sync() -> true | nil, err           after a failed write or sync all fail with that error
 *   run:read() -> {{n, t, text}, …}, notice | nil, err
 *   run:dir() -> path                       run:close()
 *   run:opened() -> released                all that opening takes is written; true when the disk
 *                                           was full and the home's 8 MiB of ballast were given for it
 *   run:tip() -> count, digest              how many records, SHA-256 of the last line
 *   run:artifact(name, text) -> path | nil, err              replaced whole if it is there
 *   run:blob(text) -> digest | nil, err     err.code "secret" when it holds one: bytes are kept as
 *                                           they are or not at all
 *   run:fetch(digest) -> text | nil, err    err.code "damaged" when it was changed
 *   run:blobs() -> {digest, …} | nil, err
 *
 * Errors are {message, code, outcome}. What is appended or made an artifact passes the masking
 * writer first. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../store/store.h"
#include "last_words.h"
#include "lua_store.h"
#include "runaway.h"
#include "state.h"
#include "util.h"

#define LOCK_TYPE "opsrun.store.lock"

static const struct store_api *const store = &store_files;

static void push_holder(lua_State *L, const struct store_holder *holder) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, holder->pid);
  lua_setfield(L, -2, "pid");
  lua_pushstring(L, holder->host);
  lua_setfield(L, -2, "host");
  lua_pushstring(L, holder->since);
  lua_setfield(L, -2, "since");
  lua_pushstring(L, holder->note);
  lua_setfield(L, -2, "note");
}

/* --- the library ---------------------------------------------------------------------------- */

static int l_home(lua_State *L) {
  lua_pushstring(L, store->home());
  return 1;
}

static int l_list(lua_State *L) {
  const char *part = luaL_optstring(L, 1, "");
  struct store_error error;
  char **ids = NULL;
  size_t count = 0;
  if (store->list(part, &ids, &count, &error) != 0) return store_push_failure(L, &error);
  return store_push_names(L, ids, count);
}

static int l_made(lua_State *L) {
  struct store_error error;
  int64_t seconds = 0;
  if (store->made(luaL_checkstring(L, 1), &seconds, &error) != 0)
    return store_push_failure(L, &error);
  lua_pushinteger(L, (lua_Integer)seconds);
  return 1;
}

/* A line, or nil in place of an empty one. */
static void push_line(lua_State *L, const char *line) {
  if (*line != '\0') lua_pushstring(L, line);
  else lua_pushnil(L);
}

static int l_ends(lua_State *L) {
  struct store_error error;
  char *first = NULL, *last = NULL;
  if (store->ends(luaL_checkstring(L, 1), &first, &last, &error) != 0)
    return store_push_failure(L, &error);
  push_line(L, first);
  push_line(L, last);
  free(first);
  free(last);
  return 2;
}

static int l_create(lua_State *L) {
  const char *id = luaL_checkstring(L, 1);
  struct store_error error;
  struct store_box *box = store_new_box(L);
  box->run = store->create(id, &error);
  if (box->run == NULL) return store_push_failure(L, &error);
  last_words_of(box->run);
  runaway_start();
  return 1;
}

static int l_open(lua_State *L) {
  static const char *const modes[] = {"read", "append", NULL};
  const char *id = luaL_checkstring(L, 1);
  enum store_mode mode = luaL_checkoption(L, 2, "read", modes) == 0 ? STORE_READ : STORE_APPEND;
  struct store_error error;
  struct store_holder holder = {.pid = -1};
  size_t torn = 0;
  struct store_box *box = store_new_box(L);
  box->run = store->open(id, mode, &holder, &torn, &error);
  if (box->run != NULL && mode == STORE_APPEND) {
    last_words_of(box->run);
    runaway_start();
  }
  if (box->run != NULL) return 1 + store_push_torn(L, torn);
  int count = store_push_failure(L, &error);
  if (strcmp(error.code, "locked") == 0) {
    push_holder(L, &holder);
    lua_setfield(L, -2, "holder");
  }
  return count;
}

static int l_holder(lua_State *L) {
  struct store_error error;
  struct store_holder holder;
  int held = store->holder(luaL_checkstring(L, 1), &holder, &error);
  if (held < 0) return store_push_failure(L, &error);
  if (held == 0) lua_pushnil(L);
  else push_holder(L, &holder);
  return 1;
}

static int l_remove(lua_State *L) {
  struct store_error error;
  struct store_holder holder = {.pid = -1};
  if (store->remove(luaL_checkstring(L, 1), &holder, &error) == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  int count = store_push_failure(L, &error);
  if (strcmp(error.code, "locked") == 0) {
    push_holder(L, &holder);
    lua_setfield(L, -2, "holder");
  }
  return count;
}

struct lock_box {
  struct store_lock *lock;
};

static int lock_release(lua_State *L) {
  struct lock_box *box = luaL_checkudata(L, 1, LOCK_TYPE);
  store->unlock(box->lock);
  box->lock = NULL;
  return 0;
}

/* nil, holder, err: the holder is nil when it failed for another reason. */
static int l_state_get(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct store_error error;
  char *bytes = NULL;
  size_t len = 0;
  if (store->state_get(name, &bytes, &len, &error) != 0) return store_push_failure(L, &error);
  lua_pushlstring(L, bytes, len);
  free(bytes);
  return 1;
}

static int l_state_put(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t len = 0;
  const char *text = luaL_checklstring(L, 2, &len);
  struct store_error error;
  if (store->state_put(name, text, len, &error) != 0) return store_push_failure(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_lock(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *note = luaL_optstring(L, 2, "");
  struct store_error error;
  struct store_holder holder;
  struct lock_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->lock = NULL;
  luaL_setmetatable(L, LOCK_TYPE);
  box->lock = store->lock(name, note, &holder, &error);
  if (box->lock != NULL) return 1;
  store_push_failure(L, &error);
  if (strcmp(error.code, "locked") == 0) push_holder(L, &holder);
  else lua_pushnil(L);
  lua_insert(L, -2);
  return 3;
}

void store_make_type(lua_State *L, const char *name, const luaL_Reg *methods) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

int luaopen_host_store(lua_State *L) {
  static const luaL_Reg lock_methods[] = {
      {"release", lock_release}, {"__gc", lock_release}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"home", l_home}, {"list", l_list}, {"create", l_create},
                                       {"open", l_open}, {"lock", l_lock}, {"holder", l_holder},
                                       {"state_get", l_state_get}, {"state_put", l_state_put},
                                       {"made", l_made}, {"ends", l_ends}, {"remove", l_remove},
                                       {NULL, NULL}};
  store_run_type(L);
  store_make_type(L, LOCK_TYPE, lock_methods);
  luaL_newlib(L, functions);
  return 1;
}
