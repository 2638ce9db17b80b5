/* For the tests of the process client: start a command, turn the loop until it is finished. */
#ifndef OPSRUN_TEST_PROCESS_CHECK_H
#define OPSRUN_TEST_PROCESS_CHECK_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clients/process.h"
#include "clients/process_jail.h"
#include "loop/loop.h"

static char *const plain_env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  "HOME=/root", "LANG=C.UTF-8", NULL};

static inline void note_ready(struct op *op) { *(bool *)op->waiter = true; }

/* Waits for an operation; the caller destroys it. */
static inline void wait_for(struct op *op) {
  bool ready = false;
  op->waiter = &ready;
  op->on_ready = note_ready;
  while (!ready && loop_turn()) continue;
  if (!ready) abort();
}

static inline struct process_request request_of(char *const *argv) {
  struct process_request request = {.argv = argv, .env = plain_env, .cap = PROCESS_CAP_DEFAULT};
  request.tee_fd = -1;
  request.grace_ms = PROCESS_GRACE_DEFAULT_MS;
  return request;
}

static inline struct op *run_request(const struct process_request *request) {
  struct op *op = process_start(request);
  if (op == NULL) abort();
  wait_for(op);
  return op;
}

/* Runs a bash script; `jail` may be NULL. */
static inline struct op *run_script(const char *script, const struct process_jail *jail) {
  char *argv[] = {"bash", "-o", "pipefail", "-c", (char *)(uintptr_t)script, NULL};
  struct process_request request = request_of(argv);
  request.jail = jail;
  request.timeout_ms = 20000;
  return run_request(&request);
}

static inline bool output_is(const struct op *op, const char *expected) {
  const struct process_stream *out = &process_result(op)->out;
  return !op->failed && out->kept == strlen(expected) &&
         (out->kept == 0 || memcmp(out->data, expected, out->kept) == 0);
}

static inline double seconds_since(uint64_t start_ns) {
  return (double)(loop_now_ns() - start_ns) / 1e9;
}

#endif
