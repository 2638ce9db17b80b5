/* The Redis client against friendly and hostile peers: replies, bounds, lost connections, TLS. */
#include "../redis/fixture.h"
#include "check.h"

/* -- connection strings ------------------------------------------------------------------------- */

static void urls(void) {
  struct redis_place place;
  CHECK(redis->place("redis://h", &place) == NULL && strcmp(place.host, "h") == 0 &&
            strcmp(place.port, "6379") == 0 && place.db == 0 && !place.tls,
        "a host alone is enough");
  CHECK(redis->place("rediss://us%65r:p%40ss@[::1]:7000/12", &place) == NULL && place.tls &&
            strcmp(place.host, "::1") == 0 && strcmp(place.user, "user") == 0 && place.db == 12,
        "user, password, IPv6 address, port and database are understood");
  CHECK(redis->place("redis://:a@b@h:1", &place) == NULL && strcmp(place.host, "h") == 0,
        "the last @ ends the password");
  CHECK(redis->place("unix:///run/r.sock?db=4", &place) == NULL && place.db == 4 &&
            strcmp(place.host, "/run/r.sock") == 0 && place.port[0] == '\0',
        "a unix socket with its database");
  static const char *const wrong[] = {
      "",           "h:1",           "http://h",    "redis://",       "redis://h:0",
      "redis://h:x", "redis://h:70000", "redis://h/x", "redis://h/1?a=b", "redis://h?x",
      "redis://[::1", "redis://%zz@h",  "redis://a:%0@h", "redis://a:%00b@h", "unix://relative",
      "unix:///a?x=1", "redis://h/-1",  "redis://[::1]x:1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    if (redis->place(wrong[i], &place) == NULL) printf("  taken: '%s'\n", wrong[i]);
    CHECK(redis->place(wrong[i], &place) != NULL, "a malformed connection string is refused");
  }
}

/* -- friendly ----------------------------------------------------------------------------------- */

static void replies(void) {
  struct redis_conn *conn = connection(plain_url("types"));
  struct op *op = run(conn, batch_of("a", 1), 1000);
  size_t count = 0;
  const struct redis_value *value = redis->replies(op, &count);
  CHECK(!op->failed && count == 1 && value->type == REDIS_ARRAY && value->size == 8, "a list");
  CHECK(value->items[0].type == REDIS_STATUS && strcmp(value->items[0].text, "status") == 0,
        "a status");
  CHECK(value->items[1].integer == INT64_MIN && value->items[2].integer == INT64_MAX,
        "integers have all 64 bits");
  CHECK(value->items[3].type == REDIS_NIL && value->items[4].type == REDIS_NIL &&
            value->items[5].type == REDIS_ARRAY && value->items[5].size == 0,
        "nil, a nil list and an empty list");
  CHECK(value->items[6].type == REDIS_STRING && value->items[6].size == 0, "an empty text");
  const struct redis_value *inner = value->items[7].items;
  CHECK(inner[0].size == 3 && memcmp(inner[0].text, "a\0b", 4) == 0 &&
            inner[1].type == REDIS_ERROR,
        "bytes of any value, and an error inside a list");
  op_destroy(op);
  CHECK(redis->is_usable(conn), "the connection can be used again");
  redis->release(conn);

  conn = connection(plain_url("slices"));
  op = run(conn, batch_of("a", 1), 3000);
  value = redis->replies(op, &count);
  CHECK(!op->failed && value->size == 2 && value->items[1].integer == 42,
        "a reply that comes byte by byte is read");
  op_destroy(op);
  redis->release(conn);

  conn = connection(plain_url("wrongtype"));
  op = run(conn, batch_of("a", 2), 1000);
  value = redis->replies(op, &count);
  CHECK(!op->failed && count == 2 && value[1].type == REDIS_ERROR, "an error reply is a reply");
  op_destroy(op);
  redis->release(conn);
}

static void words_stay_words(void) {
  struct redis_conn *conn = connection(plain_url("echo"));
  struct redis_batch *batch = redis->batch_new();
  const char *argv[] = {"SET", "a\r\n*1\r\n$8\r\nFLUSHALL\r\n", "b\0c", ""};
  size_t lengths[] = {3, strlen(argv[1]), 3, 0};
  CHECK(redis->batch_add(batch, 4, argv, lengths) == NULL, "any bytes can be a word");
  struct op *op = run(conn, batch, 1000);
  size_t count = 0;
  const struct redis_value *value = redis->replies(op, &count);
  bool same = !op->failed && value->size == 4;
  for (size_t i = 0; same && i < 4; i++)
    same = value->items[i].size == lengths[i] &&
           memcmp(value->items[i].text, argv[i], lengths[i]) == 0;
  CHECK(same, "no word can become a command: the server got four words, byte for byte");
  op_destroy(op);
  op = run(conn, batch_of("k", 20000), 5000);
  redis->replies(op, &count);
  CHECK(!op->failed && count == 20000, "20,000 commands in one batch, answered while they are sent");
  op_destroy(op);
  redis->release(conn);
}

static void big_value(void) {
  struct redis_conn *conn = connection(plain_url("echo"));
  size_t size = 8u << 20;
  char *data = malloc(size);
  if (data == NULL) exit(2);
  memset(data, 'q', size);
  struct redis_batch *batch = redis->batch_new();
  const char *argv[] = {"SET", data};
  size_t lengths[] = {3, size};
  CHECK(redis->batch_add(batch, 2, argv, lengths) == NULL, "8 MiB fit");
  struct op *op = run(conn, batch, 5000);
  size_t count = 0;
  const struct redis_value *value = redis->replies(op, &count);
  CHECK(!op->failed && value->items[1].size == size, "8 MiB go there and back");
  op_destroy(op);
  batch = redis->batch_new();
  lengths[1] = REDIS_MAX_BATCH_BYTES + 1;
  CHECK(redis->batch_add(batch, 2, argv, lengths) != NULL, "more than 64 MiB are not formatted");
  redis->batch_free(batch);
  free(data);
  redis->release(conn);
}

/* -- hostile ------------------------------------------------------------------------------------ */

static void hostile(void) {
  static const struct {
    const char *scenario, *code;
  } cases[] = {
      {"not_redis", "protocol"},      {"resp3", "protocol"},         {"no_integer", "protocol"},
      {"overflow", "protocol"},       {"no_length", "protocol"},     {"text_overflow", "protocol"},
      {"array_overflow", "protocol"}, {"negative_array", NULL},      {"negative_text", NULL},
      {"int_overflow", NULL},         {"many", "too large"},         {"many_nested", "too large"},
      {"deep", "too large"},          {"long_line", "too large"},    {"long_error", "too large"},
      {"long_text", "too large"},     {"huge_text", "too large"},    {"many_texts", "too large"},
      {"hang_up", "connection lost"}, {"cut", "connection lost"},    {"silent", "timeout"},
      {"drip", "timeout"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct redis_conn *conn = connection(plain_url(cases[i].scenario));
    bool waits = cases[i].code != NULL && strcmp(cases[i].code, "timeout") == 0;
    uint64_t began = loop_now_ns();
    struct op *op = run(conn, batch_of("a", 1), waits ? 300 : 10000);
    double took = (double)(loop_now_ns() - began) / 1e9;
    const char *wanted = cases[i].code != NULL ? cases[i].code : "protocol";
    bool as_wanted = op->failed && strcmp(op->code, wanted) == 0;
    if (cases[i].code == NULL) as_wanted = true; /* refused or read as nil: only never a crash */
    if (!as_wanted)
      printf("  %s: %s, %s\n", cases[i].scenario, op->failed ? op->code : "no failure",
             op->message != NULL ? op->message : "");
    CHECK(as_wanted, "a hostile or broken reply is told as what it is");
    CHECK(!op->failed || op->outcome == OP_UNKNOWN, "after sending nobody knows the outcome");
    CHECK(!op->failed || !redis->is_usable(conn), "the connection is given up");
    CHECK(took < 5, "it ends soon");
    op_destroy(op);
    redis->release(conn);
  }
}

static void seven_levels(void) {
  struct redis_conn *conn = connection(plain_url("seven"));
  struct op *op = run(conn, batch_of("a", 1), 1000);
  CHECK(!op->failed, "seven levels of lists are read");
  op_destroy(op);
  redis->release(conn);
}

static void noise(void) {
  int ended = 0;
  for (int seed = 0; seed < 300; seed++) {
    char key[16];
    snprintf(key, sizeof key, "%d", seed);
    struct redis_conn *conn = connection(plain_url("noise"));
    struct op *op = run(conn, batch_of(key, 3), 5000);
    ended += op->finished;
    op_destroy(op);
    redis->release(conn);
  }
  CHECK(ended == 300, "300 random replies end in a failure or in values");
}

static void more_than_asked(void) {
  struct redis_conn *conn = connection(plain_url("rude"));
  struct op *op = run(conn, batch_of("a", 1), 1000);
  CHECK(!op->failed, "the answer counts");
  op_destroy(op);
  op = run(conn, batch_of("a", 1), 1000);
  CHECK(op->failed && op->outcome == OP_NOT_SENT,
        "what was not asked for is never taken for the next answer");
  op_destroy(op);
  redis->release(conn);
}

/* -- what is known of an effect ----------------------------------------------------------------- */

static void outcomes(void) {
  struct redis_conn *conn = connection(plain_url("half"));
  struct op *op = run(conn, batch_of("a", 5), 3000);
  size_t count = 0;
  redis->replies(op, &count);
  CHECK(op->failed && op->outcome == OP_UNKNOWN && message_holds(op, "after 2 of 5 answers") &&
            count == 2,
        "a connection lost in the middle of a pipeline: unknown, and how far it got");
  op_destroy(op);
  redis->release(conn);

  conn = connection(plain_url("closing"));
  usleep(100000); /* the peer closes while the connection is idle */
  op = run(conn, batch_of("a", 1), 1000);
  CHECK(op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, "connection lost") == 0,
        "a connection that died while idle: nothing was sent");
  op_destroy(op);
  redis->release(conn);

  conn = connection(plain_url("silent"));
  op = redis->run(conn, batch_of("a", 1), 0);
  struct op *second = run(conn, batch_of("b", 1), 1000);
  CHECK(second->failed && second->outcome == OP_NOT_SENT && strcmp(second->code, "busy") == 0,
        "one batch at a time");
  op_destroy(second);
  op_stop(op, OP_STOP_CANCEL);
  await(op);
  CHECK(op->failed && op->outcome == OP_UNKNOWN && strcmp(op->code, "cancelled") == 0,
        "cancelled in flight: unknown");
  op_destroy(op);
  CHECK(!redis->is_usable(conn), "its answer can never be taken for another's");
  redis->release(conn);
}

/* -- connecting --------------------------------------------------------------------------------- */

static void failed_connect(const char *url, const char *ca, const char *code, const char *claim) {
  struct op *op = connect_to(url, ca);
  bool fine = op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, code) == 0;
  if (!fine) printf("  %s: %s, %s\n", url, op->code, op->message != NULL ? op->message : "connected");
  CHECK(fine, claim);
  op_destroy(op);
}

static void connecting(void) {
  char url[300];
  failed_connect("redis://h:x", NULL, "url", "a malformed url");
  snprintf(url, sizeof url, "redis://127.0.0.1:%s", fact("closed"));
  failed_connect(url, NULL, "refused", "nobody listens");
  snprintf(url, sizeof url, "redis://no.such.host.invalid:%s", fact("plain"));
  failed_connect(url, NULL, "resolve", "an unknown name");
  snprintf(url, sizeof url, "redis://127.0.0.1:%s", fact("blackhole"));
  failed_connect(url, NULL, "timeout", "a host that does not answer");
  failed_connect(plain_url("nobody"), NULL, "WRONGPASS", "a wrong password");
  snprintf(url, sizeof url, "redis://127.0.0.1:%s", fact("full"));
  failed_connect(url, NULL, "ERR", "a server that is full says so before it closes");
  failed_connect("unix:///nonexistent/redis.sock", NULL, "refused", "no such socket");
  snprintf(url, sizeof url, "unix://ok:x@%s?db=2", fact("unix"));
  redis->release(connection(url));
  CHECK(true, "a unix socket");
}

static void seen_by_the_server(void) {
  struct redis_conn *conn = connection(plain_url("ok"));
  struct redis_batch *batch = redis->batch_new();
  const char *argv[] = {"_SEEN"};
  size_t lengths[] = {5};
  redis->batch_add(batch, 1, argv, lengths);
  struct op *op = run(conn, batch, 1000);
  size_t count = 0;
  const char *seen = redis->replies(op, &count)->text;
  CHECK(strstr(seen, "CLIENT SETNAME opsrun-test") != NULL && strstr(seen, "SELECT 3") != NULL,
        "the connection has its name and its database");
  op_destroy(op);
  redis->release(conn);
}

/* -- TLS ---------------------------------------------------------------------------------------- */

static void tls(void) {
  static const char *const bad[] = {"expired",    "not_yet",   "wrong_host",  "no_san", "unknown_ca",
                                    "bad_chain", "self_signed", "tls10", "tls11"};
  char url[300];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(url, sizeof url, "rediss://:secret@localhost:%s", fact(bad[i]));
    failed_connect(url, fact("ca"), "tls", "a bad TLS peer is refused");
  }
  snprintf(url, sizeof url, "rediss://localhost:%s", fact("good"));
  failed_connect(url, NULL, "tls", "the system's authorities do not know ours");
  failed_connect(url, "/nonexistent.pem", "tls", "a file of authorities that is not there");
  snprintf(url, sizeof url, "rediss://localhost:%s", fact("full"));
  failed_connect(url, fact("ca"), "tls", "a server that speaks no TLS");
  static const char *const hosts[] = {"localhost", "127.0.0.1"};
  for (int i = 0; i < 2; i++) {
    snprintf(url, sizeof url, "rediss://echo:x@%s:%s", hosts[i], fact("good"));
    struct op *op = connect_to(url, fact("ca"));
    CHECK(!op->failed, "a good peer, by name or address");
    struct redis_conn *conn = op->failed ? NULL : redis->connected(op);
    op_destroy(op);
    if (conn == NULL) continue;
    op = run(conn, batch_of("k", 20000), 10000);
    size_t count = 0;
    redis->replies(op, &count);
    CHECK(!op->failed && count == 20000, "20,000 commands over TLS");
    op_destroy(op);
    op = run(conn, batch_of("k", 1), 10000);
    CHECK(!op->failed, "the kept TLS connection is used again");
    op_destroy(op);
    redis->release(conn);
  }
}

int main(void) {
  fixture_open();
  urls();
  replies();
  words_stay_words();
  big_value();
  hostile();
  seven_levels();
  noise();
  more_than_asked();
  outcomes();
  connecting();
  seen_by_the_server();
  tls();
  fixture_close();
  return CHECK_RESULT();
}
