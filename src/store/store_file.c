/* Files that are there whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_io.h"

int store_write_whole(int dir, const char *name, const char *bytes, size_t len, int *later) {
  char temporary[64];
  static unsigned serial;
  snprintf(temporary, sizeof temporary, ".new.%ld.%u", (long)getpid(), serial++);
  int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  int number = store_write_all(fd, bytes, len);
  if (number == 0 && store_file_mode() != 0600 && fchmod(fd, store_file_mode()) != 0)
    number = errno;
  if (number == 0 && later == NULL && store_calls.fsync(fd) != 0) number = errno;
  if (number == 0 && renameat(dir, temporary, dir, name) != 0) number = errno;
  if (number != 0) unlinkat(dir, temporary, 0);
  else if (later == NULL && store_calls.fsync(dir) != 0) number = errno;
  if (number == 0 && later != NULL) *later = fd;
  else if (close(fd) != 0 && number == 0) number = errno;
  return number;
}
