/* Counting the signals that ask opsrun to end. */
#include "signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"

static volatile sig_atomic_t seen;
static volatile sig_atomic_t newest;
static void (*volatile last_words_hook)(void);
static uv_async_t wake_up;
static struct op *waiting;

static void on_signal(int number) {
  seen = seen + 1;
  newest = number;
  if (seen >= 3) {
    signals_say_last_words();
    static const char words[] =
        "\nopsrun: third signal: out. 'opsrun runs' shows what was left\n";
    ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
    (void)ignored;
    _exit(128 + number);
  }
  uv_async_send(&wake_up); /* async-signal-safe by libuv's documentation */
}

static void on_wake_up(uv_async_t *handle) {
  (void)handle;
  if (waiting == NULL || seen == 0) return;
  struct op *op = waiting;
  waiting = NULL;
  op_finish(op);
}

int signals_open(void) {
  int rc = uv_async_init(loop_uv(), &wake_up, on_wake_up);
  if (rc != 0) return rc;
  uv_unref((uv_handle_t *)&wake_up);
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    struct sigaction before;
    sigaction(numbers[i], NULL, &before);
    if (numbers[i] == SIGHUP && before.sa_handler == SIG_IGN) continue; /* nohup's wish */
    sigaction(numbers[i], &action, NULL);
  }
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

void signals_set_last_words(void (*last_words)(void)) { last_words_hook = last_words; }

void signals_say_last_words(void) {
  if (last_words_hook != NULL) last_words_hook();
}

int signals_count(void) { return seen; }

int signals_last(void) { return newest; }

void signals_reset(void) { seen = 0; }

static void stop_wait(struct op *op, enum op_stop why) {
  (void)why;
  if (waiting == op) waiting = NULL;
  op_fail(op, OP_NOT_SENT, "cancelled", "cancelled");
}

static void destroy_wait(struct op *op) { free(op); }

static const struct op_class wait_class = {"signal", stop_wait, destroy_wait};

struct op *signals_wait(void) {
  struct op *op = calloc(1, sizeof *op);
  if (op == NULL) return NULL;
  op_open(op, &wait_class);
  if (waiting != NULL) {
    op_fail(op, OP_NOT_SENT, "busy", "a task already waits for signals");
    return op;
  }
  waiting = op;
  return op;
}
