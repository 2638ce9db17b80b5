/* Cancelling a statement off the loop: PQcancel opens a second connection and blocks on it. */
#include <stdlib.h>

#include "../loop/loop.h"
#include "sql_internal.h"

struct cancel_job {
  uv_work_t work;
  PGcancel *cancel;
  void (*done)(void *data); /* NULL once forgotten */
  void *data;
};

static void cancel_in_thread(uv_work_t *work) {
  struct cancel_job *job = work->data;
  char why[256];
  (void)PQcancel(job->cancel, why, sizeof why); /* whether it helped shows in the result */
}

static void cancel_ended(uv_work_t *work, int status) {
  (void)status;
  struct cancel_job *job = work->data;
  PQfreeCancel(job->cancel);
  if (job->done != NULL) job->done(job->data);
  free(job);
}

struct cancel_job *cancel_start(PGconn *pg, void (*done)(void *data), void *data) {
  struct cancel_job *job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->cancel = PQgetCancel(pg);
  job->done = done;
  job->data = data;
  job->work.data = job;
  if (job->cancel == NULL ||
      uv_queue_work(loop_uv(), &job->work, cancel_in_thread, cancel_ended) != 0) {
    if (job->cancel != NULL) PQfreeCancel(job->cancel);
    free(job);
    return NULL;
  }
  return job;
}

void cancel_forget(struct cancel_job *job) {
  if (job != NULL) job->done = NULL;
}
