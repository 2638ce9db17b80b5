/* Listing a directory: one walk that stays on its file system and follows no link, the filter, the
   order, the limit. What cannot be read is told, not skipped in silence. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "files_internal.h"

enum { DEEPEST = 64, UNREAD_MOST = 100 };

struct found {
  char *path;
  struct stat facts;
};

struct child {
  char *name;
  int64_t size, count;
};

struct walk {
  struct files_job *job;
  const struct files_filter *filter;
  struct files_held held;
  struct timespec now;
  dev_t dev;
  size_t root_len;          /* bytes of the listed directory's path, without a final '/' */
  char path[PATH_MAX];
  struct found *found;
  size_t count, capacity, keep; /* keep: entries that stay when there is a limit */
  bool limited;             /* some were left out for the limit */
  struct child *children;
  size_t child_count, child_capacity;
  struct answer unread;     /* [{path, reason}…] */
  size_t unread_count;
};

static void fail_memory(struct walk *walk) {
  work_fail(&walk->job->work, OP_FAILED, "memory", "out of memory");
}

/* -- order ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

static int by_size(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  if (x->facts.st_size != y->facts.st_size) return x->facts.st_size > y->facts.st_size ? -1 : 1;
  return by_name(a, b);
}

static int oldest_first(const void *a, const void *b) {
  const struct timespec *x = &((const struct found *)a)->facts.st_mtim;
  const struct timespec *y = &((const struct found *)b)->facts.st_mtim;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  if (x->tv_nsec != y->tv_nsec) return x->tv_nsec < y->tv_nsec ? -1 : 1;
  return by_name(a, b);
}

static int newest_first(const void *a, const void *b) { return oldest_first(b, a); }

/* Puts what was found in order and drops what is beyond the limit. */
static void order_found(struct walk *walk) {
  static int (*const orders[])(const void *, const void *) = {
      [FILES_BY_NAME] = by_name,
      [FILES_BY_SIZE] = by_size,
      [FILES_OLDEST] = oldest_first,
      [FILES_NEWEST] = newest_first};
  if (walk->count == 0) return;
  qsort(walk->found, walk->count, sizeof *walk->found, orders[walk->filter->sort]);
  if (walk->filter->limit <= 0) return;
  while (walk->count > walk->keep) {
    free(walk->found[--walk->count].path);
    walk->limited = true;
  }
}

static void keep_entry(struct walk *walk, const struct stat *facts) {
  size_t most = walk->filter->limit > 0 ? walk->keep * 2 + 1024 : files_most;
  if (walk->count == most && walk->filter->limit > 0) order_found(walk);
  if (walk->count == most) {
    work_fail(&walk->job->work, OP_FAILED, "too many",
              "more than %d files below '%s' are as asked for", files_most,
              walk->job->request.path);
    return;
  }
  if (walk->count == walk->capacity) {
    size_t capacity = walk->capacity == 0 ? 64 : walk->capacity * 2;
    struct found *grown = realloc(walk->found, capacity * sizeof *grown);
    if (grown == NULL) {
      fail_memory(walk);
      return;
    }
    walk->found = grown;
    walk->capacity = capacity;
  }
  struct found *next = &walk->found[walk->count];
  *next = (struct found){strdup(walk->path), *facts};
  if (next->path == NULL) fail_memory(walk);
  else walk->count++;
}

/* -- the filter -------------------------------------------------------------------------------- */

static bool is_wanted(const struct walk *walk, const char *name, const struct stat *facts) {
  const struct files_filter *filter = walk->filter;
  if (!filter->any_type && !S_ISREG(facts->st_mode)) return false;
  if (filter->pattern != NULL) {
    bool whole = strchr(filter->pattern, '/') != NULL;
    const char *subject = whole ? walk->path + walk->root_len + 1 : name;
    if (fnmatch(filter->pattern, subject, FNM_PERIOD | (whole ? FNM_PATHNAME : 0)) != 0)
      return false;
  }
  if (filter->larger_than >= 0 && facts->st_size <= filter->larger_than) return false;
  double age = (double)(walk->now.tv_sec - facts->st_mtim.tv_sec) +
               (double)(walk->now.tv_nsec - facts->st_mtim.tv_nsec) / 1e9;
  if (filter->older_than >= 0 && age <= filter->older_than) return false;
  if (filter->newer_than >= 0 && age >= filter->newer_than) return false;
  if (filter->open >= 0) {
    bool open = files_find_held(&walk->held, facts) != NULL;
    if (open != (filter->open == 1)) return false;
  }
  return true;
}

/* A new child of the directory, or NULL when out of memory. */
static struct child *add_child(struct walk *walk, const char *name, size_t len) {
  if (walk->children == NULL || walk->child_count == walk->child_capacity) {
    size_t capacity = walk->child_capacity == 0 ? 64 : walk->child_capacity * 2;
    struct child *grown = realloc(walk->children, capacity * sizeof *grown);
    if (grown == NULL) return NULL;
    walk->children = grown;
    walk->child_capacity = capacity;
  }
  struct child *child = &walk->children[walk->child_count];
  *child = (struct child){strndup(name, len), 0, 0};
  if (child->name == NULL) return NULL;
  walk->child_count++;
  return child;
}

/* Adds a file to the total of the directory's child that it lies in. */
static void count_child(struct walk *walk, const struct stat *facts) {
  if (!walk->filter->children) return;
  const char *name = walk->path + walk->root_len + 1;
  size_t len = strcspn(name, "/");
  struct child *last = walk->child_count > 0 ? &walk->children[walk->child_count - 1] : NULL;
  /* The walk goes through one child after another. */
  if (last == NULL || strlen(last->name) != len || strncmp(last->name, name, len) != 0)
    last = add_child(walk, name, len);
  if (last == NULL) {
    fail_memory(walk);
    return;
  }
  last->size += (int64_t)facts->st_blocks * 512;
  last->count++;
}

/* -- the walk ---------------------------------------------------------------------------------- */

static void note_unread(struct walk *walk, const char *reason) {
  if (++walk->unread_count > UNREAD_MOST) return;
  answer_open(&walk->unread, '{');
  answer_field_text(&walk->unread, "path", walk->path);
  answer_field_text(&walk->unread, "reason", reason);
  answer_close(&walk->unread, '}');
}

static void walk_directory(struct walk *walk, int fd, int depth);

static void visit(struct walk *walk, int directory, const char *name, int depth) {
  struct stat facts;
  if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) note_unread(walk, strerror(errno)); /* else it is gone already */
    return;
  }
  if (S_ISREG(facts.st_mode)) count_child(walk, &facts);
  if (is_wanted(walk, name, &facts)) keep_entry(walk, &facts);
  if (!walk->filter->recursive || !S_ISDIR(facts.st_mode) || facts.st_dev != walk->dev) return;
  if (depth == DEEPEST) {
    note_unread(walk, "too deep");
    return;
  }
  int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) note_unread(walk, strerror(errno));
  else walk_directory(walk, fd, depth + 1);
}

/* Takes `fd` over. */
static void walk_directory(struct walk *walk, int fd, int depth) {
  DIR *directory = fdopendir(fd);
  if (directory == NULL) {
    close(fd);
    fail_memory(walk);
    return;
  }
  size_t len = strlen(walk->path);
  struct dirent *entry;
  for (;;) {
    errno = 0;
    entry = readdir(directory);
    if (entry == NULL) {
      if (errno != 0) note_unread(walk, strerror(errno));
      break;
    }
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (walk->job->work.failed || work_stopped(&walk->job->work)) break;
    const char *slash = len > 0 && walk->path[len - 1] == '/' ? "" : "/";
    int used = snprintf(walk->path + len, sizeof walk->path - len, "%s%s", slash, name);
    if (used < 0 || (size_t)used >= sizeof walk->path - len) {
      walk->path[len] = '\0';
      note_unread(walk, "a path in it is too long");
      continue;
    }
    visit(walk, dirfd(directory), name, depth);
    walk->path[len] = '\0';
  }
  closedir(directory);
}

static int larger_child(const void *a, const void *b) {
  const struct child *x = a, *y = b;
  if (x->size != y->size) return x->size > y->size ? -1 : 1;
  return strcmp(x->name, y->name);
}

static void push_children(struct walk *walk, struct answer *answer) {
  if (walk->child_count > 0)
    qsort(walk->children, walk->child_count, sizeof *walk->children, larger_child);
  answer_key(answer, "children");
  answer_open(answer, '[');
  for (size_t i = 0; i < walk->child_count; i++) {
    answer_open(answer, '{');
    answer_field_text(answer, "name", walk->children[i].name);
    answer_field_integer(answer, "size", walk->children[i].size);
    answer_field_integer(answer, "count", walk->children[i].count);
    answer_close(answer, '}');
  }
  answer_close(answer, ']');
}

/* {entries, limited, unread, unread_count, unseen, children} */
static void push_found(struct walk *walk) {
  struct answer *answer = &walk->job->work.answer;
  answer_open(answer, '{');
  answer_key(answer, "entries");
  answer_open(answer, '[');
  for (size_t i = 0; i < walk->count; i++)
    files_push_entry(answer, walk->found[i].path, &walk->found[i].facts, false);
  answer_close(answer, ']');
  answer_field_boolean(answer, "limited", walk->limited);
  answer_key(answer, "unread");
  answer_open(answer, '[');
  answer_bytes(answer, walk->unread.data, walk->unread.len);
  answer_close(answer, ']');
  answer_field_integer(answer, "unread_count", (int64_t)walk->unread_count);
  answer_field_integer(answer, "unseen", (int64_t)walk->held.unseen);
  if (walk->filter->children) push_children(walk, answer);
  answer_close(answer, '}');
}

static void drop_walk(struct walk *walk) {
  for (size_t i = 0; i < walk->count; i++) free(walk->found[i].path);
  for (size_t i = 0; i < walk->child_count; i++) free(walk->children[i].name);
  free(walk->found);
  free(walk->children);
  files_drop_held(&walk->held);
  answer_drop(&walk->unread);
  free(walk);
}

void files_run_list(struct files_job *job) {
  const char *path = job->request.path;
  struct walk *walk = calloc(1, sizeof *walk);
  if (walk == NULL) {
    work_fail(&job->work, OP_FAILED, "memory", "out of memory");
    return;
  }
  walk->job = job;
  walk->filter = &job->request.filter;
  walk->keep = walk->filter->limit > 0 ? (size_t)walk->filter->limit : files_most;
  if (walk->keep > files_most) walk->keep = files_most;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat facts;
  if (fd < 0 || fstat(fd, &facts) != 0) {
    files_fail_errno(job, "list", path, errno);
    if (fd >= 0) close(fd);
    drop_walk(walk);
    return;
  }
  walk->dev = facts.st_dev;
  walk->root_len = strcmp(path, "/") == 0 ? 0 : strlen(path);
  snprintf(walk->path, sizeof walk->path, "%s", path);
  clock_gettime(CLOCK_REALTIME, &walk->now);
  if (walk->filter->open >= 0) files_scan_held(job, &walk->held);
  if (walk->held.failed) fail_memory(walk);
  walk_directory(walk, fd, 0);
  order_found(walk);
  if (work_stopped(&job->work)) work_fail_stopped(&job->work, OP_FAILED);
  else if (!job->work.failed) push_found(walk);
  if (walk->unread.failed) fail_memory(walk);
  drop_walk(walk);
}
