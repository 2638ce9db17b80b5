/* What an open run is, for those parts of the store that work on one. */
#ifndef OPSRUN_STORE_RUN_H
#define OPSRUN_STORE_RUN_H

#include "store_io.h"

/* A journal, a blob or an artifact is no larger. */
enum { STORE_FILE_CAP = 1 << 30 };

/* So many blobs and artifacts wait for a fresh run's first sync; more are synced at once. */
enum { STORE_UNSYNCED = 8 };

struct store_run {
  char id[STORE_ID_MAX + 1];
  char *dir_path;
  char *journal_path;
  int dir;
  int journal; /* -1 while open for reading only, and after it broke */
  int lock;
  uint64_t count;
  uint64_t synced; /* how many of them are known to be on disk */
  char last[65];
  off_t size;
  off_t reserved;
  bool opening;  /* what meets a full disk now is tried again without the ballast */
  bool released; /* that happened */
  bool fresh;    /* nothing of it was synced yet: the first sync is of its folder, too */
  int unsynced[STORE_UNSYNCED]; /* files written meanwhile, that sync's as well */
  size_t unsynced_count;
  struct store_error broken; /* the first failure; code is empty while there was none */
};

/* Makes a directory as the home wants it: in the shared one the group writes too, whatever the
   umask says. Returns 0, or -1 and errno. */
int store_make_dir(int at, const char *name);

/* Something met this errno. True when it is a full disk, the run is still being opened and the
   ballast was released just now: then it is worth another try. */
bool store_make_way(struct store_run *run, int number);

/* Puts on disk what a fresh run was made of: files, folders, their entries. Returns 0 or an errno
   value; what failed is not tried again. */
int store_settle(struct store_run *run);

/* Blobs and artifacts (store_folder.c); see struct store_api. */
int store_put(struct store_run *run, const char *folder, const char *name, const char *bytes,
              size_t len, char **path, struct store_error *error);
int store_get(const struct store_run *run, const char *folder, const char *name, char **bytes,
              size_t *len, struct store_error *error);
int store_names(const struct store_run *run, const char *folder, char ***names, size_t *count,
                struct store_error *error);

#endif
