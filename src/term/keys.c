/* Watching standard input between questions. The terminal stays in the mode it was found in, and
 * is never read while another job of the shell has it. */
#include "keys.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "status.h"
#include "term.h"

enum { READS_A_TIME = 16 };

static struct op *waiting;
static bool pressed; /* and nobody was told yet */
static bool paused;
static uv_poll_t *poll_handle;
static int watch_fd = -1;

static void tell(void) {
  if (!pressed || waiting == NULL) return;
  struct op *op = waiting;
  waiting = NULL;
  pressed = false;
  op_finish(op);
}

/* read, but EIO instead of being stopped when the terminal is another job's. */
static ssize_t read_quietly(char *bytes, size_t size) {
  sigset_t block, old;
  sigemptyset(&block);
  sigaddset(&block, SIGTTIN);
  sigprocmask(SIG_BLOCK, &block, &old);
  ssize_t got = read(STDIN_FILENO, bytes, size);
  sigprocmask(SIG_SETMASK, &old, NULL);
  return got;
}

static bool echoes(void) {
  struct termios modes;
  return tcgetattr(STDIN_FILENO, &modes) == 0 && (modes.c_lflag & (ECHO | ECHONL)) != 0;
}

int keys_take(void) {
  if (watch_fd < 0 || paused) return 0;
  char typed[1024];
  int rows = 0, there = 0;
  for (int i = 0; i < READS_A_TIME; i++) {
    if (ioctl(STDIN_FILENO, FIONREAD, &there) != 0 || there <= 0) break;
    ssize_t got = read_quietly(typed, sizeof typed);
    if (got < 0) break;
    for (ssize_t k = 0; k < got; k++) rows += typed[k] == '\n';
  }
  if (rows == 0) return 0;
  pressed = true;
  tell();
  return echoes() ? rows : 0;
}

static void on_input(uv_poll_t *handle, int status, int events) {
  (void)handle;
  (void)status;
  (void)events;
  struct epoll_event event;
  /* Edge-triggered and taken here: input that is not ours to read must not keep the loop awake. */
  while (epoll_wait(watch_fd, &event, 1, 0) > 0) continue;
  if (!paused) status_clear(); /* takes it, and the rows that its echo moved */
}

static void listen_to(int operation) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  epoll_ctl(watch_fd, operation, STDIN_FILENO, &event);
}

static void start_watch(void) {
  if (watch_fd >= 0 || !term_is_terminal()) return;
  watch_fd = epoll_create1(EPOLL_CLOEXEC);
  poll_handle = watch_fd >= 0 ? malloc(sizeof *poll_handle) : NULL;
  if (poll_handle == NULL || uv_poll_init(loop_uv(), poll_handle, watch_fd) != 0) {
    free(poll_handle);
    poll_handle = NULL;
    if (watch_fd >= 0) close(watch_fd);
    watch_fd = -1;
    return;
  }
  uv_unref((uv_handle_t *)poll_handle); /* nobody need ever press Enter */
  uv_poll_start(poll_handle, UV_READABLE, on_input);
  if (!paused) listen_to(EPOLL_CTL_ADD);
}

void keys_pause(bool pause) {
  if (pause == paused) return;
  paused = pause;
  if (watch_fd >= 0) listen_to(pause ? EPOLL_CTL_DEL : EPOLL_CTL_ADD);
}

static void stop(struct op *op, enum op_stop why) {
  if (waiting == op) waiting = NULL;
  if (why == OP_STOP_TIMEOUT) op_fail(op, OP_NOT_SENT, "timeout", "nobody pressed Enter");
  else op_fail(op, OP_NOT_SENT, "cancelled", "cancelled");
}

static void destroy(struct op *op) { free(op); }

static const struct op_class keys_class = {"keys", stop, destroy};

struct op *keys_wait(uint64_t timeout_ms) {
  struct op *op = calloc(1, sizeof *op);
  if (op == NULL) return NULL;
  op_open(op, &keys_class);
  if (waiting != NULL) {
    op_fail(op, OP_NOT_SENT, "busy", "a task already waits for Enter");
    return op;
  }
  start_watch();
  waiting = op;
  if (timeout_ms > 0) op_set_timeout(op, timeout_ms);
  tell();
  return op;
}
