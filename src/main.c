/* The order of start and stop. No parsing, no Lua calls. */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/msg.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "lua/state.h"

/* A closed descriptor 0, 1 or 2 would be taken by the next file opened, and messages written
   into it. */
static void open_standard_descriptors(void) {
  for (;;) {
    int fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec-open): 0-2 are inherited */
    if (fd < 0 || fd > STDERR_FILENO) {
      if (fd >= 0) close(fd);
      return;
    }
  }
}

/* Secrets live in this process's memory: no core file, no look by another process of this user. */
static void hide_memory(void) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker looks at this process with ptrace */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Takes entries that are no absolute path, the empty one too, out of PATH: which program a name
   means must not depend on the directory a playbook chooses for its command. */
static void fix_path(void) {
  const char *path = getenv("PATH");
  if (path == NULL) return;
  char *kept = malloc(strlen(path) + 1), *end = kept;
  if (kept == NULL) {
    unsetenv("PATH");
    return;
  }
  for (const char *entry = path; entry != NULL;) {
    const char *colon = strchr(entry, ':');
    size_t len = colon != NULL ? (size_t)(colon - entry) : strlen(entry);
    if (entry[0] == '/') {
      if (end != kept) *end++ = ':';
      memcpy(end, entry, len);
      end += len;
    }
    entry = colon != NULL ? colon + 1 : NULL;
  }
  *end = '\0';
  if (end == kept || setenv("PATH", kept, 1) != 0) unsetenv("PATH"); /* then the C library's own */
  free(kept);
}

int main(int argc, char **argv) {
  open_standard_descriptors();
  hide_memory();
  fix_path();
  setlocale(LC_CTYPE, "C.UTF-8");
  static struct cli_options options; /* what it points to lives as long as the process */
  int code = cli_parse(argc, argv, &options);
  if (code != CLI_GO_ON) return code;
  if (loop_open() != 0 || signals_open() != 0) {
    msg_error("cannot make the event loop", "is this process out of descriptors? see 'ulimit -n'");
    return EXIT_BUG;
  }
  return state_run(&options);
}
