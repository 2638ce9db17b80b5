/* The PostgreSQL client's connection object and its exported table of functions. */
#include "sql.h"

#include <stdlib.h>

#include "../loop/loop.h"
#include "sql_internal.h"

static void free_handle(uv_handle_t *handle) { free(handle); }

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)status; /* an error shows when libpq reads */
  (void)events;
  struct sql_conn *conn = poll->data;
  if (conn != NULL && conn->on_event != NULL) conn->on_event(conn);
}

static void drop_poll(struct sql_conn *conn) {
  if (conn->poll == NULL) return;
  uv_poll_stop(conn->poll);
  conn->poll->data = NULL;
  uv_close((uv_handle_t *)conn->poll, free_handle);
  conn->poll = NULL;
  conn->poll_fd = -1;
}

bool conn_watch(struct sql_conn *conn, int events, void (*on_event)(struct sql_conn *conn)) {
  int fd = PQsocket(conn->pg);
  if (fd < 0) return false;
  if (conn->poll != NULL && conn->poll_fd != fd) drop_poll(conn);
  if (conn->poll == NULL) {
    conn->poll = calloc(1, sizeof *conn->poll);
    if (conn->poll == NULL) return false;
    if (uv_poll_init(loop_uv(), conn->poll, fd) != 0) {
      free(conn->poll);
      conn->poll = NULL;
      return false;
    }
    conn->poll->data = conn;
    conn->poll_fd = fd;
  }
  conn->on_event = on_event;
  return uv_poll_start(conn->poll, events, on_poll) == 0;
}

void conn_unwatch(struct sql_conn *conn) {
  if (conn->poll != NULL) uv_poll_stop(conn->poll);
}

void conn_break(struct sql_conn *conn) {
  conn->broken = true;
  drop_poll(conn); /* before libpq closes the descriptor under it */
  if (conn->pg != NULL) PQfinish(conn->pg);
  conn->pg = NULL;
}

struct sql_conn *conn_new(void) {
  struct sql_conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL) return NULL;
  conn->poll_fd = -1;
  conn->refs = 1;
  return conn;
}

void conn_release(struct sql_conn *conn) {
  if (conn == NULL || --conn->refs > 0) return;
  if (conn->run != NULL) run_drop(conn->run);
  conn_break(conn);
  free(conn);
}

static bool is_usable(const struct sql_conn *conn) {
  return !conn->broken && conn->run == NULL && PQstatus(conn->pg) == CONNECTION_OK &&
         PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}

static bool is_busy(const struct sql_conn *conn) { return conn->run != NULL; }

static int server_version(const struct sql_conn *conn) {
  return conn->broken ? 0 : PQserverVersion(conn->pg);
}

static int backend_pid(const struct sql_conn *conn) {
  return conn->broken ? 0 : PQbackendPID(conn->pg);
}

static const char *parameter(const struct sql_conn *conn, const char *name) {
  return conn->broken ? NULL : PQparameterStatus(conn->pg, name);
}

/* A connection string alone decides: what the caller's shell exports must not redirect a change. */
__attribute__((constructor)) static void on_load(void) { connect_forget_environment(); }

extern const struct sql_api opsrun_sql_api;
const struct sql_api opsrun_sql_api = {
    .place = connect_place,
    .environment = connect_environment,
    .connect = connect_start,
    .connected = connect_take,
    .run = run_start,
    .next = run_next,
    .copy = run_copy,
    .copy_end = run_copy_end,
    .results = run_results,
    .fault = run_fault,
    .at_end = run_at_end,
    .is_usable = is_usable,
    .is_busy = is_busy,
    .server_version = server_version,
    .backend_pid = backend_pid,
    .parameter = parameter,
    .release = conn_release,
};
