/* One pending operation: what a client starts, a task waits for, and the loop finishes.
 *
 * Life: a client allocates a struct that begins with `struct op`, calls op_open, starts its work
 * and returns the operation. Exactly once, later or at once, it calls op_finish or op_fail. That
 * never runs the waiter: the operation goes on the ready queue, which the loop drains, so there is
 * no "did it complete immediately?" case anywhere. After `on_ready` returned, the waiter destroys
 * the operation with op_destroy. */
#ifndef OPSRUN_OP_H
#define OPSRUN_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* What is known of the effect when an operation failed. */
enum op_outcome {
  OP_NOT_SENT = 0, /* nothing left this process */
  OP_DONE,         /* it happened */
  OP_FAILED,       /* the other side says it did not happen */
  OP_UNKNOWN       /* sent, no answer: nobody here can tell */
};

/* Why an operation is asked to end early. */
enum op_stop { OP_STOP_NONE = 0, OP_STOP_TIMEOUT, OP_STOP_CANCEL };

struct op;

struct op_class {
  const char *name;
  /* Asks the client to end the work early. It must still lead to op_finish or op_fail, soon. */
  void (*stop)(struct op *op, enum op_stop why);
  /* Frees the client's struct. The operation is finished and no handle of it is open any more. */
  void (*destroy)(struct op *op);
};

struct op {
  const struct op_class *cls;
  void (*on_ready)(struct op *op); /* set by the waiter (task.c); called once from the ready queue */
  void *waiter;                    /* opaque to clients */
  struct op *next_ready;
  uv_timer_t *timer;               /* deadline, or NULL */
  uint64_t timeout_ms;             /* what was asked for; 0 none. For messages */
  enum op_stop stopped;            /* why stop was called, OP_STOP_NONE if it was not */
  bool finished;
  bool failed;
  enum op_outcome outcome;         /* meaningful when failed */
  char code[32];                   /* "timeout", "refused", "28P01", … when failed */
  char *message;                   /* owned; when failed. NULL after an allocation failure */
};

/* Prepares the embedded operation; the class must outlive it. */
void op_open(struct op *op, const struct op_class *cls);

/* After `ms` milliseconds (> 0) stop(op, OP_STOP_TIMEOUT) is called, unless it finished before. */
void op_set_timeout(struct op *op, uint64_t ms);

/* Asks it to end: first call only, and only while unfinished. */
void op_stop(struct op *op, enum op_stop why);

/* It is done; results are in the client's struct. */
void op_finish(struct op *op);

/* It failed. `code` is a short stable word or a protocol's own code (SQLSTATE, curl's name). */
void op_fail(struct op *op, enum op_outcome outcome, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The text of an outcome as playbooks see it: "not sent", "done", "failed", "unknown". */
const char *op_outcome_name(enum op_outcome outcome);

/* Runs everything that is ready, including what becomes ready meanwhile. Returns how many. For
   loop.c only. */
int op_drain_ready(void);

/* Frees message and the client's struct. */
void op_destroy(struct op *op);

#endif
