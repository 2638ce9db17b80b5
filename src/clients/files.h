/* Files and directories, away from the loop: each request is work of the thread pool, its answer
   JSON text (or the bytes asked for). No lua.h.
 *
 * Paths are absolute, without "." and ".." and double slashes. Changes know what may be changed:
 * the part of a path that an allowed prefix covers may hold links, below it none is followed. */
#ifndef OPSRUN_CLIENT_FILES_H
#define OPSRUN_CLIENT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

enum files_verb {
  FILES_LIST,       /* [entry…] of a directory, see below; .unread, .open_unseen beside them */
  FILES_STAT,       /* entry, or {} when there is nothing of that name */
  FILES_READ,       /* the bytes, at most `cap` */
  FILES_TAIL,       /* ["line", …], the last `limit` lines, at most `cap` bytes */
  FILES_CHECKSUM,   /* {sha256, size} */
  FILES_SYSTEMS,    /* [{mount, device, type, size, used, free, percent, inodes, inodes_used}] */
  FILES_HOLDERS,    /* {holders: [{pid, command, fd, path, deleted, size}], unseen} */
  FILES_WRITE,      /* the rest are changes: {items: [{path, size, after, created}], */
  FILES_APPEND,     /*   left: [{path, reason}], count, size, freed} */
  FILES_REMOVE,
  FILES_COMPRESS,
  FILES_TRUNCATE,
  FILES_TOUCH,
  FILES_MKDIR
};

enum files_sort { FILES_BY_NAME, FILES_BY_SIZE, FILES_OLDEST, FILES_NEWEST };

/* Which entries a list holds: {path, name, type, size, disk, mtime, id}; of stat mode, uid, gid and
   links, too. */
struct files_filter {
  const char *pattern;   /* of the name; with a '/' in it, of the path below the directory; NULL */
  bool recursive;        /* stays on the directory's own file system */
  bool any_type;         /* directories and others too, not regular files alone */
  double older_than;     /* seconds since the last write; below 0: any */
  double newer_than;
  int64_t larger_than;   /* bytes, below 0: any */
  int open;              /* 0 only those no process holds open, 1 only the others, -1 any */
  enum files_sort sort;
  int64_t limit;         /* at most so many, the first in order; 0: no more than files_most */
  bool children;         /* totals of the directory's children beside the list */
};

struct files_item {
  const char *path;
  const char *id; /* of the entry when it was listed, or NULL: whatever is there now */
};

struct files_request {
  enum files_verb verb;
  const char *path;               /* of a read */
  struct files_filter filter;
  int64_t cap;                    /* bytes */
  int64_t limit;                  /* lines */
  int64_t offset, length;         /* checksum: where it begins, how many bytes; -1: to the end */
  const struct files_item *items; /* of a change */
  size_t item_count;
  const char *const *allowed;     /* prefixes below which may be changed */
  size_t allowed_count;
  const char *text;               /* write, append */
  size_t text_len;
  int mode;                       /* write, mkdir: permissions, or -1 */
  int level;                      /* compress: 1 to 9 */
  int64_t size;                   /* truncate: bytes that stay */
  bool keep;                      /* compress: leave the original as well */
  bool held;                      /* compress: files that a process holds open, too */
  bool create;                    /* write: fails when the file is there already */
  bool recursive;                 /* remove: directories with all they hold; mkdir: parents too */
  bool dry;                       /* look only: what would be done, what would be left */
  uint64_t timeout_ms;            /* 0: none */
};

enum { files_most = 100000 };

struct files_api {
  /* Starts it; everything is copied. NULL: out of memory. */
  struct op *(*start)(const struct files_request *request);
  /* The text of a finished operation, valid until it is destroyed. *raw: it is no JSON. */
  const char *(*answer)(const struct op *op, size_t *len, bool *raw);
};

extern const struct files_api opsrun_files_api;

#endif
