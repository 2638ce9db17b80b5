/* The last program before a jailed command: bubblewrap has built the mounts; this takes away the
 * rest, goes to the directory, closes what the command must not have, and executes it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol.h"
#include "supervisor.h"

static void report(enum supervisor_stage stage, int error) {
  struct supervisor_status status = {stage, error};
  ssize_t sent = write(SUPERVISOR_STATUS_FD, &status, sizeof status);
  if (sent != (ssize_t)sizeof status) _exit(126);
}

static _Noreturn void refuse(enum supervisor_stage stage) {
  report(stage, errno);
  _exit(127);
}

/* Every layer; SUPERVISOR_STAGE_READY, or the one that failed, with errno. */
static enum supervisor_stage confine(const struct inside_options *options) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SUPERVISOR_STAGE_CAPABILITIES;
  if (confine_mounts() != 0) return SUPERVISOR_STAGE_MOUNTS;
  if (confine_capabilities() != 0) return SUPERVISOR_STAGE_CAPABILITIES;
  if (options->cwd != NULL && chdir(options->cwd) != 0) return SUPERVISOR_STAGE_CWD;
  if (landlock_apply(options->writable, options->net) < 0) return SUPERVISOR_STAGE_LANDLOCK;
  if (confine_calls(SUPERVISOR_SECCOMP_FD) != 0) return SUPERVISOR_STAGE_SECCOMP;
  return SUPERVISOR_STAGE_READY;
}

_Noreturn void inside_run(const struct inside_options *options, char **argv) {
  enum supervisor_stage stage = confine(options);
  if (stage != SUPERVISOR_STAGE_READY) refuse(stage);
  /* Whatever bubblewrap left open, and our own status end once the command runs. */
  if (syscall(SYS_close_range, SUPERVISOR_STATUS_FD + 1, ~0U, 0) != 0)
    refuse(SUPERVISOR_STAGE_EXEC);
  close(SUPERVISOR_CONTROL_FD);
  close(SUPERVISOR_SECCOMP_FD);
  if (fcntl(SUPERVISOR_STATUS_FD, F_SETFD, FD_CLOEXEC) != 0) refuse(SUPERVISOR_STAGE_EXEC);
  report(SUPERVISOR_STAGE_READY, 0);
  execvp(argv[0], argv);
  refuse(SUPERVISOR_STAGE_EXEC);
}

/* -- probe ------------------------------------------------------------------------------------- */

static bool failed;

static void expect(bool ok, const char *what) {
  if (ok) return;
  failed = true;
  printf("%s\n", what);
}

static bool may_nothing(void) {
  char text[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = '\0';
  const char *permitted = strstr(text, "\nCapPrm:");
  if (permitted == NULL) return false;
  unsigned long long bits = strtoull(permitted + 8, NULL, 16);
  return (bits & ~(1ULL << 2)) == 0; /* 2 is CAP_DAC_READ_SEARCH */
}

_Noreturn void inside_probe(const struct inside_options *options) {
  static const char *const layers[] = {
      [SUPERVISOR_STAGE_CWD] = "directory",         [SUPERVISOR_STAGE_MOUNTS] = "mounts",
      [SUPERVISOR_STAGE_CAPABILITIES] = "capabilities", [SUPERVISOR_STAGE_LANDLOCK] = "Landlock",
      [SUPERVISOR_STAGE_SECCOMP] = "seccomp"};
  enum supervisor_stage stage = confine(options);
  if (stage != SUPERVISOR_STAGE_READY) {
    printf("the kernel refuses the jail's %s: %s\n", layers[stage], strerror(errno));
    failed = true;
  } else {
    struct statvfs root;
    expect(statvfs("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0, "'/' is not read-only");
    expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM, "a socket could be made");
    expect(kill(getppid(), SIGCONT) < 0 && errno == EPERM, "a signal could be sent");
    expect(may_nothing(), "capabilities are left");
    expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "new privileges could be had");
  }
  fflush(stdout);
  report(SUPERVISOR_STAGE_READY, 0);
  _exit(failed ? 1 : 0);
}
