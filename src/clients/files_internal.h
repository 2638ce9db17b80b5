/* Shared by the parts of the files client: the job, its paths and entries. */
#ifndef OPSRUN_CLIENT_FILES_INTERNAL_H
#define OPSRUN_CLIENT_FILES_INTERNAL_H

#include <sys/stat.h>

#include "../loop/work.h"
#include "files.h"

enum { FILES_ID_MAX = 96, FILES_WHY_MAX = 400 };

struct files_job {
  struct work work;
  struct files_request request; /* its pointers point into `memory` */
  char *memory;
};

/* -- files_path.c */

/* Opens the directory that holds `path` and fills `base` (NAME_MAX + 1 bytes) with the last name.
   Directories that are missing below the prefix are made when `make`. -1: `why` says it. */
int files_open_parent(const struct files_job *job, const char *path, bool make, char *base,
                      char *why);

/* What an entry was when it was looked at: device, inode, size, time of the last write. */
void files_id(const struct stat *facts, char id[FILES_ID_MAX]);

const char *files_type(mode_t mode);
double files_mtime(const struct stat *facts);

/* Appends the entry {path, …}; whole: mode, owner and number of names too, of which a long list
   would only grow. `name` is its last part. */
void files_push_entry(struct answer *answer, const char *path, const struct stat *facts,
                      bool whole);

/* Fails the job for errno: "cannot VERB 'path': …". */
void files_fail_errno(struct files_job *job, const char *verb, const char *path, int error);

/* Opens a regular file for reading, and its facts. -1: the job has failed. */
int files_open_regular(struct files_job *job, const char *verb, const char *path,
                       struct stat *facts);

/* -- files_holders.c: which files do processes hold open? */

struct files_held {
  struct files_held_one {
    dev_t dev;
    ino_t ino;
    bool writing;
  } *list;
  size_t count, capacity;
  size_t unseen; /* processes whose descriptors could not be read */
  bool failed;   /* out of memory */
};

/* Looks at every process but our own, once. */
void files_scan_held(struct files_job *job, struct files_held *held);
const struct files_held_one *files_find_held(const struct files_held *held,
                                             const struct stat *facts);
void files_drop_held(struct files_held *held);
void files_run_holders(struct files_job *job);

/* -- the verbs */
void files_run_list(struct files_job *job);
void files_run_stat(struct files_job *job);
void files_run_read(struct files_job *job);
void files_run_tail(struct files_job *job);
void files_run_checksum(struct files_job *job);
void files_run_systems(struct files_job *job);
void files_run_change(struct files_job *job);

/* -- files_change.c and files_compress.c: one item of a change. */
struct files_change {
  struct files_job *job;
  const struct files_item *item;
  int parent;               /* of the item */
  char base[256];
  struct stat facts;        /* of the item as it is now; st_ino 0 when it is missing */
  int64_t after, freed;     /* bytes; what the item's answer says */
  bool created;
  char why[FILES_WHY_MAX];  /* why it was left */
  struct files_held held;   /* compress */
};

/* Each: true when it was done (or would be), false and `why`. */
bool files_compress_item(struct files_change *change);
bool files_remove_item(struct files_change *change);

/* -- files_fresh.c: a file that has no name until it is whole. */
struct files_fresh {
  int parent; /* borrowed: the directory it will be in */
  int fd;     /* read and write, mode 0600; -1 when it is not open */
  char name[40];
};

/* False: errno says why. */
bool files_fresh_open(struct files_fresh *fresh, int parent);

/* It is whole: gives it its name, in place of what has it now when `replace`. False: errno says why,
   EEXIST that something has it. */
bool files_fresh_name(struct files_fresh *fresh, const char *name, bool replace);

/* Closes it; what has not got its name is gone. */
void files_fresh_close(struct files_fresh *fresh);

/* Sets `why` and returns false. */
bool files_leave(struct files_change *change, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool files_leave_errno(struct files_change *change, const char *verb);

#endif
