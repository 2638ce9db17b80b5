/* Claims about host.files when there is no memory: what was opened is closed. */
#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "check.h"

int luaopen_host_files(lua_State *L);

/* Bytes that Lua may still allocate; negative: as many as it likes. */
static long budget = -1;

static void *allocate(void *ignored, void *old, size_t old_size, size_t size) {
  (void)ignored;
  if (size == 0) {
    free(old);
    return NULL;
  }
  long more = (long)size - (old != NULL ? (long)old_size : 0);
  if (budget >= 0 && more > 0) {
    if (more > budget) return NULL;
    budget -= more;
  }
  return realloc(old, size);
}

static int count_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) abort();
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

int main(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL) return 1;
  luaL_openlibs(L);
  luaopen_host_files(L);
  lua_getfield(L, -1, "read");
  lua_pushvalue(L, -1);
  lua_pushliteral(L, "/proc/self/maps");
  CHECK(lua_pcall(L, 1, 1, 0) == LUA_OK && lua_rawlen(L, -1) > 1000, "a file of unknown length is read whole");
  lua_pop(L, 1);
  int before = count_descriptors(), raised = 0;
  for (long bytes = 0; bytes < 40000; bytes += 200) {
    lua_pushvalue(L, -1);
    lua_pushliteral(L, "/proc/self/maps");
    lua_gc(L, LUA_GCCOLLECT);
    budget = bytes;
    raised += lua_pcall(L, 1, 1, 0) == LUA_ERRMEM;
    budget = -1;
    lua_pop(L, 1);
  }
  printf("raised for want of memory: %d times of 200\n", raised);
  CHECK(raised > 10, "a read that finds no memory raises");
  CHECK(count_descriptors() == before, "and leaves no descriptor open");
  lua_close(L);
  return CHECK_RESULT();
}
