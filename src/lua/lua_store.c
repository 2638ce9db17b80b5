/* The library host.store: durable runs, over struct store_api.
 *
 *   store.home() -> path                    store.list() -> {id, …} oldest first | nil, err
 *   store.create(id) -> run | nil, err      err.code "exists" when the id is taken
 *   store.open(id, "read" | "append") -> run, notice | nil, err
 *       err.code "missing", "locked" (err.holder), "damaged" (err.line, err.offset); notice: what
 *       was cut off the end of a journal that a crash left torn
 *   store.holder(id) -> {pid, host, since, note} | nil       who writes this run now
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
 *   run:artifact(name, text) -> path | nil, err              replaced whole if it is there
 *   run:blob(text) -> digest | nil, err     err.code "secret" when it holds one: bytes are kept as
 *                                           they are or not at all
 *   run:fetch(digest) -> text | nil, err
 *
 * Errors are {message, code, outcome}. What is appended or made an artifact passes the masking
 * writer first. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../store/store.h"
#include "../term/mask.h"
#include "lua_mask.h"
#include "state.h"
#include "util.h"

#define RUN_TYPE "opsrun.store.run"
#define LOCK_TYPE "opsrun.store.lock"

static const struct store_api *const store = &store_files;

static int push_failure(lua_State *L, const struct store_error *error) {
  int count = util_push_error(L, OP_NOT_SENT, error->code, error->message);
  if (strcmp(error->code, "damaged") == 0) {
    lua_pushinteger(L, (lua_Integer)error->line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, (lua_Integer)error->offset);
    lua_setfield(L, -2, "offset");
  }
  return count;
}

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

static int push_torn(lua_State *L, size_t bytes) {
  if (bytes == 0) lua_pushnil(L);
  else
    lua_pushfstring(L, "the journal's last record was cut short: %I bytes at its end were dropped",
                    (LUAI_UACINT)bytes);
  return 1;
}

/* --- runs ----------------------------------------------------------------------------------- */

struct box {
  struct store_run *run;
};

static struct box *new_box(lua_State *L) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->run = NULL;
  luaL_setmetatable(L, RUN_TYPE);
  return box;
}

static struct store_run *check_run(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, RUN_TYPE);
  if (box->run == NULL) luaL_error(L, "this run is closed");
  return box->run;
}

static int run_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, RUN_TYPE);
  store->close(box->run);
  box->run = NULL;
  return 0;
}

static int answer(lua_State *L, int code, const struct store_error *error) {
  if (code != 0) return push_failure(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

static int run_append(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  size_t len = 0;
  const char *text = luaL_checklstring(L, 2, &len);
  bool sync = lua_toboolean(L, 3);
  if (mask_count() > 0) {
    mask_push_json(L, text, len);
    text = lua_tolstring(L, -1, &len);
  }
  return answer(L, store->append(run, text, len, sync, &error), &error);
}

static int run_reserve(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  lua_Integer bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, bytes >= 0 && bytes <= STORE_LINE_MAX, 2, "expected 0 to 64 MiB");
  return answer(L, store->reserve(run, (size_t)bytes, &error), &error);
}

static int run_sync(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  return answer(L, store->sync(run, &error), &error);
}

static int run_dir(lua_State *L) {
  lua_pushstring(L, store->dir(check_run(L)));
  return 1;
}

/* Under pcall, so that the lines are freed whatever happens. */
static int push_lines(lua_State *L) {
  const struct store_lines *lines = lua_touserdata(L, 1);
  lua_createtable(L, lines->count < 1 << 20 ? (int)lines->count : 0, 0);
  for (size_t i = 0; i < lines->count; i++) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_setfield(L, -2, "n");
    lua_pushstring(L, lines->lines[i].time);
    lua_setfield(L, -2, "t");
    lua_pushlstring(L, lines->lines[i].text, lines->lines[i].len);
    lua_setfield(L, -2, "text");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int run_read(lua_State *L) {
  const struct store_run *run = check_run(L);
  struct store_error error;
  struct store_lines lines;
  if (store->read(run, &lines, &error) != 0) return push_failure(L, &error);
  lua_pushcfunction(L, push_lines);
  lua_pushlightuserdata(L, &lines);
  int code = lua_pcall(L, 1, 1, 0);
  size_t torn = lines.torn_bytes;
  store->free_lines(&lines);
  if (code != LUA_OK) return lua_error(L);
  return 1 + push_torn(L, torn);
}

static int run_artifact(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  const char *name = luaL_checkstring(L, 2);
  size_t len = 0, masked_len = 0;
  const char *text = luaL_checklstring(L, 3, &len);
  char *masked = mask_text(text, len, &masked_len, NULL), *path = NULL;
  if (masked == NULL) return luaL_error(L, "not enough memory");
  int code = store->put(run, "artifacts", name, masked, masked_len, &path, &error);
  free(masked);
  if (code != 0) return push_failure(L, &error);
  lua_pushstring(L, path);
  free(path);
  return 1;
}

static int run_blob(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  size_t len = 0, hits = 0;
  const char *text = luaL_checklstring(L, 2, &len);
  char *masked = mask_text(text, len, NULL, &hits), *path = NULL, digest[65];
  if (masked == NULL) return luaL_error(L, "not enough memory");
  free(masked);
  if (hits > 0)
    return util_push_error(L, OP_NOT_SENT, "secret", "a value that holds a secret is not kept");
  store_digest(text, len, digest);
  if (store->put(run, "blobs", digest, text, len, &path, &error) != 0)
    return push_failure(L, &error);
  free(path);
  lua_pushstring(L, digest);
  return 1;
}

static int run_fetch(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  const char *wanted = luaL_checkstring(L, 2);
  char *bytes = NULL, digest[65];
  size_t len = 0;
  if (store->get(run, "blobs", wanted, &bytes, &len, &error) != 0) return push_failure(L, &error);
  store_digest(bytes, len, digest);
  bool good = strcmp(digest, wanted) == 0;
  if (good) lua_pushlstring(L, bytes, len);
  free(bytes);
  if (good) return 1;
  return util_push_errorf(L, OP_NOT_SENT, "damaged", "blob '%s' of this run was changed", wanted);
}

/* --- the library ---------------------------------------------------------------------------- */

static int l_home(lua_State *L) {
  lua_pushstring(L, store->home());
  return 1;
}

static int l_list(lua_State *L) {
  struct store_error error;
  char **ids = NULL;
  size_t count = 0;
  if (store->list(&ids, &count, &error) != 0) return push_failure(L, &error);
  lua_createtable(L, count < 1 << 20 ? (int)count : 0, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, ids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  store->free_list(ids, count);
  return 1;
}

static int l_create(lua_State *L) {
  const char *id = luaL_checkstring(L, 1);
  struct store_error error;
  struct box *box = new_box(L);
  box->run = store->create(id, &error);
  if (box->run == NULL) return push_failure(L, &error);
  return 1;
}

static int l_open(lua_State *L) {
  static const char *const modes[] = {"read", "append", NULL};
  const char *id = luaL_checkstring(L, 1);
  enum store_mode mode = luaL_checkoption(L, 2, "read", modes) == 0 ? STORE_READ : STORE_APPEND;
  struct store_error error;
  struct store_holder holder = {.pid = -1};
  size_t torn = 0;
  struct box *box = new_box(L);
  box->run = store->open(id, mode, &holder, &torn, &error);
  if (box->run != NULL) return 1 + push_torn(L, torn);
  int count = push_failure(L, &error);
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
  if (held < 0) return push_failure(L, &error);
  if (held == 0) lua_pushnil(L);
  else push_holder(L, &holder);
  return 1;
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
  if (store->state_get(name, &bytes, &len, &error) != 0) return push_failure(L, &error);
  lua_pushlstring(L, bytes, len);
  free(bytes);
  return 1;
}

static int l_state_put(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t len = 0;
  const char *text = luaL_checklstring(L, 2, &len);
  struct store_error error;
  if (store->state_put(name, text, len, &error) != 0) return push_failure(L, &error);
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
  push_failure(L, &error);
  if (strcmp(error.code, "locked") == 0) push_holder(L, &holder);
  else lua_pushnil(L);
  lua_insert(L, -2);
  return 3;
}

static void make_type(lua_State *L, const char *name, const luaL_Reg *methods) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

int luaopen_host_store(lua_State *L) {
  static const luaL_Reg run_methods[] = {{"append", run_append},
                                         {"reserve", run_reserve},
                                         {"sync", run_sync},
                                         {"read", run_read},
                                         {"artifact", run_artifact},
                                         {"blob", run_blob},
                                         {"fetch", run_fetch},
                                         {"dir", run_dir},
                                         {"close", run_close},
                                         {"__gc", run_close},
                                         {NULL, NULL}};
  static const luaL_Reg lock_methods[] = {
      {"release", lock_release}, {"__gc", lock_release}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"home", l_home}, {"list", l_list}, {"create", l_create},
                                       {"open", l_open}, {"lock", l_lock}, {"holder", l_holder},
                                       {"state_get", l_state_get}, {"state_put", l_state_put},
                                       {NULL, NULL}};
  make_type(L, RUN_TYPE, run_methods);
  make_type(L, LOCK_TYPE, lock_methods);
  luaL_newlib(L, functions);
  return 1;
}
