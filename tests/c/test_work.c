/* Blocking work of the thread pool, and the JSON text of its answers. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "loop/loop.h"
#include "loop/work.h"

struct job {
  struct work work;
  sem_t *go;
  int what;
};

static int destroyed, ready;

static void destroy(struct op *op) {
  work_close((struct work *)op);
  free(op);
  destroyed++;
}

static const struct op_class cls = {"job", work_stop, destroy};

static void on_ready(struct op *op) {
  (void)op;
  ready++;
}

static void run(struct work *work) {
  struct job *job = (struct job *)work;
  if (job->what == 1) {
    work_fail(work, OP_DONE, "first", "the %s reason", "first");
    work_fail(work, OP_FAILED, "second", "not told");
  } else if (job->what == 2) {
    sem_post(job->go); /* it runs: now it can be stopped */
    while (!work_stopped(work)) continue;
    work_fail_stopped(work, OP_DONE);
  } else if (job->what == 3) {
    sem_wait(job->go);
  } else {
    answer_integer(&work->answer, 7);
  }
}

static struct job *begin(int what, sem_t *go) {
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) abort();
  work_open(&job->work, &cls, run, strdup("counting"));
  job->what = what;
  job->go = go;
  job->work.op.on_ready = on_ready;
  return job;
}

static void wait_for(int count) {
  while (ready < count && loop_turn()) continue;
}

static void test_results(void) {
  struct job *good = begin(0, NULL), *bad = begin(1, NULL);
  work_start(&good->work);
  work_start(&bad->work);
  CHECK(ready == 0 && !good->work.op.finished, "nothing is finished inside its starter");
  wait_for(2);
  CHECK(!good->work.op.failed && good->work.answer.len == 1 && good->work.answer.data[0] == '7',
        "the answer of the thread is there");
  CHECK(bad->work.op.failed && bad->work.op.outcome == OP_DONE &&
            strcmp(bad->work.op.code, "first") == 0 &&
            strcmp(bad->work.op.message, "the first reason") == 0,
        "the first reason counts");
  op_destroy(&good->work.op);
  op_destroy(&bad->work.op);
}

static void test_stops(void) {
  sem_t running, held;
  sem_init(&running, 0, 0);
  sem_init(&held, 0, 0);
  ready = 0;
  struct job *job = begin(2, &running);
  struct op *op = work_start(&job->work);
  sem_wait(&running);
  op_stop(op, OP_STOP_CANCEL);
  wait_for(1);
  CHECK(op->failed && strcmp(op->code, "cancelled") == 0 && op->outcome == OP_DONE &&
            strcmp(op->message, "counting was cancelled") == 0,
        "work that runs hears that it shall end, and says how far it came");
  op_destroy(op);

  ready = 0;
  job = begin(2, &running);
  op_set_timeout(&job->work.op, 30);
  op = work_start(&job->work);
  wait_for(1);
  CHECK(op->failed && strcmp(op->code, "timeout") == 0 &&
            strcmp(op->message, "counting took longer than 0.03 s") == 0,
        "a deadline names the work and its time");
  op_destroy(op);

  enum { THREADS = 64 };
  struct job *busy[THREADS];
  ready = 0;
  for (int i = 0; i < THREADS; i++) {
    busy[i] = begin(3, &held);
    work_start(&busy[i]->work);
  }
  op = &busy[THREADS - 1]->work.op;
  op_stop(op, OP_STOP_CANCEL);
  wait_for(1);
  CHECK(op->failed && op->outcome == OP_NOT_SENT, "work that no thread began is not sent");
  for (int i = 0; i < THREADS; i++) sem_post(&held);
  wait_for(THREADS);
  for (int i = 0; i < THREADS; i++) op_destroy(&busy[i]->work.op);
  sem_destroy(&running);
  sem_destroy(&held);
}

static bool is(const struct answer *answer, const char *text) {
  return answer->len == strlen(text) && memcmp(answer->data, text, answer->len) == 0;
}

static void test_answers(void) {
  struct answer answer = {0};
  answer_open(&answer, '{');
  answer_field_text(&answer, "a", "x\"\\\n\x01\xff");
  answer_key(&answer, "b");
  answer_open(&answer, '[');
  answer_integer(&answer, INT64_MIN);
  answer_number(&answer, 2);
  answer_number(&answer, 0.5);
  answer_boolean(&answer, false);
  answer_open(&answer, '[');
  answer_close(&answer, ']');
  answer_string(&answer, "\0z", 2);
  answer_close(&answer, ']');
  answer_field_boolean(&answer, "c", true);
  answer_close(&answer, '}');
  CHECK(is(&answer, "{\"a\":\"x\\u0022\\u005c\\u000a\\u0001\xff\",\"b\":[-9223372036854775808,2.0,"
                    "0.5,false,[],\"\\u0000z\"],\"c\":true}"),
        "commas, escapes and numbers are JSON's");
  answer_drop(&answer);
  for (int i = 0; i < 5000; i++) answer_text(&answer, "some text");
  CHECK(!answer.failed && answer.len == 5000 * 12 - 1, "an answer grows as it must");
  answer_drop(&answer);
}

int main(void) {
  if (loop_open() != 0) return 1;
  test_results();
  test_stops();
  test_answers();
  loop_close();
  CHECK(destroyed == 4 + 64, "each work is destroyed once");
  return CHECK_RESULT();
}
