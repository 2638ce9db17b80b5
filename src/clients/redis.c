/* The Redis client's runs and its exported table of functions. */
#include "redis.h"

#include <stdlib.h>

#include "redis_internal.h"

struct run_op {
  struct op op;
  struct redis_conn *conn;
  struct redis_batch *batch;
};

/* Less than one whole command left us: no server can have acted on it. */
static enum op_outcome outcome_of(const struct redis_batch *batch) {
  return batch->sent < batch->first_length ? OP_NOT_SENT : OP_UNKNOWN;
}

static void on_done(struct redis_batch *batch) {
  struct run_op *self = batch->data;
  if (self->op.finished) return;
  if (batch->failed) op_fail(&self->op, outcome_of(batch), batch->code, "%s", batch->message);
  else op_finish(&self->op);
}

static void run_stop(struct op *op, enum op_stop why) {
  struct run_op *self = (struct run_op *)op;
  enum op_outcome outcome = outcome_of(self->batch);
  self->conn->batch = NULL; /* its answers would be taken for those of the next batch */
  conn_break(self->conn);
  if (why == OP_STOP_TIMEOUT)
    op_fail(op, outcome, "timeout", "no answer within %.3g s", (double)op->timeout_ms / 1000);
  else op_fail(op, outcome, "cancelled", "cancelled");
}

static void run_destroy(struct op *op) {
  struct run_op *self = (struct run_op *)op;
  if (self->conn->batch == self->batch) { /* dropped unfinished, at the end of the process */
    self->conn->batch = NULL;
    conn_break(self->conn);
  }
  batch_free(self->batch);
  conn_release(self->conn);
  free(self);
}

static const struct op_class run_class = {"redis run", run_stop, run_destroy};

static struct op *run_start(struct redis_conn *conn, struct redis_batch *batch,
                            uint64_t timeout_ms) {
  struct run_op *self = calloc(1, sizeof *self);
  if (self == NULL) {
    batch_free(batch);
    return NULL;
  }
  op_open(&self->op, &run_class);
  self->conn = conn;
  self->batch = batch;
  conn->refs++;
  batch->data = self;
  batch->done = on_done;
  if (timeout_ms > 0) op_set_timeout(&self->op, timeout_ms);
  if (conn->batch != NULL) {
    op_fail(&self->op, OP_NOT_SENT, "busy", "the connection is still waiting for an answer");
  } else if (batch->expected == 0) {
    op_finish(&self->op);
  } else if (!exchange_is_alive(conn)) {
    conn_break(conn);
    op_fail(&self->op, OP_NOT_SENT, "connection lost", "the connection was lost");
  } else {
    exchange_start(conn, batch);
  }
  return &self->op;
}

static const struct redis_value *run_replies(struct op *op, size_t *count) {
  const struct redis_batch *batch = ((struct run_op *)op)->batch;
  *count = batch->got;
  return batch->replies;
}

static bool is_usable(const struct redis_conn *conn) { return !conn->broken && conn->batch == NULL; }

static bool is_busy(const struct redis_conn *conn) { return conn->batch != NULL; }

extern const struct redis_api opsrun_redis_api;
const struct redis_api opsrun_redis_api = {
    .place = url_place,
    .connect = connect_start,
    .connected = connect_take,
    .batch_new = batch_new,
    .batch_add = batch_add,
    .batch_free = batch_free,
    .run = run_start,
    .replies = run_replies,
    .is_usable = is_usable,
    .is_busy = is_busy,
    .release = conn_release,
};
