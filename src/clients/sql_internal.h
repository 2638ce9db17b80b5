/* What the files of the PostgreSQL client share. */
#ifndef OPSRUN_CLIENT_SQL_INTERNAL_H
#define OPSRUN_CLIENT_SQL_INTERNAL_H

#include <libpq-fe.h>
#include <uv.h>

#include "sql.h"

struct sql_run;
struct ssl_st;

struct sql_conn {
  PGconn *pg;
  uv_poll_t *poll; /* on poll_fd, or NULL */
  int poll_fd;
  void (*on_event)(struct sql_conn *conn);
  void *event_data;     /* the connecting operation; unused by runs */
  struct sql_run *run;  /* not at its end yet, or NULL */
  unsigned refs;
  bool broken;
};

/* Watches the connection's present socket; called again after each event that left work to do.
   Returns false when it cannot be watched. */
bool conn_watch(struct sql_conn *conn, int events, void (*on_event)(struct sql_conn *conn));
void conn_unwatch(struct sql_conn *conn);
/* Ends the session at once, without waiting for the server. */
void conn_break(struct sql_conn *conn);
struct sql_conn *conn_new(void);
void conn_release(struct sql_conn *conn);

/* sql_connect.c */
bool connect_place(const char *url, struct sql_place *out, char **error);
bool connect_environment(const char *url, const char *database, sql_variable each, void *data,
                         char **error);
struct op *connect_start(const struct sql_target *target, uint64_t timeout_ms);
struct sql_conn *connect_take(struct op *op);
void connect_forget_environment(void);

/* sql_tls.c: a session's TLS, kept beyond what libpq throws away with a failed connection.
   poll: PQconnectPoll; a TLS session that it makes is put in *held, in place of an earlier one.
   verdict: why the certificate is not trusted, or NULL; names_a_host: has it a subjectAltName that
   is a host's? */
PostgresPollingStatusType sql_tls_poll(PGconn *pg, struct ssl_st **held);
void sql_tls_drop(struct ssl_st **held);
const char *sql_tls_verdict(const struct ssl_st *held);
bool sql_tls_names_a_host(const struct ssl_st *held);

/* sql_run.c */
struct op *run_start(struct sql_conn *conn, struct sql_item *items, size_t count,
                     const struct sql_options *options);
struct op *run_next(struct sql_conn *conn, uint64_t timeout_ms);
struct op *run_copy(struct sql_conn *conn, const char *data, size_t len, uint64_t timeout_ms);
struct op *run_copy_end(struct sql_conn *conn, const char *reason, uint64_t timeout_ms);
const struct sql_result *run_results(struct op *op, size_t *count);
const struct sql_fault *run_fault(struct op *op);
bool run_at_end(struct op *op);
void run_drop(struct sql_run *run);

/* sql_result.c */
/* Takes the column heads from `res`. False: out of memory. */
bool result_set_columns(struct sql_result *result, const PGresult *res);
bool result_add_row(struct sql_result *result, const PGresult *res, int row);
void result_set_tag(struct sql_result *result, PGresult *res);
bool result_set_description(struct sql_result *result, const PGresult *res);
void result_clear_rows(struct sql_result *result); /* keeps columns */
void result_free(struct sql_result *result);
void fault_set(struct sql_fault *fault, const PGresult *res, size_t item);
void fault_free(struct sql_fault *fault);

/* sql_cancel.c: asks the server to cancel what the session runs, in a thread, since PQcancel
   blocks. `done` is called on the loop with the data, unless the job was forgotten. */
struct cancel_job;
struct cancel_job *cancel_start(PGconn *pg, void (*done)(void *data), void *data);
void cancel_forget(struct cancel_job *job);

/* First line of a libpq message, trimmed, in `out`. Never empty. */
void tidy_message(const char *raw, char *out, size_t size);

#endif
