/* The ballast: a file in the home that only takes room, so that a run can be opened on a full disk,
 * the very run that is to make space. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store_io.h"

static const char ballast_name[] = "ballast";

/* It is no help to fill the disk ourselves: so many times its size must be free to make it. */
enum { ROOM_TIMES = 4 };

bool store_release_ballast(void) {
  struct store_error ignored;
  struct stat st;
  int home = store_open_home(NULL, false, &ignored);
  if (home < 0) return false;
  bool released = fstatat(home, ballast_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                  S_ISREG(st.st_mode) && st.st_blocks > 0 && unlinkat(home, ballast_name, 0) == 0;
  close(home);
  return released;
}

static bool has_space(int home) {
  struct statvfs disk;
  return fstatvfs(home, &disk) == 0 &&
         disk.f_bavail >= (fsblkcnt_t)ROOM_TIMES * STORE_BALLAST / disk.f_frsize;
}

static bool is_there(int home) {
  struct stat st;
  return fstatat(home, ballast_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISREG(st.st_mode) || (int64_t)st.st_blocks * 512 >= STORE_BALLAST);
}

/* What is there smaller, because its maker was killed, is filled up. Two makers at once do no harm.
   It is not synced: after a power cut that takes it away the next run makes it. */
void store_make_ballast(void) {
  struct store_error ignored;
  int home = store_open_home(NULL, false, &ignored);
  if (home < 0) return;
  if (!is_there(home) && has_space(home)) {
    int fd = openat(home, ballast_name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                    store_file_mode());
    bool made = fd >= 0 && store_calls.fallocate(fd, 0, 0, STORE_BALLAST) == 0;
    if (fd >= 0 && !made) unlinkat(home, ballast_name, 0);
    if (made && store_file_mode() != 0600) (void)fchmod(fd, store_file_mode());
    if (fd >= 0) close(fd);
  }
  close(home);
}
