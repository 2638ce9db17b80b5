/* What playbooks keep between runs: one small file a name in HOME/state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_io.h"

/* More would be a database's work. */
#define STATE_CAP ((size_t)16 << 20)

static int open_state(const char *name, bool make, struct store_error *error) {
  if (!store_is_name(name, STORE_NAME_MAX)) {
    store_fail(error, "name", "'%s' is no name of a state", name);
    return -1;
  }
  return store_open_home("state", make, error);
}

static int fail_path(struct store_error *error, int number, const char *what, const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/state/%s", store_home(), name);
  return store_fail_errno(error, number, what, path);
}

int store_state_put(const char *name, const char *bytes, size_t len, struct store_error *error) {
  if (len > STATE_CAP) return store_fail(error, "space", "state '%s' is larger than 16 MiB", name);
  int dir = open_state(name, true, error);
  if (dir < 0) return -1;
  int number = store_write_whole(dir, name, bytes, len, NULL);
  close(dir);
  return number == 0 ? 0 : fail_path(error, number, "write", name);
}

int store_state_get(const char *name, char **bytes, size_t *len, struct store_error *error) {
  int dir = open_state(name, true, error);
  if (dir < 0) return -1;
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int number = fd < 0 ? errno : store_read_all(fd, STATE_CAP, bytes, len);
  if (fd >= 0) close(fd);
  close(dir);
  return number == 0 ? 0 : fail_path(error, number, "read", name);
}
