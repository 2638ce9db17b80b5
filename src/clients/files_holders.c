/* Who holds a file open: one look at the descriptors of every process. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files_internal.h"

typedef void (*holder_visit)(void *context, long pid, const char *fd_name, int directory);

/* Calls `visit` for each descriptor of each process but our own. Returns how many processes could
   not be looked into. */
static size_t visit_descriptors(struct files_job *job, holder_visit visit, void *context) {
  DIR *processes = opendir("/proc");
  size_t unseen = 0;
  if (processes == NULL) return 1;
  struct dirent *process;
  while ((process = readdir(processes)) != NULL && !work_stopped(&job->work)) {
    char *end, path[64];
    long pid = strtol(process->d_name, &end, 10);
    if (*end != '\0' || pid <= 0 || pid == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *descriptors = opendir(path);
    if (descriptors == NULL) {
      unseen += errno == EACCES || errno == EPERM;
      continue; /* else it has ended meanwhile */
    }
    struct dirent *descriptor;
    while ((errno = 0, descriptor = readdir(descriptors)) != NULL)
      if (descriptor->d_name[0] != '.')
        visit(context, pid, descriptor->d_name, dirfd(descriptors));
    unseen += errno == EACCES || errno == EPERM;
    closedir(descriptors);
  }
  closedir(processes);
  return unseen;
}

/* -- the set of held files */

static void note_held(void *context, long pid, const char *fd_name, int directory) {
  (void)pid;
  struct files_held *held = context;
  struct stat target, link;
  if (fstatat(directory, fd_name, &target, 0) != 0 || !S_ISREG(target.st_mode)) return;
  if (held->count == held->capacity) {
    size_t capacity = held->capacity == 0 ? 256 : held->capacity * 2;
    struct files_held_one *grown = realloc(held->list, capacity * sizeof *grown);
    if (grown == NULL) {
      held->failed = true;
      return;
    }
    held->list = grown;
    held->capacity = capacity;
  }
  /* The link's permissions say how the file was opened. */
  bool writing = fstatat(directory, fd_name, &link, AT_SYMLINK_NOFOLLOW) != 0 ||
                 (link.st_mode & S_IWUSR) != 0;
  held->list[held->count++] = (struct files_held_one){target.st_dev, target.st_ino, writing};
}

static int compare_held(const void *a, const void *b) {
  const struct files_held_one *x = a, *y = b;
  if (x->ino != y->ino) return x->ino < y->ino ? -1 : 1;
  if (x->dev != y->dev) return x->dev < y->dev ? -1 : 1;
  return 0;
}

void files_scan_held(struct files_job *job, struct files_held *held) {
  memset(held, 0, sizeof *held);
  held->unseen = visit_descriptors(job, note_held, held);
  if (held->count == 0) return;
  qsort(held->list, held->count, sizeof *held->list, compare_held);
  size_t kept = 0; /* one a file; held for writing by one is held for writing */
  for (size_t i = 1; i < held->count; i++) {
    if (compare_held(&held->list[kept], &held->list[i]) == 0)
      held->list[kept].writing = held->list[kept].writing || held->list[i].writing;
    else held->list[++kept] = held->list[i];
  }
  held->count = kept + 1;
}

const struct files_held_one *files_find_held(const struct files_held *held,
                                             const struct stat *facts) {
  if (held->count == 0) return NULL;
  struct files_held_one wanted = {facts->st_dev, facts->st_ino, false};
  return bsearch(&wanted, held->list, held->count, sizeof wanted, compare_held);
}

void files_drop_held(struct files_held *held) {
  free(held->list);
  memset(held, 0, sizeof *held);
}

/* -- holders of one file, or of everything below a directory */

struct holder_search {
  struct files_job *job;
  const char *path;
  size_t len;
  bool directory, there;
  struct stat facts;
  size_t found;
};

static void push_command(struct answer *answer, long pid) {
  char path[64], name[64] = "?";
  snprintf(path, sizeof path, "/proc/%ld/comm", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, name, sizeof name - 1) : -1;
  if (fd >= 0) close(fd);
  if (got > 0) name[name[got - 1] == '\n' ? got - 1 : got] = '\0';
  answer_field_text(answer, "command", name);
}

static void note_holder(void *context, long pid, const char *fd_name, int directory) {
  static const char gone[] = " (deleted)";
  struct holder_search *search = context;
  char target[PATH_MAX];
  ssize_t got = readlinkat(directory, fd_name, target, sizeof target - 1);
  if (got <= 0 || target[0] != '/' || search->found >= files_most) return;
  size_t len = (size_t)got;
  target[len] = '\0';
  struct stat facts;
  bool known = fstatat(directory, fd_name, &facts, 0) == 0;
  bool same = search->there && known && facts.st_dev == search->facts.st_dev &&
              facts.st_ino == search->facts.st_ino;
  bool below = strncmp(target, search->path, search->len) == 0 &&
               (search->len == 1 || target[search->len] == '/');
  if (!same && !(search->directory && below)) return;
  bool deleted = known && facts.st_nlink == 0;
  if (deleted && len > sizeof gone && strcmp(target + len - (sizeof gone - 1), gone) == 0)
    target[len - (sizeof gone - 1)] = '\0';
  struct answer *answer = &search->job->work.answer;
  search->found++;
  answer_open(answer, '{');
  answer_field_integer(answer, "pid", pid);
  push_command(answer, pid);
  answer_field_integer(answer, "fd", strtol(fd_name, NULL, 10));
  answer_field_text(answer, "path", target);
  answer_field_boolean(answer, "deleted", deleted);
  answer_field_integer(answer, "size", known ? (int64_t)facts.st_size : 0);
  answer_close(answer, '}');
}

void files_run_holders(struct files_job *job) {
  char real[PATH_MAX];
  struct holder_search search = {.job = job, .path = job->request.path};
  if (realpath(search.path, real) == NULL) {
    files_fail_errno(job, "look at", search.path, errno);
    return;
  }
  search.path = real;
  search.len = strlen(real);
  search.there = stat(real, &search.facts) == 0;
  search.directory = search.there && S_ISDIR(search.facts.st_mode);
  struct answer *answer = &job->work.answer;
  answer_open(answer, '{');
  answer_key(answer, "holders");
  answer_open(answer, '[');
  size_t unseen = visit_descriptors(job, note_holder, &search);
  answer_close(answer, ']');
  answer_field_integer(answer, "unseen", (int64_t)unseen);
  answer_close(answer, '}');
  if (work_stopped(&job->work)) work_fail_stopped(&job->work, OP_FAILED);
}
