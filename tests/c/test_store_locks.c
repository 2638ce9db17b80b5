/* Claims about who may write a run: one process at a time, found out at once, free again as soon as
 * it is gone; and in the shared home any user of the group. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"

enum { ROUNDS = 50, OPENERS = 20 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What an opener reports: who it is, who holds the run, how long it took to know. */
struct report {
  pid_t self, holder, child;
  char word; /* 'w' has it, 'l' was told who has it, '?' */
  double seconds;
};

static pid_t start_child(void) {
  pid_t child = fork();
  if (child == 0) {
    execlp("sleep", "sleep", "60", (char *)NULL);
    _exit(127);
  }
  return child;
}

/* Waits for the start, tries, reports; the winner starts a child that outlives it, and stays. */
static void try_to_open(int go, int result) {
  char byte;
  struct store_holder holder = {.pid = 0};
  while (read(go, &byte, 1) > 0) continue;
  double began = now();
  struct store_run *run = store->open("0001-race", STORE_APPEND, &holder, NULL, &error);
  struct report report = {.self = getpid(), .holder = holder.pid, .seconds = now() - began};
  report.word = run != NULL ? 'w' : strcmp(error.code, "locked") == 0 ? 'l' : '?';
  if (run != NULL) report.child = start_child();
  if (write(result, &report, sizeof report) == (ssize_t)sizeof report && run != NULL) pause();
  _exit(0);
}

struct tally {
  int wins, named;
  double slowest, freed;
};

/* How long after its holder was killed the run can be opened, in seconds. */
static double time_to_free(pid_t holder) {
  double began = now();
  kill(holder, SIGKILL);
  struct store_run *run = NULL;
  while (run == NULL && now() - began < 5)
    run = store->open("0001-race", STORE_APPEND, NULL, NULL, &error);
  double seconds = now() - began;
  store->close(run);
  return seconds;
}

static void play_round(struct tally *tally) {
  int go[2], result[2];
  pid_t pids[OPENERS];
  struct report reports[OPENERS], winner = {0};
  if (pipe2(go, O_CLOEXEC) != 0 || pipe2(result, O_CLOEXEC) != 0) abort();
  for (int i = 0; i < OPENERS; i++)
    if ((pids[i] = fork()) == 0) {
      close(go[1]);
      try_to_open(go[0], result[1]);
    }
  close(go[0]);
  close(go[1]); /* off they go */
  for (int i = 0; i < OPENERS; i++) {
    if (read(result[0], &reports[i], sizeof reports[i]) != (ssize_t)sizeof reports[i]) abort();
    if (reports[i].word == 'w') {
      tally->wins++;
      winner = reports[i];
    }
  }
  for (int i = 0; i < OPENERS; i++) {
    if (reports[i].word == 'l' && reports[i].holder == winner.self) tally->named++;
    if (reports[i].seconds > tally->slowest) tally->slowest = reports[i].seconds;
  }
  if (winner.self != 0) {
    double freed = time_to_free(winner.self);
    if (freed > tally->freed) tally->freed = freed;
  }
  for (int i = 0; i < OPENERS; i++) { /* were there several winners, they would stay */
    if (reports[i].word == 'w' && reports[i].child > 0) kill(reports[i].child, SIGKILL);
    kill(pids[i], SIGKILL);
    waitpid(pids[i], NULL, 0);
  }
  close(result[0]);
  close(result[1]);
}

static void check_race(void) {
  struct tally tally = {0};
  store->close(make("0001-race", 1));
  for (int i = 0; i < ROUNDS; i++) play_round(&tally);
  printf("%d rounds of %d openers: %d won, %d were told by whom within %.0f ms; free %.1f ms after "
         "the holder was killed, its child alive\n",
         ROUNDS, OPENERS, tally.wins, tally.named, tally.slowest * 1000, tally.freed * 1000);
  CHECK(tally.wins == ROUNDS, "of 20 that want the run exactly one gets it, each time");
  CHECK(tally.named == ROUNDS * (OPENERS - 1), "and the others are told by whom, not who was before");
  CHECK(tally.slowest <= 1, "within a second");
  CHECK(tally.freed <= 0.1, "a killed holder holds nothing 100 ms later, nor does a child it left");
}

/* --- the shared home: two users of one group, and a third who is not of it --- */

enum { GROUP = 61000, ONE = 61001, OTHER = 61002, STRANGER = 61003 };

/* Runs fn as this user, of the group or not. True when it returns true. */
static bool as_user(uid_t user, bool member, bool (*fn)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    gid_t groups[] = {GROUP};
    umask(077);
    if (setgroups(member ? 1 : 0, groups) != 0 || setgid(user) != 0 || setuid(user) != 0) _exit(2);
    bool good = fn();
    if (!good) printf("as user %u: %s: %s\n", (unsigned)user, error.code, error.message);
    fflush(stdout);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool put_blob(struct store_run *run, const char *text) {
  char digest[65], *path = NULL;
  store_digest(text, strlen(text), digest);
  int code = store->put(run, "blobs", digest, text, strlen(text), &path, &error);
  free(path);
  return code == 0;
}

static bool one_makes(void) {
  struct store_run *run = store->create("0001-shared", &error);
  bool good = run != NULL && append(run, "{\"by\":\"one\"}", true) == 0 && put_blob(run, "one") &&
              store->state_put("series", "1", 1, &error) == 0 &&
              store->reserve(run, 1, &error) == 0;
  if (run != NULL) store->opened(run);
  store->close(run);
  return good;
}

static bool other_goes_on(void) {
  struct store_run *run = store->open("0001-shared", STORE_APPEND, NULL, NULL, &error);
  struct store_holder holder;
  struct store_lock *lock = store->lock("a@b", "x", &holder, &error);
  bool good = run != NULL && lock != NULL && append(run, "{\"by\":\"other\"}", true) == 0 &&
              put_blob(run, "other") && store->state_put("series", "2", 1, &error) == 0;
  store->unlock(lock);
  store->close(run);
  return good;
}

static bool one_comes_back(void) {
  struct store_lines lines = {0};
  struct store_holder holder;
  struct store_run *run = store->open("0001-shared", STORE_APPEND, NULL, NULL, &error);
  struct store_lock *lock = store->lock("a@b", "x", &holder, &error);
  bool good = run != NULL && lock != NULL && store->read(run, &lines, &error) == 0 &&
              lines.count == 2 && append(run, "{\"by\":\"one\"}", true) == 0;
  store_free_lines(&lines);
  store->unlock(lock);
  store->close(run);
  return good;
}

static bool other_removes(void) {
  return store_release_ballast() && store->remove("0001-shared", NULL, &error) == 0;
}

static bool stranger_sees_nothing(void) {
  setenv("HOME", "/nonexistent", 1);
  if (strcmp(store->home(), "/nonexistent/.local/state/opsrun") != 0) return false;
  return open("/var/lib/opsrun/runs/0001-shared/journal", O_RDONLY | O_CLOEXEC) < 0 &&
         errno == EACCES;
}

static bool has_mode(const char *path, mode_t mode) {
  struct stat st;
  bool good = stat(path, &st) == 0 && (st.st_mode & 07777) == mode && st.st_gid == GROUP;
  if (!good) printf("%s: mode %o, group %u\n", path, st.st_mode & 07777, (unsigned)st.st_gid);
  return good;
}

/* /var/lib/opsrun of a mount namespace of our own. */
static bool make_shared_home(void) {
  if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", "/var/lib", "tmpfs", MS_NOSUID, "size=64m,mode=755") != 0)
    return false;
  unsetenv("OPSRUN_HOME");
  unsetenv("XDG_STATE_HOME");
  return mkdir("/var/lib/opsrun", 0700) == 0 && chown("/var/lib/opsrun", 0, GROUP) == 0 &&
         chmod("/var/lib/opsrun", 02770) == 0;
}

static void check_shared(void) {
  if (!make_shared_home()) {
    printf("SKIPPED: no mount namespace here (not root): the shared home was not tried\n");
    return;
  }
  CHECK(as_user(ONE, true, one_makes), "a user of the group makes a run in the shared home");
  CHECK(has_mode("/var/lib/opsrun/runs", 02770) &&
            has_mode("/var/lib/opsrun/runs/0001-shared", 02770) &&
            has_mode("/var/lib/opsrun/runs/0001-shared/blobs", 02770) &&
            has_mode("/var/lib/opsrun/runs/0001-shared/journal", 0660) &&
            has_mode("/var/lib/opsrun/runs/0001-shared/lock", 0660) &&
            has_mode("/var/lib/opsrun/state/series", 0660) &&
            has_mode("/var/lib/opsrun/ballast", 0660),
        "all of it is the group's to write, whatever the umask says");
  CHECK(as_user(OTHER, true, other_goes_on), "another user of the group goes on with it");
  CHECK(as_user(ONE, true, one_comes_back), "and the first one after that");
  CHECK(as_user(STRANGER, false, stranger_sees_nothing), "who is not of the group sees nothing");
  CHECK(as_user(OTHER, true, other_removes), "the other may remove it too");
}

int main(void) {
  open_home();
  check_race();
  int code = close_home();
  check_shared();
  return code == 0 ? CHECK_RESULT() : code;
}
