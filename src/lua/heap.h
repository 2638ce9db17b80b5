/* The memory of the Lua state, counted: what a playbook keeps may not take the machine down. */
#ifndef OPSRUN_HEAP_H
#define OPSRUN_HEAP_H

#include <lua.h>
#include <stddef.h>

/* A state whose memory is counted and capped, HEAP_DEFAULT_CAP at first; NULL without memory. When
   the cap is reached, or the system has nothing left, the process ends with last words: a failed
   allocation is never Lua's to handle, since what follows one is the least tested part of it. */
lua_State *heap_new_state(void);

#define HEAP_DEFAULT_CAP ((size_t)1 << 30)

void heap_set_cap(size_t bytes);

/* Something outside the state is about to have so many bytes for it: ends the process when both
   together are more than the cap. */
void heap_check(size_t bytes);

/* Before the cap is near, what is garbage is collected; for hooks, where that is allowed. */
void heap_relieve(lua_State *L);

/* host.memory: cap(bytes) sets it, used() -> bytes [-0, +1, e]. */
int luaopen_host_memory(lua_State *L);

#endif
