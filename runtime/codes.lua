--- Exit codes, as in src/cli/exitcode.h (a test compares the two).
return {
  done = 0,
  failed = 1,
  usage = 2,
  load = 3,
  precondition = 4,
  refused = 5,
  suspended = 6,
  unknown = 7,
  undone = 8,
  undo_failed = 9,
  bug = 70,
  deadline = 124,
  hangup = 129,
  interrupted = 130,
  terminated = 143,
}
