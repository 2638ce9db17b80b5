/* What the files of the Redis client share. */
#ifndef OPSRUN_CLIENT_REDIS_INTERNAL_H
#define OPSRUN_CLIENT_REDIS_INTERNAL_H

#include <openssl/ssl.h>
#include <uv.h>

#include "redis.h"

#define REDIS_CHUNK 16384u /* read at once; a TLS record fits, so nothing waits inside OpenSSL */

struct redisReader;

/* Memory of the replies of one exchange, freed as a whole. */
struct arena_block;
struct arena {
  struct arena_block *blocks;
  size_t elements; /* of the reply being read */
};
void *arena_take(struct arena *arena, size_t size); /* NULL: out of memory */
void arena_free(struct arena *arena);

/* redis_reader.c: bytes in, replies out. */
struct redisReader *reader_new(void);
void reader_free(struct redisReader *reader);
/* Feeds bytes; false: out of memory. */
bool reader_feed(struct redisReader *reader, const char *data, size_t len);
/* Takes one reply: 1 and *out, 0 when bytes are missing, -1 and *why (static) when it is no RESP or
   too much. */
int reader_take(struct redisReader *reader, struct arena *arena, struct redis_value *out,
                const char **why);
bool reader_is_empty(const struct redisReader *reader);

/* A batch on its way: what is sent, what came back. */
struct redis_batch {
  char *out;
  size_t length, capacity, sent;
  size_t first_length; /* bytes of the first command: less than that is nothing to a server */
  size_t expected, got;
  struct redis_value *replies;
  struct arena arena;
  size_t reply_bytes, total_bytes; /* received for this reply, for all */
  bool failed;
  char code[32];
  char message[256];
  void (*done)(struct redis_batch *batch); /* once, when complete or failed */
  void *data;
};

struct redis_batch *batch_new(void);
const char *batch_add(struct redis_batch *batch, int argc, const char **argv,
                      const size_t *lengths);
void batch_free(struct redis_batch *batch);

struct redis_conn {
  int fd;
  uv_poll_t *poll;
  SSL *ssl;
  struct redisReader *reader;
  void (*on_event)(struct redis_conn *conn);
  void *event_data;           /* the connecting operation */
  struct redis_batch *batch;  /* in flight, not owned */
  bool wants_write;           /* the transport waits for room to write */
  bool broken;
  unsigned refs;
};

/* redis_transport.c */
enum io { IO_OK, IO_AGAIN, IO_END, IO_ERROR };
struct redis_conn *conn_new(void);
void conn_release(struct redis_conn *conn);
/* Ends the connection at once; the object stays. */
void conn_break(struct redis_conn *conn);
bool conn_watch(struct redis_conn *conn, int events, void (*on_event)(struct redis_conn *conn));
void conn_unwatch(struct redis_conn *conn);
enum io conn_read(struct redis_conn *conn, char *data, size_t size, size_t *got);
enum io conn_write(struct redis_conn *conn, const char *data, size_t len, size_t *sent);

/* redis_exchange.c: sends conn->batch and reads its replies; then batch->done. */
void exchange_start(struct redis_conn *conn, struct redis_batch *batch);
/* Is the idle connection still there? Looks at the socket, sends nothing. */
bool exchange_is_alive(struct redis_conn *conn);

/* redis_tls.c. NULL: *why is filled. */
SSL *tls_new(int fd, const char *host, const char *ca, char *why, size_t size);
/* 1 done, 0 again (see *wants_write), -1 and `why`. */
int tls_shake(SSL *ssl, bool *wants_write, char *why, size_t size);

/* redis_url.c */
struct redis_url {
  struct redis_place place;
  char password[512];
};
const char *url_parse(const char *url, struct redis_url *out);
const char *url_place(const char *url, struct redis_place *out);

/* redis_connect.c */
struct op *connect_start(const struct redis_target *target, uint64_t timeout_ms);
struct redis_conn *connect_take(struct op *op);

#endif
