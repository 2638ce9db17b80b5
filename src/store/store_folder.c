/* What a run's folder holds beside the journal: blobs and artifacts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_run.h"

int store_make_dir(int at, const char *name) {
  if (mkdirat(at, name, 0700) != 0) return -1;
  return store_file_mode() != 0600 ? fchmodat(at, name, 02770, 0) : 0;
}

static int open_folder(const struct store_run *run, const char *folder, bool make) {
  int fd = openat(run->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0 || errno != ENOENT || !make) return fd;
  if (store_make_dir(run->dir, folder) != 0 && errno != EEXIST) return -1;
  if (!run->fresh && store_calls.fsync(run->dir) != 0) return -1;
  return openat(run->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Returns 0 or an errno value. */
static int put_once(struct store_run *run, const char *folder, const char *name, const char *bytes,
                    size_t len) {
  bool later = run->fresh && run->unsynced_count + 2 <= STORE_UNSYNCED;
  int fd = -1, dir = open_folder(run, folder, true);
  int number = dir < 0 ? errno : store_write_whole(dir, name, bytes, len, later ? &fd : NULL);
  if (number == 0 && later) { /* the file before the folder that names it */
    run->unsynced[run->unsynced_count++] = fd;
    run->unsynced[run->unsynced_count++] = dir;
  } else if (dir >= 0) {
    close(dir);
  }
  return number;
}

int store_settle(struct store_run *run) {
  if (!run->fresh) return 0;
  int number = 0;
  for (size_t i = 0; i < run->unsynced_count; i++) {
    if (number == 0 && store_calls.fsync(run->unsynced[i]) != 0) number = errno;
    close(run->unsynced[i]);
  }
  run->unsynced_count = 0;
  if (number == 0 && store_calls.fsync(run->dir) != 0) number = errno;
  struct store_error error;
  int runs = number == 0 ? store_open_home("runs", false, &error) : -1;
  if (number == 0 && (runs < 0 || store_calls.fsync(runs) != 0)) number = errno;
  if (runs >= 0) close(runs);
  run->fresh = number != 0;
  return number;
}

int store_put(struct store_run *run, const char *folder, const char *name, const char *bytes,
              size_t len, char **path, struct store_error *error) {
  if (!store_is_name(name, STORE_NAME_MAX))
    return store_fail(error, "name", "'%s' is no file name", name);
  int number = put_once(run, folder, name, bytes, len);
  if (number != 0 && store_make_way(run, number)) number = put_once(run, folder, name, bytes, len);
  if (number == 0 && asprintf(path, "%s/%s/%s", run->dir_path, folder, name) < 0) number = ENOMEM;
  if (number == 0) return 0;
  char shown[512];
  snprintf(shown, sizeof shown, "%s/%s/%s", run->dir_path, folder, name);
  return store_fail_errno(error, number, "write", shown);
}

int store_get(const struct store_run *run, const char *folder, const char *name, char **bytes,
              size_t *len, struct store_error *error) {
  if (!store_is_name(name, STORE_NAME_MAX))
    return store_fail(error, "name", "'%s' is no file name", name);
  int dir = open_folder(run, folder, false);
  int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int number = fd < 0 ? errno : store_read_all(fd, STORE_FILE_CAP, bytes, len);
  if (fd >= 0) close(fd);
  if (dir >= 0) close(dir);
  return number == 0 ? 0 : store_fail_errno(error, number, "read", name);
}

int store_names(const struct store_run *run, const char *folder, char ***names, size_t *count,
                struct store_error *error) {
  int dir = open_folder(run, folder, false);
  int number = dir < 0 ? errno : 0;
  *names = NULL;
  *count = 0;
  if (number == ENOENT) return 0;
  if (number == 0) number = store_list_at(dir, names, count); /* closes it */
  return number == 0 ? 0 : store_fail_errno(error, number, "list", run->dir_path);
}
