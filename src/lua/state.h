/* The Lua state of the process: libraries for the runtime, the host table, embedded sources. */
#ifndef OPSRUN_STATE_H
#define OPSRUN_STATE_H

#include <lua.h>

struct cli_options;

/* Makes the state, builds the host table and runs runtime/main.lua with it as the first task.
   Returns the process's exit code. */
int state_run(const struct cli_options *options);

/* One function a library of the host table; see docs/ARCHITECTURE.md, "The host table". */
int luaopen_host_json(lua_State *L);
int luaopen_host_term(lua_State *L);
int luaopen_host_store(lua_State *L);
int luaopen_host_mask(lua_State *L);
int luaopen_host_digest(lua_State *L);
int luaopen_host_clock(lua_State *L);
int luaopen_host_random(lua_State *L);
int luaopen_host_chunk(lua_State *L);
int luaopen_host_signals(lua_State *L);
int luaopen_host_system(lua_State *L);
int luaopen_host_files(lua_State *L);
int luaopen_host_fileops(lua_State *L);
int luaopen_host_logs(lua_State *L);
int luaopen_host_process(lua_State *L);
int luaopen_host_sql(lua_State *L);
int luaopen_host_pgquery(lua_State *L);
int luaopen_host_http(lua_State *L);
int luaopen_host_smtp(lua_State *L);
int luaopen_host_redis(lua_State *L);
int luaopen_host_where(lua_State *L);

/* Pushes the options as a table [-0, +1, m]. */
void options_push(lua_State *L, const struct cli_options *options);

/* An embedded module: "runtime.gate" compiled, "stdlib.postgres" as text; or NULL. *len its bytes. */
const char *embed_find(const char *module, size_t *len);

#endif
