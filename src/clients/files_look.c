/* Looks at one file: its facts, its text, its last lines, its checksum; and the file systems. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files_internal.h"

enum { CHUNK = 256 * 1024 };

void files_run_stat(struct files_job *job) {
  const char *path = job->request.path;
  struct answer *answer = &job->work.answer;
  struct stat facts;
  if (lstat(path, &facts) == 0) {
    files_push_entry(answer, path, &facts, true);
  } else if (errno == ENOENT || errno == ENOTDIR) {
    answer_open(answer, '{');
    answer_close(answer, '}');
  } else {
    files_fail_errno(job, "look at", path, errno);
  }
}

/* Reads at `offset` until `len` bytes or the end. Returns how many, or -1. */
static ssize_t read_at(int fd, char *buffer, size_t len, off_t offset) {
  size_t total = 0;
  while (total < len) {
    ssize_t got = pread(fd, buffer + total, len - total, offset + (off_t)total);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    total += (size_t)got;
  }
  return (ssize_t)total;
}

void files_run_read(struct files_job *job) {
  const char *path = job->request.path;
  struct stat facts;
  int fd = files_open_regular(job, "read", path, &facts);
  if (fd < 0) return;
  job->work.raw = true;
  int64_t total = 0;
  char *buffer = malloc(CHUNK);
  if (buffer == NULL) work_fail(&job->work, OP_FAILED, "memory", "out of memory");
  while (buffer != NULL && !job->work.failed) { /* /proc tells no size: read to the end */
    if (work_stopped(&job->work)) {
      work_fail_stopped(&job->work, OP_FAILED);
      break;
    }
    ssize_t got = read_at(fd, buffer, CHUNK, (off_t)total);
    if (got < 0) files_fail_errno(job, "read", path, errno);
    if (got <= 0) break;
    total += got;
    if (total > job->request.cap)
      work_fail(&job->work, OP_FAILED, "too large", "'%s' is larger than %lld bytes", path,
                (long long)job->request.cap);
    else
      answer_bytes(&job->work.answer, buffer, (size_t)got);
  }
  free(buffer);
  close(fd);
}

static void push_lines(struct answer *answer, const char *text, size_t len) {
  answer_open(answer, '[');
  while (len > 0) {
    const char *end = memchr(text, '\n', len);
    size_t line = end != NULL ? (size_t)(end - text) : len;
    answer_string(answer, text, line > 0 && text[line - 1] == '\r' ? line - 1 : line);
    line += end != NULL;
    text += line;
    len -= line;
  }
  answer_close(answer, ']');
}

/* From the end backwards, in a buffer that doubles until it holds enough line ends or the cap. */
void files_run_tail(struct files_job *job) {
  const char *path = job->request.path;
  struct stat facts;
  int fd = files_open_regular(job, "read", path, &facts);
  if (fd < 0) return;
  size_t want = 16 * 1024, cap = (size_t)job->request.cap;
  for (;;) {
    if (want > cap) want = cap;
    size_t len = facts.st_size < (off_t)want ? (size_t)facts.st_size : want;
    char *buffer = malloc(len + 1);
    ssize_t got = buffer != NULL ? read_at(fd, buffer, len, facts.st_size - (off_t)len) : -1;
    if (got < 0) {
      files_fail_errno(job, "read", path, buffer != NULL ? errno : ENOMEM);
      free(buffer);
      break;
    }
    size_t start = (size_t)got;
    int64_t lines = 0;
    while (start > 0) {
      if (buffer[start - 1] == '\n' && start < (size_t)got && ++lines == job->request.limit) break;
      start--;
    }
    bool whole = lines == job->request.limit || (off_t)len == facts.st_size;
    if (whole) push_lines(&job->work.answer, buffer + start, (size_t)got - start);
    else if (want == cap)
      work_fail(&job->work, OP_FAILED, "too large",
                "the last %lld lines of '%s' are more than %lld bytes",
                (long long)job->request.limit, path, (long long)job->request.cap);
    free(buffer);
    if (whole || job->work.failed) break;
    want *= 4;
  }
  close(fd);
}

void files_run_checksum(struct files_job *job) {
  const char *path = job->request.path;
  struct stat facts;
  int fd = files_open_regular(job, "read", path, &facts);
  if (fd < 0) return;
  char *buffer = malloc(CHUNK);
  struct sha256_ctx sha;
  sha256_init(&sha);
  const struct files_request *request = &job->request;
  int64_t total = 0;
  ssize_t got = buffer != NULL ? 0 : -1;
  errno = ENOMEM;
  while (buffer != NULL && !work_stopped(&job->work)) {
    int64_t want = request->length < 0 ? CHUNK : request->length - total;
    if (want > CHUNK) want = CHUNK;
    if (want == 0) break;
    got = read_at(fd, buffer, (size_t)want, (off_t)(request->offset + total));
    if (got <= 0) break;
    sha256_update(&sha, (size_t)got, (const uint8_t *)buffer);
    total += got;
  }
  int error = errno;
  free(buffer);
  close(fd);
  if (work_stopped(&job->work)) {
    work_fail_stopped(&job->work, OP_FAILED);
    return;
  } else if (got < 0) {
    files_fail_errno(job, "read", path, error);
    return;
  }
  uint8_t digest[SHA256_DIGEST_SIZE];
  char hex[2 * SHA256_DIGEST_SIZE + 1];
  sha256_digest(&sha, sizeof digest, digest);
  for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  answer_open(&job->work.answer, '{');
  answer_field_text(&job->work.answer, "sha256", hex);
  answer_field_integer(&job->work.answer, "size", total);
  answer_close(&job->work.answer, '}');
}

/* -- file systems ------------------------------------------------------------------------------ */

/* "\040" back to a space, in place. */
static void unescape(char *text) {
  char *out = text;
  for (const char *in = text; *in != '\0';) {
    if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
        in[3] >= '0' && in[3] <= '7') {
      *out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
      in += 4;
    } else {
      *out++ = *in++;
    }
  }
  *out = '\0';
}

static double percent_of(double used, double of) {
  return of > 0 ? round(1000 * used / of) / 10 : 0;
}

static void push_system(struct answer *answer, const char *mount, const char *device,
                        const char *type, const struct statvfs *facts) {
  int64_t block = (int64_t)facts->f_frsize;
  int64_t used = (int64_t)(facts->f_blocks - facts->f_bfree) * block;
  int64_t free_bytes = (int64_t)facts->f_bavail * block;
  int64_t inodes_used = (int64_t)(facts->f_files - facts->f_ffree);
  answer_open(answer, '{');
  answer_field_text(answer, "mount", mount);
  answer_field_text(answer, "device", device);
  answer_field_text(answer, "type", type);
  answer_field_integer(answer, "size", (int64_t)facts->f_blocks * block);
  answer_field_integer(answer, "used", used);
  answer_field_integer(answer, "free", free_bytes);
  answer_field_number(answer, "percent", percent_of((double)used, (double)(used + free_bytes)));
  answer_field_integer(answer, "inodes", (int64_t)facts->f_files);
  answer_field_integer(answer, "inodes_used", inodes_used);
  answer_field_number(answer, "inodes_percent",
                      percent_of((double)inodes_used, (double)facts->f_files));
  answer_field_boolean(answer, "read_only", (facts->f_flag & ST_RDONLY) != 0);
  answer_close(answer, '}');
}

enum { SYSTEMS_MOST = 1024 };

/* "8:1" as mountinfo writes a device. */
static bool read_device(const char *text, uint64_t *id) {
  char *end;
  errno = 0;
  unsigned long major_number = strtoul(text, &end, 10);
  if (end == text || *end != ':') return false;
  const char *rest = end + 1;
  unsigned long minor_number = strtoul(rest, &end, 10);
  if (end == rest || *end != '\0' || errno != 0) return false;
  if (major_number > UINT_MAX || minor_number > UINT_MAX) return false;
  *id = (uint64_t)makedev((unsigned)major_number, (unsigned)minor_number);
  return true;
}

/* One line of mountinfo. The first mount of a device counts; the others show the same numbers. */
static void read_mount(struct files_job *job, char *line, uint64_t *seen, size_t *seen_count) {
  uint64_t id;
  char numbers[32], mount[4096], type[64], device[1024];
  char *rest = strstr(line, " - ");
  if (rest == NULL || *seen_count == SYSTEMS_MOST ||
      sscanf(line, "%*s %*s %31s %*s %4095s", numbers, mount) != 2 ||
      !read_device(numbers, &id) || sscanf(rest + 3, "%63s %1023s", type, device) != 2)
    return;
  for (size_t i = 0; i < *seen_count; i++)
    if (seen[i] == id) return;
  unescape(mount);
  unescape(device);
  struct statvfs facts;
  struct stat place;
  if (statvfs(mount, &facts) != 0 || facts.f_blocks == 0) return;
  if (stat(mount, &place) != 0 || !S_ISDIR(place.st_mode)) return; /* one file bound over another */
  /* Another file system may be mounted over it. btrfs gives its subvolumes numbers of their own. */
  if (place.st_dev != (dev_t)id && strcmp(type, "btrfs") != 0) return;
  seen[(*seen_count)++] = id;
  push_system(&job->work.answer, mount, device, type, &facts);
}

void files_run_systems(struct files_job *job) {
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) {
    files_fail_errno(job, "read", "/proc/self/mountinfo", errno);
    return;
  }
  uint64_t *seen = calloc(SYSTEMS_MOST, sizeof *seen);
  char *line = NULL;
  size_t capacity = 0, seen_count = 0;
  answer_open(&job->work.answer, '[');
  while (seen != NULL && !work_stopped(&job->work) && getline(&line, &capacity, mounts) > 0)
    read_mount(job, line, seen, &seen_count);
  answer_close(&job->work.answer, ']');
  if (seen == NULL) work_fail(&job->work, OP_FAILED, "memory", "out of memory");
  if (work_stopped(&job->work)) work_fail_stopped(&job->work, OP_FAILED);
  free(line);
  free(seen);
  fclose(mounts);
}
