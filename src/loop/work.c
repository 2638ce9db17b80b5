/* Blocking work in the loop's thread pool, as operations. */
#include "work.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

void work_open(struct work *work, const struct op_class *cls, void (*run)(struct work *),
               char *title) {
  memset(work, 0, sizeof *work);
  op_open(&work->op, cls);
  work->run = run;
  work->title = title;
  work->outcome = OP_FAILED;
  atomic_init(&work->stop, false);
}

static void fail_stopped_op(struct work *work, enum op_outcome outcome) {
  const char *title = work->title != NULL ? work->title : "it";
  if (work->op.stopped == OP_STOP_TIMEOUT)
    op_fail(&work->op, outcome, "timeout", "%s took longer than %g s", title,
            (double)work->op.timeout_ms / 1000);
  else
    op_fail(&work->op, outcome, "cancelled", "%s was cancelled", title);
}

static void on_thread(uv_work_t *request) {
  struct work *work = request->data;
  work->run(work);
}

static void on_done(uv_work_t *request, int status) {
  struct work *work = request->data;
  if (status == UV_ECANCELED) /* no thread ever began it */
    fail_stopped_op(work, OP_NOT_SENT);
  else if (work->failed && strcmp(work->code, "stopped") == 0)
    fail_stopped_op(work, work->outcome);
  else if (work->failed)
    op_fail(&work->op, work->outcome, work->code, "%s",
            work->message != NULL ? work->message : "out of memory");
  else if (work->answer.failed)
    op_fail(&work->op, work->outcome, "memory", "out of memory for the answer");
  else
    op_finish(&work->op);
}

struct op *work_start(struct work *work) {
  work->request.data = work;
  if (uv_queue_work(loop_uv(), &work->request, on_thread, on_done) != 0)
    op_fail(&work->op, OP_NOT_SENT, "thread", "no thread for it could be had");
  return &work->op;
}

bool work_stopped(struct work *work) {
  return atomic_load_explicit(&work->stop, memory_order_relaxed);
}

void work_fail_stopped(struct work *work, enum op_outcome outcome) {
  work_fail(work, outcome, "stopped", "stopped");
}

void work_fail(struct work *work, enum op_outcome outcome, const char *code, const char *fmt, ...) {
  if (work->failed) return;
  work->failed = true;
  work->outcome = outcome;
  snprintf(work->code, sizeof work->code, "%s", code);
  va_list args;
  va_start(args, fmt);
  if (vasprintf(&work->message, fmt, args) < 0) work->message = NULL;
  va_end(args);
}

void *work_take(struct work_copy *copy, const void *bytes, size_t len) {
  char *place = copy->base != NULL ? copy->base + copy->used : NULL;
  if (place != NULL && bytes != NULL && len > 0) memcpy(place, bytes, len);
  copy->used += (len + 15) & ~(size_t)15;
  return place;
}

const char *work_take_text(struct work_copy *copy, const char *text) {
  return text != NULL ? work_take(copy, text, strlen(text) + 1) : NULL;
}

void work_stop(struct op *op, enum op_stop why) {
  (void)why; /* op->stopped says it */
  struct work *work = (struct work *)op;
  atomic_store_explicit(&work->stop, true, memory_order_relaxed);
  uv_cancel((uv_req_t *)&work->request); /* succeeds only while no thread has it */
}

void work_close(struct work *work) {
  free(work->title);
  free(work->message);
  answer_drop(&work->answer);
}
