/* What the files of the process client share. */
#ifndef OPSRUN_CLIENT_PROCESS_INTERNAL_H
#define OPSRUN_CLIENT_PROCESS_INTERNAL_H

#include <uv.h>

#include "../supervisor/protocol.h"
#include "process.h"

/* A watched descriptor of ours; fd is -1 once closed. */
struct process_watch {
  uv_poll_t poll;
  int fd;
  bool open; /* the handle exists */
};

struct process {
  struct op op;
  struct process_result result;
  struct process_watch control, exit, in, out, err; /* exit: pidfd of the supervisor */
  unsigned open_handles;
  int supervisor;      /* its pid, until it is waited for; 0 none */
  char *title, *input;
  size_t input_len, input_at, cap;
  uint64_t grace_ms;
  int tee_fd;
  struct process_listener listener;
  bool tee_owned;
  bool change, jailed, probe, tty;
  bool closing;
  const char *start_code; /* set when it could not even be started; with outcome and reason */
  const char *start_why;
  enum op_outcome start_outcome;
  bool started;        /* the command was executed */
  bool exited, asked, gone;
  bool refused;
  uint32_t refused_stage;
  int refused_error;
};

/* The command line of the supervisor, and the ends of the descriptors it gets. */
struct process_launch {
  char **argv;       /* owned, also each word */
  int fds[5];        /* for 0, 1, 2, control, filter; -1 none. Owned */
};

/* Fills launch->argv for a request. Returns NULL or a static text why it cannot. */
const char *process_build_argv(struct process_launch *launch,
                               const struct process_request *request);

/* posix_spawn of the supervisor; env is what the command gets. Its pid, or -1 with errno. */
int process_spawn(const struct process_launch *launch, char *const *env);

void process_launch_free(struct process_launch *launch);

/* A descriptor from which to read the jail's compiled filter, or -1 with errno. Caller closes. */
int process_filter_fd(bool net);

/* A new terminal that shows nothing of its own: no echo, no line ends made of others, 24 x 80.
   Fills both ends, close-on-exec, or returns false with errno. */
bool process_open_terminal(int *ours, int *theirs);

/* The supervisor program beside ours, or NULL. Static. */
const char *process_supervisor_path(void);

#endif
