/* Looks at a run that need not read all of its journal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_io.h"

enum { FIRST_LOOK = 16 << 10 };

/* Reads so many bytes at the offset; the caller frees. NULL and errno. */
static char *read_part(int fd, off_t offset, size_t len) {
  char *bytes = malloc(len + 1);
  size_t used = 0;
  while (bytes != NULL && used < len) {
    ssize_t got = pread(fd, bytes + used, len - used, offset + (off_t)used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      int number = got < 0 ? errno : EIO; /* shorter than it was: somebody cuts it */
      free(bytes);
      errno = number;
      return NULL;
    }
    used += (size_t)got;
  }
  if (bytes != NULL) bytes[len] = '\0';
  return bytes;
}

/* The line without its feed if it is one that the store wrote, "" if not, NULL without memory. */
static char *take_line(const char *at, const char *end) {
  const size_t len = (size_t)(end - at);
  return store_is_whole(at, len) ? strndup(at, len) : strdup("");
}

static char *first_line(int fd, size_t size) {
  char *line = NULL;
  for (size_t look = FIRST_LOOK; line == NULL; look *= 4) {
    size_t len = look < size ? look : size;
    char *bytes = read_part(fd, 0, len);
    if (bytes == NULL) return NULL;
    const char *feed = memchr(bytes, '\n', len);
    if (feed != NULL || len == size) line = take_line(bytes, feed != NULL ? feed : bytes);
    free(bytes);
    if (feed != NULL || len == size) break;
  }
  return line;
}

static char *last_line(int fd, size_t size) {
  char *line = NULL;
  for (size_t look = FIRST_LOOK; line == NULL; look *= 4) {
    size_t len = look < size ? look : size;
    char *bytes = read_part(fd, (off_t)(size - len), len);
    if (bytes == NULL) return NULL;
    bool whole = len > 0 && bytes[len - 1] == '\n';
    const char *feed = whole ? memrchr(bytes, '\n', len - 1) : NULL;
    bool found = feed != NULL || len == size || !whole;
    if (found && whole) line = take_line(feed != NULL ? feed + 1 : bytes, bytes + len - 1);
    else if (found) line = strdup("");
    free(bytes);
    if (found) break;
  }
  return line;
}

int store_ends(const char *id, char **first, char **last, struct store_error *error) {
  struct stat st = {0};
  *first = *last = NULL;
  struct store_run *run = store_files.open(id, STORE_READ, NULL, NULL, error);
  if (run == NULL) return -1;
  int fd = store_open_journal(run);
  int number = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
  if (number == 0 && ((*first = first_line(fd, (size_t)st.st_size)) == NULL ||
                      (*last = last_line(fd, (size_t)st.st_size)) == NULL))
    number = errno;
  if (fd >= 0) close(fd);
  store_files.close(run);
  if (number == 0) return 0;
  free(*first);
  free(*last);
  return store_fail_errno(error, number, "read the journal of run", id);
}
