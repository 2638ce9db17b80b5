/* Starts a command and tells how long it took and how much memory it had at most: of the command alone,
 * which Python cannot tell: a child's ru_maxrss begins with the memory of the process that started it.
 *
 * usage: launch DESCRIPTOR SECONDS COMMAND [ARGUMENT…]; writes "STATUS NANOSECONDS KIB" there. A command
 * that takes longer than SECONDS is killed with all of its process group, and STATUS is -1. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;
static volatile sig_atomic_t too_late;

static void end(int number) {
  (void)number;
  too_late = 1;
  kill(-child, SIGKILL);
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int told = atoi(argv[1]);
  fcntl(told, F_SETFD, FD_CLOEXEC);
  long long began = now_ns();
  child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    setpgid(0, 0);
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  setpgid(child, child);
  signal(SIGALRM, end);
  signal(SIGTERM, end);
  alarm((unsigned)atoi(argv[2]));
  int status;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0) continue;
  long long took = now_ns() - began;
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  dprintf(told, "%d %lld %ld\n", too_late ? -1 : code, took, usage.ru_maxrss);
  return 0;
}
