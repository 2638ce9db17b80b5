/* Taking a run away. Its folder first gets a name that no run has, and only when that is on disk is
 * anything in it deleted: a run is there whole or not at all, whenever the power goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store_io.h"

/* store_is_name refuses a name with a dot in front: no list shows it, no run can be called so. */
static const char gone_prefix[] = ".removed-";

/* Deeper than we make folders; commands may have made some in the run's own. */
enum { DEPTH_MAX = 64 };

static int remove_tree(int at, const char *name, int depth);

static int remove_entries(DIR *listing, int depth) {
  int number = 0;
  const struct dirent *found;
  while (number == 0 && (found = readdir(listing)) != NULL) {
    const char *name = found->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (unlinkat(dirfd(listing), name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) number = errno;
    else number = depth < DEPTH_MAX ? remove_tree(dirfd(listing), name, depth + 1) : ELOOP;
  }
  return number;
}

/* Returns 0 or an errno value. Follows no link. Somebody else may remove the same. */
static int remove_tree(int at, const char *name, int depth) {
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return errno == ENOENT ? 0 : errno;
  (void)fchmod(fd, 0700); /* one that may not be written keeps what is in it */
  DIR *listing = fdopendir(fd);
  if (listing == NULL) {
    int number = errno;
    close(fd);
    return number;
  }
  int number = remove_entries(listing, depth);
  closedir(listing);
  if (number == 0 && unlinkat(at, name, AT_REMOVEDIR) != 0 && errno != ENOENT) number = errno;
  return number;
}

/* What earlier removals that were killed have left. Whatever of it resists, resists again. */
static void sweep(int runs) {
  int fd = openat(runs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = fd < 0 ? NULL : fdopendir(fd);
  if (listing == NULL) {
    if (fd >= 0) close(fd);
    return;
  }
  const struct dirent *found;
  while ((found = readdir(listing)) != NULL)
    if (strncmp(found->d_name, gone_prefix, sizeof gone_prefix - 1) == 0)
      (void)remove_tree(runs, found->d_name, 0);
  closedir(listing);
}

/* An id may be given again: what a killed removal left under this name goes first. */
static int remove_entry(int runs, const char *id) {
  char gone[sizeof gone_prefix + STORE_ID_MAX];
  snprintf(gone, sizeof gone, "%s%s", gone_prefix, id);
  int number = remove_tree(runs, gone, 0);
  if (number == 0 && renameat(runs, id, runs, gone) != 0) number = errno;
  if (number == 0 && store_calls.fsync(runs) != 0) number = errno;
  return number == 0 ? remove_tree(runs, gone, 0) : number;
}

int store_remove(const char *id, struct store_holder *holder, struct store_error *error) {
  if (!store_is_name(id, STORE_ID_MAX)) return store_fail(error, "name", "'%s' is no run id", id);
  int runs = store_open_home("runs", false, error);
  if (runs < 0) return -1;
  int code = -1, lock = -1;
  int dir = openat(runs, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (dir < 0) store_fail_errno(error, errno, "open run", id);
  else lock = store_lock_at(dir, "lock", id, "being removed", holder, error);
  if (lock >= 0) {
    int number = remove_entry(runs, id);
    if (number == 0) sweep(runs);
    code = number == 0 ? 0 : store_fail_errno(error, number, "remove run", id);
    store_unlock_at(lock);
  }
  if (dir >= 0) close(dir);
  close(runs);
  return code;
}
