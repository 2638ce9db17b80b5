/* host.files: small synchronous looks at files for the loader and the commands: playbooks,
   environments, directories. Effects on files have a client of their own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"
#include "util.h"

#define READ_CAP_DEFAULT (16 * 1024 * 1024)

static const char *errno_code(int error) {
  switch (error) {
    case ENOENT: return "missing";
    case EACCES: return "denied";
    case ENOTDIR: return "not a directory";
    case EISDIR: return "a directory";
    default: return "io";
  }
}

static int push_errno(lua_State *L, const char *verb, const char *path) {
  int error = errno;
  return util_push_errorf(L, OP_FAILED, errno_code(error), "cannot %s '%s': %s", verb, path,
                          strerror(error));
}

/* The descriptor of a file that is read, closed also when Lua raises: a buffer that finds no memory
 * for more does. */
struct reading {
  int fd;
};

static int l_reading_close(lua_State *L) {
  struct reading *reading = lua_touserdata(L, 1);
  if (reading->fd >= 0) close(reading->fd);
  reading->fd = -1;
  return 0;
}

/* Pushes a reading that holds no descriptor yet; it is closed with its place on the stack. */
static struct reading *push_reading(lua_State *L) {
  struct reading *reading = lua_newuserdatauv(L, sizeof *reading, 0);
  reading->fd = -1;
  if (luaL_newmetatable(L, "opsrun.reading")) {
    lua_pushcfunction(L, l_reading_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return reading;
}

/* read(path [, cap in bytes]) -> text | nil, error. A longer file is an error. */
static int l_read(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer cap = luaL_optinteger(L, 2, READ_CAP_DEFAULT);
  struct reading *reading = push_reading(L);
  reading->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (reading->fd < 0) return push_errno(L, "read", path);
  struct stat facts;
  if (fstat(reading->fd, &facts) != 0) return push_errno(L, "read", path);
  if (S_ISDIR(facts.st_mode)) {
    errno = EISDIR;
    return push_errno(L, "read", path);
  }
  if (facts.st_size > cap)
    return util_push_errorf(L, OP_FAILED, "too large", "'%s' is larger than %I bytes", path, cap);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  lua_Integer total = 0;
  size_t room_size = facts.st_size > 0 ? (size_t)facts.st_size + 1 : LUAL_BUFFERSIZE;
  ssize_t got;
  for (;;) { /* /proc and pipes tell no size: read to the end, whatever was said */
    char *room = luaL_prepbuffsize(&buffer, room_size);
    got = read(reading->fd, room, room_size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || (total += got) > cap) break;
    luaL_addsize(&buffer, (size_t)got);
    if (total == facts.st_size) room_size = 1; /* the end, most likely */
    else room_size = LUAL_BUFFERSIZE;
  }
  int saved = errno;
  luaL_pushresult(&buffer);
  if (got == 0) return 1;
  errno = saved;
  if (got < 0) return push_errno(L, "read", path);
  return util_push_errorf(L, OP_FAILED, "too large", "'%s' is larger than %I bytes", path, cap);
}

/* list(directory) -> names sorted by bytes, without . and .. | nil, error. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int l_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct dirent **entries = NULL;
  int count = scandir(path, &entries, NULL, compare_names);
  if (count < 0) return push_errno(L, "list", path);
  lua_createtable(L, count, 0);
  lua_Integer used = 0;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
      lua_pushstring(L, name);
      lua_rawseti(L, -2, ++used);
    }
    free(entries[i]);
  }
  free(entries);
  return 1;
}

/* stat(path) -> {type, size, mode, uid, gid, mtime} | nil, error. Follows links. */
static int l_stat(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat facts;
  if (stat(path, &facts) != 0) return push_errno(L, "look at", path);
  lua_createtable(L, 0, 6);
  lua_pushstring(L, S_ISREG(facts.st_mode)   ? "file"
                    : S_ISDIR(facts.st_mode) ? "directory"
                                             : "other");
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, (lua_Integer)facts.st_size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)(facts.st_mode & 07777));
  lua_setfield(L, -2, "mode");
  lua_pushinteger(L, (lua_Integer)facts.st_uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, (lua_Integer)facts.st_gid);
  lua_setfield(L, -2, "gid");
  lua_pushnumber(L, (lua_Number)facts.st_mtim.tv_sec + (lua_Number)facts.st_mtim.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  return 1;
}

static int l_realpath(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char resolved[PATH_MAX];
  if (realpath(path, resolved) == NULL) return push_errno(L, "resolve", path);
  lua_pushstring(L, resolved);
  return 1;
}

static const luaL_Reg files_library[] = {{"read", l_read},
                                         {"list", l_list},
                                         {"stat", l_stat},
                                         {"realpath", l_realpath},
                                         {NULL, NULL}};

int luaopen_host_files(lua_State *L) {
  luaL_newlib(L, files_library);
  return 1;
}
