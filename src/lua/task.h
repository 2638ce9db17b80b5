/* Tasks: a coroutine and the operation it waits for. task.c holds the only lua_yieldk and the only
 * lua_resume of the program. A binding starts an operation and ends with
 *     return task_await(L, op, push_result);
 * which suspends the running task. When the operation is ready, `push` is called on the task's own
 * stack and what it pushed is what the Lua call returns. A failed operation returns
 *     nil, { message =, code =, outcome =, stopped = nil | "timeout" | "cancel" }
 * without calling push. */
#ifndef OPSRUN_TASK_H
#define OPSRUN_TASK_H

#include <lua.h>

#include "../loop/op.h"

/* Pushes the results of a finished, successful operation and returns how many [-0, +n, m]. It must
   not destroy the operation; that is done after it, also when it raises. */
typedef int (*task_push)(lua_State *L, struct op *op);

/* Suspends the running task until `op` is ready [-0, +n, e]. Takes ownership of op, also when it
   raises because the caller cannot wait here ("cannot wait inside 'table.sort': read first"). */
int task_await(lua_State *L, struct op *op, task_push push);

/* Raises the "cannot wait here" error if this call cannot be suspended. Call it BEFORE starting an
   effect, so that nothing is sent that nobody can wait for [-0, +0, v]. */
void task_check_can_wait(lua_State *L);

/* Runs the function on top of the stack, with `nargs` arguments above it, as the first task, until
   every task has ended. Leaves its one result, or an error value [-(nargs+1), +1, -]. Returns
   LUA_OK or an error status. */
int task_run_main(lua_State *L, int nargs);

/* The library `host.task`: spawn, join, cancel, sleep [-0, +1, e]. */
int luaopen_host_task(lua_State *L);

#endif
