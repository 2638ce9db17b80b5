/* A new file that has no name until it is whole: killed at any moment before, it leaves nothing, and
   on a full disk its room is free again. Where a file system knows no O_TMPFILE (NFS, old overlays)
   it has a name of chance beside its place meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "files_internal.h"

static bool pick_name(struct files_fresh *fresh) {
  unsigned long long chance = 0;
  if (getrandom(&chance, sizeof chance, 0) != sizeof chance) return false;
  snprintf(fresh->name, sizeof fresh->name, ".opsrun-%016llx", chance);
  return true;
}

bool files_fresh_open(struct files_fresh *fresh, int parent) {
  *fresh = (struct files_fresh){.parent = parent, .fd = -1};
  /* It gets its name by way of /proc: without one there is none to get. */
  bool nameless = access("/proc/self/fd", X_OK) == 0;
  if (nameless) fresh->fd = openat(parent, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fresh->fd >= 0) return true;
  /* What open(2) gives where it is not known: by the file system, by the kernel, by both. */
  if (nameless && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) return false;
  if (!pick_name(fresh)) return false;
  fresh->fd = openat(parent, fresh->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fresh->fd < 0) fresh->name[0] = '\0';
  return fresh->fd >= 0;
}

/* What has no name gets `name`, which nothing has yet. */
static bool link_as(const struct files_fresh *fresh, const char *name) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fresh->fd);
  return linkat(AT_FDCWD, path, fresh->parent, name, AT_SYMLINK_FOLLOW) == 0;
}

bool files_fresh_name(struct files_fresh *fresh, const char *name, bool replace) {
  if (fresh->name[0] == '\0' && !replace) return link_as(fresh, name);
  if (fresh->name[0] == '\0') {
    if (!pick_name(fresh)) return false;
    if (!link_as(fresh, fresh->name)) {
      fresh->name[0] = '\0';
      return false;
    }
  }
  unsigned flags = replace ? 0 : RENAME_NOREPLACE;
  if (renameat2(fresh->parent, fresh->name, fresh->parent, name, flags) != 0) return false;
  fresh->name[0] = '\0';
  return true;
}

void files_fresh_close(struct files_fresh *fresh) {
  if (fresh->name[0] != '\0') unlinkat(fresh->parent, fresh->name, 0);
  if (fresh->fd >= 0) close(fresh->fd);
  *fresh = (struct files_fresh){.parent = -1, .fd = -1};
}
