/* Durable runs: a folder a run, an append-only journal in it, blobs, artifacts, locks. The store
 * does not know what a record means: it numbers, stamps, chains and checks lines.
 *
 * A journal line is {"n":N,"t":"2026-11-21T03:12:07.123Z","prev":"HEX","synced":M, … ,"sum":"HEX"}
 * and a line feed. `prev` is the SHA-256 of the line before without its line feed (64 zeros in the
 * first line); `synced` how many lines were known to be on disk when this one was written, which
 * tells a tail that a power cut spoilt from damage; `sum` the first 16 digits of the SHA-256 of
 * this line's bytes before `,"sum"`: so the last line proves itself too.
 *
 * Everything here blocks on the calling thread, on purpose: one thread does all journal I/O. */
#ifndef OPSRUN_STORE_H
#define OPSRUN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STORE_ID_MAX = 128, STORE_NAME_MAX = 200, STORE_LINE_MAX = 64 << 20 };

/* Why something failed. code: "exists", "missing", "name", "locked", "damaged", "denied", "space",
   "io", "memory". line (from 1) and offset are set for "damaged". */
struct store_error {
  char code[16];
  char message[768];
  uint64_t line;
  uint64_t offset;
};

/* Who holds a lock, as it wrote of itself. */
struct store_holder {
  pid_t pid; /* 0 if it could not be read */
  char host[65];
  char since[32];
  char note[STORE_ID_MAX + 1]; /* the run's id */
};

struct store_line {
  const char *text; /* without the line feed; not NUL-terminated */
  size_t len;
  char time[25];
};

/* The lines of a journal, checked. */
struct store_lines {
  char *bytes; /* owned */
  struct store_line *lines;
  size_t count;
  size_t good_bytes; /* length of what the lines cover */
  size_t torn_bytes; /* what was dropped behind them, 0 when nothing */
  char last[65];     /* what the next line's `prev` is */
};

struct store_run;
struct store_lock;

enum store_mode { STORE_READ, STORE_APPEND };

/* Functions that return a pointer return NULL on failure, those that return int 0 or -1, and then
   have filled in the error. */
struct store_api {
  /* Where runs are kept; never fails, makes nothing. Valid until the environment changes. */
  const char *(*home)(void);

  /* Ids that hold this text, "" for all, oldest first. Free with free_list. No home yet: none. */
  int (*list)(const char *part, char ***ids, size_t *count, struct store_error *error);
  void (*free_list)(char **ids, size_t count);

  /* A new run, locked by us. "exists" when the id is taken. Its folder, and what is put into it, is on
     disk when the first sync returns: before that nothing can have been changed. */
  struct store_run *(*create)(const char *id, struct store_error *error);

  /* An existing one. To append: locked by us ("locked", holder in *holder, may be NULL), its
     journal checked first, a torn tail cut off (then *torn is its length; may be NULL). */
  struct store_run *(*open)(const char *id, enum store_mode mode, struct store_holder *holder,
                            size_t *torn, struct store_error *error);
  void (*close)(struct store_run *run);

  /* All that opening takes is written. Before, whatever meets a full disk is tried again once
     without the ballast, 8 MiB in the home kept for that; from now on, or from the first reserve, a
     full disk is an error. True when the ballast was released: the operator must know. Else it is
     made if it is missing, where the file system can and four times as much is free. */
  bool (*opened)(struct store_run *run);

  /* How many lines there are, and the SHA-256 of the last one; of a run open to append. */
  void (*tip)(const struct store_run *run, uint64_t *count, char digest[65]);
  const char *(*dir)(const struct store_run *run);

  /* Room for so many bytes of journal from now on, so that a full disk shows itself before an
     effect rather than behind it. */
  int (*reserve)(struct store_run *run, size_t bytes, struct store_error *error);

  /* One line from a JSON object, e.g. {"type":"note"}. One write. After a failed write or sync the
     run takes no more lines: every later call fails with the first error. */
  int (*append)(struct store_run *run, const char *object, size_t len, bool sync,
                struct store_error *error);
  int (*sync)(struct store_run *run, struct store_error *error);

  /* All lines, checked. "damaged" names line and offset. */
  int (*read)(const struct store_run *run, struct store_lines *lines, struct store_error *error);
  void (*free_lines)(struct store_lines *lines);

  /* Writes RUN/folder/name whole or not at all, mode 0600, on disk when it returns (of a new run
     when the first sync does); folder is "artifacts" or "blobs". The path is freed by the caller. */
  int (*put)(struct store_run *run, const char *folder, const char *name, const char *bytes,
             size_t len, char **path, struct store_error *error);
  int (*get)(const struct store_run *run, const char *folder, const char *name, char **bytes,
             size_t *len, struct store_error *error);

  /* Names of the files in a folder of the run; none when there is no such folder. */
  int (*names)(const struct store_run *run, const char *folder, char ***names, size_t *count,
               struct store_error *error);

  /* When the run's folder was made, in seconds since 1970. */
  int (*made)(const char *id, int64_t *seconds, struct store_error *error);

  /* First and last line of a journal, freed by the caller, without reading what is between. "" for
     one that is cut short, damaged or not there. The chain is not checked. */
  int (*ends)(const char *id, char **first, char **last, struct store_error *error);

  /* Deletes the run with all it holds. "locked" when somebody writes it. Killed on the way: the run
     is there whole or not at all, and the next removal deletes what is left. */
  int (*remove)(const char *id, struct store_holder *holder, struct store_error *error);

  /* A named lock beside the runs. "locked": *holder says who. */
  struct store_lock *(*lock)(const char *name, const char *note, struct store_holder *holder,
                             struct store_error *error);
  void (*unlock)(struct store_lock *lock);

  /* What playbooks keep between runs: HOME/state/name, whole or not at all. get: "missing" when nothing
     was put yet; *bytes is the caller's. */
  int (*state_put)(const char *name, const char *bytes, size_t len, struct store_error *error);
  int (*state_get)(const char *name, char **bytes, size_t *len, struct store_error *error);

  /* Who writes this run now: 1 and *holder, 0 when nobody, -1. */
  int (*holder)(const char *id, struct store_holder *holder, struct store_error *error);
};

/* SHA-256 in hex, as `prev` and the names of blobs are written. */
void store_digest(const char *bytes, size_t len, char digest[65]);

/* The store in files. */
extern const struct store_api store_files;

#endif
