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

/* One block for all that the request points to: a cursor that copies, or only counts (NULL). */
struct cursor {
  char *base;
  size_t used;
};

static void *take(struct cursor *cursor, const void *bytes, size_t len) {
  char *place = cursor->base != NULL ? cursor->base + cursor->used : NULL;
  if (place != NULL && bytes != NULL && len > 0) memcpy(place, bytes, len);
  cursor->used += (len + 15) & ~(size_t)15;
  return place;
}

static const char *take_text(struct cursor *cursor, const char *text) {
  return text != NULL ? take(cursor, text, strlen(text) + 1) : NULL;
}

static void copy_query(struct cursor *cursor, const struct logs_query *from,
                       struct logs_query *to) {
  struct logs_query query = *from;
  query.name = take_text(cursor, from->name);
  query.regex = take_text(cursor, from->regex);
  query.field = take_text(cursor, from->field);
  query.equals = take_text(cursor, from->equals);
  query.group = take_text(cursor, from->group);
  for (size_t i = 0; i < from->literal_count; i++)
    query.literals[i] = take(cursor, from->literals[i], from->literal_lens[i]);
  if (to != NULL) *to = query;
}

static void copy_request(struct cursor *cursor, const struct logs_request *from,
                         struct logs_request *to) {
  *to = *from;
  struct logs_query *queries = take(cursor, NULL, from->query_count * sizeof *queries);
  to->zones = take(cursor, from->zones, from->zone_count * sizeof *from->zones);
  to->time_field = take_text(cursor, from->time_field);
  for (size_t i = 0; i < from->path_count; i++)
    to->paths[i] = take_text(cursor, from->paths[i]);
  for (size_t i = 0; i < from->query_count; i++)
    copy_query(cursor, &from->queries[i], queries != NULL ? &queries[i] : NULL);
  to->queries = queries;
}

static struct op *start(const struct logs_request *request) {
  struct logs_job *job = calloc(1, sizeof *job);
  struct logs_request *scratch = malloc(sizeof *scratch);
  struct cursor cursor = {NULL, 0};
  if (scratch != NULL) copy_request(&cursor, request, scratch);
  free(scratch);
  char *memory = malloc(cursor.used + 1);
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
  cursor = (struct cursor){memory, 0};
  copy_request(&cursor, request, &job->request);
  op_set_timeout(&job->work.op, request->timeout_ms);
  return work_start(&job->work);
}

static const char *answer(const struct op *op, size_t *len) {
  const struct logs_job *job = (const struct logs_job *)op;
  *len = job->work.answer.len;
  return job->work.answer.data != NULL ? job->work.answer.data : "";
}

const struct logs_api opsrun_logs_api = {.start = start, .answer = answer};
