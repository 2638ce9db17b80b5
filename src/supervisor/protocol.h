/* What opsrun and the supervisor of one command say to each other, over a SOCK_SEQPACKET pair: one
 * struct a message. The end of the stream is a message as well: opsrun is gone, end everything. */
#ifndef OPSRUN_SUPERVISOR_PROTOCOL_H
#define OPSRUN_SUPERVISOR_PROTOCOL_H

#include <stdint.h>

/* Where opsrun puts the descriptors it hands over; 0-2 are the command's own. */
enum {
  SUPERVISOR_CONTROL_FD = 3, /* the socket */
  SUPERVISOR_SECCOMP_FD = 4, /* the jail's compiled filter, to be read; only with --jail */
  SUPERVISOR_STATUS_FD = 5   /* from the last program before the command to the supervisor */
};

/* opsrun -> supervisor: TERM to every descendant, KILL after the grace. */
struct supervisor_order {
  uint32_t grace_ms;
};

enum supervisor_event_kind {
  SUPERVISOR_STARTED = 1, /* pid, start_time: the command was executed */
  SUPERVISOR_REFUSED,     /* stage, error: it was never executed */
  SUPERVISOR_EXITED,      /* code or signal, asked */
  SUPERVISOR_GONE         /* left: no descendant is alive any more but so many */
};

/* The last thing that was tried when a command could not be started. */
enum supervisor_stage {
  SUPERVISOR_STAGE_READY = 0, /* no failure: exec comes next */
  SUPERVISOR_STAGE_FORK,
  SUPERVISOR_STAGE_CWD,
  SUPERVISOR_STAGE_EXEC,
  SUPERVISOR_STAGE_MOUNTS,
  SUPERVISOR_STAGE_CAPABILITIES,
  SUPERVISOR_STAGE_LANDLOCK,
  SUPERVISOR_STAGE_SECCOMP,
  SUPERVISOR_STAGE_JAIL /* bubblewrap ended before our helper ran; it said why on stderr */
};

struct supervisor_event {
  uint32_t kind;
  int32_t pid;
  uint64_t start_time; /* in clock ticks since boot: field 22 of /proc/PID/stat */
  int32_t code;        /* exit code, or -1 */
  int32_t signal;      /* that ended it, or 0 */
  uint32_t stage;
  int32_t error; /* errno */
  uint32_t asked; /* 1: we had begun to end it before it ended */
  uint32_t left;
};

/* On SUPERVISOR_STATUS_FD. */
struct supervisor_status {
  uint32_t stage;
  int32_t error;
};

#endif
