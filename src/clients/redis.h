/* Redis client: connections, and batches of commands sent in one write, without blocking the loop.
 *
 * hiredis formats commands and reads replies (RESP2); the transport is our own, since Debian's
 * hiredis knows no TLS: TCP, a unix socket, or TLS that is always verified. Replies are bounded.
 * The client knows no policy and repeats nothing. Lives in opsrun-redis.so as `opsrun_redis_api`. */
#ifndef OPSRUN_CLIENT_REDIS_H
#define OPSRUN_CLIENT_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

/* What one reply may be; a server that says more is cut off. */
#define REDIS_MAX_REPLY_BYTES ((size_t)16 << 20)
#define REDIS_MAX_BATCH_BYTES ((size_t)64 << 20) /* all replies of a batch, and all its commands */
#define REDIS_MAX_ELEMENTS 1000000u              /* of one reply, nested ones counted too */
#define REDIS_MAX_COMMANDS 100000u               /* of a batch */

struct redis_conn;
struct redis_batch;

enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_STATUS, REDIS_ERROR, REDIS_INTEGER, REDIS_ARRAY };

/* One reply. Strings are followed by a NUL that `size` does not count. */
struct redis_value {
  enum redis_type type;
  size_t size; /* bytes of text, or number of items */
  union {
    int64_t integer;
    const char *text;
    struct redis_value *items;
  };
};

/* What a connection is asked for. Strings are copied; NULL where not given. */
struct redis_target {
  const char *url;      /* redis://, rediss://[user:password@]host[:port][/db], unix:///path[?db=n] */
  const char *user;     /* instead of the url's */
  const char *password; /* instead of the url's */
  const char *ca;       /* file of the authorities trusted; NULL: the system's */
  const char *name;     /* for CLIENT SETNAME; no spaces */
};

/* What can be said about a target without its password. */
struct redis_place {
  char host[256]; /* or the path of a unix socket */
  char port[8];   /* empty for a unix socket */
  char user[256];
  int db;
  bool tls;
};

struct redis_api {
  /* Parses the url. NULL, or a static text that says what is wrong with it. */
  const char *(*place)(const char *url, struct redis_place *out);
  /* Connects, authenticates, selects. Fails "not sent" with code "url", "resolve", "refused",
     "connect", "tls", "timeout", "cancelled", "protocol" or the server's own ("WRONGPASS", "NOAUTH").
     NULL: out of memory. */
  struct op *(*connect)(const struct redis_target *target, uint64_t timeout_ms);
  struct redis_conn *(*connected)(struct op *op); /* the caller owns one reference */
  /* A batch to be filled; NULL when out of memory. */
  struct redis_batch *(*batch_new)(void);
  /* Adds a command. NULL, or a static text that says why not. */
  const char *(*batch_add)(struct redis_batch *batch, int argc, const char **argv,
                           const size_t *lengths);
  void (*batch_free)(struct redis_batch *batch);
  /* Sends the batch; one at a time a connection. Takes the batch, also on failure. Fails "not sent"
     when nothing that a server could act on had left, "unknown" after that; codes "connection lost",
     "protocol", "too large", "timeout", "cancelled". An error reply is a reply. NULL: out of memory. */
  struct op *(*run)(struct redis_conn *conn, struct redis_batch *batch, uint64_t timeout_ms);
  /* Replies, one a command; valid until the operation is destroyed. */
  const struct redis_value *(*replies)(struct op *op, size_t *count);
  bool (*is_usable)(const struct redis_conn *conn); /* connected, nothing in flight */
  bool (*is_busy)(const struct redis_conn *conn);
  void (*release)(struct redis_conn *conn); /* disconnects when it was the last reference */
};

#endif
