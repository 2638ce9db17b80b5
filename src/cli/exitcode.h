/* Exit codes: an API of the program. The first that applies, from the top of the list below. The
   one source for the help topic 'exit-codes' and docs/reference/exit-codes.md; runtime/codes.lua
   repeats the numbers for the Lua side, and a test compares the two. */
#ifndef OPSRUN_EXITCODE_H
#define OPSRUN_EXITCODE_H

/* X(name, number, meaning) in order of precedence. */
#define EXIT_CODES(X)                                                                        \
  X(UNKNOWN, 7, "the outcome of a change is unknown")                                        \
  X(UNDO_FAILED, 9, "a step failed, and taking back failed as well")                         \
  X(UNDONE, 8, "a step failed, and everything was taken back")                               \
  X(HANGUP, 129, "ended by SIGHUP")                                                          \
  X(INTERRUPTED, 130, "ended by SIGINT (Ctrl-C)")                                            \
  X(TERMINATED, 143, "ended by SIGTERM")                                                     \
  X(DEADLINE, 124, "the deadline of the run was over")                                       \
  X(SUSPENDED, 6, "suspended, waiting for a person or a time")                               \
  X(REFUSED, 5, "refused: a gate closed, locked, unprovable, over budget")                   \
  X(PRECONDITION, 4, "a precondition failed, nothing was changed")                           \
  X(FAILED, 1, "a step failed, or a check is critical")                                      \
  X(USAGE, 2, "the command line is wrong")                                                   \
  X(LOAD, 3, "the playbook does not load or validate")                                       \
  X(BUG, 70, "a bug of opsrun")                                                              \
  X(DONE, 0, "done")

enum exit_code {
#define X(name, number, meaning) EXIT_##name = (number),
  EXIT_CODES(X)
#undef X
};

#endif
