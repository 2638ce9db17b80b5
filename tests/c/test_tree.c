/* Descendants are found and signalled also where the kernel keeps no list of children, and when there
 * is no memory for one. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static bool memory_is_gone;

/* The supervisor's only allocation. */
static void *scarce_realloc(void *old, size_t size) {
  return memory_is_gone ? NULL : realloc(old, size);
}

#define realloc scarce_realloc
#include "supervisor/tree.c"
#undef realloc

#include "check.h"

enum { CROWD = 200 };

/* A child with a grandchild that left its session, and a crowd of children: more than one growth of the
 * list. All wait for a signal. Returns when all are there. */
static void start_crowd(void) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) abort();
  for (int i = 0; i < CROWD; i++) {
    int child = fork();
    if (child < 0) abort();
    if (child > 0) continue;
    if (i == 0 && fork() == 0) setsid();
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte;
  for (int i = 0; i < CROWD + 1; i++)
    if (read(ready[0], &byte, 1) != 1) abort();
  close(ready[0]);
}

/* Kills and reaps until nobody is left. Returns how many ended. */
static int end_all(void) {
  int ended = 0;
  for (int round = 0; round < 100; round++) {
    tree_signal(SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0) ended++;
    if (waitpid(-1, NULL, WNOHANG) < 0) break;
    usleep(10000);
  }
  return ended;
}

int main(void) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return 1;
  int stranger = getppid();
  start_crowd();
  CHECK(tree_signal(0) == CROWD + 1, "all descendants are found by the kernel's list");
  CHECK(signal_by_scanning(0) == CROWD + 1, "and without it, by looking at every process");
  CHECK(is_descendant(getpid(), stranger) && !is_descendant(stranger, getpid()) && !is_descendant(1, getpid()),
        "who is above us is no descendant");
  memory_is_gone = true;
  CHECK(tree_signal(0) == CROWD + 1, "and without memory: nobody is left out");
  CHECK(end_all() == CROWD + 1, "without memory every one of them is ended");
  memory_is_gone = false;
  CHECK(tree_signal(0) == 0, "then nobody is left");
  return CHECK_RESULT();
}
