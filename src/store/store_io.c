/* Errors and whole reads and writes of the file store. */
#include "store_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../term/errtext.h"

struct store_calls store_calls = {write, fdatasync, fsync, fallocate};

int store_fail(struct store_error *error, const char *code, const char *fmt, ...) {
  snprintf(error->code, sizeof error->code, "%s", code);
  error->line = error->offset = 0;
  va_list args;
  va_start(args, fmt);
  vsnprintf(error->message, sizeof error->message, fmt, args);
  va_end(args);
  return -1;
}

static const char *code_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return "missing";
    case EEXIST: return "exists";
    case EACCES:
    case EPERM:
    case EROFS: return "denied";
    case ENOSPC:
    case EDQUOT: return "space";
    case ENOMEM: return "memory";
    default: return "io";
  }
}

int store_fail_errno(struct store_error *error, int number, const char *what, const char *path) {
  return store_fail(error, code_of(number), "cannot %s '%s': %s", what, path, error_text(number));
}

int store_write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t wrote = store_calls.write(fd, bytes, len);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    if (wrote == 0) return EIO;
    bytes += wrote;
    len -= (size_t)wrote;
  }
  return 0;
}

int store_read_all(int fd, size_t cap, char **bytes, size_t *len) {
  struct stat st;
  if (fstat(fd, &st) != 0) return errno;
  if (st.st_size < 0 || (uint64_t)st.st_size > cap) return EFBIG;
  size_t room = (size_t)st.st_size + 1, used = 0;
  char *data = malloc(room);
  if (data == NULL) return ENOMEM;
  while (used < room) { /* what was appended since fstat is left for the next look */
    ssize_t got = pread(fd, data + used, room - 1 - used, (off_t)used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int number = errno;
      free(data);
      return number;
    }
    if (got == 0) break;
    used += (size_t)got;
  }
  data[used] = '\0';
  *bytes = data;
  *len = used;
  return 0;
}
