/* The connection object and its bytes: a socket, with TLS above it or without. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "redis_internal.h"

static void free_handle(uv_handle_t *handle) { free(handle); }

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)status; /* an error shows when the socket is read */
  (void)events;
  struct redis_conn *conn = poll->data;
  if (conn != NULL && conn->on_event != NULL) conn->on_event(conn);
}

bool conn_watch(struct redis_conn *conn, int events, void (*on_event)(struct redis_conn *conn)) {
  if (conn->fd < 0) return false;
  if (conn->poll == NULL) {
    conn->poll = calloc(1, sizeof *conn->poll);
    if (conn->poll == NULL) return false;
    if (uv_poll_init(loop_uv(), conn->poll, conn->fd) != 0) {
      free(conn->poll);
      conn->poll = NULL;
      return false;
    }
    conn->poll->data = conn;
  }
  conn->on_event = on_event;
  return uv_poll_start(conn->poll, events, on_poll) == 0;
}

void conn_unwatch(struct redis_conn *conn) {
  if (conn->poll != NULL) uv_poll_stop(conn->poll);
}

void conn_break(struct redis_conn *conn) {
  conn->broken = true;
  if (conn->poll != NULL) { /* before the descriptor under it is closed */
    uv_poll_stop(conn->poll);
    conn->poll->data = NULL;
    uv_close((uv_handle_t *)conn->poll, free_handle);
    conn->poll = NULL;
  }
  SSL_free(conn->ssl);
  conn->ssl = NULL;
  if (conn->fd >= 0) close(conn->fd);
  conn->fd = -1;
}

struct redis_conn *conn_new(void) {
  struct redis_conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL) return NULL;
  conn->fd = -1;
  conn->refs = 1;
  conn->broken = true; /* until it is connected */
  conn->reader = reader_new();
  if (conn->reader != NULL) return conn;
  free(conn);
  return NULL;
}

void conn_release(struct redis_conn *conn) {
  if (conn == NULL || --conn->refs > 0) return;
  conn_break(conn);
  reader_free(conn->reader);
  free(conn);
}

/* What OpenSSL's result means; says whether it waits for room to write. */
static enum io tls_result(struct redis_conn *conn, int result) {
  switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_WRITE: conn->wants_write = true; return IO_AGAIN;
    case SSL_ERROR_WANT_READ: return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return IO_END;
    default: return IO_ERROR;
  }
}

enum io conn_read(struct redis_conn *conn, char *data, size_t size, size_t *got) {
  *got = 0;
  if (conn->fd < 0) return IO_ERROR;
  if (conn->ssl != NULL) {
    ERR_clear_error();
    int result = SSL_read_ex(conn->ssl, data, size, got);
    return result == 1 ? IO_OK : tls_result(conn, result);
  }
  ssize_t count;
  do count = recv(conn->fd, data, size, 0);
  while (count < 0 && errno == EINTR);
  if (count > 0) *got = (size_t)count;
  if (count > 0) return IO_OK;
  if (count == 0) return IO_END;
  return errno == EAGAIN || errno == EWOULDBLOCK ? IO_AGAIN : IO_ERROR;
}

enum io conn_write(struct redis_conn *conn, const char *data, size_t len, size_t *sent) {
  *sent = 0;
  if (conn->fd < 0) return IO_ERROR;
  if (conn->ssl != NULL) {
    ERR_clear_error();
    int result = SSL_write_ex(conn->ssl, data, len, sent);
    return result == 1 ? IO_OK : tls_result(conn, result);
  }
  ssize_t count;
  do count = send(conn->fd, data, len, MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  if (count >= 0) *sent = (size_t)count;
  if (count >= 0) return IO_OK;
  if (errno != EAGAIN && errno != EWOULDBLOCK) return IO_ERROR;
  conn->wants_write = true;
  return IO_AGAIN;
}
