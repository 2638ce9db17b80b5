/* Nothing survives: commands that try to get away, when they are cut short, when they simply end, and
 * when the process that started them is killed with -9 at any moment. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include "process_check.h"

/* Each leaves something behind that would live for a thousand seconds. $M marks it. */
static const struct { const char *name, *script; } artists[] = {
    {"a child in the background", "sleep 1000 & wait"},
    {"setsid", "setsid sleep 1000 & wait"},
    {"a double fork", "( ( sleep 1000 & ) & ); sleep 1000"},
    {"setsid and double fork", "( setsid bash -c 'sleep 1000 & sleep 1000' & ); sleep 1000"},
    {"deaf to TERM and HUP", "trap '' TERM HUP INT; bash -c 'trap \"\" TERM; sleep 1000 & wait; sleep 1000'"},
    {"stopped", "sleep 1000 & kill -STOP $!; (bash -c 'kill -STOP $$; sleep 1000' &) ; sleep 1000"},
    {"another name and directory", "(cd / && exec -a '[kworker/0:1]' setsid sleep 1000) & wait"},
    {"a chain that forks and ends", "f() { [ $1 -gt 200 ] && exec sleep 1000; ( f $(($1 + 1)) & ); }; f 1; sleep 1000"},
    {"a crowd", "for i in $(seq 50); do (setsid sleep 1000 &) ; done; sleep 1000"},
    {"started while it ends", "trap 'setsid sleep 1000 & setsid bash -c \"trap : TERM; sleep 999 & wait; "
                              "sleep 1000\" & wait' TERM; sleep 1000 & wait; sleep 1000"},
};

#define ARTIST_COUNT (sizeof artists / sizeof artists[0])

/* For ever: each generation forks the next and ends. A process of its own, not bash: it must be fast. */
static int relay_main(void) {
  for (int i = 0; i < 2000000; i++) {
    int pid = fork();
    if (pid < 0) return 1;
    if (pid > 0) _exit(0);
  }
  return 0;
}

static char mark[64];
static char self_path[4096];

/* How many processes carry our mark in their environment. */
static int count_marked(void) {
  int count = 0;
  DIR *proc = opendir("/proc");
  if (proc == NULL) abort();
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    char path[300], text[8192];
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    if (got > 0 && memmem(text, (size_t)got, mark, strlen(mark)) != NULL) count++;
  }
  closedir(proc);
  return count;
}

static bool all_gone_within(double seconds) {
  uint64_t start = loop_now_ns();
  while (count_marked() > 0) {
    if (seconds_since(start) > seconds) return false;
    usleep(10000);
  }
  return true;
}

static struct op *start_marked(const char *script, uint64_t timeout_ms, uint64_t grace_ms) {
  char *env[] = {plain_env[0], mark, NULL};
  char *argv[] = {"bash", "-c", (char *)(uintptr_t)script, NULL};
  struct process_request request = request_of(argv);
  request.env = env;
  request.timeout_ms = timeout_ms;
  request.grace_ms = grace_ms;
  struct op *op = process_start(&request);
  if (op == NULL) abort();
  return op;
}

static void test_artists(void) {
  char claim[256];
  double slowest = 0;
  int alive = 0;
  for (size_t i = 0; i < ARTIST_COUNT; i++) {
    uint64_t start = loop_now_ns();
    struct op *op = start_marked(artists[i].script, 300, 200);
    wait_for(op);
    snprintf(claim, sizeof claim, "cut short: no process of '%s' is left", artists[i].name);
    int left = count_marked();
    CHECK(left == 0, claim);
    alive += left;
    if (seconds_since(start) > slowest) slowest = seconds_since(start);
    snprintf(claim, sizeof claim, "'%s' is over within a second of the grace", artists[i].name);
    CHECK(seconds_since(start) < 1.5 && op->failed && process_result(op)->left == 0, claim);
    op_destroy(op);
  }
  printf("%zu that try to escape: %d alive, the slowest end came %.2f s after the start (it had 0.3 s to run, "
         "0.2 s to end)\n", ARTIST_COUNT, alive, slowest);
}

/* The same shapes, but the command itself ends well: what it left behind ends too. */
static void test_left_behind(void) {
  static const char *const scripts[] = {
      "sleep 1000 & echo done", "setsid sleep 1000 & echo done", "( ( setsid sleep 1000 & ) & ); echo done",
      "setsid bash -c 'trap \"\" TERM; sleep 1000 & wait; sleep 1000' & sleep 0.1; echo done"};
  for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
    uint64_t start = loop_now_ns();
    struct op *op = start_marked(scripts[i], 0, 2000);
    wait_for(op);
    CHECK(output_is(op, "done\n") && process_result(op)->code == 0, scripts[i]);
    CHECK(seconds_since(start) < 1, "the result is there within a second");
    CHECK(count_marked() == 0, "and nothing is left behind");
    op_destroy(op);
  }
}

static void test_relay(void) {
  char script[4200];
  snprintf(script, sizeof script, "exec %s relay", self_path);
  struct op *op = start_marked(script, 300, 100);
  wait_for(op);
  CHECK(count_marked() == 0, "a process that forks for ever and ends for ever is caught");
  op_destroy(op);
}

/* A process like opsrun: starts one command after the other, until it is killed. */
static _Noreturn void be_opsrun(void) {
  if (loop_open() != 0) _exit(1);
  struct op *ops[ARTIST_COUNT];
  for (;;) {
    for (size_t i = 0; i < ARTIST_COUNT; i++) ops[i] = start_marked(artists[i].script, 40, 1000);
    for (size_t i = 0; i < ARTIST_COUNT; i++) {
      if (!ops[i]->finished) wait_for(ops[i]);
      op_destroy(ops[i]);
    }
  }
}

static void test_kill_9(void) {
  enum { KILLS = 20 };
  unsigned seed = 20260117;
  int survived = 0;
  double slowest = 0;
  for (int i = 0; i < KILLS; i++) {
    int pid = fork();
    if (pid < 0) abort();
    if (pid == 0) be_opsrun();
    seed = seed * 1103515245u + 12345u;
    usleep((seed >> 8) % 250000);
    kill(pid, SIGKILL);
    uint64_t start = loop_now_ns();
    waitpid(pid, NULL, 0);
    if (!all_gone_within(2)) survived++;
    if (seconds_since(start) > slowest) slowest = seconds_since(start);
  }
  CHECK(survived == 0, "kill -9 at 20 moments: no descendant is alive after 2 s");
  printf("kill -9 x %d: the slowest end took %.2f s\n", KILLS, slowest);
}

/* Two jailed and bare commands at work when their starter dies. */
static void test_kill_9_in_jail(void) {
  int pid = fork();
  if (pid < 0) abort();
  if (pid == 0) {
    if (loop_open() != 0) _exit(1);
    char *env[] = {plain_env[0], mark, NULL};
    char *argv[] = {"bash", "-c", "(setsid bash -c 'trap \"\" TERM; sleep 1000' &); sleep 1000", NULL};
    struct process_jail jail = {NULL, false};
    struct process_request request = request_of(argv);
    request.env = env;
    request.jail = &jail;
    wait_for(process_start(&request));
    _exit(0);
  }
  uint64_t start = loop_now_ns();
  while (count_marked() < 4 && seconds_since(start) < 60) usleep(10000);
  CHECK(count_marked() >= 4, "a jailed command and its children run");
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  CHECK(all_gone_within(2), "kill -9: what ran in the jail is gone within 2 s");
}

int main(int argc, char **argv) {
  ssize_t length = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
  if (length <= 0) return 1;
  if (argc == 2 && strcmp(argv[1], "relay") == 0) return relay_main();
  snprintf(mark, sizeof mark, "OPSRUN_TEST_MARK=%d-%d", (int)getpid(), (int)time(NULL));
  test_kill_9(); /* before our own loop: its children make theirs */
  test_kill_9_in_jail();
  if (loop_open() != 0) return 1;
  test_artists();
  test_left_behind();
  test_relay();
  loop_close();
  return CHECK_RESULT();
}
