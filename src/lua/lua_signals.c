/* host.signals: count() -> how many came; wait() -> count, name | nil, error; reset(). */
#include <lauxlib.h>
#include <signal.h>

#include "../loop/signals.h"
#include "state.h"
#include "task.h"

static const char *signal_name(int number) {
  switch (number) {
    case SIGINT: return "SIGINT";
    case SIGTERM: return "SIGTERM";
    case SIGHUP: return "SIGHUP";
    default: return "none";
  }
}

static int push_state(lua_State *L, struct op *op) {
  (void)op;
  lua_pushinteger(L, signals_count());
  lua_pushstring(L, signal_name(signals_last()));
  return 2;
}

static int l_wait(lua_State *L) {
  task_check_can_wait(L);
  struct op *op = signals_wait();
  if (op == NULL) return luaL_error(L, "out of memory");
  return task_await(L, op, push_state);
}

static int l_count(lua_State *L) { return push_state(L, NULL); }

static int l_reset(lua_State *L) {
  (void)L;
  signals_reset();
  return 0;
}

static const luaL_Reg signals_library[] = {
    {"wait", l_wait}, {"count", l_count}, {"reset", l_reset}, {NULL, NULL}};

int luaopen_host_signals(lua_State *L) {
  luaL_newlib(L, signals_library);
  return 1;
}
