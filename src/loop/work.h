/* Work that blocks (files, compression), done by a thread of the loop's pool as an operation.
 *
 * A client's struct begins with `struct work`; its class says .stop = work_stop and frees the
 * struct in .destroy after work_close. `run` is called in the thread: it reads what the struct
 * holds, asks work_stopped now and then, leaves its answer in `answer` or calls work_fail. It
 * touches nothing that the loop's thread may touch meanwhile. */
#ifndef OPSRUN_WORK_H
#define OPSRUN_WORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "answer.h"
#include "op.h"

struct work {
  struct op op;
  uv_work_t request;
  void (*run)(struct work *work);
  char *title;          /* owned: what messages call it, such as "listing '/var/log'" */
  atomic_bool stop;     /* asked to end early */
  bool failed;          /* set by work_fail */
  enum op_outcome outcome;
  char code[32];
  char *message;        /* owned */
  bool raw;             /* the answer is bytes, not JSON */
  struct answer answer;
};

/* Prepares it. `title` becomes the work's own (NULL: out of memory, told at the end). */
void work_open(struct work *work, const struct op_class *cls, void (*run)(struct work *),
               char *title);

/* Hands it to the pool and returns its operation. */
struct op *work_start(struct work *work);

/* For the thread: should it end? Then clean up, and work_fail_stopped with what is true so far. */
bool work_stopped(struct work *work);
void work_fail_stopped(struct work *work, enum op_outcome outcome);

/* For the thread: the reason why it failed; the first one counts. */
void work_fail(struct work *work, enum op_outcome outcome, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A request is copied into one block, since the thread outlives the call: once with a `base` of NULL,
   which only counts, then for real. What is taken lies in `base`, 16-byte aligned; NULL while only
   counting. A text that is NULL stays NULL. */
struct work_copy {
  char *base;
  size_t used;
};
void *work_take(struct work_copy *copy, const void *bytes, size_t len);
const char *work_take_text(struct work_copy *copy, const char *text);

/* For the class: .stop, and the first half of .destroy. */
void work_stop(struct op *op, enum op_stop why);
void work_close(struct work *work);

#endif
