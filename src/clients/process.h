/* Commands: each under a supervisor of its own (src/supervisor), with pipes for its three streams,
 * optionally in the jail that makes a command a proved read. */
#ifndef OPSRUN_CLIENT_PROCESS_H
#define OPSRUN_CLIENT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

#define PROCESS_CAP_DEFAULT (1024 * 1024)
#define PROCESS_GRACE_DEFAULT_MS 2000

struct process_jail {
  const char *const *writable; /* directories, NULL-terminated; must exist. May be NULL */
  bool net;                    /* sockets allowed: then nothing is proved */
};

/* Who looks at the output while it comes. Functions may be NULL. */
struct process_listener {
  void (*take)(void *context, int stream, const char *bytes, size_t len); /* 0 stdout, 1 stderr */
  void (*end)(void *context); /* once, when no more will come; also when it could not be started */
  void *context;
};

/* Everything is copied by process_start. */
struct process_request {
  char *const *argv;       /* NULL-terminated, at least one word. Looked up in env's PATH */
  char *const *env;        /* "NAME=value", NULL-terminated: all the command gets */
  const char *cwd;         /* NULL: ours */
  const char *title;       /* in messages; NULL: argv[0] */
  const void *input;       /* for its stdin, then end of file; NULL with input_len 0: /dev/null */
  size_t input_len;
  size_t cap;              /* bytes kept of each stream; what is more is read and counted */
  int tee_fd;              /* stdout goes there whole as well; -1 none. Not closed */
  const char *tee_path;    /* instead: a file that is there, written anew. NULL: none */
  bool tty;                /* the three streams are a terminal of its own; no input, no jail */
  uint64_t timeout_ms;     /* 0 none: then TERM, the grace, KILL for the whole tree */
  uint64_t grace_ms;
  bool change;             /* cut short, a change's outcome is unknown, a read's is failed */
  bool probe;              /* argv is ignored: the jail tests itself, see process_jail.h */
  const struct process_jail *jail; /* NULL: none */
  struct process_listener listener; /* if process_start returns NULL, `end` is not called */
};

struct process_stream {
  char *data;     /* the first `kept` bytes, not terminated; NULL when kept is 0 */
  size_t kept;
  uint64_t total; /* bytes it wrote */
};

struct process_result {
  int code;            /* exit code; 128 + signal when a signal ended it, as shells say it */
  int signal;          /* 0: none. In the jail always 0, the code tells */
  int tee_error;       /* errno of writing to tee_fd, 0 none: that copy is not whole */
  uint32_t left;       /* descendants that could not be ended: another user's */
  int pid;
  uint64_t start_time; /* clock ticks since boot; with pid it names the process for good */
  struct process_stream out, err;
};

/* Starts a command. The operation fails with code "command not found", "permission denied", "cwd",
   "jail", "artifact", "spawn" (outcome not sent), "timeout", "cancelled" or "lost"; an exit code other than 0
   is no failure. NULL: out of memory. */
struct op *process_start(const struct process_request *request);

/* Of a finished operation of process_start; lives as long as it does. After a failure the streams
   hold what had been read until then. */
const struct process_result *process_result(const struct op *op);

/* Where `name` is found in `path` ("/bin:/usr/bin"; NULL: the system's default): an executable
   regular file; a name with a slash is only checked. Fills `out`. */
bool process_find(const char *name, const char *path, char *out, size_t size);

#endif
