/* The files client: copies a request, has it done by a thread, hands out its answer. */
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files_internal.h"

static void run_job(struct work *work) {
  struct files_job *job = (struct files_job *)work;
  switch (job->request.verb) {
    case FILES_LIST: files_run_list(job); break;
    case FILES_STAT: files_run_stat(job); break;
    case FILES_READ: files_run_read(job); break;
    case FILES_TAIL: files_run_tail(job); break;
    case FILES_CHECKSUM: files_run_checksum(job); break;
    case FILES_SYSTEMS: files_run_systems(job); break;
    case FILES_HOLDERS: files_run_holders(job); break;
    default: files_run_change(job); break;
  }
}

static void destroy_job(struct op *op) {
  struct files_job *job = (struct files_job *)op;
  work_close(&job->work);
  free(job->memory);
  free(job);
}

static const struct op_class files_class = {"files", work_stop, destroy_job};

static const char *const verb_names[] = {[FILES_LIST] = "listing",
                                         [FILES_STAT] = "looking at",
                                         [FILES_READ] = "reading",
                                         [FILES_TAIL] = "reading",
                                         [FILES_CHECKSUM] = "reading",
                                         [FILES_SYSTEMS] = "looking at the file systems",
                                         [FILES_HOLDERS] = "looking at",
                                         [FILES_WRITE] = "writing",
                                         [FILES_APPEND] = "appending to",
                                         [FILES_REMOVE] = "removing",
                                         [FILES_COMPRESS] = "compressing",
                                         [FILES_TRUNCATE] = "truncating",
                                         [FILES_TOUCH] = "touching",
                                         [FILES_MKDIR] = "making"};

static char *make_title(const struct files_request *request) {
  char *title = NULL;
  const char *verb = verb_names[request->verb];
  int made;
  if (request->path != NULL) made = asprintf(&title, "%s '%s'", verb, request->path);
  else if (request->item_count == 1)
    made = asprintf(&title, "%s '%s'", verb, request->items[0].path);
  else if (request->item_count > 1)
    made = asprintf(&title, "%s %zu files", verb, request->item_count);
  else made = asprintf(&title, "%s", verb);
  return made < 0 ? NULL : title;
}

static void copy_request(struct work_copy *copy, const struct files_request *from,
                         struct files_request *to) {
  *to = *from;
  struct files_item *items = work_take(copy, from->items, from->item_count * sizeof *items);
  const char **allowed = work_take(copy, from->allowed, from->allowed_count * sizeof *allowed);
  to->path = work_take_text(copy, from->path);
  to->filter.pattern = work_take_text(copy, from->filter.pattern);
  to->text = from->text != NULL ? work_take(copy, from->text, from->text_len) : NULL;
  for (size_t i = 0; i < from->item_count; i++) {
    struct files_item item = {work_take_text(copy, from->items[i].path),
                              work_take_text(copy, from->items[i].id)};
    if (items != NULL) items[i] = item;
  }
  for (size_t i = 0; i < from->allowed_count; i++) {
    const char *prefix = work_take_text(copy, from->allowed[i]);
    if (allowed != NULL) allowed[i] = prefix;
  }
  to->items = items;
  to->allowed = allowed;
}

static struct op *start(const struct files_request *request) {
  struct files_job *job = calloc(1, sizeof *job);
  struct files_request scratch;
  struct work_copy copy = {NULL, 0};
  copy_request(&copy, request, &scratch);
  char *memory = malloc(copy.used + 1);
  if (job == NULL || memory == NULL) {
    free(job);
    free(memory);
    return NULL;
  }
  work_open(&job->work, &files_class, run_job, make_title(request));
  job->memory = memory;
  copy = (struct work_copy){memory, 0};
  copy_request(&copy, request, &job->request);
  op_set_timeout(&job->work.op, request->timeout_ms);
  return work_start(&job->work);
}

static const char *answer(const struct op *op, size_t *len, bool *raw) {
  const struct files_job *job = (const struct files_job *)op;
  *len = job->work.answer.len;
  *raw = job->work.raw;
  return job->work.answer.data != NULL ? job->work.answer.data : "";
}

const struct files_api opsrun_files_api = {.start = start, .answer = answer};
