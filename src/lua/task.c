/* Tasks: the one place where a coroutine is suspended (lua_yieldk) and continued (lua_resume).
 *
 * A task is a full userdata whose first user value is its coroutine and whose second is a table of
 * task locals. While it is alive it is anchored in the registry, so neither can be collected while
 * an operation points to it. */
#include "task.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../loop/loop.h"
#include "last_words.h"
#include "runaway.h"
#include "util.h"

#define TASK_TYPE "opsrun.task"

struct task {
  lua_State *co;      /* anchored by user value 1 */
  int anchor;         /* registry reference to the userdata while alive */
  int nargs;          /* values on co's stack for the first resume */
  bool started, ended, ok;
  bool stop_next;     /* told to stop when nothing could be stopped: its next operation will be */
  struct op *waits;   /* the operation it is suspended on */
  task_push push;
  struct op *spent;   /* finished, its results are being pushed */
  struct join_op *joiners;
  uint64_t ends_ns;   /* when who joined it last stops waiting, monotonic; 0: never */
  const char *place;  /* where it stands, for last words */
};

struct join_op {
  struct op op;
  struct task *target;
  struct join_op *next;
};

static struct task *running_task;

static void resume_task(lua_State *from, struct task *task);

/* The main state: a pointer that outlives every coroutine, for callbacks of the loop. */
static lua_State *main_state;

/* -- waiting ------------------------------------------------------------------------------------ */

static void drop_spent(struct task *task) {
  if (task->spent == NULL) return;
  struct op *op = task->spent;
  task->spent = NULL;
  op_destroy(op);
}

static int push_failure(lua_State *L, const struct op *op) {
  util_push_error(L, op->outcome, op->code, op->message);
  if (op->stopped != OP_STOP_NONE) {
    lua_pushstring(L, op->stopped == OP_STOP_TIMEOUT ? "timeout" : "cancel");
    lua_setfield(L, -2, "stopped");
  }
  return 2;
}

static int continue_after_wait(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  struct op *op = (struct op *)ctx;
  struct task *task = running_task;
  /* It was over before it could be stopped: an effect of several operations must not go on to the
     next, maybe long, one as if nobody had asked. */
  if (op->stopped == OP_STOP_CANCEL && !op->failed) task->stop_next = true;
  int count = op->failed ? push_failure(L, op) : task->push(L, op);
  drop_spent(task);
  return count;
}

/* The name under which a loaded library holds the function on top, as "table.sort" [-1, +1, m]. */
static bool push_library_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) { /* loaded, library name, library */
    if (lua_istable(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
      lua_pushnil(L);
      while (lua_next(L, -2) != 0) { /* …, field name, value */
        if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, function)) {
          const char *library = lua_tostring(L, -4);
          if (strcmp(library, LUA_GNAME) == 0) lua_pushvalue(L, -2);
          else lua_pushfstring(L, "%s.%s", library, lua_tostring(L, -2));
          lua_replace(L, function);
          lua_settop(L, function);
          return true;
        }
        lua_pop(L, 1);
      }
    }
    lua_pop(L, 1);
  }
  lua_settop(L, function - 1);
  return false;
}

void task_check_can_wait(lua_State *L) {
  if (lua_isyieldable(L) && running_task != NULL && running_task->co == L) return;
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Snf", &frame); /* pushes the function */
    if (frame.what[0] != 'C') {
      lua_pop(L, 1);
      continue;
    }
    if (!push_library_name(L)) continue;
    const char *name = lua_tostring(L, -1);
    if (strcmp(name, "pcall") != 0 && strcmp(name, "xpcall") != 0) {
      lua_pushfstring(L, "cannot wait inside '%s': read first", name);
      lua_error(L);
    }
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "cannot wait here: read first");
  lua_error(L);
}

static void on_op_ready(struct op *op) { resume_task(main_state, op->waiter); }

int task_await(lua_State *L, struct op *op, task_push push) {
  struct task *task = running_task;
  if (task == NULL || task->co != L || !lua_isyieldable(L)) {
    op_stop(op, OP_STOP_CANCEL); /* its late end is nobody's: on_ready stays empty */
    task_check_can_wait(L);
    return 0; /* not reached: it raises for just what was asked here */
  }
  drop_spent(task);
  op->waiter = task;
  op->on_ready = on_op_ready;
  task->waits = op;
  task->push = push;
  if (task->stop_next && !op->finished) {
    task->stop_next = false;
    op_stop(op, OP_STOP_CANCEL);
  }
  return lua_yieldk(L, 0, (lua_KContext)op, continue_after_wait);
}

/* -- runaways ----------------------------------------------------------------------------------- */

static uint64_t in_seconds(lua_Number seconds) { return loop_now_ns() + (uint64_t)(seconds * 1e9); }

/* deadline(seconds from now | nil) */
static int l_deadline(lua_State *L) {
  runaway_deadline(lua_isnoneornil(L, 1) ? 0 : in_seconds(luaL_checknumber(L, 1)));
  return 0;
}

/* in_flight(change): so many more, or fewer, changes were begun and have no recorded outcome. */
static int l_in_flight(lua_State *L) {
  last_words_in_flight((int)luaL_checkinteger(L, 1));
  return 0;
}

/* The same text at the same address, for as long as the process lives. NULL without memory. */
static const char *interned(const char *text) {
  static struct name {
    struct name *next;
    char text[];
  } *names;
  for (const struct name *name = names; name != NULL; name = name->next)
    if (strcmp(name->text, text) == 0) return name->text;
  size_t size = strlen(text) + 1;
  struct name *name = malloc(sizeof *name + size);
  if (name == NULL) return NULL;
  memcpy(name->text, text, size);
  name->next = names;
  names = name;
  return name->text;
}

static struct task *check_task(lua_State *L, int idx) { return luaL_checkudata(L, idx, TASK_TYPE); }

/* place(task, "PATH\tSTEP"): where it stands, for last words. */
static int l_place(lua_State *L) {
  struct task *task = check_task(L, 1);
  const char *text = luaL_checkstring(L, 2);
  if (task->place == NULL || strcmp(task->place, text) != 0) task->place = interned(text);
  return 0;
}

/* -- life of a task ----------------------------------------------------------------------------- */

/* A task that failed when its time was over has run out of it, whatever it failed with: it may have
   computed, and the timer could not come between. */
static void end_join(struct join_op *join, bool overran) {
  if (!overran || join->op.timeout_ms == 0 || join->op.stopped != OP_STOP_NONE) {
    op_finish(&join->op);
    return;
  }
  join->op.stopped = OP_STOP_TIMEOUT;
  op_fail(&join->op, OP_NOT_SENT, "timeout", "the task took too long");
}

static void end_task(lua_State *from, struct task *task, bool ok) {
  bool overran = !ok && task->ends_ns != 0 && loop_now_ns() > task->ends_ns;
  task->ended = true;
  task->ok = ok;
  drop_spent(task);
  for (struct join_op *join = task->joiners; join != NULL;) {
    struct join_op *next = join->next;
    end_join(join, overran);
    join = next;
  }
  task->joiners = NULL;
  luaL_unref(from, LUA_REGISTRYINDEX, task->anchor);
  task->anchor = LUA_NOREF;
}

static void resume_task(lua_State *from, struct task *task) {
  struct task *outer = running_task;
  running_task = task;
  task->spent = task->waits;
  task->waits = NULL;
  int nargs = task->started ? 0 : task->nargs;
  task->started = true;
  int nresults = 0;
  const struct runaway_task before = runaway_enter(task->ends_ns, task->place);
  int status = lua_resume(task->co, from, nargs, &nresults);
  runaway_leave(before);
  if (status == LUA_YIELD) {
    lua_pop(task->co, nresults);
    drop_spent(task);
  } else {
    end_task(from, task, status == LUA_OK);
  }
  running_task = outer;
}

static void destroy_start(struct op *op) { free(op); }

static const struct op_class start_class = {"start", NULL, destroy_start};

/* Makes a task of the function at `first` and the values above it; they move to its coroutine.
   Leaves the task [-n, +1, m]. */
static struct task *new_task(lua_State *L, int first) {
  int nargs = lua_gettop(L) - first;
  struct task *task = lua_newuserdatauv(L, sizeof *task, 2);
  memset(task, 0, sizeof *task);
  task->anchor = LUA_NOREF;
  luaL_setmetatable(L, TASK_TYPE);
  task->co = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 2);
  lua_insert(L, first); /* task below function and arguments */
  luaL_checkstack(task->co, nargs + 1, "too many arguments for a task");
  lua_xmove(L, task->co, nargs + 1);
  task->nargs = nargs;
  lua_pushvalue(L, -1);
  task->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  runaway_watch(task->co);
  if (running_task != NULL) { /* a branch has no more time than what it is a branch of */
    task->ends_ns = running_task->ends_ns;
    task->place = running_task->place;
  }
  return task;
}

static int l_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct op *start = calloc(1, sizeof *start);
  if (start == NULL) return luaL_error(L, "out of memory");
  op_open(start, &start_class);
  struct task *task = new_task(L, 1);
  start->waiter = task;
  start->on_ready = on_op_ready;
  task->waits = start;
  op_finish(start);
  return 1;
}

static int l_cancel(lua_State *L) {
  struct task *task = check_task(L, 1);
  if (task->ended) return 0;
  if (task->waits == NULL || task->waits->finished) task->stop_next = true;
  else op_stop(task->waits, OP_STOP_CANCEL);
  return 0;
}

static void unlink_join(struct join_op *join) {
  for (struct join_op **at = &join->target->joiners; *at != NULL; at = &(*at)->next) {
    if (*at != join) continue;
    *at = join->next;
    return;
  }
}

static void stop_join(struct op *op, enum op_stop why) {
  unlink_join((struct join_op *)op);
  if (why == OP_STOP_TIMEOUT) op_fail(op, OP_NOT_SENT, "timeout", "the task is still running");
  else op_fail(op, OP_NOT_SENT, "cancelled", "cancelled");
}

static const struct op_class join_class = {"join", stop_join, destroy_start};

/* Pushes true and the results, or false and the error, of an ended task. */
static int push_task_result(lua_State *L, struct task *task) {
  int count = lua_gettop(task->co);
  lua_pushboolean(L, task->ok);
  if (!task->ok) {
    lua_pushvalue(task->co, -1);
    lua_xmove(task->co, L, 1);
    return 2;
  }
  luaL_checkstack(L, count, "too many results");
  luaL_checkstack(task->co, count, "too many results");
  for (int i = 1; i <= count; i++) lua_pushvalue(task->co, i);
  lua_xmove(task->co, L, count);
  return count + 1;
}

static int push_joined(lua_State *L, struct op *op) {
  return push_task_result(L, ((struct join_op *)op)->target);
}

/* join(task [, seconds]): the target stays on this stack, hence alive, while we wait. */
static int l_join(lua_State *L) {
  struct task *task = check_task(L, 1);
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  if (task->ended) return push_task_result(L, task);
  task_check_can_wait(L);
  struct join_op *join = calloc(1, sizeof *join);
  if (join == NULL) return luaL_error(L, "out of memory");
  op_open(&join->op, &join_class);
  join->target = task;
  join->next = task->joiners;
  task->joiners = join;
  if (seconds > 0) {
    op_set_timeout(&join->op, (uint64_t)ceil(seconds * 1000));
    uint64_t ends_ns = in_seconds(seconds);
    if (task->ends_ns == 0 || ends_ns < task->ends_ns) task->ends_ns = ends_ns;
  }
  return task_await(L, &join->op, push_joined);
}

static void stop_sleep(struct op *op, enum op_stop why) {
  if (why == OP_STOP_TIMEOUT) op_finish(op); /* the time is over: that is what was asked for */
  else op_fail(op, OP_NOT_SENT, "cancelled", "cancelled");
}

static const struct op_class sleep_class = {"sleep", stop_sleep, destroy_start};

static int push_true(lua_State *L, struct op *op) {
  (void)op;
  lua_pushboolean(L, 1);
  return 1;
}

static int l_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  task_check_can_wait(L);
  struct op *op = calloc(1, sizeof *op);
  if (op == NULL) return luaL_error(L, "out of memory");
  op_open(op, &sleep_class);
  if (seconds > 0) op_set_timeout(op, (uint64_t)ceil(seconds * 1000));
  else op_finish(op);
  return task_await(L, op, push_true);
}

static int l_running(lua_State *L) {
  if (running_task == NULL || running_task->anchor == LUA_NOREF) return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, running_task->anchor);
  return 1;
}

/* locals([task]): the table that belongs to that, or the running, task. */
static int l_locals(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    if (l_running(L) == 0) return 0;
  } else {
    check_task(L, 1);
  }
  lua_getiuservalue(L, -1, 2);
  return 1;
}

/* check_can_wait(): raises the text of task_check_can_wait, without a position. */
static int l_check_can_wait(lua_State *L) {
  task_check_can_wait(L);
  return 0;
}

static int l_traceback(lua_State *L) {
  struct task *task = check_task(L, 1);
  luaL_traceback(L, task->co, NULL, 0);
  return 1;
}

int task_run_main(lua_State *L, int nargs) {
  main_state = L;
  struct task *task = new_task(L, lua_gettop(L) - nargs);
  resume_task(L, task);
  while (!task->ended && loop_turn()) continue;
  if (!task->ended) {
    lua_settop(L, 0);
    lua_pushliteral(L, "a bug: the main task waits for something that cannot come");
    return LUA_ERRRUN;
  }
  int count = push_task_result(L, task);
  if (count < 2) lua_pushnil(L);
  lua_settop(L, lua_gettop(L) - (count > 2 ? count - 2 : 0));
  return task->ok ? LUA_OK : LUA_ERRRUN;
}

static const luaL_Reg task_library[] = {
    {"spawn", l_spawn},     {"join", l_join},     {"cancel", l_cancel},       {"sleep", l_sleep},
    {"running", l_running}, {"locals", l_locals}, {"traceback", l_traceback},
    {"check_can_wait", l_check_can_wait}, {"deadline", l_deadline},
    {"place", l_place}, {"in_flight", l_in_flight}, {NULL, NULL}};

int luaopen_host_task(lua_State *L) {
  luaL_newmetatable(L, TASK_TYPE);
  lua_pushliteral(L, "task");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  luaL_newlib(L, task_library);
  return 1;
}
