/* One command from fork to the death of its last descendant. A state machine around one poll: the
 * control socket, the status pipe, and a signalfd. No locks, no files but these. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"
#include "supervisor.h"

/* How long descendants may take after TERM: when opsrun died all must be gone within 2 s; what the
   command left behind had its chance. */
#define GRACE_ORPHANED_MS 500
#define GRACE_LEFTOVER_MS 200
#define GRACE_MAX_MS 60000
/* What does not die from KILL within this (a process of another user, or in the kernel) is told. */
#define KILL_LIMIT_MS 5000
#define KILL_EVERY_MS 4

enum phase { RUNNING, TERMINATING, KILLING };

struct supervision {
  int control, status, signals; /* descriptors, -1 when closed */
  int child;
  bool jailed;
  bool executed;      /* the command itself runs, or ran */
  bool refused;       /* told that it never did */
  bool exited;        /* the main child has */
  bool asked;         /* by opsrun, a signal or its death, before the child exited */
  enum phase phase;
  int64_t deadline;   /* of the phase, in ms; -1 none */
  int64_t give_up;
};

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* -- the child --------------------------------------------------------------------------------- */

static _Noreturn void fail_child(int fd, enum supervisor_stage stage) {
  struct supervisor_status status = {stage, errno};
  ssize_t ignored = write(fd, &status, sizeof status);
  (void)ignored;
  _exit(127);
}

/* By the raw call: posix_spawn leaves glibc's own two signals ignored, and sigaction refuses to
   touch them. All zero is SIG_DFL without flags. */
static void reset_signals(void) {
  static const uint64_t kernel_default[4];
  for (int number = 1; number <= 64; number++)
    syscall(SYS_rt_sigaction, number, kernel_default, NULL, sizeof(uint64_t));
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The write end of the status pipe is at SUPERVISOR_STATUS_FD: closed by a successful exec, or
   handed on into the jail. Everything from 3 up but that (and the filter) is closed. */
static _Noreturn void become_command(char **argv, const char *cwd, bool jailed, bool tty,
                                     int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127); /* it died before that */
  setsid();
  if (tty) ioctl(STDIN_FILENO, TIOCSCTTY, 0);
  umask(077);
  reset_signals();
  if (cwd != NULL && !jailed && chdir(cwd) != 0)
    fail_child(SUPERVISOR_STATUS_FD, SUPERVISOR_STAGE_CWD);
  close(SUPERVISOR_CONTROL_FD);
  if (!jailed) close(SUPERVISOR_SECCOMP_FD);
  syscall(SYS_close_range, SUPERVISOR_STATUS_FD + 1, ~0U, 0);
  fcntl(SUPERVISOR_STATUS_FD, F_SETFD, jailed ? 0 : FD_CLOEXEC);
  execvp(argv[0], argv);
  fail_child(SUPERVISOR_STATUS_FD, jailed ? SUPERVISOR_STAGE_JAIL : SUPERVISOR_STAGE_EXEC);
}

/* -- words to opsrun --------------------------------------------------------------------------- */

static void tell(struct supervision *s, const struct supervisor_event *event) {
  if (s->control < 0) return;
  ssize_t ignored = send(s->control, event, sizeof *event, MSG_NOSIGNAL);
  (void)ignored; /* opsrun died: poll says so too */
}

static void tell_started(struct supervision *s) {
  struct supervisor_event event = {.kind = SUPERVISOR_STARTED, .pid = s->child};
  event.start_time = tree_start_time(s->child);
  s->executed = true;
  tell(s, &event);
}

static void tell_refused(struct supervision *s, uint32_t stage, int error) {
  struct supervisor_event event = {.kind = SUPERVISOR_REFUSED, .stage = stage, .error = error};
  s->refused = true;
  tell(s, &event);
}

static void tell_exited(struct supervision *s, int status) {
  struct supervisor_event event = {.kind = SUPERVISOR_EXITED, .pid = s->child, .code = -1};
  if (WIFEXITED(status)) event.code = WEXITSTATUS(status);
  else event.signal = WTERMSIG(status);
  event.asked = s->asked;
  tell(s, &event);
}

/* Reads what the last program before the command said. Its silent end means, without a jail, that
   exec worked; with one, that bubblewrap failed (it wrote why). */
static void read_status(struct supervision *s) {
  struct supervisor_status status;
  while (s->status >= 0) {
    ssize_t got = read(s->status, &status, sizeof status);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got == (ssize_t)sizeof status) {
      if (status.stage != SUPERVISOR_STAGE_READY) tell_refused(s, status.stage, status.error);
      else if (!s->executed) s->executed = true; /* unless exec fails after it */
      continue;
    }
    close(s->status);
    s->status = -1;
    if (s->refused) return;
    if (s->jailed && !s->executed) tell_refused(s, SUPERVISOR_STAGE_JAIL, 0);
    else tell_started(s);
  }
}

/* -- the end ----------------------------------------------------------------------------------- */

static void begin_end(struct supervision *s, int64_t grace_ms) {
  int64_t deadline = now_ms() + grace_ms;
  if (s->phase == RUNNING) {
    s->phase = TERMINATING;
    s->deadline = deadline;
    tree_signal(SIGTERM);
    tree_signal(SIGCONT); /* a stopped process takes TERM only when it goes on */
  } else if (s->phase == TERMINATING && deadline < s->deadline) {
    s->deadline = deadline;
  }
}

static void advance_end(struct supervision *s) {
  int64_t now = now_ms();
  if (s->phase == RUNNING || now < s->deadline) return;
  if (s->phase == TERMINATING) {
    s->phase = KILLING;
    s->give_up = now + KILL_LIMIT_MS;
  }
  tree_signal(SIGKILL);
  s->deadline = now + KILL_EVERY_MS;
}

/* Returns false when no child is left. */
static bool reap(struct supervision *s) {
  for (;;) {
    int status = 0;
    int pid = waitpid(-1, &status, WNOHANG | __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return false;
    if (pid == 0) return true;
    if (pid == s->child && !s->exited) {
      s->exited = true;
      read_status(s); /* what it said comes before its end */
      if (s->jailed && !s->executed && !s->refused) tell_refused(s, SUPERVISOR_STAGE_JAIL, 0);
      if (!s->refused) tell_exited(s, status);
    }
  }
}

static void read_control(struct supervision *s) {
  struct supervisor_order order;
  for (;;) {
    ssize_t got = recv(s->control, &order, sizeof order, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got != (ssize_t)sizeof order) break; /* opsrun is gone */
    if (!s->exited) s->asked = true;
    begin_end(s, order.grace_ms < GRACE_MAX_MS ? order.grace_ms : GRACE_MAX_MS);
  }
  close(s->control);
  s->control = -1;
  if (!s->exited) s->asked = true;
  begin_end(s, GRACE_ORPHANED_MS);
}

static void read_signals(struct supervision *s) {
  struct signalfd_siginfo info;
  while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    if (!s->exited) s->asked = true; /* somebody wants us to end: the command goes first */
    begin_end(s, GRACE_ORPHANED_MS);
  }
}

static void wait_for_news(struct supervision *s) {
  struct pollfd fds[] = {{s->control, POLLIN, 0}, {s->status, POLLIN, 0}, {s->signals, POLLIN, 0}};
  int64_t wait = -1;
  if (s->phase != RUNNING) {
    wait = s->deadline - now_ms();
    if (wait < 0) wait = 0;
  }
  if (poll(fds, 3, (int)wait) <= 0) return;
  if (fds[1].revents != 0) read_status(s);
  if (fds[2].revents != 0) read_signals(s);
  if (fds[0].revents != 0) read_control(s);
}

static _Noreturn void watch(struct supervision *s) {
  uint32_t left = 0;
  while (reap(s)) {
    if (s->exited && s->phase == RUNNING) begin_end(s, GRACE_LEFTOVER_MS);
    advance_end(s);
    if (s->phase == KILLING && now_ms() >= s->give_up) {
      left = (uint32_t)tree_signal(0);
      if (left == 0) left = 1; /* not even that may be asked: another user's */
      break;
    }
    wait_for_news(s);
  }
  struct supervisor_event gone = {.kind = SUPERVISOR_GONE, .left = left};
  tell(s, &gone);
  _exit(0);
}

/* -- start ------------------------------------------------------------------------------------- */

static int watch_signals(void) {
  sigset_t wanted;
  sigemptyset(&wanted);
  static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) sigaddset(&wanted, numbers[i]);
  sigprocmask(SIG_BLOCK, &wanted, NULL);
  return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The command's ends of the pipes are its own: as long as we held them, nobody would see their
   end. */
static void drop_command_descriptors(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2; fd++) {
    if (null >= 0) dup2(null, fd);
    else close(fd);
  }
  if (null > 2) close(null);
}

/* Moves a descriptor out of the way of the fixed ones. Returns the new one, or -1. */
static int move_up(int fd) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, SUPERVISOR_STATUS_FD + 1);
  close(fd);
  return moved;
}

/* A pipe whose write end is at its fixed place. */
static bool make_status_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  ends[0] = move_up(ends[0]);
  ends[1] = move_up(ends[1]);
  if (ends[0] < 0 || ends[1] < 0) return false;
  if (dup3(ends[1], SUPERVISOR_STATUS_FD, O_CLOEXEC) < 0) return false;
  close(ends[1]);
  ends[1] = SUPERVISOR_STATUS_FD;
  return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

_Noreturn void supervise(char **argv, const char *cwd, bool jailed, bool tty) {
  struct supervision s = {.control = SUPERVISOR_CONTROL_FD, .status = -1, .jailed = jailed,
                          .deadline = -1};
  int ends[2] = {-1, -1};
  int self = getpid();
  if (fcntl(s.control, F_SETFD, FD_CLOEXEC) != 0) _exit(2); /* nobody to talk to */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  s.signals = watch_signals();
  if (s.signals >= 0) s.signals = move_up(s.signals);
  bool ready = s.signals >= 0 && make_status_pipe(ends);
  s.child = ready ? fork() : -1;
  if (s.child == 0) become_command(argv, cwd, jailed, tty, self);
  if (s.child < 0) {
    tell_refused(&s, SUPERVISOR_STAGE_FORK, errno);
    _exit(1);
  }
  close(ends[1]);
  s.status = ends[0];
  if (jailed) close(SUPERVISOR_SECCOMP_FD);
  drop_command_descriptors();
  watch(&s);
}
