/* Connecting: names are resolved off the loop, every address is tried in turn, and nothing but the
 * connection string decides where a session goes and how it is protected. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "sql_internal.h"

#define SYSTEM_CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"
#define MAX_HOSTS 16
#define MAX_ATTEMPTS 32
#define MAX_PARAMS 64

struct attempt {
  char host[256];
  char address[64]; /* numeric; empty for a socket directory */
  char port[32];
};

struct connect_op {
  struct op op;
  struct sql_conn *conn;
  struct ssl_st *tls; /* of the present attempt, or NULL */
  PQconninfoOption *given;
  char *application_name, *database;
  char options[512];
  struct attempt attempts[MAX_ATTEMPTS];
  size_t attempt_count, at;
  char hosts[MAX_HOSTS][256];
  char ports[MAX_HOSTS][32];
  size_t host_count, resolving;
  uv_getaddrinfo_t *resolver; /* pending, or NULL */
  char code[32];
  char message[1024]; /* why the attempts so far failed */
};

/* -- the connection string ---------------------------------------------------------------------- */

void connect_forget_environment(void) {
  PQconninfoOption *defaults = PQconndefaults();
  for (PQconninfoOption *o = defaults; o != NULL && o->keyword != NULL; o++)
    if (o->envvar != NULL) unsetenv(o->envvar);
  if (defaults != NULL) PQconninfoFree(defaults);
  static const char *const others[] = {"PGSERVICEFILE", "PGSYSCONFDIR", "PGDATESTYLE", "PGTZ",
                                       "PGGEQO",        "PGLOCALEDIR",  "PGREQUIRESSL"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) unsetenv(others[i]);
}

static const char *given(const PQconninfoOption *options, const char *keyword) {
  for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
    if (strcmp(o->keyword, keyword) == 0) return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
  return NULL;
}

static void copy_to(char *out, size_t size, const char *text) {
  size_t length = text != NULL ? strnlen(text, size - 1) : 0;
  if (length > 0) memcpy(out, text, length);
  out[length] = '\0';
}

/* libpq's complaint may quote the string, and with it a password: only its kind is passed on. */
static PQconninfoOption *parse_url(const char *url, char **error) {
  char *why = NULL;
  PQconninfoOption *options = PQconninfoParse(url, &why);
  PQfreemem(why);
  *error = NULL;
  if (options == NULL) *error = strdup("the connection string is malformed");
  else if (given(options, "service") != NULL) {
    PQconninfoFree(options);
    options = NULL;
    *error = strdup("the connection string names a service file entry, which is not supported");
  }
  return options;
}

bool connect_place(const char *url, struct sql_place *out, char **error) {
  memset(out, 0, sizeof *out);
  PQconninfoOption *options = parse_url(url, error);
  if (options == NULL) return false;
  const char *host = given(options, "host");
  const char *port = given(options, "port");
  copy_to(out->host, sizeof out->host, host != NULL ? host : given(options, "hostaddr"));
  copy_to(out->port, sizeof out->port, port != NULL ? port : "5432");
  copy_to(out->database, sizeof out->database, given(options, "dbname"));
  copy_to(out->user, sizeof out->user, given(options, "user"));
  PQconninfoFree(options);
  return true;
}

/* Splits "a,b,c" into rows of `size` bytes; returns how many, 0 for NULL. */
static size_t split(const char *list, char *rows, size_t size, size_t max) {
  size_t count = 0;
  while (list != NULL && count < max) {
    size_t length = strcspn(list, ",");
    size_t kept = length < size - 1 ? length : size - 1;
    memcpy(rows + count * size, list, kept);
    rows[count * size + kept] = '\0';
    count++;
    list = list[length] == ',' ? list + length + 1 : NULL;
  }
  return count;
}

static bool is_socket(const char *host) { return host[0] == '/' || host[0] == '@'; }

static bool is_loopback(const struct attempt *attempt) {
  return attempt->address[0] == '\0' || strncmp(attempt->address, "127.", 4) == 0 ||
         strcmp(attempt->address, "::1") == 0;
}

/* -- ends --------------------------------------------------------------------------------------- */

static void try_next(struct connect_op *self);

static void note_failure(struct connect_op *self, const char *code, const char *message) {
  copy_to(self->code, sizeof self->code, code);
  size_t used = strlen(self->message);
  if (strstr(self->message, message) != NULL) return; /* the same of several addresses */
  snprintf(self->message + used, sizeof self->message - used, "%s%s", used > 0 ? "; " : "", message);
}

static void give_up(struct connect_op *self) {
  if (self->op.finished) return;
  conn_break(self->conn);
  op_fail(&self->op, OP_NOT_SENT, self->code[0] != '\0' ? self->code : "connect", "%s",
          self->message[0] != '\0' ? self->message : "no address to connect to");
}

static void connect_stop(struct op *op, enum op_stop why) {
  struct connect_op *self = (struct connect_op *)op;
  self->message[0] = '\0';
  note_failure(self, why == OP_STOP_TIMEOUT ? "timeout" : "cancelled",
               why == OP_STOP_TIMEOUT ? "no answer in time" : "cancelled");
  if (self->resolver != NULL) uv_cancel((uv_req_t *)self->resolver); /* its callback comes anyway */
  give_up(self);
}

static void connect_destroy(struct op *op) {
  struct connect_op *self = (struct connect_op *)op;
  if (self->resolver != NULL) self->resolver->data = NULL; /* frees itself in its callback */
  if (self->given != NULL) PQconninfoFree(self->given);
  sql_tls_drop(&self->tls);
  conn_release(self->conn);
  free(self->application_name);
  free(self->database);
  free(self);
}

static const struct op_class connect_class = {"sql connect", connect_stop, connect_destroy};

/* -- one attempt -------------------------------------------------------------------------------- */

/* "connection to server at …, port 5432 failed: FATAL:  28P01: text" -> code and text. */
static void explain(struct connect_op *self, const char *raw) {
  const char *server = strstr(raw, "FATAL:  ");
  const char *text = strstr(raw, "failed: ");
  text = text != NULL ? text + 8 : raw;
  const char *code = "connect";
  char state[8] = "";
  char message[512];
  if (server != NULL && strlen(server) > 15 && server[13] == ':') {
    copy_to(state, 6, server + 8);
    code = state;
    text = server + 15;
  } else if (strstr(raw, "Connection refused") != NULL || strstr(raw, "No such file") != NULL) {
    code = "refused";
  } else if (strstr(raw, "SSL") != NULL || strstr(raw, "certificate") != NULL) {
    code = "tls";
    if (strstr(raw, "certificate verify failed") != NULL && sql_tls_verdict(self->tls) != NULL)
      text = sql_tls_verdict(self->tls);
  } else if (strstr(raw, "no password supplied") != NULL) {
    code = "28P01";
  }
  tidy_message(text, message, sizeof message);
  if (strcmp(code, "refused") == 0) copy_to(message, sizeof message, "connection refused");
  note_failure(self, code, message);
}

static void on_connecting(struct sql_conn *conn);

static const char *protection(const struct connect_op *self) {
  const char *mode = given(self->given, "sslmode");
  if (mode != NULL) return mode;
  return is_loopback(&self->attempts[self->at]) ? "prefer" : "verify-full";
}

/* The handshake is over and nothing was sent: libpq takes the subject's common name for the host's
   where there is no other, which no other client has done for years. */
static bool is_nameless(const struct connect_op *self) {
  return self->tls != NULL && PQstatus(self->conn->pg) == CONNECTION_MADE &&
         PQsslInUse(self->conn->pg) &&
         strcmp(protection(self), "verify-full") == 0 && !sql_tls_names_a_host(self->tls);
}

static void step(struct connect_op *self) {
  struct sql_conn *conn = self->conn;
  conn_unwatch(conn);
  PostgresPollingStatusType state = sql_tls_poll(conn->pg, &self->tls);
  if (state == PGRES_POLLING_WRITING && is_nameless(self)) {
    note_failure(self, "tls", "its certificate names no host (it has no subjectAltName)");
    conn_break(conn);
    try_next(self);
    return;
  }
  switch (state) {
    case PGRES_POLLING_OK:
      conn->event_data = NULL;
      if (PQsetnonblocking(conn->pg, 1) == 0) op_finish(&self->op);
      else give_up(self);
      return;
    case PGRES_POLLING_READING:
      if (conn_watch(conn, UV_READABLE, on_connecting)) return;
      break;
    case PGRES_POLLING_WRITING:
      if (conn_watch(conn, UV_WRITABLE, on_connecting)) return;
      break;
    case PGRES_POLLING_ACTIVE:
    case PGRES_POLLING_FAILED: break;
  }
  explain(self, PQerrorMessage(conn->pg));
  conn_break(conn);
  try_next(self);
}

static void on_connecting(struct sql_conn *conn) {
  if (conn->event_data != NULL) step(conn->event_data);
}

static void ignore_notice(void *unused, const PGresult *res) {
  (void)unused;
  (void)res;
}

struct params {
  const char *keys[MAX_PARAMS + 1];
  const char *values[MAX_PARAMS + 1];
  size_t count;
};

static void add(struct params *params, const char *key, const char *value) {
  if (value == NULL || params->count >= MAX_PARAMS) return;
  params->keys[params->count] = key;
  params->values[params->count++] = value;
}

static bool is_ours(const char *keyword) {
  static const char *const ours[] = {"host",   "hostaddr",        "port",    "application_name",
                                     "options", "client_encoding", "passfile", "connect_timeout",
                                     "fallback_application_name"};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
    if (strcmp(keyword, ours[i]) == 0) return true;
  return false;
}

static bool is_local_name(const char *host) {
  return host[0] == '\0' || is_socket(host) || strcmp(host, "localhost") == 0 ||
         strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

bool connect_environment(const char *url, const char *database, sql_variable each, void *data,
                         char **error) {
  PQconninfoOption *options = parse_url(url, error);
  if (options == NULL) return false;
  for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
    if (o->envvar != NULL && o->val != NULL && o->val[0] != '\0' &&
        (database == NULL || strcmp(o->keyword, "dbname") != 0))
      each(data, o->envvar, o->val, strcmp(o->keyword, "password") == 0);
  if (database != NULL) each(data, "PGDATABASE", database, false);
  const char *host = given(options, "host"), *mode = given(options, "sslmode");
  if (host == NULL) host = given(options, "hostaddr");
  if (host == NULL) {
    host = "/var/run/postgresql";
    each(data, "PGHOST", host, false);
  }
  if (mode == NULL) {
    mode = is_local_name(host) ? "prefer" : "verify-full";
    each(data, "PGSSLMODE", mode, false);
  }
  if (strncmp(mode, "verify-", 7) == 0 && given(options, "sslrootcert") == NULL &&
      access(SYSTEM_CERTIFICATES, R_OK) == 0)
    each(data, "PGSSLROOTCERT", SYSTEM_CERTIFICATES, false);
  PQconninfoFree(options);
  return true;
}

/* A remote server proves who it is unless the url says otherwise; loopback and socket directories
   are taken as they come. */
static void add_protection(struct connect_op *self, struct params *params) {
  const char *mode = protection(self);
  if (given(self->given, "sslmode") == NULL) add(params, "sslmode", mode);
  if (strncmp(mode, "verify-", 7) == 0 && given(self->given, "sslrootcert") == NULL &&
      access(SYSTEM_CERTIFICATES, R_OK) == 0)
    add(params, "sslrootcert", SYSTEM_CERTIFICATES);
  if (given(self->given, "gssencmode") == NULL) add(params, "gssencmode", "disable");
}

static bool start_attempt(struct connect_op *self) {
  const struct attempt *attempt = &self->attempts[self->at];
  struct params params = {.count = 0};
  for (const PQconninfoOption *o = self->given; o->keyword != NULL; o++)
    if (o->val != NULL && o->val[0] != '\0' && !is_ours(o->keyword) &&
        (self->database == NULL || strcmp(o->keyword, "dbname") != 0))
      add(&params, o->keyword, o->val);
  add(&params, "host", attempt->host);
  if (attempt->address[0] != '\0') add(&params, "hostaddr", attempt->address);
  add(&params, "port", attempt->port);
  add(&params, "dbname", self->database);
  add(&params, "application_name", self->application_name);
  add(&params, "options", self->options);
  add(&params, "client_encoding", "UTF8");
  add(&params, "passfile", "/nonexistent/pgpass"); /* no password but the url's */
  add_protection(self, &params);
  params.keys[params.count] = NULL;
  params.values[params.count] = NULL;
  self->conn->broken = false;
  sql_tls_drop(&self->tls);
  self->conn->pg = PQconnectStartParams(params.keys, params.values, 0);
  if (self->conn->pg == NULL) return false;
  PQsetNoticeReceiver(self->conn->pg, ignore_notice, NULL); /* libpq would print to stderr */
  PQsetErrorVerbosity(self->conn->pg, PQERRORS_VERBOSE);    /* the only way to an SQLSTATE here */
  self->conn->event_data = self;
  if (PQstatus(self->conn->pg) == CONNECTION_BAD) {
    explain(self, PQerrorMessage(self->conn->pg));
    conn_break(self->conn);
    return false;
  }
  if (conn_watch(self->conn, UV_WRITABLE, on_connecting)) return true;
  note_failure(self, "connect", "cannot watch the socket");
  conn_break(self->conn);
  return false;
}

static void try_next(struct connect_op *self) {
  static const char *const final[] = {"28", "3D", "53"}; /* another address would say the same */
  for (size_t i = 0; i < sizeof final / sizeof final[0]; i++)
    if (self->at + 1 < self->attempt_count && strncmp(self->code, final[i], 2) == 0 &&
        strcmp(self->attempts[self->at].host, self->attempts[self->at + 1].host) == 0)
      self->at = self->attempt_count;
  for (self->at++; self->at < self->attempt_count; self->at++)
    if (start_attempt(self)) return;
  give_up(self);
}

/* -- names -------------------------------------------------------------------------------------- */

static void add_attempt(struct connect_op *self, size_t host, const char *address) {
  if (self->attempt_count == MAX_ATTEMPTS) return;
  struct attempt *attempt = &self->attempts[self->attempt_count++];
  copy_to(attempt->host, sizeof attempt->host, self->hosts[host]);
  copy_to(attempt->address, sizeof attempt->address, address);
  copy_to(attempt->port, sizeof attempt->port, self->ports[host]);
}

static void resolve_rest(struct connect_op *self);

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *list) {
  struct connect_op *self = resolver->data;
  free(resolver);
  if (self != NULL && !self->op.finished) {
    self->resolver = NULL;
    for (struct addrinfo *a = list; status == 0 && a != NULL; a = a->ai_next) {
      char text[64];
      if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
        add_attempt(self, self->resolving, text);
    }
    if (status != 0) {
      char message[400];
      snprintf(message, sizeof message, "name '%.255s' is not known (%s)",
               self->hosts[self->resolving], uv_strerror(status));
      note_failure(self, "resolve", message);
    }
    self->resolving++;
    resolve_rest(self);
  } else if (self != NULL) {
    self->resolver = NULL;
  }
  if (list != NULL) uv_freeaddrinfo(list);
}

static bool is_numeric(const char *host) {
  unsigned char raw[16];
  return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

/* Turns hosts into attempts, one after the other; then starts connecting. */
static void resolve_rest(struct connect_op *self) {
  for (; self->resolving < self->host_count; self->resolving++) {
    const char *host = self->hosts[self->resolving];
    if (is_socket(host) || host[0] == '\0') {
      add_attempt(self, self->resolving, "");
      continue;
    }
    if (is_numeric(host)) {
      add_attempt(self, self->resolving, host);
      continue;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    self->resolver = calloc(1, sizeof *self->resolver);
    if (self->resolver == NULL) break;
    self->resolver->data = self;
    if (uv_getaddrinfo(loop_uv(), self->resolver, on_resolved, host, NULL, &hints) == 0) return;
    free(self->resolver);
    self->resolver = NULL;
    note_failure(self, "resolve", "cannot resolve names");
  }
  self->at = 0;
  for (; self->at < self->attempt_count; self->at++)
    if (start_attempt(self)) return;
  give_up(self);
}

static void plan_hosts(struct connect_op *self) {
  self->host_count = split(given(self->given, "host"), self->hosts[0], 256, MAX_HOSTS);
  if (self->host_count == 0)
    self->host_count = split(given(self->given, "hostaddr"), self->hosts[0], 256, MAX_HOSTS);
  if (self->host_count == 0) self->host_count = split("/var/run/postgresql", self->hosts[0], 256, 1);
  size_t ports = split(given(self->given, "port"), self->ports[0], 32, MAX_HOSTS);
  for (size_t i = ports; i < self->host_count; i++)
    copy_to(self->ports[i], 32, ports == 1 ? self->ports[0] : "5432");
}

/* Text forms we read back are fixed for the session, whatever the server's defaults are. */
static void plan_options(struct connect_op *self, uint64_t statement_timeout_ms) {
  const char *own = given(self->given, "options");
  int used = snprintf(self->options, sizeof self->options,
                      "%.300s -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex "
                      "-c extra_float_digits=1",
                      own != NULL ? own : "");
  if (statement_timeout_ms > 0 && used > 0 && (size_t)used < sizeof self->options)
    snprintf(self->options + used, sizeof self->options - (size_t)used, " -c statement_timeout=%llu",
             (unsigned long long)statement_timeout_ms);
}

struct op *connect_start(const struct sql_target *target, uint64_t timeout_ms) {
  struct connect_op *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  op_open(&self->op, &connect_class);
  self->conn = conn_new();
  self->application_name =
      strdup(target->application_name != NULL ? target->application_name : "opsrun");
  if (target->database != NULL) self->database = strdup(target->database);
  if (self->conn == NULL || self->application_name == NULL ||
      (target->database != NULL && self->database == NULL)) {
    connect_destroy(&self->op);
    return NULL;
  }
  if (timeout_ms > 0) op_set_timeout(&self->op, timeout_ms);
  char *error = NULL;
  self->given = parse_url(target->url, &error);
  if (self->given == NULL) {
    note_failure(self, "url", error != NULL ? error : "out of memory");
    free(error);
    give_up(self);
    return &self->op;
  }
  plan_hosts(self);
  plan_options(self, target->statement_timeout_ms);
  resolve_rest(self);
  return &self->op;
}

struct sql_conn *connect_take(struct op *op) {
  struct connect_op *self = (struct connect_op *)op;
  self->conn->refs++;
  return self->conn;
}
