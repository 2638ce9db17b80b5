/* One run: its folder and its journal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_run.h"

enum { RESERVE_STEP = 64 << 10 };

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void run_close(struct store_run *run) {
  if (run == NULL) return;
  /* Room that was reserved and not used goes back. */
  if (run->journal >= 0 && run->reserved > run->size) (void)!ftruncate(run->journal, run->size);
  for (size_t i = 0; i < run->unsynced_count; i++) close(run->unsynced[i]);
  close_fd(&run->journal);
  store_unlock_at(run->lock);
  close_fd(&run->dir);
  free(run->dir_path);
  free(run->journal_path);
  free(run);
}

static struct store_run *make_run(const char *id, struct store_error *error) {
  if (!store_is_name(id, STORE_ID_MAX)) {
    store_fail(error, "name", "'%s' is no run id", id);
    return NULL;
  }
  struct store_run *run = calloc(1, sizeof *run);
  if (run == NULL) goto out_of_memory;
  run->dir = run->journal = run->lock = -1;
  run->opening = true;
  snprintf(run->id, sizeof run->id, "%s", id);
  if (asprintf(&run->dir_path, "%s/runs/%s", store_home(), id) < 0) {
    run->dir_path = NULL;
    goto out_of_memory;
  }
  if (asprintf(&run->journal_path, "%s/journal", run->dir_path) < 0) {
    run->journal_path = NULL;
    goto out_of_memory;
  }
  return run;
out_of_memory:
  run_close(run);
  store_fail_errno(error, ENOMEM, "open run", id);
  return NULL;
}

/* Returns 0 or an errno value. File systems without it answer EOPNOTSUPP: then nothing is promised.
 */
static int ensure_room(struct store_run *run, off_t until) {
  if (until <= run->reserved) return 0;
  off_t goal = until + RESERVE_STEP - until % RESERVE_STEP;
  int code;
  do code = store_calls.fallocate(run->journal, FALLOC_FL_KEEP_SIZE, run->size, goal - run->size);
  while (code != 0 && errno == EINTR);
  if (code != 0) return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
  run->reserved = goal;
  return 0;
}

static bool is_full(int number) { return number == ENOSPC || number == EDQUOT; }

bool store_make_way(struct store_run *run, int number) {
  if (!is_full(number) || !run->opening || run->released) return false;
  run->released = store_release_ballast();
  return run->released;
}

/* Nothing of it is synced: that is the first sync's, which comes before the first change. A run that
   only reads needs none. */
static int fill_folder(struct store_run *run, int runs, struct store_error *error) {
  bool shared = store_file_mode() != 0600;
  run->dir = openat(runs, run->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (run->dir < 0) return store_fail_errno(error, errno, "open", run->dir_path);
  run->lock = store_lock_at(run->dir, "lock", run->id, run->id, NULL, error);
  if (run->lock < 0) return -1;
  run->journal =
      openat(run->dir, "journal", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
             store_file_mode());
  if (run->journal < 0) return store_fail_errno(error, errno, "make", run->journal_path);
  if (shared && fchmod(run->journal, store_file_mode()) != 0)
    return store_fail_errno(error, errno, "share", run->journal_path);
  run->fresh = true;
  return 0;
}

/* A folder that was begun in vain is no run. */
static void empty_folder(struct store_run *run, int runs) {
  if (run->dir >= 0) {
    unlinkat(run->dir, "journal", 0);
    unlinkat(run->dir, "lock", 0);
  }
  unlinkat(runs, run->id, AT_REMOVEDIR);
  close_fd(&run->journal);
  close_fd(&run->lock);
  close_fd(&run->dir);
}

static int make_folder(struct store_run *run, struct store_error *error) {
  int runs = store_open_home("runs", true, error);
  if (runs < 0) return -1;
  int code = 0;
  if (store_make_dir(runs, run->id) != 0) {
    code = store_fail_errno(error, errno, "make", run->dir_path);
  } else if (fill_folder(run, runs, error) != 0) {
    empty_folder(run, runs);
    code = -1;
  }
  close(runs);
  return code;
}

/* Room for the first records, so that what the ballast was released for is not taken by others. A
   disk that has none of it may still have enough for one record. */
static void take_room(struct store_run *run) {
  int number = ensure_room(run, run->size + 1);
  if (number != 0 && store_make_way(run, number)) (void)ensure_room(run, run->size + 1);
}

static struct store_run *run_create(const char *id, struct store_error *error) {
  struct store_run *run = make_run(id, error);
  if (run == NULL) return NULL;
  int code = make_folder(run, error);
  if (code != 0 && strcmp(error->code, "space") == 0 && store_make_way(run, ENOSPC))
    code = make_folder(run, error);
  if (code == 0) {
    take_room(run);
    return run;
  }
  run_close(run);
  return NULL;
}

int store_open_journal(const struct store_run *run) {
  return openat(run->dir, "journal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static int run_read(const struct store_run *run, struct store_lines *lines,
                    struct store_error *error) {
  char *bytes = NULL;
  size_t len = 0;
  memset(lines, 0, sizeof *lines);
  int fd = store_open_journal(run);
  if (fd < 0) return store_fail_errno(error, errno, "open", run->journal_path);
  int number = store_read_all(fd, STORE_FILE_CAP, &bytes, &len);
  close(fd);
  if (number != 0) return store_fail_errno(error, number, "read", run->journal_path);
  return store_check(bytes, len, run->journal_path, lines, error);
}

/* Takes the lock, learns where the chain stands, and cuts off what a crash left half written. */
static int prepare_append(struct store_run *run, struct store_holder *holder, size_t *torn,
                          struct store_error *error) {
  struct store_lines lines;
  run->lock = store_lock_at(run->dir, "lock", run->id, run->id, holder, error);
  if (run->lock < 0 || run_read(run, &lines, error) != 0) return -1;
  run->count = lines.count;
  memcpy(run->last, lines.last, sizeof run->last);
  run->size = (off_t)lines.good_bytes;
  size_t dropped = lines.torn_bytes;
  store_free_lines(&lines);
  if (torn != NULL) *torn = dropped;
  run->journal = openat(run->dir, "journal", O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  if (run->journal < 0) return store_fail_errno(error, errno, "open", run->journal_path);
  if (dropped > 0 &&
      (ftruncate(run->journal, run->size) != 0 || store_calls.fsync(run->journal) != 0))
    return store_fail_errno(error, errno, "mend", run->journal_path);
  /* What a killed process wrote may not be on disk yet, and we go on from it. */
  if (dropped == 0 && store_calls.fdatasync(run->journal) != 0)
    return store_fail_errno(error, errno, "sync", run->journal_path);
  run->synced = run->count;
  take_room(run);
  return 0;
}

static struct store_run *run_open(const char *id, enum store_mode mode, struct store_holder *holder,
                                  size_t *torn, struct store_error *error) {
  struct store_run *run = make_run(id, error);
  if (run == NULL) return NULL;
  int code = -1;
  int runs = store_open_home("runs", false, error);
  if (runs >= 0) {
    run->dir = openat(runs, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (run->dir < 0) store_fail_errno(error, errno, "open", run->dir_path);
    else code = mode == STORE_READ ? 0 : prepare_append(run, holder, torn, error);
    run->opening = mode == STORE_APPEND;
    close(runs);
  }
  if (code == 0) return run;
  run_close(run);
  return NULL;
}

static bool run_opened(struct store_run *run) {
  bool released = run->released;
  run->opening = run->released = false;
  if (!released && run->journal >= 0) store_make_ballast();
  return released;
}

static void run_tip(const struct store_run *run, uint64_t *count, char digest[65]) {
  *count = run->count;
  memcpy(digest, run->last, sizeof run->last);
}

static const char *run_dir(const struct store_run *run) { return run->dir_path; }

/* The first failure stays: a later sync that succeeds would only mean that the system forgot what
   it could not write. */
static int break_run(struct store_run *run, struct store_error *error) {
  run->broken = *error;
  close_fd(&run->journal);
  return -1;
}

static int usable(struct store_run *run, struct store_error *error) {
  if (run->broken.code[0] != '\0') {
    *error = run->broken;
    return -1;
  }
  if (run->journal < 0)
    return store_fail(error, "denied", "run '%s' is open for reading only", run->id);
  return 0;
}

static int run_reserve(struct store_run *run, size_t bytes, struct store_error *error) {
  if (usable(run, error) != 0) return -1;
  if (bytes > STORE_LINE_MAX) bytes = STORE_LINE_MAX;
  run->opening = false;
  int number = ensure_room(run, run->size + (off_t)bytes);
  return number == 0 ? 0 : store_fail_errno(error, number, "reserve room in", run->journal_path);
}

/* A journal that somebody deleted can be written, and is gone when we end. */
static int check_there(struct store_run *run, struct store_error *error) {
  struct stat st;
  if (fstat(run->journal, &st) != 0)
    return store_fail_errno(error, errno, "look at", run->journal_path);
  if (st.st_nlink > 0) return 0;
  return store_fail(error, "missing", "cannot write '%s': it was deleted", run->journal_path);
}

static int run_sync(struct store_run *run, struct store_error *error) {
  if (usable(run, error) != 0) return -1;
  if (check_there(run, error) != 0) return break_run(run, error);
  int number = store_settle(run);
  if (number != 0) {
    store_fail_errno(error, number, "sync", run->dir_path);
    return break_run(run, error);
  }
  if (store_calls.fdatasync(run->journal) == 0) {
    run->synced = run->count;
    return 0;
  }
  store_fail_errno(error, errno, "sync", run->journal_path);
  return break_run(run, error);
}

static int run_append(struct store_run *run, const char *object, size_t len, bool sync,
                      struct store_error *error) {
  if (usable(run, error) != 0) return -1;
  char *line, digest[65];
  size_t line_len;
  if (len > STORE_LINE_MAX ||
      store_compose(run->count + 1, run->synced, run->last, object, len, &line, &line_len,
                    digest) != 0)
    return store_fail(error, "io", "a record for '%s' is no JSON object of one line and 64 MiB",
                      run->journal_path);
  int number = store_write_all(run->journal, line, line_len);
  /* Of what was cut short nothing may stay. */
  if (number != 0 && store_make_way(run, number) && ftruncate(run->journal, run->size) == 0)
    number = store_write_all(run->journal, line, line_len);
  free(line);
  if (number != 0) {
    store_fail_errno(error, number, "write", run->journal_path);
    return break_run(run, error);
  }
  run->count++;
  run->size += (off_t)line_len;
  memcpy(run->last, digest, sizeof digest);
  return sync ? run_sync(run, error) : 0;
}

const struct store_api store_files = {
    .home = store_home,
    .list = store_list,
    .free_list = store_free_list,
    .create = run_create,
    .open = run_open,
    .opened = run_opened,
    .close = run_close,
    .tip = run_tip,
    .dir = run_dir,
    .reserve = run_reserve,
    .append = run_append,
    .sync = run_sync,
    .read = run_read,
    .free_lines = store_free_lines,
    .put = store_put,
    .get = store_get,
    .names = store_names,
    .made = store_made,
    .ends = store_ends,
    .remove = store_remove,
    .lock = store_lock_named,
    .unlock = store_unlock,
    .holder = store_holder_of,
    .state_put = store_state_put,
    .state_get = store_state_get,
};
