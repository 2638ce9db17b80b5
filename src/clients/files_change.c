/* Changes of files, item after item. Each is looked at right before, by its own descriptor or below
   its directory's: what is not what was listed, or is reached through a link, is left and named. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files_internal.h"

enum { DEEPEST = 64 };

bool files_leave(struct files_change *change, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(change->why, sizeof change->why, fmt, args);
  va_end(args);
  return false;
}

bool files_leave_errno(struct files_change *change, const char *verb) {
  return files_leave(change, "cannot %s it: %s", verb, strerror(errno));
}

static bool sync_directory(struct files_change *change) {
  int fd = openat(change->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool good = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return good;
}

/* All of `text`, or false and errno. *written tells how far it got. */
static bool write_all(int fd, const char *text, size_t len, size_t *written) {
  *written = 0;
  while (*written < len) {
    ssize_t put = write(fd, text + *written, len - *written);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    *written += (size_t)put;
  }
  return true;
}

/* -- write: a new file takes the name when it is whole and on disk ----------------------------- */

static bool finish_write(struct files_change *change, struct files_fresh *fresh) {
  const struct files_request *request = &change->job->request;
  bool there = change->facts.st_ino != 0;
  mode_t mode = request->mode >= 0 ? (mode_t)request->mode
                : there            ? change->facts.st_mode & 07777
                                   : 0644;
  size_t written;
  if (!write_all(fresh->fd, request->text, request->text_len, &written))
    return files_leave_errno(change, "write");
  if (there && fchown(fresh->fd, change->facts.st_uid, change->facts.st_gid) != 0)
    return files_leave_errno(change, "keep the owner of");
  if (fchmod(fresh->fd, mode) != 0 || fsync(fresh->fd) != 0)
    return files_leave_errno(change, "write");
  return files_fresh_name(fresh, change->base, !request->create) ||
         files_leave_errno(change, "put the new text in place of");
}

static bool write_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  bool there = change->facts.st_ino != 0;
  if (there && !S_ISREG(change->facts.st_mode))
    return files_leave(change, "it is a %s, no regular file", files_type(change->facts.st_mode));
  if (there && request->create) return files_leave(change, "it is there already");
  change->after = (int64_t)request->text_len;
  change->created = !there;
  if (request->dry) return true;
  struct files_fresh fresh;
  bool good = files_fresh_open(&fresh, change->parent)
                  ? finish_write(change, &fresh)
                  : files_leave_errno(change, "write a new file beside");
  files_fresh_close(&fresh);
  return good && (sync_directory(change) || files_leave_errno(change, "sync the directory of"));
}

/* -- append, truncate, touch ------------------------------------------------------------------- */

/* Opens the item for writing where it is; it must still be what was looked at. */
static int open_in_place(struct files_change *change, int flags) {
  int fd = openat(change->parent, change->base,
                  O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0644);
  struct stat facts;
  if (fd < 0 || fstat(fd, &facts) != 0) {
    files_leave_errno(change, "open");
  } else if (!S_ISREG(facts.st_mode)) {
    files_leave(change, "it is no regular file");
  } else if (facts.st_nlink > 1) {
    files_leave(change, "it has %lu names (hard links), some of which may lie elsewhere",
                (unsigned long)facts.st_nlink);
  } else if (change->facts.st_ino != 0 &&
             (facts.st_ino != change->facts.st_ino || facts.st_dev != change->facts.st_dev)) {
    files_leave(change, "it was replaced meanwhile");
  } else {
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
}

static bool check_in_place(struct files_change *change) {
  if (change->facts.st_ino != 0 && !S_ISREG(change->facts.st_mode))
    return files_leave(change, "it is a %s, no regular file", files_type(change->facts.st_mode));
  if (change->facts.st_nlink > 1)
    return files_leave(change, "it has %lu names (hard links), some of which may lie elsewhere",
                       (unsigned long)change->facts.st_nlink);
  return true;
}

static bool append_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  if (!check_in_place(change)) return false;
  change->created = change->facts.st_ino == 0;
  change->after = (int64_t)change->facts.st_size + (int64_t)request->text_len;
  if (request->dry) return true;
  int fd = open_in_place(change, O_APPEND | (change->created ? O_CREAT : 0));
  if (fd < 0) return false;
  size_t written;
  bool good = write_all(fd, request->text, request->text_len, &written) && fdatasync(fd) == 0;
  if (!good) {
    const char *cause = strerror(errno);
    files_leave(change, "cannot append to it: %s (%zu of %zu bytes were written)", cause, written,
                request->text_len);
    if (written > 0) /* part of it is there: this did happen */
      work_fail(&change->job->work, OP_DONE, "io", "'%s': %s", change->item->path, change->why);
  }
  close(fd);
  return good;
}

static bool truncate_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  if (change->facts.st_ino == 0) return files_leave(change, "it is not there");
  if (!check_in_place(change)) return false;
  if ((int64_t)change->facts.st_size < request->size)
    return files_leave(change, "it is shorter than %lld bytes", (long long)request->size);
  change->after = request->size;
  change->freed = (int64_t)change->facts.st_size - request->size;
  if (request->dry) return true;
  int fd = open_in_place(change, 0);
  if (fd < 0) return false;
  bool good = ftruncate(fd, (off_t)request->size) == 0 && fsync(fd) == 0;
  if (!good) files_leave_errno(change, "truncate");
  close(fd);
  return good;
}

static bool touch_item(struct files_change *change) {
  if (change->facts.st_ino != 0 && !S_ISREG(change->facts.st_mode))
    return files_leave(change, "it is a %s, no regular file", files_type(change->facts.st_mode));
  change->created = change->facts.st_ino == 0;
  change->after = (int64_t)change->facts.st_size;
  if (change->job->request.dry) return true;
  int fd = openat(change->parent, change->base,
                  O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
                      (change->created ? O_CREAT : 0),
                  0644);
  bool good = fd >= 0 && futimens(fd, NULL) == 0;
  if (!good) files_leave_errno(change, "touch");
  if (fd >= 0) close(fd);
  return good;
}

static bool mkdir_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  if (change->facts.st_ino != 0)
    return S_ISDIR(change->facts.st_mode) ||
           files_leave(change, "it is there and no directory");
  change->created = true;
  if (request->dry) return true;
  mode_t mode = request->mode >= 0 ? (mode_t)request->mode : 0755;
  if (mkdirat(change->parent, change->base, 0700) != 0) return files_leave_errno(change, "make");
  if (fchmodat(change->parent, change->base, mode, 0) != 0)
    return files_leave_errno(change, "set the mode of");
  return sync_directory(change) || files_leave_errno(change, "sync the directory of");
}

/* -- remove ------------------------------------------------------------------------------------ */

static bool remove_tree(struct files_change *change, int parent, const char *name, dev_t dev,
                        int depth);

/* Takes `fd` over. */
static bool remove_content(struct files_change *change, int fd, dev_t dev, int depth) {
  DIR *directory = fdopendir(fd);
  if (directory == NULL) {
    close(fd);
    return files_leave(change, "out of memory");
  }
  bool good = true;
  struct dirent *entry;
  while (good && (errno = 0, entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    good = remove_tree(change, dirfd(directory), entry->d_name, dev, depth + 1);
  }
  if (good && errno != 0) good = files_leave_errno(change, "list");
  closedir(directory);
  return good;
}

static bool remove_tree(struct files_change *change, int parent, const char *name, dev_t dev,
                        int depth) {
  struct stat facts;
  bool dry = change->job->request.dry;
  if (depth > DEEPEST) return files_leave(change, "it is more than %d directories deep", DEEPEST);
  if (work_stopped(&change->job->work)) return files_leave(change, "stopped");
  if (fstatat(parent, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || files_leave_errno(change, "look at what is below");
  if (!S_ISDIR(facts.st_mode)) {
    if (!dry && unlinkat(parent, name, 0) != 0 && errno != ENOENT)
      return files_leave(change, "cannot remove '%s' in it: %s", name, strerror(errno));
    if (facts.st_nlink == 1) change->freed += (int64_t)facts.st_size;
    return true;
  }
  if (facts.st_dev != dev) return files_leave(change, "'%s' in it is a mount", name);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return files_leave(change, "cannot open '%s' in it: %s", name, strerror(errno));
  if (!remove_content(change, fd, dev, depth)) return false;
  if (!dry && unlinkat(parent, name, AT_REMOVEDIR) != 0)
    return files_leave(change, "cannot remove '%s': %s", name, strerror(errno));
  return true;
}

bool files_remove_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  if (change->facts.st_ino == 0) return files_leave(change, "it is not there");
  if (S_ISDIR(change->facts.st_mode) && request->recursive) {
    struct stat parent;
    if (fstat(change->parent, &parent) != 0) return files_leave_errno(change, "look at");
    return remove_tree(change, change->parent, change->base, parent.st_dev, 0);
  }
  if (S_ISREG(change->facts.st_mode) && change->facts.st_nlink == 1)
    change->freed = (int64_t)change->facts.st_size;
  int flag = S_ISDIR(change->facts.st_mode) ? AT_REMOVEDIR : 0;
  if (request->dry) return true;
  if (unlinkat(change->parent, change->base, flag) == 0) return true;
  change->freed = 0;
  if (errno == ENOTEMPTY || errno == EEXIST)
    return files_leave(change, "the directory is not empty (recursive = true removes it whole)");
  return files_leave_errno(change, "remove");
}

/* -- one after another ------------------------------------------------------------------------- */

/* Is the item still what was listed? */
static bool is_as_listed(struct files_change *change) {
  if (change->item->id == NULL) return true;
  if (change->facts.st_ino == 0) return files_leave(change, "it is gone since it was listed");
  char id[FILES_ID_MAX];
  files_id(&change->facts, id);
  return strcmp(id, change->item->id) == 0 ||
         files_leave(change, "it changed since it was listed");
}

static bool make_item(struct files_change *change) {
  const struct files_request *request = &change->job->request;
  bool make = request->verb == FILES_MKDIR && request->recursive && !request->dry;
  change->parent = files_open_parent(change->job, change->item->path, make, change->base,
                                     change->why);
  if (change->parent < 0) { /* a dry mkdir below a directory that is still to be made */
    if (request->verb != FILES_MKDIR || !request->recursive || !request->dry || errno != ENOENT)
      return false;
    return change->created = true;
  }
  if (fstatat(change->parent, change->base, &change->facts, AT_SYMLINK_NOFOLLOW) != 0) {
    memset(&change->facts, 0, sizeof change->facts);
    if (errno != ENOENT) return files_leave_errno(change, "look at");
  }
  change->after = -1;
  if (!is_as_listed(change)) return false;
  switch (request->verb) {
    case FILES_WRITE: return write_item(change);
    case FILES_APPEND: return append_item(change);
    case FILES_REMOVE: return files_remove_item(change);
    case FILES_COMPRESS: return files_compress_item(change);
    case FILES_TRUNCATE: return truncate_item(change);
    case FILES_TOUCH: return touch_item(change);
    case FILES_MKDIR: return mkdir_item(change);
    default: return files_leave(change, "no such change");
  }
}

static void push_done(struct answer *answer, const struct files_change *change) {
  answer_open(answer, '{');
  answer_field_text(answer, "path", change->item->path);
  answer_field_integer(answer, "size", (int64_t)change->facts.st_size);
  if (change->after >= 0) answer_field_integer(answer, "after", change->after);
  if (change->created) answer_field_boolean(answer, "created", true);
  answer_close(answer, '}');
}

struct totals {
  int64_t count, size, freed;
  struct answer left;
};

static void run_items(struct files_job *job, struct files_change *change, struct totals *totals) {
  struct answer *answer = &job->work.answer;
  for (size_t i = 0; i < job->request.item_count && !job->work.failed; i++) {
    if (work_stopped(&job->work)) break;
    change->item = &job->request.items[i];
    change->parent = -1;
    change->after = change->freed = 0;
    change->created = false;
    change->why[0] = '\0';
    memset(&change->facts, 0, sizeof change->facts);
    bool good = make_item(change);
    if (change->parent >= 0) close(change->parent);
    totals->freed += change->freed;
    if (good) {
      totals->count++;
      totals->size += (int64_t)change->facts.st_size;
      push_done(answer, change);
    } else {
      answer_open(&totals->left, '{');
      answer_field_text(&totals->left, "path", change->item->path);
      answer_field_text(&totals->left, "reason", change->why);
      answer_close(&totals->left, '}');
    }
  }
}

void files_run_change(struct files_job *job) {
  struct files_change *change = calloc(1, sizeof *change);
  struct totals totals = {0};
  struct answer *answer = &job->work.answer;
  if (change == NULL) {
    work_fail(&job->work, OP_FAILED, "memory", "out of memory");
    return;
  }
  change->job = job;
  if (job->request.verb == FILES_COMPRESS && !job->request.held)
    files_scan_held(job, &change->held);
  answer_open(answer, '{');
  answer_key(answer, "items");
  answer_open(answer, '[');
  run_items(job, change, &totals);
  answer_close(answer, ']');
  answer_key(answer, "left");
  answer_open(answer, '[');
  answer_bytes(answer, totals.left.data, totals.left.len);
  answer_close(answer, ']');
  answer_field_integer(answer, "count", totals.count);
  answer_field_integer(answer, "size", totals.size);
  answer_field_integer(answer, "freed", totals.freed);
  answer_field_integer(answer, "unseen", (int64_t)change->held.unseen);
  answer_close(answer, '}');
  job->work.outcome = totals.count > 0 ? OP_DONE : OP_FAILED;
  bool touched = totals.count > 0 || totals.freed > 0;
  if (work_stopped(&job->work)) work_fail_stopped(&job->work, touched ? OP_DONE : OP_FAILED);
  answer->failed = answer->failed || totals.left.failed;
  answer_drop(&totals.left);
  files_drop_held(&change->held);
  free(change);
}
