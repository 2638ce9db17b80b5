/* PostgreSQL client: connections, and runs of statements on them, without ever blocking the loop.
 *
 * A run is a list of items sent in one go (libpq's pipeline mode when there is more than one), so a
 * wrapped read costs one round trip. Rows are copied out of libpq one by one into a compact buffer,
 * which makes the row cap and streaming work with bounded memory. The client knows no policy: what
 * may be sent is decided above it. Lives in the module opsrun-sql.so as `opsrun_sql_api`. */
#ifndef OPSRUN_CLIENT_SQL_H
#define OPSRUN_CLIENT_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

struct sql_conn;

/* What a connection is asked for. Strings are copied. */
struct sql_target {
  const char *url;              /* postgres://…, postgresql://… or keyword=value … */
  const char *application_name; /* may be NULL */
  const char *database;         /* another one than the url's; may be NULL */
  uint64_t statement_timeout_ms; /* the server's own limit for the session; 0 none */
};

/* One variable of the environment by which libpq programs (pg_dump, psql) reach a target. The
   texts live during the call only. */
typedef void (*sql_variable)(void *data, const char *name, const char *value, bool is_secret);

/* What can be said about a target without its password. Empty strings where not given. */
struct sql_place {
  char host[256], port[32], database[64], user[64];
};

enum sql_kind {
  SQL_QUERY,    /* text with bound values, in the extended protocol */
  SQL_DESCRIBE, /* parsed and described by the server, not planned, not run */
  SQL_SYNC      /* an error skips what follows up to the next sync */
};

struct sql_item {
  enum sql_kind kind;
  const char *text;          /* owned by the run once started, with the values */
  int value_count;
  const char *const *values; /* text forms; NULL is the null value */
};

struct sql_column {
  char *name;
  uint32_t type; /* oid */
  int32_t modifier;
};

/* One result. Cells are packed in `data`, row by row: int32 length (-1: null), the bytes, a NUL. */
struct sql_result {
  struct sql_column *columns;
  int column_count;
  uint32_t *parameters; /* types of a described statement's parameters */
  int parameter_count;
  char *data;
  size_t used, capacity;
  size_t row_count;
  bool truncated;  /* the cap was met and the rest dropped */
  bool has_answer; /* the server answered this item */
  char tag[64];    /* "SELECT 3", "UPDATE 7" */
  int64_t affected; /* -1 where the tag has no number */
};

/* The first error of the server, or the cap. Strings may be NULL. */
struct sql_fault {
  bool set;
  size_t item; /* index of the item it belongs to */
  char code[8];
  char *message, *detail, *hint, *constraint, *table, *context;
  int position; /* in characters from 1; 0 unknown */
};

struct sql_options {
  bool no_pipeline;   /* for the one statement that may not run inside a pipeline's block */
  bool copy;          /* the statement, alone and with no_pipeline, is COPY … FROM STDIN */
  bool truncate;      /* at the cap drop rows instead of failing: for changes */
  size_t max_rows;    /* 0 none */
  size_t max_bytes;   /* 0 none */
  size_t batch_rows;  /* > 0: stream, at most so many rows at a time */
  uint64_t timeout_ms; /* client deadline; 0 none */
};

struct sql_api {
  /* Parses the url. False: *error is a text to free. */
  bool (*place)(const char *url, struct sql_place *out, char **error);
  /* Hands over PGHOST, PGUSER, PGPASSWORD … of the url, so that a program given them meets the
     server as `connect` does: protected alike, in `database` if not NULL. False as with `place`. */
  bool (*environment)(const char *url, const char *database, sql_variable each, void *data,
                      char **error);
  /* Connects; the operation's result is taken with `connected`. Fails "not sent" with code
     "resolve", "refused", "tls", "timeout", "connect" or an SQLSTATE. */
  struct op *(*connect)(const struct sql_target *target, uint64_t timeout_ms);
  struct sql_conn *(*connected)(struct op *op); /* the caller owns one reference */
  /* Starts a run; one at a time a connection. Takes items and everything in them (heap), also on
     failure. Fails "not sent" (code "connection lost") when the connection is found dead before
     anything was sent, "unknown" when it is lost after. A server's error finishes the operation
     normally: look at `fault`. NULL: out of memory. */
  struct op *(*run)(struct sql_conn *conn, struct sql_item *items, size_t count,
                    const struct sql_options *options);
  /* The next batch of a streaming run that is not yet at its end. */
  struct op *(*next)(struct sql_conn *conn, uint64_t timeout_ms);
  /* For a run of COPY whose operation finished and is not at its end: sends data (copied), in
     whatever pieces; finishes when it left for the server. Told to stop, it ends the session and
     with it the transaction: "failed". NULL: no COPY is waiting, or out of memory. */
  struct op *(*copy)(struct sql_conn *conn, const char *data, size_t len, uint64_t timeout_ms);
  /* The end of the data, or with `reason` giving it up; finishes like the run itself. */
  struct op *(*copy_end)(struct sql_conn *conn, const char *reason, uint64_t timeout_ms);
  /* Results of the finished run, or batch; valid until the operation is destroyed. */
  const struct sql_result *(*results)(struct op *op, size_t *count);
  const struct sql_fault *(*fault)(struct op *op);
  bool (*at_end)(struct op *op); /* false: a streaming run has more */
  bool (*is_usable)(const struct sql_conn *conn); /* connected and outside any transaction */
  bool (*is_busy)(const struct sql_conn *conn);   /* a run or a stream is not at its end */
  int (*server_version)(const struct sql_conn *conn); /* 150020 */
  int (*backend_pid)(const struct sql_conn *conn);
  const char *(*parameter)(const struct sql_conn *conn, const char *name);
  /* Drops the reference. Disconnects when it was the last one. */
  void (*release)(struct sql_conn *conn);
};

#endif
