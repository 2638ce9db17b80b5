/* The SQL client, its binding, the judge and the primitive against a PostgreSQL of our own: a fresh
 * cluster in a private directory, on a free loopback port, gone afterwards. The claims are in
 * tests/sql/main.lua. */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "loop/loop.h"
#include "lua/secret.h"
#include "lua/state.h"
#include "lua/task.h"

static char directory[] = "/tmp/opsrun-test-sql-XXXXXX";

/* initdb refuses root, so the server belongs to postgres then. */
static const char start_script[] =
    "set -e; cd /; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)\n"
    "as=; [ \"$(id -u)\" = 0 ] && as='runuser -u postgres --' && chown postgres \"$DIR\"\n"
    "$as $bin/initdb -D $DIR/data -A trust -U postgres --no-sync >$DIR/log 2>&1\n"
    "cat >>$DIR/data/postgresql.conf <<EOF\n"
    "listen_addresses = '127.0.0.1'\nport = $PORT\nunix_socket_directories = '$DIR'\nfsync = off\n"
    "shared_preload_libraries = 'pg_stat_statements'\nEOF\n"
    "sed -i '1i host all locked 127.0.0.1/32 scram-sha-256' $DIR/data/pg_hba.conf\n"
    "$as $bin/pg_ctl -D $DIR/data -l $DIR/server.log -w start >>$DIR/log 2>&1\n"
    "env -u PGOPTIONS -u PGHOST $bin/psql -v ON_ERROR_STOP=1 -h 127.0.0.1 -p $PORT -U postgres -q >>$DIR/log 2>&1 <<EOF\n"
    "CREATE ROLE plain LOGIN; CREATE ROLE owner LOGIN; CREATE ROLE locked LOGIN PASSWORD 'right';\n"
    "GRANT pg_read_all_data, pg_read_all_stats TO plain, owner;\nEOF\n";

static const char stop_script[] =
    "cd /; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)\n"
    "as=; [ \"$(id -u)\" = 0 ] && as='runuser -u postgres --'\n"
    "$as $bin/pg_ctl -D $DIR/data -m immediate -w stop >>$DIR/log 2>&1; rm -rf \"$DIR\"\n";

static int free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
      getsockname(fd, (struct sockaddr *)&address, &size) == 0)
    port = ntohs(address.sin_port);
  if (fd >= 0) close(fd);
  return port;
}

static void add_library(lua_State *L, const char *name, lua_CFunction open) {
  lua_pushcfunction(L, open);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, name);
}

/* Runs the claims; returns how many failed, or -1 when they did not run to their end. */
static int run_claims(int port) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return -1;
  luaL_openlibs(L);
  if (luaL_dostring(L, "package.path = './?.lua'") != LUA_OK ||
      luaL_loadfile(L, "tests/sql/main.lua") != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return -1;
  }
  lua_newtable(L);
  add_library(L, "task", luaopen_host_task);
  add_library(L, "json", luaopen_host_json);
  add_library(L, "sql", luaopen_host_sql);
  add_library(L, "digest", luaopen_host_digest);
  add_library(L, "clock", luaopen_host_clock);
  add_library(L, "secret", luaopen_host_secret);
  add_library(L, "pgquery", luaopen_host_pgquery);
  lua_pushfstring(L, "postgres://postgres@127.0.0.1:%d/postgres", port);
  lua_pushfstring(L, "postgres://plain@127.0.0.1:%d/postgres", port);
  lua_pushfstring(L, "postgres://owner@127.0.0.1:%d/postgres", port);
  int failed = -1;
  if (task_run_main(L, 4) == LUA_OK && lua_istable(L, -1)) {
    failed = (int)luaL_len(L, -1);
    for (int i = 1; i <= failed; i++) {
      lua_rawgeti(L, -1, i);
      fprintf(stderr, "FAILED %s\n", lua_tostring(L, -1));
      lua_pop(L, 1);
    }
  } else {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  }
  lua_close(L);
  return failed;
}

int main(void) {
  char port[16];
  if (mkdtemp(directory) == NULL) return 1;
  snprintf(port, sizeof port, "%d", free_port());
  setenv("DIR", directory, 1);
  setenv("PORT", port, 1);
  setenv("PGHOST", "no-such-host.invalid", 1); /* what a shell exports decides nothing */
  setenv("PGOPTIONS", "-c default_transaction_read_only=on", 1);
  CHECK(loop_open() == 0, "the loop opens");
  bool started = system(start_script) == 0;
  CHECK(started, "a private server starts");
  if (started) CHECK(run_claims(atoi(port)) == 0, "every claim of tests/sql/main.lua holds");
  loop_close();
  CHECK(system(stop_script) == 0, "nothing of it is left");
  return CHECK_RESULT();
}
