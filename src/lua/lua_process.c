/* host.process: commands.
 *   run{argv = {…}, env = {K = string|secret}, stdin = string|secret|{string|secret, …},
 *       cwd=, title=, timeout=, to = path (a file that is there, for the whole of stdout),
 *       tty = boolean (a terminal for all three streams; then no stdin, no jail),
 *       grace= (seconds), cap= (bytes kept of each stream), tee= (open descriptor),
 *       tail = boolean (its last lines stand above the status line while it runs),
 *       jail = nil | {writable = {dir, …}, net = bool}, kind = "read" | "change"}
 *     -> {code, signal, stdout, stderr, truncated, stdout_bytes, stderr_bytes, pid, start_time,
 *         left} | nil, err
 *   jail_status() -> true | false, reason      waits the first time
 *   find(name [, path]) -> full path | nil      path: like $PATH, ours when absent */
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../clients/process.h"
#include "../clients/process_jail.h"
#include "../term/tail.h"
#include "state.h"
#include "task.h"
#include "util.h"

#define WORDS_MAX 100000
#define CAP_MAX (1024 * 1024 * 1024)

/* All a command gets of our environment. */
static const char *const passed_on[] = {"PATH", "HOME", "LANG", "TERM", "USER"};

/* The list at `idx` as a NULL-terminated array; it and the strings live while the stack above the
   list's table does. Leaves the array [-0, +1, v]. */
static const char **to_words(lua_State *L, int idx, const char *what, bool need_one) {
  idx = lua_absindex(L, idx);
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_Integer count = luaL_len(L, idx);
  if (count > WORDS_MAX || (need_one && count < 1))
    luaL_error(L, "'%s': expected 1 to %d words", what, WORDS_MAX);
  const char **words = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *words, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    size_t len = 0;
    if (lua_rawgeti(L, idx, i) != LUA_TSTRING)
      luaL_error(L, "'%s': word %d is not a string but a %s", what, (int)i, luaL_typename(L, -1));
    words[i - 1] = lua_tolstring(L, -1, &len); /* the list keeps it alive */
    if (strlen(words[i - 1]) != len) luaL_error(L, "'%s': word %d holds a NUL byte", what, (int)i);
    lua_pop(L, 1);
  }
  words[count] = NULL;
  return words;
}

static size_t env_entry_size(lua_State *L, int name, int value) {
  size_t name_len = 0, value_len = 0;
  if (lua_type(L, name) != LUA_TSTRING) luaL_error(L, "'env': a name is not a string");
  const char *text = lua_tolstring(L, name, &name_len);
  const char *bytes = util_to_sink(L, value, &value_len);
  if (bytes == NULL) luaL_error(L, "'env': '%s' is not a string or a secret", text);
  if (name_len == 0 || strcspn(text, "=") != name_len || memchr(bytes, 0, value_len) != NULL)
    luaL_error(L, "'env': '%s' cannot be handed to a process", text);
  return name_len + value_len + 2;
}

/* Appends "name=value" to the text at `at`; returns the end. */
static char *put_entry(char *at, const char *name, const char *value, size_t value_len) {
  size_t name_len = strlen(name);
  memcpy(at, name, name_len);
  at[name_len] = '=';
  memcpy(at + name_len + 1, value, value_len);
  at[name_len + 1 + value_len] = '\0';
  return at + name_len + value_len + 2;
}

/* The table (or nil) at `idx` and what is passed on as an environment. Leaves one userdata that
   holds the array and the texts [-0, +1, v]. */
static char **to_env(lua_State *L, int idx) {
  bool given = lua_istable(L, idx);
  if (!given && !lua_isnil(L, idx)) luaL_error(L, "'env': expected a table");
  size_t bytes = 0, count = 0;
  lua_pushnil(L);
  while (given && lua_next(L, idx) != 0) {
    bytes += env_entry_size(L, -2, -1);
    count++;
    lua_pop(L, 1);
  }
  if (!given) lua_pop(L, 1);
  size_t passed = sizeof passed_on / sizeof passed_on[0];
  for (size_t i = 0; i < passed; i++) {
    const char *value = getenv(passed_on[i]);
    if (value != NULL) bytes += strlen(passed_on[i]) + strlen(value) + 2;
  }
  size_t table = (count + passed + 1) * sizeof(char *);
  char **env = lua_newuserdatauv(L, table + bytes, 0);
  char *at = (char *)env + table;
  size_t used = 0;
  for (size_t i = 0; i < passed; i++) {
    const char *value = getenv(passed_on[i]);
    bool replaced = given && lua_getfield(L, idx, passed_on[i]) != LUA_TNIL;
    if (given) lua_pop(L, 1);
    if (value == NULL || replaced) continue;
    env[used++] = at;
    at = put_entry(at, passed_on[i], value, strlen(value));
  }
  lua_pushnil(L);
  while (given && lua_next(L, idx) != 0) {
    size_t len = 0;
    const char *value = util_to_sink(L, -1, &len);
    env[used++] = at;
    at = put_entry(at, lua_tostring(L, -2), value, len);
    lua_pop(L, 1);
  }
  if (!given) lua_pop(L, 1);
  env[used] = NULL;
  return env;
}

static uint64_t to_milliseconds(lua_State *L, int idx, const char *name, double otherwise) {
  double seconds = util_field_number(L, idx, name, otherwise);
  if (!(seconds >= 0 && seconds < 1e9)) luaL_error(L, "'%s': out of range", name);
  return (uint64_t)ceil(seconds * 1000);
}

static void push_stream(lua_State *L, const struct process_stream *stream, const char *name,
                        const char *bytes_name) {
  lua_pushlstring(L, stream->kept > 0 ? stream->data : "", stream->kept);
  lua_setfield(L, -2, name);
  lua_pushinteger(L, (lua_Integer)stream->total);
  lua_setfield(L, -2, bytes_name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static int push_result(lua_State *L, struct op *op) {
  const struct process_result *result = process_result(op);
  lua_createtable(L, 0, 12);
  set_integer(L, "code", result->code);
  if (result->signal != 0) set_integer(L, "signal", result->signal);
  push_stream(L, &result->out, "stdout", "stdout_bytes");
  push_stream(L, &result->err, "stderr", "stderr_bytes");
  lua_pushboolean(L, result->out.total > result->out.kept || result->err.total > result->err.kept);
  lua_setfield(L, -2, "truncated");
  if (result->pid > 0) {
    set_integer(L, "pid", result->pid);
    set_integer(L, "start_time", (lua_Integer)result->start_time);
  }
  if (result->left > 0) set_integer(L, "left", result->left);
  if (result->tee_error != 0) {
    lua_pushstring(L, strerror(result->tee_error));
    lua_setfield(L, -2, "tee_error");
  }
  return 1;
}

/* Fields that are plain values. Whatever has to stay alive is left on the stack. */
static void read_plain_fields(lua_State *L, struct process_request *request) {
  request->cwd = util_field_string(L, 1, "cwd", NULL);
  request->title = util_field_string(L, 1, "title", NULL);
  request->timeout_ms = to_milliseconds(L, 1, "timeout", 0);
  request->grace_ms = to_milliseconds(L, 1, "grace", PROCESS_GRACE_DEFAULT_MS / 1000.0);
  int64_t cap = util_field_integer(L, 1, "cap", PROCESS_CAP_DEFAULT);
  if (cap < 0 || cap > CAP_MAX) luaL_error(L, "'cap': out of range");
  request->cap = (size_t)cap;
  request->tee_fd = (int)util_field_integer(L, 1, "tee", -1);
  request->tee_path = util_field_string(L, 1, "to", NULL);
  request->tty = util_field_boolean(L, 1, "tty", false);
  const char *kind = util_field_string(L, 1, "kind", NULL);
  request->change = kind != NULL && strcmp(kind, "change") == 0;
}

static void to_tail(void *context, int stream, const char *bytes, size_t len) {
  tail_feed(context, stream, bytes, len);
}

static void end_tail(void *context) { tail_close(context); }

/* The last thing before the start: nothing may raise while the tail is nobody's. */
static struct op *start_process(struct process_request *request, bool with_tail) {
  struct tail *tail = with_tail ? tail_open() : NULL;
  if (tail != NULL) request->listener = (struct process_listener){to_tail, end_tail, tail};
  struct op *op = process_start(request);
  if (op == NULL) tail_close(tail);
  return op;
}

/* A part of a list at the top of the stack, as bytes; they live while the list does. */
static const char *input_part(lua_State *L, int list, lua_Integer i, size_t *len) {
  lua_rawgeti(L, list, i);
  const char *bytes = util_to_sink(L, -1, len);
  if (bytes == NULL) luaL_error(L, "'stdin': part %d is no string or secret", (int)i);
  lua_pop(L, 1);
  return bytes;
}

/* The field `stdin`. A list is joined in memory of Lua's, which is returned; else NULL. What has to
   stay alive is left on the stack [-0, +1|2, v]. */
static char *read_input(lua_State *L, struct process_request *request) {
  int type = lua_getfield(L, 1, "stdin");
  if (type == LUA_TNIL) return NULL;
  if (request->tty) luaL_error(L, "'stdin': a terminal of its own is not fed");
  if (type != LUA_TTABLE) {
    request->input = util_to_sink(L, -1, &request->input_len);
    if (request->input == NULL) luaL_error(L, "'stdin': expected a string or a secret");
    return NULL;
  }
  int list = lua_gettop(L);
  lua_Integer count = luaL_len(L, list);
  size_t total = 0, len = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    input_part(L, list, i, &len);
    total += len;
  }
  char *joined = lua_newuserdatauv(L, total + 1, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    const char *part = input_part(L, list, i, &len);
    memcpy(joined + request->input_len, part, len);
    request->input_len += len;
  }
  request->input = joined;
  return joined;
}

static int l_run(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  task_check_can_wait(L);
  struct process_request request = {0};
  struct process_jail jail = {NULL, false};
  read_plain_fields(L, &request);
  lua_getfield(L, 1, "argv");
  request.argv = (char *const *)to_words(L, -1, "argv", true);
  lua_getfield(L, 1, "env");
  request.env = to_env(L, lua_gettop(L));
  char *joined = read_input(L, &request);
  if (lua_getfield(L, 1, "jail") != LUA_TNIL) {
    int at = lua_gettop(L);
    luaL_checktype(L, at, LUA_TTABLE);
    jail.net = util_field_boolean(L, at, "net", false);
    if (lua_getfield(L, at, "writable") != LUA_TNIL)
      jail.writable = to_words(L, -1, "writable", false);
    request.jail = &jail;
  }
  struct op *op = start_process(&request, util_field_boolean(L, 1, "tail", false));
  if (joined != NULL) explicit_bzero(joined, request.input_len); /* a secret may be in it */
  if (op == NULL) return util_push_error(L, OP_NOT_SENT, "memory", NULL);
  return task_await(L, op, push_result);
}

static int push_state(lua_State *L) {
  const char *reason = NULL;
  bool works = process_jail_state(&reason) == PROCESS_JAIL_WORKS;
  lua_pushboolean(L, works);
  if (works) return 1;
  lua_pushstring(L, reason);
  return 2;
}

static int push_probed(lua_State *L, struct op *op) {
  (void)op;
  return push_state(L);
}

static int l_jail_status(lua_State *L) {
  const char *reason = NULL;
  if (process_jail_state(&reason) != PROCESS_JAIL_UNKNOWN) return push_state(L);
  task_check_can_wait(L);
  struct op *op = process_jail_probe();
  if (op == NULL) return luaL_error(L, "out of memory");
  return task_await(L, op, push_probed);
}

static int l_find(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *path = luaL_optstring(L, 2, getenv("PATH"));
  char found[PATH_MAX];
  if (!process_find(name, path, found, sizeof found)) return 0;
  lua_pushstring(L, found);
  return 1;
}

static const luaL_Reg process_library[] = {
    {"run", l_run}, {"jail_status", l_jail_status}, {"find", l_find}, {NULL, NULL}};

int luaopen_host_process(lua_State *L) {
  luaL_newlib(L, process_library);
  return 1;
}
