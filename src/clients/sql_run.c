/* A run of statements on a connection: sent in one go, answers collected as they arrive. */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../loop/loop.h"
#include "sql_internal.h"

/* How long a cancelled statement may take to say so before the session is dropped. */
#define CANCEL_GRACE_MS 2000

enum entry_kind { ENTRY_QUERY, ENTRY_PREPARE, ENTRY_DESCRIBE, ENTRY_SYNC };

struct entry {
  enum entry_kind kind;
  size_t item;
};

struct run_op {
  struct op op;
  struct sql_conn *conn; /* one reference */
  struct sql_run *run;
  bool at_end;
};

struct sql_run {
  struct sql_conn *conn;
  struct sql_item *items;
  struct sql_result *results;
  size_t item_count;
  struct entry *entries;
  size_t entry_count, at;
  struct sql_options options;
  struct sql_fault fault;
  struct run_op *waiter; /* the operation to finish, or NULL between two batches */
  struct cancel_job *cancel;
  uv_timer_t *grace;
  bool row_mode; /* libpq was told to hand the present entry's rows one by one */
  bool discard;  /* rows are dropped from here on */
  bool copying;     /* the server waits for data of COPY */
  char *copy_data;  /* not yet taken by libpq */
  size_t copy_len;
  bool copy_ending; /* the end is to be sent */
  char *copy_reason; /* why it is given up, or NULL */
};

static void on_event(struct sql_conn *conn);

/* -- life --------------------------------------------------------------------------------------- */

static void free_items(struct sql_item *items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (int v = 0; v < items[i].value_count; v++) free((char *)items[i].values[v]);
    free((void *)items[i].values);
    free((char *)items[i].text);
  }
  free(items);
}

static void free_handle(uv_handle_t *handle) { free(handle); }

static void stop_grace(struct sql_run *run) {
  if (run->grace == NULL) return;
  uv_close((uv_handle_t *)run->grace, free_handle);
  run->grace = NULL;
}

static void free_run(struct sql_run *run) {
  stop_grace(run);
  cancel_forget(run->cancel);
  for (size_t i = 0; run->results != NULL && i < run->item_count; i++)
    result_free(&run->results[i]);
  fault_free(&run->fault);
  free(run->copy_data);
  free(run->copy_reason);
  free_items(run->items, run->item_count);
  free(run->results);
  free(run->entries);
  free(run);
}

void run_drop(struct sql_run *run) {
  run->conn->run = NULL;
  if (run->waiter == NULL) free_run(run);
}

static void run_destroy(struct op *op) {
  struct run_op *waiter = (struct run_op *)op;
  struct sql_run *run = waiter->run;
  if (run != NULL) {
    run->waiter = NULL;
    if (waiter->conn->run != run) free_run(run);
  }
  conn_release(waiter->conn);
  free(waiter);
}

/* -- ends --------------------------------------------------------------------------------------- */

/* The session is gone: what was sent may or may not have happened. */
static void fail_run(struct sql_run *run, enum op_outcome outcome, const char *code,
                     const char *message) {
  struct sql_conn *conn = run->conn;
  struct run_op *waiter = run->waiter;
  stop_grace(run);
  conn_break(conn);
  conn->run = NULL;
  if (waiter == NULL) {
    free_run(run);
    return;
  }
  waiter->at_end = true;
  op_fail(&waiter->op, outcome, code, "%s", message);
}

static void lose(struct sql_run *run) {
  char message[512];
  const char *code = "connection lost";
  if (run->fault.set && run->fault.message != NULL) {
    tidy_message(run->fault.message, message, sizeof message);
    if (run->fault.code[0] != '\0') code = run->fault.code;
  } else {
    tidy_message(PQerrorMessage(run->conn->pg), message, sizeof message);
  }
  char kept[32];
  strncpy(kept, code, sizeof kept - 1);
  kept[sizeof kept - 1] = '\0';
  /* Refusing COPY ends the session, and with it the transaction it was sent in. */
  bool rolled_back = strcmp(kept, "copy") == 0 && !run->options.no_pipeline;
  fail_run(run, rolled_back ? OP_FAILED : OP_UNKNOWN, kept, message);
}

/* Everything was answered. */
static void complete(struct sql_run *run) {
  struct sql_conn *conn = run->conn;
  struct run_op *waiter = run->waiter;
  if (run->cancel != NULL) return; /* its late request must not meet the next statement */
  stop_grace(run);
  conn_unwatch(conn);
  if (PQpipelineStatus(conn->pg) != PQ_PIPELINE_OFF && PQexitPipelineMode(conn->pg) != 1)
    conn->broken = true;
  conn->run = NULL;
  if (waiter == NULL) {
    free_run(run);
    return;
  }
  waiter->at_end = true;
  op_finish(&waiter->op);
}

/* -- cancelling --------------------------------------------------------------------------------- */

static void on_grace(uv_timer_t *timer) {
  struct sql_run *run = timer->data;
  bool timed_out = run->waiter != NULL && run->waiter->op.stopped == OP_STOP_TIMEOUT;
  fail_run(run, OP_UNKNOWN, timed_out ? "timeout" : "cancelled",
           "the server did not answer the cancel request in 2 s");
}

static void cancel_done(void *data) {
  struct sql_run *run = data;
  run->cancel = NULL;
  if (run->at == run->entry_count) complete(run);
}

static void start_cancel(struct sql_run *run) {
  if (run->cancel != NULL || run->grace != NULL || run->conn->pg == NULL) return;
  run->discard = true;
  run->grace = calloc(1, sizeof *run->grace);
  if (run->grace == NULL) abort(); /* without it a dead server would hold the run for ever */
  if (uv_timer_init(loop_uv(), run->grace) != 0) abort();
  run->grace->data = run;
  uv_update_time(loop_uv());
  if (uv_timer_start(run->grace, on_grace, CANCEL_GRACE_MS, 0) != 0) abort();
  run->cancel = cancel_start(run->conn->pg, cancel_done, run);
}

static void run_stop(struct op *op, enum op_stop why) {
  struct run_op *waiter = (struct run_op *)op;
  if (waiter->run == NULL || waiter->conn->run != waiter->run) return;
  if (!waiter->run->copying) start_cancel(waiter->run);
  else /* data without an end is never taken: the session's end takes it all back */
    fail_run(waiter->run, OP_FAILED, why == OP_STOP_TIMEOUT ? "timeout" : "cancelled",
             "the copy was stopped");
}

static const struct op_class run_class = {"sql run", run_stop, run_destroy};

/* -- collecting --------------------------------------------------------------------------------- */

static void set_cap_fault(struct sql_run *run, size_t item, const char *code, const char *message) {
  if (run->fault.set) return;
  run->fault.set = true;
  run->fault.item = item;
  strncpy(run->fault.code, code, sizeof run->fault.code - 1);
  run->fault.message = strdup(message);
}

static void take_row(struct sql_run *run, const PGresult *res, int row, size_t item) {
  struct sql_result *result = &run->results[item];
  if (run->discard || result->truncated) {
    result->truncated = true;
    return;
  }
  const struct sql_options *options = &run->options;
  bool full = (options->max_rows > 0 && result->row_count >= options->max_rows) ||
              (options->max_bytes > 0 && result->used >= options->max_bytes);
  if (full) {
    result->truncated = true;
    if (options->truncate) return;
    set_cap_fault(run, item, "cap", "too many rows");
    start_cancel(run);
    return;
  }
  if (!result_set_columns(result, res) || !result_add_row(result, res, row)) {
    set_cap_fault(run, item, "memory", "out of memory for the rows");
    start_cancel(run);
  }
}

/* One answer of libpq. Returns false when the session cannot go on. */
static bool take_result(struct sql_run *run, PGresult *res, const struct entry *entry) {
  struct sql_result *result = &run->results[entry->item];
  switch (PQresultStatus(res)) {
    case PGRES_SINGLE_TUPLE: take_row(run, res, 0, entry->item); return true;
    case PGRES_TUPLES_OK: /* the end of the rows; with rows only if one by one was not possible */
      for (int row = 0; row < PQntuples(res); row++) take_row(run, res, row, entry->item);
      result_set_tag(result, res);
      return result_set_columns(result, res);
    case PGRES_COMMAND_OK:
      if (entry->kind == ENTRY_DESCRIBE) return result_set_description(result, res);
      result_set_tag(result, res);
      return true;
    case PGRES_EMPTY_QUERY:
    case PGRES_PIPELINE_ABORTED:
    case PGRES_PIPELINE_SYNC: return true;
    case PGRES_COPY_IN:
      if (run->options.copy) {
        run->copying = true;
        return true;
      }
      __attribute__((fallthrough));
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      set_cap_fault(run, entry->item, "copy", "COPY to or from the client is not possible here");
      return false;
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR: break;
  }
  fault_set(&run->fault, res, entry->item);
  return true;
}

static bool batch_is_full(const struct sql_run *run) {
  if (run->options.batch_rows == 0 || run->discard) return false;
  for (size_t i = 0; i < run->item_count; i++)
    if (run->results[i].row_count >= run->options.batch_rows) return true;
  return false;
}

enum collected { COLLECT_WAIT, COLLECT_BATCH, COLLECT_END, COLLECT_LOST };

static enum collected collect(struct sql_run *run) {
  PGconn *pg = run->conn->pg;
  while (run->at < run->entry_count) {
    const struct entry *entry = &run->entries[run->at];
    if (entry->kind == ENTRY_QUERY && !run->row_mode)
      run->row_mode = PQsetSingleRowMode(pg) == 1;
    if (PQisBusy(pg)) return COLLECT_WAIT;
    PGresult *res = PQgetResult(pg);
    if (res == NULL) {
      if (PQstatus(pg) == CONNECTION_BAD) return COLLECT_LOST;
      run->at++;
      run->row_mode = false;
      continue;
    }
    bool is_sync = PQresultStatus(res) == PGRES_PIPELINE_SYNC;
    bool sound = take_result(run, res, entry);
    PQclear(res);
    if (!sound) return COLLECT_LOST;
    if (is_sync) run->at++;
    else if (run->copying || batch_is_full(run)) return COLLECT_BATCH;
  }
  return COLLECT_END;
}

static void advance(struct sql_run *run) {
  struct sql_conn *conn = run->conn;
  bool alive = PQconsumeInput(conn->pg) == 1;
  int flushed = PQflush(conn->pg);
  switch (collect(run)) {
    case COLLECT_END: complete(run); return;
    case COLLECT_LOST: lose(run); return;
    case COLLECT_BATCH: {
      struct run_op *waiter = run->waiter;
      conn_unwatch(conn);
      run->waiter = NULL;
      op_finish(&waiter->op);
      return;
    }
    case COLLECT_WAIT: break;
  }
  int events = UV_READABLE | (flushed == 1 ? UV_WRITABLE : 0);
  if (!alive || flushed < 0 || !conn_watch(conn, events, on_event)) lose(run);
}

/* Hands data, and then the end, to libpq as fast as the server takes them. */
static void advance_copy(struct sql_run *run) {
  struct sql_conn *conn = run->conn;
  bool alive = PQconsumeInput(conn->pg) == 1;
  int put = 1;
  if (run->copy_len > 0) put = PQputCopyData(conn->pg, run->copy_data, (int)run->copy_len);
  if (put == 1) run->copy_len = 0;
  if (put == 1 && run->copy_ending) {
    put = PQputCopyEnd(conn->pg, run->copy_reason);
    if (put == 1) {
      run->copying = run->copy_ending = false;
      advance(run);
      return;
    }
  }
  int flushed = put < 0 ? -1 : PQflush(conn->pg);
  if (alive && put == 1 && flushed == 0) {
    struct run_op *waiter = run->waiter;
    conn_unwatch(conn);
    run->waiter = NULL;
    op_finish(&waiter->op);
  } else if (!alive || flushed < 0 || !conn_watch(conn, UV_READABLE | UV_WRITABLE, on_event)) {
    lose(run);
  }
}

static void on_event(struct sql_conn *conn) {
  if (conn->run == NULL || conn->run->waiter == NULL) return;
  if (conn->run->copying) advance_copy(conn->run);
  else advance(conn->run);
}

/* -- starting ----------------------------------------------------------------------------------- */

static bool plan_entries(struct sql_run *run, bool pipeline) {
  run->entries = calloc(run->item_count * 2 + 1, sizeof *run->entries);
  if (run->entries == NULL) return false;
  size_t count = 0;
  for (size_t i = 0; i < run->item_count; i++) {
    switch (run->items[i].kind) {
      case SQL_QUERY: run->entries[count++] = (struct entry){ENTRY_QUERY, i}; break;
      case SQL_DESCRIBE:
        run->entries[count++] = (struct entry){ENTRY_PREPARE, i};
        run->entries[count++] = (struct entry){ENTRY_DESCRIBE, i};
        break;
      case SQL_SYNC: run->entries[count++] = (struct entry){ENTRY_SYNC, i}; break;
    }
  }
  if (pipeline && (count == 0 || run->entries[count - 1].kind != ENTRY_SYNC))
    run->entries[count++] = (struct entry){ENTRY_SYNC, run->item_count - 1};
  run->entry_count = count;
  return true;
}

static bool send_entry(struct sql_run *run, const struct entry *entry) {
  PGconn *pg = run->conn->pg;
  const struct sql_item *item = &run->items[entry->item];
  switch (entry->kind) {
    case ENTRY_QUERY:
      return PQsendQueryParams(pg, item->text, item->value_count, NULL, item->values, NULL, NULL,
                               0) == 1;
    case ENTRY_PREPARE: return PQsendPrepare(pg, "", item->text, 0, NULL) == 1;
    case ENTRY_DESCRIBE: return PQsendDescribePrepared(pg, "") == 1;
    case ENTRY_SYNC: return PQpipelineSync(pg) == 1;
  }
  return false;
}

static struct sql_run *make_run(struct sql_conn *conn, struct sql_item *items, size_t count,
                                const struct sql_options *options) {
  struct sql_run *run = calloc(1, sizeof *run);
  if (run == NULL) {
    free_items(items, count);
    return NULL;
  }
  run->conn = conn;
  run->items = items;
  run->item_count = count;
  run->options = *options;
  run->results = calloc(count, sizeof *run->results);
  if (run->results == NULL || !plan_entries(run, !options->no_pipeline)) {
    free_run(run);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) run->results[i].affected = -1;
  return run;
}

static struct run_op *make_waiter(struct sql_run *run, uint64_t timeout_ms) {
  struct run_op *waiter = calloc(1, sizeof *waiter);
  if (waiter == NULL) return NULL;
  op_open(&waiter->op, &run_class);
  waiter->conn = run->conn;
  waiter->conn->refs++;
  waiter->run = run;
  run->waiter = waiter;
  if (timeout_ms > 0) op_set_timeout(&waiter->op, timeout_ms);
  return waiter;
}

/* A session that died while it was idle is found out before anything is sent on it. */
static bool is_alive(struct sql_conn *conn) {
  if (conn->broken) return false;
  struct pollfd look = {.fd = PQsocket(conn->pg), .events = POLLIN};
  for (int i = 0; i < 16 && poll(&look, 1, 0) > 0; i++) { /* a last word first, then the end */
    if (PQconsumeInput(conn->pg) != 1) return false;
    (void)PQisBusy(conn->pg); /* takes in what came: notices, changed settings */
  }
  return PQstatus(conn->pg) == CONNECTION_OK;
}

struct op *run_start(struct sql_conn *conn, struct sql_item *items, size_t count,
                     const struct sql_options *options) {
  struct sql_run *run = make_run(conn, items, count, options);
  if (run == NULL) return NULL;
  struct run_op *waiter = make_waiter(run, options->timeout_ms);
  if (waiter == NULL) {
    free_run(run);
    return NULL;
  }
  if (conn->run != NULL) {
    waiter->at_end = true;
    op_fail(&waiter->op, OP_NOT_SENT, "busy", "the connection is still running a statement");
    return &waiter->op;
  }
  conn->run = run;
  if (!is_alive(conn)) {
    fail_run(run, OP_NOT_SENT, "connection lost", "the server closed the connection");
    return &waiter->op;
  }
  bool queued = options->no_pipeline || PQenterPipelineMode(conn->pg) == 1;
  for (size_t i = 0; queued && i < run->entry_count; i++) queued = send_entry(run, &run->entries[i]);
  if (!queued) lose(run);
  else advance(run);
  return &waiter->op;
}

struct op *run_next(struct sql_conn *conn, uint64_t timeout_ms) {
  struct sql_run *run = conn->run;
  if (run == NULL || run->waiter != NULL) return NULL;
  for (size_t i = 0; i < run->item_count; i++) result_clear_rows(&run->results[i]);
  struct run_op *waiter = make_waiter(run, timeout_ms);
  if (waiter == NULL) return NULL;
  advance(run);
  return &waiter->op;
}

/* The operation for the next move of a COPY that waits for one. */
static struct run_op *copy_waiter(struct sql_conn *conn, uint64_t timeout_ms) {
  struct sql_run *run = conn->run;
  if (run == NULL || run->waiter != NULL || !run->copying) return NULL;
  return make_waiter(run, timeout_ms);
}

struct op *run_copy(struct sql_conn *conn, const char *data, size_t len, uint64_t timeout_ms) {
  if (len == 0 || len > INT_MAX) return NULL;
  char *copy = malloc(len);
  struct run_op *waiter = copy != NULL ? copy_waiter(conn, timeout_ms) : NULL;
  if (waiter == NULL) {
    free(copy);
    return NULL;
  }
  memcpy(copy, data, len);
  free(conn->run->copy_data);
  conn->run->copy_data = copy;
  conn->run->copy_len = len;
  advance_copy(conn->run);
  return &waiter->op;
}

struct op *run_copy_end(struct sql_conn *conn, const char *reason, uint64_t timeout_ms) {
  struct run_op *waiter = copy_waiter(conn, timeout_ms);
  if (waiter == NULL) return NULL;
  conn->run->copy_ending = true;
  conn->run->copy_reason = reason != NULL ? strdup(reason) : NULL;
  if (reason != NULL && conn->run->copy_reason == NULL) /* without a reason it would be taken */
    fail_run(conn->run, OP_FAILED, "memory", "out of memory");
  else advance_copy(conn->run);
  return &waiter->op;
}

/* -- results ------------------------------------------------------------------------------------ */

const struct sql_result *run_results(struct op *op, size_t *count) {
  struct sql_run *run = ((struct run_op *)op)->run;
  *count = run->item_count;
  return run->results;
}

const struct sql_fault *run_fault(struct op *op) { return &((struct run_op *)op)->run->fault; }

bool run_at_end(struct op *op) { return ((struct run_op *)op)->at_end; }
