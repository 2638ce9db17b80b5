/* The parts of the supervisor program: small and static, because one runs for each command. */
#ifndef OPSRUN_SUPERVISOR_H
#define OPSRUN_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs `argv` under supervision until no descendant is left. `cwd` may be NULL. With `jailed` the
   command is bubblewrap: SUPERVISOR_SECCOMP_FD and SUPERVISOR_STATUS_FD are handed on to it and
   `inside_run` reports through the latter. With `tty` its stdin, a terminal, becomes the one that
   controls it. Does not return. */
_Noreturn void supervise(char **argv, const char *cwd, bool jailed, bool tty);

struct inside_options {
  const char *cwd;      /* NULL: stay */
  char **writable;      /* directories that may be written, NULL-terminated */
  bool net;             /* sockets are allowed: no limits on them here either */
};

/* Inside the jail: Landlock on top, then the command. Does not return. */
_Noreturn void inside_run(const struct inside_options *options, char **argv);

/* Inside the jail: tries what must not work. Prints what is wrong, exits 0 if nothing is. */
_Noreturn void inside_probe(const struct inside_options *options);

/* Restricts this process for good; it has set no_new_privs. Returns the ABI, or -1 with errno. */
int landlock_apply(char *const *writable, bool net);

/* The jail's other layers, in this order before and after landlock_apply. Each returns 0, or -1
   with errno. confine_mounts: devices read-only, no mount of the host arrives any more.
   confine_capabilities: all dropped for good but, as root, CAP_DAC_READ_SEARCH. confine_calls:
   loads the compiled filter that fd holds. */
int confine_mounts(void);
int confine_capabilities(void);
int confine_calls(int fd);

/* Sends `number` to every descendant of this process, new ones included that appear meanwhile.
   Returns how many took it. */
size_t tree_signal(int number);

/* Field 22 of /proc/PID/stat, or 0. */
uint64_t tree_start_time(int pid);

#endif
