/* The ready queue and the deadline of pending operations. */
#include "op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

static struct op *ready_head;
static struct op *ready_tail;

void op_open(struct op *op, const struct op_class *cls) {
  memset(op, 0, sizeof *op);
  op->cls = cls;
}

static void free_timer(uv_handle_t *handle) { free(handle); }

static void drop_timer(struct op *op) {
  if (op->timer == NULL) return;
  op->timer->data = NULL;
  uv_close((uv_handle_t *)op->timer, free_timer);
  op->timer = NULL;
}

static void on_timeout(uv_timer_t *timer) {
  struct op *op = timer->data;
  if (op != NULL) op_stop(op, OP_STOP_TIMEOUT);
}

void op_set_timeout(struct op *op, uint64_t ms) {
  drop_timer(op);
  op->timeout_ms = ms;
  if (ms == 0 || op->finished) return;
  op->timer = malloc(sizeof *op->timer);
  if (op->timer == NULL) abort(); /* without its deadline the operation could wait for ever */
  if (uv_timer_init(loop_uv(), op->timer) != 0) abort();
  op->timer->data = op;
  uv_update_time(loop_uv());
  if (uv_timer_start(op->timer, on_timeout, ms, 0) != 0) abort();
}

void op_stop(struct op *op, enum op_stop why) {
  if (op->finished || op->stopped != OP_STOP_NONE) return;
  op->stopped = why;
  if (op->cls->stop != NULL) op->cls->stop(op, why);
}

static void make_ready(struct op *op) {
  if (op->finished) abort(); /* finishing twice would resume a task that is gone */
  op->finished = true;
  drop_timer(op);
  op->next_ready = NULL;
  if (ready_tail != NULL) ready_tail->next_ready = op;
  else ready_head = op;
  ready_tail = op;
}

void op_finish(struct op *op) { make_ready(op); }

void op_fail(struct op *op, enum op_outcome outcome, const char *code, const char *fmt, ...) {
  op->failed = true;
  op->outcome = outcome;
  snprintf(op->code, sizeof op->code, "%s", code);
  va_list args;
  va_start(args, fmt);
  if (vasprintf(&op->message, fmt, args) < 0) op->message = NULL;
  va_end(args);
  make_ready(op);
}

const char *op_outcome_name(enum op_outcome outcome) {
  switch (outcome) {
    case OP_NOT_SENT: return "not sent";
    case OP_DONE: return "done";
    case OP_FAILED: return "failed";
    case OP_UNKNOWN: return "unknown";
  }
  return "unknown";
}

int op_drain_ready(void) {
  int count = 0;
  while (ready_head != NULL) {
    struct op *op = ready_head;
    ready_head = op->next_ready;
    if (ready_head == NULL) ready_tail = NULL;
    count++;
    if (op->on_ready != NULL) op->on_ready(op); /* may destroy op, may make others ready */
  }
  return count;
}

void op_destroy(struct op *op) {
  drop_timer(op);
  free(op->message);
  op->message = NULL;
  if (op->cls->destroy != NULL) op->cls->destroy(op);
}
