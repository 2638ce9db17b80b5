/* The logs client: copies a request, has it scanned by a thread, hands out the answer. */
#include "logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "logs_internal.h"

static void run_job(struct work *work) { logs_scan((struct logs_job *)work); }

static void destroy_job(struct op *op) {
  struct logs_job *job = (struct logs_job *)op;
  work_close(&job->work);
  free(job->memory);
  free(job);
}

static const struct op_class logs_class = {"logs", work_stop, destroy_job};

static void copy_query(struct work_copy *copy, const struct logs_query *from,
                       struct logs_query *to) {
  struct logs_query query = *from;
  query.name = work_take_text(copy, from->name);
  query.regex = work_take_text(copy, from->regex);
  query.field = work_take_text(copy, from->field);
  query.equals = work_take_text(copy, from->equals);
  query.group = work_take_text(copy, from->group);
  for (size_t i = 0; i < from->literal_count; i++)
    query.literals[i] = work_take(copy, from->literals[i], from->literal_lens[i]);
  if (to != NULL) *to = query;
}

static void copy_request(struct work_copy *copy, const struct logs_request *from,
                         struct logs_request *to) {
  *to = *from;
  struct logs_query *queries = work_take(copy, NULL, from->query_count * sizeof *queries);
  to->zones = work_take(copy, from->zones, from->zone_count * sizeof *from->zones);
  to->time_field = work_take_text(copy, from->time_field);
  for (size_t i = 0; i < from->path_count; i++)
    to->paths[i] = work_take_text(copy, from->paths[i]);
  for (size_t i = 0; i < from->query_count; i++)
    copy_query(copy, &from->queries[i], queries != NULL ? &queries[i] : NULL);
  to->queries = queries;
}

static struct op *start(const struct logs_request *request) {
  struct logs_job *job = calloc(1, sizeof *job);
  struct logs_request *scratch = malloc(sizeof *scratch);
  struct work_copy copy = {NULL, 0};
  if (scratch != NULL) copy_request(&copy, request, scratch);
  free(scratch);
  char *memory = malloc(copy.used + 1);
  if (job == NULL || memory == NULL || scratch == NULL) {
    free(job);
    free(memory);
    return NULL;
  }
  char *title = NULL;
  const char *more = request->path_count > 1 ? " …" : "";
  if (asprintf(&title, "scanning '%s'%s", request->paths[0], more) < 0) title = NULL;
  work_open(&job->work, &logs_class, run_job, title);
  job->memory = memory;
  copy = (struct work_copy){memory, 0};
  copy_request(&copy, request, &job->request);
  op_set_timeout(&job->work.op, request->timeout_ms);
  return work_start(&job->work);
}

static const char *answer(const struct op *op, size_t *len) {
  const struct logs_job *job = (const struct logs_job *)op;
  *len = job->work.answer.len;
  return job->work.answer.data != NULL ? job->work.answer.data : "";
}

const struct logs_api opsrun_logs_api = {.start = start, .answer = answer};
