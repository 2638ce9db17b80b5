/* Tasks: claims about waiting, joining and cancelling, run as Lua on the real loop. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "loop/loop.h"
#include "lua/task.h"

/* Runs `script` as the first task with host.task as its argument; its result as text in `out`. */
static void run(const char *script, char *out, size_t size) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_loadstring(L, script) != LUA_OK) {
    snprintf(out, size, "load: %s", lua_tostring(L, -1));
    lua_close(L);
    return;
  }
  luaL_requiref(L, "host.task", luaopen_host_task, 0);
  task_run_main(L, 1);
  snprintf(out, size, "%s", luaL_tolstring(L, -1, NULL));
  lua_close(L);
}

static void claim(const char *text, const char *script, const char *expected) {
  char got[512];
  run(script, got, sizeof got);
  if (strcmp(got, expected) != 0) printf("  expected '%s', got '%s'\n", expected, got);
  CHECK(strcmp(got, expected) == 0, text);
}

/* In a process of its own: what the dead tasks waited for is never freed. */
static void claim_deadlock_is_told(void) {
  pid_t pid = fork();
  if (pid == 0) {
    char got[512];
    run("local task = ...; local a; a = task.spawn(function() task.join(a) end); task.join(a)", got,
        sizeof got);
    _exit(strcmp(got, "a bug: the main task waits for something that cannot come") == 0 ? 0 : 1);
  }
  int status = 1;
  waitpid(pid, &status, 0);
  CHECK(status == 0, "a main task that waits for nothing that can come is told so");
}

int main(void) {
  if (loop_open() != 0) return 1;
  claim("a task's results reach the one that joins it",
        "local task = ...; local t = task.spawn(function(a, b) return a + b, 'x' end, 2, 3)"
        " local ok, sum, x = task.join(t); return tostring(ok) .. sum .. x",
        "true5x");
  claim("a task's error reaches the one that joins it",
        "local task = ...; local t = task.spawn(function() error('boom', 0) end)"
        " local ok, err = task.join(t); return tostring(ok) .. err",
        "falseboom");
  claim("a spawned task does not run before its starter waits",
        "local task = ...; local order = ''"
        " local t = task.spawn(function() order = order .. 'b' end); order = order .. 'a'"
        " task.join(t); return order",
        "ab");
  claim("sleeping tasks run side by side",
        "local task = ...; local order = ''"
        " local a = task.spawn(function() task.sleep(0.03); order = order .. 'a' end)"
        " local b = task.spawn(function() task.sleep(0.01); order = order .. 'b' end)"
        " task.join(a); task.join(b); return order",
        "ba");
  claim("a join gives up after its seconds",
        "local task = ...; local t = task.spawn(function() task.sleep(5) end)"
        " local ok, why = task.join(t, 0.01); task.cancel(t); return tostring(ok) .. why.stopped",
        "niltimeout");
  claim("a cancelled sleep returns at once and says so",
        "local task = ...; local said"
        " local t = task.spawn(function() local ok, e = task.sleep(60); said = e.stopped end)"
        " task.sleep(0.005); task.cancel(t); task.join(t); return said",
        "cancel");
  claim("a task cancelled between two waits is stopped at the second",
        "local task = ...; local said"
        " local t = task.spawn(function() task.sleep(0); local ok, e = task.sleep(60); said = e.stopped end)"
        " task.cancel(t); task.join(t); return said",
        "cancel");
  claim("waiting works across pcall",
        "local task = ...; local ok, v = pcall(function() task.sleep(0.001); error('late', 0) end)"
        " return tostring(ok) .. v",
        "falselate");
  claim("waiting inside a C callback names the function",
        "local task = ...; local ok, e = pcall(table.sort, {2, 1},"
        " function() task.sleep(0.001) end) return e",
        "cannot wait inside 'table.sort': read first");
  claim("waiting inside gsub inside pcall names gsub, not pcall",
        "local task = ...; local ok, e = pcall(string.gsub, 'a', 'a',"
        " function() local _, why = pcall(task.sleep, 1); error(why, 0) end) return e",
        "cannot wait inside 'string.gsub': read first");
  claim("a thousand tasks all end",
        "local task = ...; local n, all = 0, {}"
        " for i = 1, 1000 do all[i] = task.spawn(function() task.sleep(0.001); n = n + 1 end) end"
        " for i = 1, 1000 do task.join(all[i]) end; return tostring(n)",
        "1000");
  claim("task locals belong to their task",
        "local task = ...; task.locals().x = 1"
        " local t = task.spawn(function() local seen = task.locals().x; task.locals().x = 2;"
        " return tostring(seen) end)"
        " local _, seen = task.join(t); return seen .. task.locals().x",
        "nil1");
  claim_deadlock_is_told();
  loop_close();
  return CHECK_RESULT();
}
