/* One run's folder: journal, blobs, artifacts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_io.h"

enum { JOURNAL_CAP = 1 << 30, RESERVE_STEP = 64 << 10 };

struct store_run {
  char id[STORE_ID_MAX + 1];
  char *dir_path;
  char *journal_path;
  int dir;
  int journal; /* -1 while open for reading only, and after it broke */
  int lock;
  uint64_t count;
  char last[65];
  off_t size;
  off_t reserved;
  struct store_error broken; /* the first failure; code is empty while there was none */
};

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void run_close(struct store_run *run) {
  if (run == NULL) return;
  /* Room that was reserved and not used goes back. */
  if (run->journal >= 0 && run->reserved > run->size) (void)!ftruncate(run->journal, run->size);
  close_fd(&run->journal);
  close_fd(&run->lock);
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

/* In the shared home the group writes too, whatever the umask says. */
static int make_dir(int at, const char *name) {
  if (mkdirat(at, name, 0700) != 0) return -1;
  return store_file_mode() != 0600 ? fchmodat(at, name, 02770, 0) : 0;
}

/* Both the folder's entry and the journal's are on disk before anything is written. */
static int make_folder(struct store_run *run, int runs, struct store_error *error) {
  bool shared = store_file_mode() != 0600;
  if (make_dir(runs, run->id) != 0) return store_fail_errno(error, errno, "make", run->dir_path);
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
  if (store_calls.fsync(run->dir) != 0 || store_calls.fsync(runs) != 0)
    return store_fail_errno(error, errno, "sync", run->dir_path);
  return 0;
}

static struct store_run *run_create(const char *id, struct store_error *error) {
  struct store_run *run = make_run(id, error);
  if (run == NULL) return NULL;
  int runs = store_open_home("runs", true, error);
  int code = runs < 0 ? -1 : make_folder(run, runs, error);
  if (runs >= 0) close(runs);
  if (code == 0) return run;
  run_close(run);
  return NULL;
}

static int run_read(const struct store_run *run, struct store_lines *lines,
                    struct store_error *error) {
  char *bytes = NULL;
  size_t len = 0;
  memset(lines, 0, sizeof *lines);
  int fd = openat(run->dir, "journal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return store_fail_errno(error, errno, "open", run->journal_path);
  int number = store_read_all(fd, JOURNAL_CAP, &bytes, &len);
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
    close(runs);
  }
  if (code == 0) return run;
  run_close(run);
  return NULL;
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

static int run_reserve(struct store_run *run, size_t bytes, struct store_error *error) {
  if (usable(run, error) != 0) return -1;
  if (bytes > STORE_LINE_MAX) bytes = STORE_LINE_MAX;
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
  if (store_calls.fdatasync(run->journal) == 0) return 0;
  store_fail_errno(error, errno, "sync", run->journal_path);
  return break_run(run, error);
}

static int run_append(struct store_run *run, const char *object, size_t len, bool sync,
                      struct store_error *error) {
  if (usable(run, error) != 0) return -1;
  char *line, digest[65];
  size_t line_len;
  if (len > STORE_LINE_MAX ||
      store_compose(run->count + 1, run->last, object, len, &line, &line_len, digest) != 0)
    return store_fail(error, "io", "a record for '%s' is no JSON object of one line and 64 MiB",
                      run->journal_path);
  int number = store_write_all(run->journal, line, line_len);
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

static int open_folder(const struct store_run *run, const char *folder, bool make) {
  int fd = openat(run->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0 || errno != ENOENT || !make) return fd;
  if (make_dir(run->dir, folder) != 0 && errno != EEXIST) return -1;
  if (store_calls.fsync(run->dir) != 0) return -1;
  return openat(run->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int run_put(struct store_run *run, const char *folder, const char *name, const char *bytes,
                   size_t len, char **path, struct store_error *error) {
  if (!store_is_name(name, STORE_NAME_MAX))
    return store_fail(error, "name", "'%s' is no file name", name);
  int dir = open_folder(run, folder, true);
  int number = dir < 0 ? errno : store_write_whole(dir, name, bytes, len);
  if (dir >= 0) close(dir);
  if (number == 0 && asprintf(path, "%s/%s/%s", run->dir_path, folder, name) < 0) number = ENOMEM;
  if (number == 0) return 0;
  char shown[512];
  snprintf(shown, sizeof shown, "%s/%s/%s", run->dir_path, folder, name);
  return store_fail_errno(error, number, "write", shown);
}

static int run_get(const struct store_run *run, const char *folder, const char *name, char **bytes,
                   size_t *len, struct store_error *error) {
  if (!store_is_name(name, STORE_NAME_MAX))
    return store_fail(error, "name", "'%s' is no file name", name);
  int dir = open_folder(run, folder, false);
  int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int number = fd < 0 ? errno : store_read_all(fd, JOURNAL_CAP, bytes, len);
  if (fd >= 0) close(fd);
  if (dir >= 0) close(dir);
  return number == 0 ? 0 : store_fail_errno(error, number, "read", name);
}

const struct store_api store_files = {
    .home = store_home,
    .list = store_list,
    .free_list = store_free_list,
    .create = run_create,
    .open = run_open,
    .close = run_close,
    .dir = run_dir,
    .reserve = run_reserve,
    .append = run_append,
    .sync = run_sync,
    .read = run_read,
    .free_lines = store_free_lines,
    .put = run_put,
    .get = run_get,
    .lock = store_lock_named,
    .unlock = store_unlock,
    .holder = store_holder_of,
    .state_put = store_state_put,
    .state_get = store_state_get,
};
