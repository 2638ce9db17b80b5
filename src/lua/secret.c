/* Secrets as opaque userdata, and where they come from: the environment, a file, the runtime. */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../term/errtext.h"
#include "../term/mask.h"
#include "secret_made.h"
#include "util.h"

#define SECRET_TYPE "opsrun.secret"

struct secret {
  char *name;
  char *value;
  size_t len;
};

const char *secret_value(lua_State *L, int idx, size_t *len) {
  const struct secret *s = luaL_testudata(L, idx, SECRET_TYPE);
  if (s == NULL || s->value == NULL) return NULL;
  if (len != NULL) *len = s->len;
  return s->value;
}

static int l_tostring(lua_State *L) {
  const struct secret *s = luaL_checkudata(L, 1, SECRET_TYPE);
  lua_pushfstring(L, "\xE2\x80\xB9secret:%s\xE2\x80\xBA", s->name != NULL ? s->name : "?");
  return 1;
}

static int l_gc(lua_State *L) {
  struct secret *s = luaL_checkudata(L, 1, SECRET_TYPE);
  if (s->value != NULL) explicit_bzero(s->value, s->len);
  free(s->value);
  free(s->name);
  memset(s, 0, sizeof *s);
  return 0;
}

static int l_concat(lua_State *L) {
  return luaL_error(L,
                    "a secret cannot be joined with text: hand it whole to 'bearer', a header, a "
                    "connection or a process environment");
}

static int l_length(lua_State *L) { return luaL_error(L, "a secret does not tell its length"); }

static void push_metatable(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"__tostring", l_tostring}, {"__json", l_tostring}, {"__gc", l_gc},
      {"__concat", l_concat},     {"__len", l_length},    {NULL, NULL}};
  if (!luaL_newmetatable(L, SECRET_TYPE)) return;
  luaL_setfuncs(L, methods, 0);
  lua_pushliteral(L, "secret");
  lua_setfield(L, -2, "__metatable");
}

/* A secret that cannot be masked does not come to be. */
int secret_push(lua_State *L, const char *name, const char *value, size_t len, bool short_ok) {
  char why[256];
  if (mask_add(name, value, len, short_ok ? MASK_ALLOW_SHORT : MASK_PLAIN, why, sizeof why) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  struct secret *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  push_metatable(L);
  lua_setmetatable(L, -2);
  s->name = strdup(name);
  s->value = malloc(len + 1); /* ends in a NUL, as Lua strings do: sinks take both alike */
  if (s->name == NULL || s->value == NULL) return luaL_error(L, "not enough memory");
  memcpy(s->value, value, len);
  s->value[len] = '\0';
  s->len = len;
  return 1;
}

static bool short_allowed(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return false;
  luaL_checktype(L, idx, LUA_TTABLE);
  return util_field_boolean(L, idx, "allow_short", false);
}

static int l_new(lua_State *L) {
  size_t len = 0;
  const char *name = luaL_checkstring(L, 1), *value = luaL_checklstring(L, 2, &len);
  return secret_push(L, name, value, len, short_allowed(L, 3));
}

static int l_env(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *value = getenv(name);
  if (value != NULL && *value != '\0')
    return secret_push(L, name, value, strlen(value), short_allowed(L, 2));
  lua_pushnil(L);
  lua_pushfstring(L, "environment variable '%s' is %s", name, value == NULL ? "not set" : "empty");
  return 2;
}

static int file_error(lua_State *L, const char *path, const char *why) {
  lua_pushnil(L);
  lua_pushfstring(L, "cannot read secret file '%s': %s", path, why);
  return 2;
}

/* Who may change the file chooses the secret; who may read it has it. A group may read. */
static const char *unfit(const struct stat *st) {
  if (!S_ISREG(st->st_mode)) return "it is no regular file";
  if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write it, try 'chmod go-w'";
  if ((st->st_mode & S_IROTH) != 0) return "everybody may read it, try 'chmod o-r'";
  if (st->st_uid != 0 && st->st_uid != geteuid()) return "it belongs to another user";
  return NULL;
}

static ssize_t read_file(int fd, char *room, size_t size) {
  size_t used = 0;
  while (used < size) {
    ssize_t got = read(fd, room + used, size - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    used += (size_t)got;
  }
  return (ssize_t)used;
}

static int l_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  bool short_ok = short_allowed(L, 2);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return file_error(L, path, error_text(errno));
  struct stat st;
  const char *why = fstat(fd, &st) != 0 ? error_text(errno) : unfit(&st);
  if (why != NULL) {
    close(fd);
    return file_error(L, path, why);
  }
  char *room = malloc(MASK_VALUE_MAX + 2);
  ssize_t used = room == NULL ? -1 : read_file(fd, room, MASK_VALUE_MAX + 2);
  int number = room == NULL ? ENOMEM : errno;
  close(fd);
  if (used < 0) {
    free(room);
    return file_error(L, path, error_text(number));
  }
  size_t len = (size_t)used;
  if (len > 0 && room[len - 1] == '\n') len--; /* editors end files with one */
  if (len > 0 && len < (size_t)used && room[len - 1] == '\r') len--;
  int count = secret_push(L, path, room, len, short_ok);
  explicit_bzero(room, (size_t)used);
  free(room);
  return count;
}

static int l_is(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, SECRET_TYPE) != NULL);
  return 1;
}

static int l_name(lua_State *L) {
  const struct secret *s = luaL_checkudata(L, 1, SECRET_TYPE);
  lua_pushstring(L, s->name);
  return 1;
}

int luaopen_host_secret(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", l_new},
                                       {"env", l_env},
                                       {"file", l_file},
                                       {"is", l_is},
                                       {"name", l_name},
                                       {"generate", secret_generate},
                                       {"seal", secret_seal},
                                       {"unseal", secret_unseal},
                                       {NULL, NULL}};
  push_metatable(L);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
