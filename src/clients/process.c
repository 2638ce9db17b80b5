/* One command as a pending operation: it is finished when its supervisor has ended, which is when
 * no descendant is alive any more; what the pipes still hold is read then. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "process_internal.h"
#include "process_jail.h"

#define READ_CHUNK 65536
#define READS_A_TURN 16  /* then others have their turn */
#define READS_AT_END 256 /* more than any pipe holds: whoever still writes is no child of ours */

/* -- descriptors and their handles ------------------------------------------------------------- */

static void finish(struct process *p);

static void on_closed(uv_handle_t *handle) {
  struct process *p = handle->data;
  p->open_handles--;
  if (p->open_handles == 0 && p->closing) finish(p);
}

static void close_watch(struct process_watch *watch) {
  if (watch->open) {
    watch->open = false;
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_closed);
  }
  if (watch->fd >= 0) close(watch->fd);
  watch->fd = -1;
}

static int open_watch(struct process *p, struct process_watch *watch, int events,
                      uv_poll_cb on_event) {
  int rc = uv_poll_init(loop_uv(), &watch->poll, watch->fd);
  if (rc != 0) return rc;
  watch->poll.data = p;
  watch->open = true;
  p->open_handles++;
  return uv_poll_start(&watch->poll, events, on_event);
}

static void begin_close(struct process *p) {
  if (p->closing) return;
  p->closing = true;
  struct process_watch *watches[] = {&p->control, &p->exit, &p->in, &p->out, &p->err};
  for (size_t i = 0; i < sizeof watches / sizeof watches[0]; i++) close_watch(watches[i]);
}

/* -- streams ----------------------------------------------------------------------------------- */

static void keep(struct process *p, struct process_stream *stream, const char *data, size_t len) {
  stream->total += len;
  size_t room = p->cap - stream->kept;
  if (len > room) len = room;
  if (len == 0) return;
  /* Sizes double from 64 KiB, so that data is moved seldom. */
  size_t have = stream->kept == 0 ? 0 : READ_CHUNK;
  while (have != 0 && have < stream->kept) have *= 2;
  size_t need = have == 0 ? READ_CHUNK : have;
  while (need < stream->kept + len) need *= 2;
  if (need != have) {
    char *grown = realloc(stream->data, need);
    if (grown == NULL) {
      p->cap = stream->kept; /* no more is kept; the total says that there was more */
      return;
    }
    stream->data = grown;
  }
  memcpy(stream->data + stream->kept, data, len);
  stream->kept += len;
}

static void copy_out(struct process *p, const char *data, size_t len) {
  while (p->tee_fd >= 0 && p->result.tee_error == 0 && len > 0) {
    ssize_t put = write(p->tee_fd, data, len);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      p->result.tee_error = errno;
      return;
    }
    data += put;
    len -= (size_t)put;
  }
}

/* Reads what is there, at most `limit` times. */
static void read_stream(struct process *p, struct process_watch *watch, int limit) {
  static char chunk[READ_CHUNK];
  bool is_out = watch == &p->out;
  for (int i = 0; watch->fd >= 0 && i < limit; i++) {
    ssize_t got = read(watch->fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close_watch(watch);
      return;
    }
    keep(p, is_out ? &p->result.out : &p->result.err, chunk, (size_t)got);
    if (is_out) copy_out(p, chunk, (size_t)got);
    if (p->listener.take != NULL)
      p->listener.take(p->listener.context, is_out ? 0 : 1, chunk, (size_t)got);
  }
}

static void on_output(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct process *p = poll->data;
  read_stream(p, poll == &p->out.poll ? &p->out : &p->err, READS_A_TURN);
}

static void on_input(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct process *p = poll->data;
  while (p->input_at < p->input_len) {
    ssize_t put = write(p->in.fd, p->input + p->input_at, p->input_len - p->input_at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) break; /* it closed its end: it wants no more */
    p->input_at += (size_t)put;
  }
  close_watch(&p->in);
}

/* -- the supervisor's words -------------------------------------------------------------------- */

static void take_event(struct process *p, const struct supervisor_event *event) {
  switch (event->kind) {
    case SUPERVISOR_STARTED:
      p->started = true;
      p->result.pid = event->pid;
      p->result.start_time = event->start_time;
      break;
    case SUPERVISOR_REFUSED:
      p->refused = true;
      p->refused_stage = event->stage;
      p->refused_error = event->error;
      break;
    case SUPERVISOR_EXITED:
      p->exited = true;
      p->asked = event->asked != 0;
      p->result.signal = event->signal;
      p->result.code = event->signal != 0 ? 128 + event->signal : event->code;
      break;
    case SUPERVISOR_GONE:
      p->gone = true;
      p->result.left = event->left;
      break;
    default: break;
  }
}

static void read_control(struct process *p) {
  struct supervisor_event event;
  while (p->control.fd >= 0) {
    ssize_t got = recv(p->control.fd, &event, sizeof event, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got != (ssize_t)sizeof event) {
      close_watch(&p->control);
      return;
    }
    take_event(p, &event);
  }
}

static void on_control(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  read_control(poll->data);
}

static void on_exit_of_supervisor(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct process *p = poll->data;
  read_control(p);
  read_stream(p, &p->out, READS_AT_END);
  read_stream(p, &p->err, READS_AT_END);
  begin_close(p);
}

/* -- the end ----------------------------------------------------------------------------------- */

static const char *first_line(struct process_stream *stream, char *out, size_t size) {
  size_t length = stream->kept < size - 1 ? stream->kept : size - 1;
  if (length == 0) return NULL;
  memcpy(out, stream->data, length);
  out[length] = '\0';
  out[strcspn(out, "\n")] = '\0';
  return out;
}

static void fail_refused(struct process *p) {
  struct op *op = &p->op;
  const char *why = strerror(p->refused_error);
  char line[256];
  const char *words = first_line(&p->result.err, line, sizeof line);
  switch (p->refused_stage) {
    case SUPERVISOR_STAGE_CWD:
      op_fail(op, OP_NOT_SENT, "cwd", "cannot run '%s': its directory: %s", p->title, why);
      return;
    case SUPERVISOR_STAGE_EXEC:
      if (p->refused_error == ENOENT || p->refused_error == ENOTDIR)
        op_fail(op, OP_NOT_SENT, "command not found", "cannot run '%s': command not found",
                p->title);
      else if (p->refused_error == EACCES)
        op_fail(op, OP_NOT_SENT, "permission denied", "cannot run '%s': permission denied",
                p->title);
      else op_fail(op, OP_NOT_SENT, "spawn", "cannot run '%s': %s", p->title, why);
      return;
    case SUPERVISOR_STAGE_MOUNTS:
    case SUPERVISOR_STAGE_CAPABILITIES:
    case SUPERVISOR_STAGE_LANDLOCK:
    case SUPERVISOR_STAGE_SECCOMP:
      op_fail(op, OP_NOT_SENT, "jail", "cannot run '%s' in the jail: the kernel refuses it: %s",
              p->title, why);
      return;
    case SUPERVISOR_STAGE_JAIL:
      op_fail(op, OP_NOT_SENT, "jail", "cannot run '%s' in the jail: %s", p->title,
              words != NULL ? words : p->refused_error != 0 ? why : "it did not start");
      return;
    default: op_fail(op, OP_NOT_SENT, "spawn", "cannot run '%s': %s", p->title, why);
  }
}

static void fail_stopped(struct process *p, enum op_outcome outcome) {
  struct op *op = &p->op;
  if (op->stopped == OP_STOP_TIMEOUT)
    op_fail(op, outcome, "timeout", "'%s' did not end within %g s", p->title,
            (double)op->timeout_ms / 1000);
  else op_fail(op, outcome, "cancelled", "'%s' was cancelled", p->title);
}

/* A command that ended by itself before it was told to is no failure, whatever was asked since. */
static void judge(struct process *p) {
  enum op_outcome cut = p->change ? OP_UNKNOWN : OP_FAILED;
  if (p->exited && !p->asked) op_finish(&p->op);
  else if (p->refused && p->op.stopped != OP_STOP_NONE) fail_stopped(p, OP_NOT_SENT);
  else if (p->refused) fail_refused(p);
  else if (p->op.stopped != OP_STOP_NONE) fail_stopped(p, cut);
  else if (p->exited) op_fail(&p->op, cut, "lost", "'%s' was ended from outside", p->title);
  else op_fail(&p->op, cut, "lost", "the supervisor of '%s' was killed", p->title);
}

static void judge_probe(struct process *p) {
  if (!p->probe) return;
  char line[256], text[320];
  const char *words = first_line(p->op.failed ? &p->result.err : &p->result.out, line, sizeof line);
  if (p->start_code != NULL) {
    process_jail_judge(p->start_why);
  } else if (p->op.failed) {
    if (words == NULL) words = p->refused_error != 0 ? strerror(p->refused_error) : p->op.code;
    snprintf(text, sizeof text, "bubblewrap cannot make the jail here: %s", words);
    process_jail_judge(text);
  } else if (p->result.code != 0) {
    process_jail_judge(words != NULL ? words : "the jail's test of itself failed");
  } else {
    process_jail_judge(NULL);
  }
  p->op.failed = false; /* a broken jail is an answer */
}

/* Every handle is closed; the supervisor has ended. */
static void finish(struct process *p) {
  while (p->supervisor > 0 && waitpid(p->supervisor, NULL, 0) < 0 && errno == EINTR) continue;
  p->supervisor = 0;
  if (p->start_code == NULL) judge(p);
  else op_fail(&p->op, p->start_outcome, p->start_code, "cannot run '%s': %s", p->title,
               p->start_why);
  judge_probe(p);
  if (p->listener.end != NULL) p->listener.end(p->listener.context);
}

static void stop_process(struct op *op, enum op_stop why) {
  (void)why;
  struct process *p = (struct process *)op;
  struct supervisor_order order = {(uint32_t)p->grace_ms};
  if (p->control.fd < 0) return;
  if (send(p->control.fd, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return;
  if (errno != EAGAIN) return;          /* it has ended: its exit is on the way */
  shutdown(p->control.fd, SHUT_RDWR);   /* it does not read; our end says the same */
}

static void destroy_process(struct op *op) {
  struct process *p = (struct process *)op;
  free(p->title);
  free(p->input);
  if (p->tee_owned && p->tee_fd >= 0) close(p->tee_fd);
  free(p->result.out.data);
  free(p->result.err.data);
  free(p);
}

static const struct op_class process_class = {"process", stop_process, destroy_process};

const struct process_result *process_result(const struct op *op) {
  return &((const struct process *)op)->result;
}

/* -- the start --------------------------------------------------------------------------------- */

/* Above every number the child's descriptors are moved to, so that none is overwritten. */
static int move_up(int fd) {
  if (fd < 0) return -1;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  int saved = errno;
  close(fd);
  errno = saved;
  return moved;
}

static bool make_pipe(int *ours, int *theirs, bool we_read) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  *ours = move_up(ends[we_read ? 0 : 1]);
  *theirs = move_up(ends[we_read ? 1 : 0]);
  return *ours >= 0 && *theirs >= 0 && fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

/* One terminal for all three streams; what it shows is its stdout. */
static bool make_terminal(struct process *p, struct process_launch *launch) {
  int theirs = -1;
  if (!process_open_terminal(&p->out.fd, &theirs)) return false;
  p->out.fd = move_up(p->out.fd);
  launch->fds[0] = move_up(theirs);
  if (p->out.fd < 0 || launch->fds[0] < 0) return false;
  launch->fds[1] = fcntl(launch->fds[0], F_DUPFD_CLOEXEC, 10);
  launch->fds[2] = fcntl(launch->fds[0], F_DUPFD_CLOEXEC, 10);
  return launch->fds[1] >= 0 && launch->fds[2] >= 0;
}

static bool make_descriptors(struct process *p, struct process_launch *launch, bool net) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
  p->control.fd = move_up(ends[0]);
  launch->fds[SUPERVISOR_CONTROL_FD] = move_up(ends[1]);
  if (p->control.fd < 0 || launch->fds[SUPERVISOR_CONTROL_FD] < 0) return false;
  if (p->tty) return make_terminal(p, launch);
  if (p->input_len > 0) {
    if (!make_pipe(&p->in.fd, &launch->fds[0], false)) return false;
  } else {
    launch->fds[0] = move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (launch->fds[0] < 0) return false;
  }
  if (!make_pipe(&p->out.fd, &launch->fds[1], true)) return false;
  if (!make_pipe(&p->err.fd, &launch->fds[2], true)) return false;
  if (!p->jailed) return true;
  launch->fds[SUPERVISOR_SECCOMP_FD] = move_up(process_filter_fd(net));
  return launch->fds[SUPERVISOR_SECCOMP_FD] >= 0;
}

static struct process *new_process(const struct process_request *request) {
  struct process *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  op_open(&p->op, &process_class);
  p->control.fd = p->exit.fd = p->in.fd = p->out.fd = p->err.fd = -1;
  p->tee_fd = request->tee_fd;
  p->listener = request->listener;
  p->cap = request->cap;
  p->grace_ms = request->grace_ms;
  p->change = request->change;
  p->jailed = request->jail != NULL;
  p->probe = request->probe;
  p->tty = request->tty;
  p->title = strdup(request->title != NULL ? request->title : request->argv[0]);
  p->input_len = request->input_len;
  if (p->input_len > 0) p->input = malloc(p->input_len);
  if (p->title == NULL || (p->input_len > 0 && p->input == NULL)) {
    destroy_process(&p->op);
    return NULL;
  }
  if (p->input_len > 0) memcpy(p->input, request->input, p->input_len);
  return p;
}

/* The supervisor runs: watch it. If even that fails, it sees our end closed and ends everything. */
static int watch_all(struct process *p) {
  p->exit.fd = (int)syscall(SYS_pidfd_open, p->supervisor, 0);
  if (p->exit.fd < 0) return -errno;
  int rc = open_watch(p, &p->exit, UV_READABLE, on_exit_of_supervisor);
  if (rc == 0) rc = open_watch(p, &p->control, UV_READABLE, on_control);
  if (rc == 0) rc = open_watch(p, &p->out, UV_READABLE, on_output);
  if (rc == 0 && p->err.fd >= 0) rc = open_watch(p, &p->err, UV_READABLE, on_output);
  if (rc == 0 && p->in.fd >= 0) rc = open_watch(p, &p->in, UV_WRITABLE, on_input);
  return rc;
}

/* `code` and `why` are static, or strerror's, which nothing overwrites before finish reads it. */
static void fail_start(struct process *p, enum op_outcome outcome, const char *code,
                       const char *why) {
  p->start_outcome = outcome;
  p->start_code = code;
  p->start_why = why;
  begin_close(p);
  if (p->open_handles == 0) finish(p);
}

static bool open_tee(struct process *p, const char *path) {
  if (path == NULL) return true;
  p->tee_fd = move_up(open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  p->tee_owned = true;
  return p->tee_fd >= 0;
}

struct op *process_start(const struct process_request *request) {
  struct process *p = new_process(request);
  if (p == NULL) return NULL;
  struct process_launch launch = {NULL, {-1, -1, -1, -1, -1}};
  const char *problem = process_build_argv(&launch, request);
  if (!open_tee(p, request->tee_path)) {
    fail_start(p, OP_NOT_SENT, "artifact", strerror(errno));
  } else if (problem != NULL) {
    fail_start(p, OP_NOT_SENT, p->jailed ? "jail" : "spawn", problem);
  } else if (!make_descriptors(p, &launch, p->jailed && request->jail->net) ||
             (p->supervisor = process_spawn(&launch, request->env)) < 0) {
    fail_start(p, OP_NOT_SENT, "spawn", strerror(errno));
  } else {
    int rc = watch_all(p);
    if (rc != 0) fail_start(p, p->change ? OP_UNKNOWN : OP_FAILED, "spawn", uv_strerror(rc));
    else if (request->timeout_ms > 0) op_set_timeout(&p->op, request->timeout_ms);
  }
  process_launch_free(&launch);
  return &p->op;
}
