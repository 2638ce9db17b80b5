/* Paths of the files client: how a directory below an allowed prefix is reached without following a
   link, and what is told of an entry. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files_internal.h"

/* Bytes of the longest allowed prefix that holds `path`; 0: none does. The root's is 1. */
static size_t longest_prefix(const struct files_request *request, const char *path) {
  size_t best = 0;
  for (size_t i = 0; i < request->allowed_count; i++) {
    const char *prefix = request->allowed[i];
    size_t len = strlen(prefix);
    while (len > 1 && prefix[len - 1] == '/') len--;
    if (len <= best || strncmp(path, prefix, len) != 0) continue;
    if (len == 1 || path[len] == '/' || path[len] == '\0') best = len;
  }
  return best;
}

/* The next directory on the way down, never through a link. Takes `fd` over. */
static int step_into(int fd, const char *name, bool make, const char *path, char *why) {
  const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int next = openat(fd, name, flags);
  if (next < 0 && errno == ENOENT && make && mkdirat(fd, name, 0755) == 0)
    next = openat(fd, name, flags);
  if (next < 0) {
    int error = errno;
    struct stat facts;
    bool link = fstatat(fd, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(facts.st_mode);
    if (link)
      snprintf(why, FILES_WHY_MAX, "'%s' on the way to it is a link, and it may lead elsewhere",
               name);
    else
      snprintf(why, FILES_WHY_MAX, "cannot open '%s' on the way to '%s': %s", name, path,
               strerror(error));
  }
  close(fd);
  return next;
}

int files_open_parent(const struct files_job *job, const char *path, bool make, char *base,
                      char *why) {
  char buffer[PATH_MAX];
  size_t len = strlen(path), prefix = longest_prefix(&job->request, path);
  const char *slash = strrchr(path, '/');
  if (prefix == 0 || slash == NULL || slash[1] == '\0' || len >= sizeof buffer ||
      strlen(slash + 1) > NAME_MAX) {
    snprintf(why, FILES_WHY_MAX, "%s", prefix == 0 ? "it is below nothing that may be changed"
                                                   : "it is no path of a file");
    return -1;
  }
  size_t parent = (size_t)(slash - path);
  snprintf(base, NAME_MAX + 1, "%s", slash + 1);
  size_t top = prefix < parent ? prefix : parent; /* what is opened as the author named it */
  if (prefix == 1) top = 0;
  memcpy(buffer, path, len + 1);
  buffer[top] = '\0';
  int fd = open(top == 0 ? "/" : buffer, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    snprintf(why, FILES_WHY_MAX, "cannot open '%s': %s", top == 0 ? "/" : buffer, strerror(errno));
    errno = 0; /* nothing below it is made for anyone, in a dry run neither */
    return -1;
  }
  buffer[parent] = '\0';
  size_t at = top;
  while (fd >= 0 && at < parent) {
    char *name = buffer + at + 1, *end = strchrnul(name, '/');
    at = (size_t)(end - buffer);
    *end = '\0';
    fd = step_into(fd, name, make, path, why);
  }
  return fd;
}

void files_id(const struct stat *facts, char id[FILES_ID_MAX]) {
  snprintf(id, FILES_ID_MAX, "%llx.%llx.%llx.%llx.%lx", (unsigned long long)facts->st_dev,
           (unsigned long long)facts->st_ino, (unsigned long long)facts->st_size,
           (unsigned long long)facts->st_mtim.tv_sec, (unsigned long)facts->st_mtim.tv_nsec);
}

const char *files_type(mode_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "directory";
  return S_ISLNK(mode) ? "link" : "other";
}

double files_mtime(const struct stat *facts) {
  return (double)facts->st_mtim.tv_sec + (double)facts->st_mtim.tv_nsec / 1e9;
}

void files_push_entry(struct answer *answer, const char *path, const struct stat *facts,
                      bool whole) {
  char id[FILES_ID_MAX];
  const char *slash = strrchr(path, '/');
  files_id(facts, id);
  answer_open(answer, '{');
  answer_field_text(answer, "path", path);
  answer_field_text(answer, "name", slash != NULL ? slash + 1 : path);
  answer_field_text(answer, "type", files_type(facts->st_mode));
  answer_field_integer(answer, "size", (int64_t)facts->st_size);
  answer_field_integer(answer, "disk", (int64_t)facts->st_blocks * 512);
  answer_field_number(answer, "mtime", files_mtime(facts));
  answer_field_text(answer, "id", id);
  if (whole) {
    answer_field_integer(answer, "mode", (int64_t)(facts->st_mode & 07777));
    answer_field_integer(answer, "uid", (int64_t)facts->st_uid);
    answer_field_integer(answer, "gid", (int64_t)facts->st_gid);
    answer_field_integer(answer, "links", (int64_t)facts->st_nlink);
  }
  answer_close(answer, '}');
}

void files_fail_errno(struct files_job *job, const char *verb, const char *path, int error) {
  const char *code = error == ENOENT    ? "missing"
                     : error == EACCES  ? "denied"
                     : error == EPERM   ? "denied"
                     : error == ENOTDIR ? "not a directory"
                     : error == EISDIR  ? "a directory"
                                        : "io";
  work_fail(&job->work, OP_FAILED, code, "cannot %s '%s': %s", verb, path, strerror(error));
}

int files_open_regular(struct files_job *job, const char *verb, const char *path,
                       struct stat *facts) {
  /* Not blocking: a FIFO of that name would keep the thread for ever. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) {
    files_fail_errno(job, verb, path, errno);
    return -1;
  }
  if (fstat(fd, facts) == 0 && S_ISREG(facts->st_mode)) return fd;
  if (S_ISDIR(facts->st_mode)) files_fail_errno(job, verb, path, EISDIR);
  else
    work_fail(&job->work, OP_FAILED, "no file", "cannot %s '%s': it is no regular file", verb,
              path);
  close(fd);
  return -1;
}
