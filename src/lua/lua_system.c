/* host.system: facts about this process and who runs it. */
#include <grp.h>
#include <lauxlib.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
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

/* Groups of an account, or of this process where `account` is NULL; `count` is their number and the
   list is Lua's [-0, +1, m]. No list: a user whom the system does not know. */
static const gid_t *push_groups(lua_State *L, const struct passwd *account, int *count) {
  int room = account != NULL ? 0 : getgroups(0, NULL);
  if (account != NULL) getgrouplist(account->pw_name, account->pw_gid, NULL, &room);
  if (room < 0) room = 0;
  gid_t *list = lua_newuserdatauv(L, ((size_t)room + 1) * sizeof *list, 0);
  *count = room;
  if (account != NULL && getgrouplist(account->pw_name, account->pw_gid, list, count) < 0)
    *count = 0; /* it grew meanwhile: whoever is in no group may do less */
  if (account == NULL) {
    *count = getgroups(room, list);
    if (*count < 0) *count = 0;
    list[(*count)++] = getegid();
  }
  return list;
}

/* groups() -> names of the groups the operator is in: of who called sudo, else of this process. */
static int l_groups(lua_State *L) {
  const char *sudo = getenv("SUDO_USER");
  bool by_sudo = geteuid() == 0 && sudo != NULL && sudo[0] != '\0';
  const struct passwd *account = by_sudo ? getpwnam(sudo) : NULL;
  int count = 0, named = 0;
  const gid_t *list = by_sudo && account == NULL ? NULL : push_groups(L, account, &count);
  lua_newtable(L);
  for (int i = 0; i < count; i++) {
    const struct group *entry = getgrgid(list[i]);
    if (entry == NULL) continue; /* it has no name a rule could say */
    lua_pushstring(L, entry->gr_name);
    lua_rawseti(L, -2, ++named);
  }
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
    {"env", l_env},   {"user", l_user}, {"groups", l_groups}, {"hostname", l_hostname},
    {"pid", l_pid},   {"cwd", l_cwd},   {"home", l_home},     {"executable", l_executable},
    {"mark", l_mark}, {NULL, NULL}};

int luaopen_host_system(lua_State *L) {
  luaL_newlib(L, system_library);
  lua_pushliteral(L, OPSRUN_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushinteger(L, (lua_Integer)geteuid());
  lua_setfield(L, -2, "euid");
  return 1;
}
