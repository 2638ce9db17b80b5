/* The process client: what a command gets, what comes back, and how it is cut short. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "process_check.h"

static void test_results(void) {
  struct op *op = run_script("echo out; echo err >&2; exit 3", NULL);
  const struct process_result *r = process_result(op);
  CHECK(output_is(op, "out\n"), "stdout comes back");
  CHECK(r->err.kept == 4 && memcmp(r->err.data, "err\n", 4) == 0, "stderr comes back");
  CHECK(r->code == 3 && r->signal == 0, "the exit code comes back");
  CHECK(r->pid > 0 && r->start_time > 0, "pid and start time are known");
  op_destroy(op);
  op = run_script("kill -SEGV $$", NULL);
  CHECK(process_result(op)->signal == SIGSEGV && process_result(op)->code == 139,
        "a signal that ended it is told, as shells say it");
  op_destroy(op);
  op = run_script("false | true", NULL);
  CHECK(!op->failed && process_result(op)->code == 1, "pipefail: a failure inside a pipeline counts");
  op_destroy(op);
}

static void test_refusals(void) {
  char *missing[] = {"no-such-command-xyz", NULL}, *denied[] = {"/etc/passwd", NULL};
  char *directory[] = {"true", NULL};
  struct process_request request = request_of(missing);
  struct op *op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "command not found") == 0 && op->outcome == OP_NOT_SENT,
        "a missing command was not sent");
  CHECK(op->message && strcmp(op->message, "cannot run 'no-such-command-xyz': command not found") == 0,
        "the message names it");
  op_destroy(op);
  request = request_of(denied);
  op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "permission denied") == 0 && op->outcome == OP_NOT_SENT,
        "a file that is no program is told so");
  op_destroy(op);
  request = request_of(directory);
  request.cwd = "/no/such/directory";
  op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "cwd") == 0 && op->outcome == OP_NOT_SENT,
        "a missing directory is told so");
  op_destroy(op);
}

static void test_hygiene(void) {
  int leaky = dup2(STDIN_FILENO, 40); /* on purpose without O_CLOEXEC */
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  struct op *op = run_script("exec ls /proc/self/fd", NULL); /* 3 is its own look at them */
  CHECK(output_is(op, "0\n1\n2\n3\n"), "a command has the descriptors 0, 1 and 2 only");
  op_destroy(op);
  char *status[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
  struct process_request request = request_of(status);
  op = run_request(&request);
  CHECK(output_is(op, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"),
        "no signal is blocked or ignored in a command");
  op_destroy(op);
  op = run_script("umask; test \"$(ps -o sid= -p $$ | tr -d ' ')\" = $$ && echo own; "
                  "ps -o tty= -p $$; env | sort | grep -v -E '^(_|SHLVL|PWD|OLDPWD)='", NULL);
  CHECK(output_is(op, "0077\nown\n?\nHOME=/root\nLANG=C.UTF-8\n"
                      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
        "umask 077, a session of its own, no terminal, the given environment only");
  op_destroy(op);
  sigprocmask(SIG_UNBLOCK, &blocked, NULL);
  close(leaky);
}

static void test_output_cap(void) {
  uint64_t start = loop_now_ns();
  struct op *op = run_script("head -c 104857600 /dev/zero", NULL);
  const struct process_result *r = process_result(op);
  CHECK(r->out.kept == PROCESS_CAP_DEFAULT, "of 100 MiB the first MiB is kept");
  CHECK(r->out.total == 104857600, "the rest is read and counted");
  printf("100 MiB of output in %.2f s\n", seconds_since(start));
  op_destroy(op);
}

/* 10 MiB each way at once: stdin in, both streams out, more than any pipe holds. */
static void test_no_deadlock(void) {
  size_t size = 10 * 1024 * 1024;
  char *input = malloc(size);
  if (input == NULL) abort();
  memset(input, 'x', size);
  char *argv[] = {"bash", "-c", "tee /dev/stderr", NULL};
  struct process_request request = request_of(argv);
  request.input = input;
  request.input_len = size;
  request.cap = size * 2;
  request.timeout_ms = 30000;
  uint64_t start = loop_now_ns();
  struct op *op = run_request(&request);
  const struct process_result *r = process_result(op);
  printf("10 MiB into stdin and out of both pipes in %.2f s\n", seconds_since(start));
  CHECK(!op->failed && r->out.kept == size && r->err.kept == size,
        "10 MiB on both pipes while stdin is fed: no deadlock");
  CHECK(r->out.kept == size && memcmp(r->out.data, input, size) == 0, "all of it arrives");
  op_destroy(op);
  char *deaf[] = {"true", NULL};
  request.argv = deaf;
  op = run_request(&request);
  CHECK(!op->failed && process_result(op)->code == 0, "a command that does not read its stdin is fine");
  op_destroy(op);
  free(input);
}

static void test_terminal(void) {
  char *argv[] = {"bash", "-c", "tty >/dev/null && [ -t 0 ] && echo two >&2; : </dev/tty && stty size", NULL};
  struct process_request request = request_of(argv);
  request.tty = true;
  request.timeout_ms = 20000;
  struct op *op = run_request(&request);
  CHECK(output_is(op, "two\n24 80\n"),
        "with a terminal all streams are it, it controls the command, and bytes stay as they are");
  op_destroy(op);
  char *stays[] = {"bash", "-c", "setsid sleep 86430 & sleep 86430", NULL};
  request.argv = stays;
  request.timeout_ms = 300;
  uint64_t start = loop_now_ns();
  op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "timeout") == 0 && process_result(op)->left == 0 &&
            seconds_since(start) < 3,
        "a command with a terminal is ended as any other");
  op_destroy(op);
}

static void test_tee(void) {
  char path[] = "/tmp/opsrun-tee-XXXXXX";
  int fd = mkostemp(path, O_CLOEXEC);
  char *argv[] = {"head", "-c", "3000000", "/dev/zero", NULL};
  struct process_request request = request_of(argv);
  request.cap = 10;
  request.tee_fd = fd;
  struct op *op = run_request(&request);
  struct stat facts;
  fstat(fd, &facts);
  CHECK(facts.st_size == 3000000 && process_result(op)->out.kept == 10,
        "the whole stdout goes to a given descriptor as well");
  op_destroy(op);
  request.tee_fd = -1;
  request.tee_path = path;
  char *other[] = {"printf", "new", NULL};
  request.argv = other;
  op = run_request(&request);
  fstat(fd, &facts);
  CHECK(!op->failed && facts.st_size == 3, "or into a file, which is written anew");
  op_destroy(op);
  unlink(path);
  op = run_request(&request);
  CHECK(op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, "artifact") == 0,
        "a file that is not there is told before the command runs");
  op_destroy(op);
  close(fd);
}

static void test_timeout(void) {
  char *argv[] = {"bash", "-c", "trap '' TERM; (trap '' TERM; sleep 60) & sleep 60", NULL};
  struct process_request request = request_of(argv);
  request.timeout_ms = 300;
  request.grace_ms = 200;
  request.change = true;
  uint64_t start = loop_now_ns();
  struct op *op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "timeout") == 0, "a timeout ends a command that ignores TERM");
  CHECK(op->outcome == OP_UNKNOWN, "a change cut short has an unknown outcome");
  CHECK(op->message && strcmp(op->message, "'bash' did not end within 0.3 s") == 0, "it says so");
  CHECK(seconds_since(start) < 3, "KILL follows TERM after the grace");
  op_destroy(op);
  request.change = false;
  op = run_request(&request);
  CHECK(op->failed && op->outcome == OP_FAILED, "a read cut short has failed");
  op_destroy(op);
}

static void test_cancel(void) {
  char *argv[] = {"sleep", "60", NULL};
  struct process_request request = request_of(argv);
  struct op *op = process_start(&request);
  uint64_t start = loop_now_ns();
  op_stop(op, OP_STOP_CANCEL);
  wait_for(op);
  CHECK(op->failed && strcmp(op->code, "cancelled") == 0, "a cancelled command ends");
  CHECK(seconds_since(start) < 1, "at once");
  op_destroy(op);
}

static void test_grandchild_keeps_pipe(void) {
  uint64_t start = loop_now_ns();
  struct op *op = run_script("setsid sleep 60 & echo done", NULL);
  CHECK(output_is(op, "done\n") && process_result(op)->code == 0,
        "a grandchild that holds the pipe does not keep the result back");
  CHECK(seconds_since(start) < 1, "it is there within 1 s");
  op_destroy(op);
}

static void test_many(void) {
  enum { TOTAL = 1000, WIDTH = 20 };
  char *argv[] = {"true", NULL};
  struct process_request request = request_of(argv);
  uint64_t start = loop_now_ns();
  int good = 0;
  for (int i = 0; i < TOTAL / WIDTH; i++) {
    struct op *ops[WIDTH];
    for (int k = 0; k < WIDTH; k++) ops[k] = process_start(&request);
    for (int k = 0; k < WIDTH; k++) {
      if (!ops[k]->finished) wait_for(ops[k]);
      good += !ops[k]->failed && process_result(ops[k])->code == 0;
      op_destroy(ops[k]);
    }
  }
  CHECK(good == TOTAL, "1,000 commands, all well");
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "no zombie is left of them");
  printf("1,000 commands, no zombie, in %.2f s: %.2f ms each\n", seconds_since(start),
         seconds_since(start) * 1000 / TOTAL);
}

static void test_find(void) {
  char path[4096];
  CHECK(process_find("sh", "/nowhere::/bin", path, sizeof path) && strcmp(path, "/bin/sh") == 0,
        "a command is found in a PATH");
  CHECK(!process_find("sh", "/nowhere", path, sizeof path), "and not where it is not");
  CHECK(!process_find("", "/bin", path, sizeof path), "an empty name is nothing");
  CHECK(process_find("/bin/sh", NULL, path, sizeof path), "a full path is only checked");
  CHECK(!process_find("/bin", NULL, path, sizeof path), "a directory is no command");
}

static size_t count_descriptors(void) {
  size_t count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) abort();
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

int main(void) {
  if (loop_open() != 0) return 1;
  op_destroy(run_script("true", NULL)); /* what is made once is made */
  size_t before = count_descriptors();
  test_results();
  test_refusals();
  test_hygiene();
  test_output_cap();
  test_no_deadlock();
  test_terminal();
  test_tee();
  test_timeout();
  test_cancel();
  test_grandchild_keeps_pipe();
  test_find();
  test_many();
  CHECK(count_descriptors() == before, "no descriptor is left open");
  loop_close();
  return CHECK_RESULT();
}
