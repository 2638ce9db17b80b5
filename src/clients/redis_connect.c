/* Connecting: names are resolved off the loop, every address is tried in turn, TLS is shaken where
 * asked for, then one batch logs in, selects the database and gives the connection its name. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "redis_internal.h"

#define MAX_ADDRESSES 16

enum setup { SETUP_AUTH, SETUP_SELECT, SETUP_NAME };

struct connect_op {
  struct op op;
  struct redis_conn *conn;
  struct redis_url url;
  char *ca;
  char name[128];
  struct sockaddr_storage addresses[MAX_ADDRESSES];
  socklen_t lengths[MAX_ADDRESSES];
  size_t address_count, at;
  uv_getaddrinfo_t *resolver; /* pending, or NULL */
  struct redis_batch *batch;
  enum setup setup[3]; /* what the batch's commands are */
  size_t setup_count;
  char code[32];
  char message[512];
};

static void copy_to(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text != NULL ? text : "");
}

/* -- ends --------------------------------------------------------------------------------------- */

static void note_failure(struct connect_op *self, const char *code, const char *message) {
  copy_to(self->code, sizeof self->code, code);
  copy_to(self->message, sizeof self->message, message);
}

static void give_up(struct connect_op *self) {
  if (self->op.finished) return;
  self->conn->batch = NULL;
  conn_break(self->conn);
  op_fail(&self->op, OP_NOT_SENT, self->code[0] != '\0' ? self->code : "connect", "%s",
          self->message[0] != '\0' ? self->message : "no address to connect to");
}

static void connect_stop(struct op *op, enum op_stop why) {
  struct connect_op *self = (struct connect_op *)op;
  bool timeout = why == OP_STOP_TIMEOUT;
  note_failure(self, timeout ? "timeout" : "cancelled", timeout ? "no answer in time" : "cancelled");
  if (self->resolver != NULL) uv_cancel((uv_req_t *)self->resolver); /* its callback comes anyway */
  give_up(self);
}

static void connect_destroy(struct op *op) {
  struct connect_op *self = (struct connect_op *)op;
  if (self->resolver != NULL) self->resolver->data = NULL; /* frees itself in its callback */
  if (self->conn != NULL && self->conn->batch != NULL && self->conn->batch == self->batch)
    self->conn->batch = NULL;
  batch_free(self->batch);
  conn_release(self->conn);
  free(self->ca);
  explicit_bzero(&self->url, sizeof self->url);
  free(self);
}

static const struct op_class connect_class = {"redis connect", connect_stop, connect_destroy};

/* -- logging in --------------------------------------------------------------------------------- */

/* An error reply's first word is its code: "WRONGPASS", "NOAUTH", "ERR". */
static void note_error_reply(struct connect_op *self, const struct redis_value *reply) {
  size_t word = strcspn(reply->text, " ");
  char code[32];
  snprintf(code, sizeof code, "%.*s", (int)(word < 31 ? word : 31), reply->text);
  note_failure(self, code, reply->text);
}

/* Does the reply end the connecting? A name that could not be given does not, unless the server
   means that nothing at all may be said to it. */
static bool is_fatal(enum setup setup, const struct redis_value *reply) {
  if (reply->type != REDIS_ERROR) return false;
  return setup != SETUP_NAME || strncmp(reply->text, "NOAUTH", 6) == 0 ||
         strncmp(reply->text, "DENIED", 6) == 0 || strncmp(reply->text, "ERR max", 7) == 0;
}

static void on_set_up(struct redis_batch *batch) {
  struct connect_op *self = batch->data;
  if (self->op.finished) return;
  for (size_t i = 0; i < batch->got; i++) {
    if (!is_fatal(self->setup[i], &batch->replies[i])) continue;
    note_error_reply(self, &batch->replies[i]);
    give_up(self);
    return;
  }
  if (batch->failed) {
    note_failure(self, strcmp(batch->code, "connection lost") == 0 ? "connect" : batch->code,
                 strcmp(batch->code, "connection lost") == 0
                     ? "the server closed the connection without an answer" : batch->message);
    give_up(self);
    return;
  }
  self->conn->event_data = NULL;
  op_finish(&self->op);
}

static bool add_command(struct connect_op *self, enum setup setup, int argc, const char **argv) {
  size_t lengths[4];
  for (int i = 0; i < argc; i++) lengths[i] = strlen(argv[i]);
  self->setup[self->setup_count++] = setup;
  return batch_add(self->batch, argc, argv, lengths) == NULL;
}

static void set_up(struct connect_op *self) {
  const struct redis_place *place = &self->url.place;
  char db[16];
  snprintf(db, sizeof db, "%d", place->db);
  self->batch = batch_new();
  bool fine = self->batch != NULL;
  if (fine && self->url.password[0] != '\0' && place->user[0] != '\0')
    fine = add_command(self, SETUP_AUTH, 3,
                       (const char *[]){"AUTH", place->user, self->url.password});
  else if (fine && self->url.password[0] != '\0')
    fine = add_command(self, SETUP_AUTH, 2, (const char *[]){"AUTH", self->url.password});
  if (fine && place->db != 0)
    fine = add_command(self, SETUP_SELECT, 2, (const char *[]){"SELECT", db});
  if (fine) /* also tells whether a server without a password wants one */
    fine = add_command(self, SETUP_NAME, 3, (const char *[]){"CLIENT", "SETNAME", self->name});
  if (!fine) {
    note_failure(self, "memory", "out of memory");
    give_up(self);
    return;
  }
  self->batch->data = self;
  self->batch->done = on_set_up;
  self->conn->broken = false;
  exchange_start(self->conn, self->batch);
}

/* -- one attempt -------------------------------------------------------------------------------- */

static void try_next(struct connect_op *self);

static void on_shaking(struct redis_conn *conn) {
  struct connect_op *self = conn->event_data;
  char why[256];
  bool wants_write = false;
  int state = tls_shake(conn->ssl, &wants_write, why, sizeof why);
  if (state == 1) {
    set_up(self);
  } else if (state < 0) {
    note_failure(self, "tls", why); /* another address of that name would say the same */
    give_up(self);
  } else if (!conn_watch(conn, wants_write ? UV_WRITABLE : UV_READABLE, on_shaking)) {
    note_failure(self, "connect", "cannot watch the socket");
    give_up(self);
  }
}

static void on_connected(struct connect_op *self) {
  struct redis_conn *conn = self->conn;
  char why[256];
  if (!self->url.place.tls) {
    set_up(self);
    return;
  }
  conn->ssl = tls_new(conn->fd, self->url.place.host, self->ca, why, sizeof why);
  if (conn->ssl != NULL) {
    on_shaking(conn);
    return;
  }
  note_failure(self, "tls", why);
  give_up(self);
}

static void note_errno(struct connect_op *self, int error) {
  const char *text = uv_strerror(-error);
  bool refused = error == ECONNREFUSED || error == ENOENT;
  note_failure(self, refused ? "refused" : "connect", text);
}

static void on_connecting(struct redis_conn *conn) {
  struct connect_op *self = conn->event_data;
  int error = 0;
  socklen_t size = sizeof error;
  conn_unwatch(conn);
  if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) {
    on_connected(self);
    return;
  }
  note_errno(self, error);
  conn_break(conn);
  try_next(self);
}

/* True: under way. False: noted why not. */
static bool start_attempt(struct connect_op *self) {
  struct sockaddr *address = (struct sockaddr *)&self->addresses[self->at];
  struct redis_conn *conn = self->conn;
  conn->event_data = self;
  conn->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (conn->fd < 0) {
    note_errno(self, errno);
    return false;
  }
  int on = 1;
  if (address->sa_family != AF_UNIX)
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int result = connect(conn->fd, address, self->lengths[self->at]);
  if (result != 0 && errno != EINPROGRESS) {
    note_errno(self, errno);
    conn_break(conn);
    return false;
  }
  if (conn_watch(conn, UV_WRITABLE, on_connecting)) return true;
  note_failure(self, "connect", "cannot watch the socket");
  conn_break(conn);
  return false;
}

static void try_next(struct connect_op *self) {
  for (self->at++; self->at < self->address_count; self->at++)
    if (start_attempt(self)) return;
  give_up(self);
}

static void try_first(struct connect_op *self) {
  self->at = (size_t)-1;
  try_next(self);
}

/* -- names -------------------------------------------------------------------------------------- */

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *list) {
  struct connect_op *self = resolver->data;
  free(resolver);
  if (self != NULL) self->resolver = NULL;
  if (self != NULL && !self->op.finished) {
    for (struct addrinfo *a = list; status == 0 && a != NULL; a = a->ai_next) {
      if (self->address_count == MAX_ADDRESSES || a->ai_addrlen > sizeof self->addresses[0]) break;
      memcpy(&self->addresses[self->address_count], a->ai_addr, a->ai_addrlen);
      self->lengths[self->address_count++] = a->ai_addrlen;
    }
    if (status != 0) {
      char message[400];
      snprintf(message, sizeof message, "name '%s' is not known (%s)", self->url.place.host,
               uv_strerror(status));
      note_failure(self, "resolve", message);
    }
    try_first(self);
  }
  if (list != NULL) uv_freeaddrinfo(list);
}

/* An address in numbers goes the same way; the resolver does not ask anybody for it. */
static void resolve(struct connect_op *self) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  self->resolver = calloc(1, sizeof *self->resolver);
  if (self->resolver != NULL) {
    self->resolver->data = self;
    if (uv_getaddrinfo(loop_uv(), self->resolver, on_resolved, self->url.place.host,
                       self->url.place.port, &hints) == 0)
      return;
    free(self->resolver);
    self->resolver = NULL;
  }
  note_failure(self, "resolve", "cannot resolve names");
  give_up(self);
}

static void use_socket_path(struct connect_op *self) {
  struct sockaddr_un *address = (struct sockaddr_un *)&self->addresses[0];
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, self->url.place.host,
         strnlen(self->url.place.host, sizeof address->sun_path - 1));
  self->lengths[0] = sizeof *address;
  self->address_count = 1;
  try_first(self);
}

/* -- the start ---------------------------------------------------------------------------------- */

/* Fills the operation from the target. NULL, or what is wrong. */
static const char *plan(struct connect_op *self, const struct redis_target *target) {
  const char *why = url_parse(target->url, &self->url);
  if (why != NULL) return why;
  if (target->user != NULL) copy_to(self->url.place.user, sizeof self->url.place.user, target->user);
  if (target->password != NULL) {
    if (strlen(target->password) >= sizeof self->url.password) return "the password is too long";
    copy_to(self->url.password, sizeof self->url.password, target->password);
  }
  copy_to(self->name, sizeof self->name, target->name != NULL ? target->name : "opsrun");
  for (char *c = self->name; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~') *c = '-'; /* what the server would refuse */
  if (target->ca != NULL && (self->ca = strdup(target->ca)) == NULL) return "out of memory";
  return NULL;
}

struct op *connect_start(const struct redis_target *target, uint64_t timeout_ms) {
  struct connect_op *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  op_open(&self->op, &connect_class);
  self->conn = conn_new();
  if (self->conn == NULL) {
    connect_destroy(&self->op);
    return NULL;
  }
  if (timeout_ms > 0) op_set_timeout(&self->op, timeout_ms);
  const char *why = plan(self, target);
  if (why != NULL) {
    note_failure(self, "url", why);
    give_up(self);
  } else if (self->url.place.port[0] == '\0') {
    use_socket_path(self);
  } else {
    resolve(self);
  }
  return &self->op;
}

struct redis_conn *connect_take(struct op *op) {
  struct connect_op *self = (struct connect_op *)op;
  self->conn->refs++;
  return self->conn;
}
