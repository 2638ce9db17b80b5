/* The methods of a run of host.store; lua_store.c says what they are. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../term/mask.h"
#include "last_words.h"
#include "lua_mask.h"
#include "lua_store.h"
#include "util.h"

#define RUN_TYPE "opsrun.store.run"

static const struct store_api *const store = &store_files;

int store_push_failure(lua_State *L, const struct store_error *error) {
  int count = util_push_error(L, OP_NOT_SENT, error->code, error->message);
  if (strcmp(error->code, "damaged") == 0) {
    lua_pushinteger(L, (lua_Integer)error->line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, (lua_Integer)error->offset);
    lua_setfield(L, -2, "offset");
  }
  return count;
}

int store_push_torn(lua_State *L, size_t bytes) {
  if (bytes == 0) lua_pushnil(L);
  else
    lua_pushfstring(L, "the journal's last record was cut short: %I bytes at its end were dropped",
                    (LUAI_UACINT)bytes);
  return 1;
}

struct names {
  char **names;
  size_t count;
};

/* Under pcall, so that the names are freed whatever happens. */
static int push_list(lua_State *L) {
  const struct names *list = lua_touserdata(L, 1);
  lua_createtable(L, list->count < 1 << 20 ? (int)list->count : 0, 0);
  for (size_t i = 0; i < list->count; i++) {
    lua_pushstring(L, list->names[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

int store_push_names(lua_State *L, char **names, size_t count) {
  struct names list = {names, count};
  lua_pushcfunction(L, push_list);
  lua_pushlightuserdata(L, &list);
  int code = lua_pcall(L, 1, 1, 0);
  store->free_list(names, count);
  return code == LUA_OK ? 1 : lua_error(L);
}

struct store_box *store_new_box(lua_State *L) {
  struct store_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->run = NULL;
  luaL_setmetatable(L, RUN_TYPE);
  return box;
}

static struct store_run *check_run(lua_State *L) {
  struct store_box *box = luaL_checkudata(L, 1, RUN_TYPE);
  if (box->run == NULL) luaL_error(L, "this run is closed");
  return box->run;
}

static int run_close(lua_State *L) {
  struct store_box *box = luaL_checkudata(L, 1, RUN_TYPE);
  last_words_forget(box->run);
  store->close(box->run);
  box->run = NULL;
  return 0;
}

static int answer(lua_State *L, int code, const struct store_error *error) {
  if (code != 0) return store_push_failure(L, error);
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
  last_words_hold();
  int code = store->append(run, text, len, sync, &error);
  last_words_release();
  return answer(L, code, &error);
}

static int run_reserve(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  lua_Integer bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, bytes >= 0 && bytes <= STORE_LINE_MAX, 2, "expected 0 to 64 MiB");
  last_words_hold();
  int code = store->reserve(run, (size_t)bytes, &error);
  last_words_release();
  return answer(L, code, &error);
}

static int run_sync(lua_State *L) {
  struct store_run *run = check_run(L);
  struct store_error error;
  last_words_hold();
  int code = store->sync(run, &error);
  last_words_release();
  return answer(L, code, &error);
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
  if (store->read(run, &lines, &error) != 0) return store_push_failure(L, &error);
  lua_pushcfunction(L, push_lines);
  lua_pushlightuserdata(L, &lines);
  int code = lua_pcall(L, 1, 1, 0);
  size_t torn = lines.torn_bytes;
  store->free_lines(&lines);
  if (code != LUA_OK) return lua_error(L);
  return 1 + store_push_torn(L, torn);
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
  if (code != 0) return store_push_failure(L, &error);
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
    return store_push_failure(L, &error);
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
  if (store->get(run, "blobs", wanted, &bytes, &len, &error) != 0)
    return store_push_failure(L, &error);
  store_digest(bytes, len, digest);
  bool good = strcmp(digest, wanted) == 0;
  if (good) lua_pushlstring(L, bytes, len);
  free(bytes);
  if (good) return 1;
  return util_push_errorf(L, OP_NOT_SENT, "damaged", "blob '%s' of this run was changed", wanted);
}

static int run_opened(lua_State *L) {
  lua_pushboolean(L, store->opened(check_run(L)));
  return 1;
}

static int run_tip(lua_State *L) {
  uint64_t count;
  char digest[65];
  store->tip(check_run(L), &count, digest);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushstring(L, digest);
  return 2;
}

static int run_blobs(lua_State *L) {
  const struct store_run *run = check_run(L);
  struct store_error error;
  char **names = NULL;
  size_t count = 0;
  if (store->names(run, "blobs", &names, &count, &error) != 0) return store_push_failure(L, &error);
  return store_push_names(L, names, count);
}

void store_run_type(lua_State *L) {
  static const luaL_Reg run_methods[] = {{"append", run_append},
                                         {"reserve", run_reserve},
                                         {"sync", run_sync},
                                         {"read", run_read},
                                         {"artifact", run_artifact},
                                         {"blob", run_blob},
                                         {"fetch", run_fetch},
                                         {"dir", run_dir},
                                         {"opened", run_opened},
                                         {"tip", run_tip},
                                         {"blobs", run_blobs},
                                         {"close", run_close},
                                         {"__gc", run_close},
                                         {NULL, NULL}};
  store_make_type(L, RUN_TYPE, run_methods);
}
