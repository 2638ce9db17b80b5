/* host.system: facts about this process and who runs it. */
#include <lauxlib.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "state.h"

#ifndef OPSRUN_VERSION
#define OPSRUN_VERSION "0.0.0"
#endif

static int l_env(lua_State *L) {
  const char *value = getenv(luaL_checkstring(L, 1));
  if (value == NULL) return 0;
  lua_pushstring(L, value);
  return 1;
}

/* user() -> name of the operator: SUDO_USER when root through sudo, else the account. */
static int l_user(lua_State *L) {
  const char *sudo = getenv("SUDO_USER");
  if (geteuid() == 0 && sudo != NULL && sudo[0] != '\0') {
    lua_pushfstring(L, "%s (sudo)", sudo);
    return 1;
  }
  const struct passwd *entry = getpwuid(geteuid());
  if (entry != NULL) lua_pushstring(L, entry->pw_name);
  else lua_pushfstring(L, "uid %d", (int)geteuid());
  return 1;
}

static int l_hostname(lua_State *L) {
  char name[256];
  if (gethostname(name, sizeof name) != 0) strcpy(name, "unknown");
  name[sizeof name - 1] = '\0';
  lua_pushstring(L, name);
  return 1;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int l_cwd(lua_State *L) {
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == NULL) return 0;
  lua_pushstring(L, path);
  return 1;
}

static int l_executable(lua_State *L) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return 0;
  lua_pushlstring(L, path, (size_t)length);
  return 1;
}

static int l_home(lua_State *L) {
  const char *home = getenv("HOME");
  const struct passwd *entry = home == NULL ? getpwuid(geteuid()) : NULL;
  if (home == NULL && entry != NULL) home = entry->pw_dir;
  if (home == NULL) return 0;
  lua_pushstring(L, home);
  return 1;
}

/* mark(text): a line in a trace of system calls, and nothing else: no descriptor is -1. */
static int l_mark(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  ssize_t written = write(-1, text, length);
  (void)written; /* it cannot be */
  return 0;
}

static const luaL_Reg system_library[] = {
    {"env", l_env},   {"user", l_user}, {"hostname", l_hostname},     {"pid", l_pid},   {"cwd", l_cwd},
    {"home", l_home}, {"mark", l_mark}, {"executable", l_executable}, {NULL, NULL}};

int luaopen_host_system(lua_State *L) {
  luaL_newlib(L, system_library);
  lua_pushliteral(L, OPSRUN_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushinteger(L, (lua_Integer)geteuid());
  lua_setfield(L, -2, "euid");
  return 1;
}
