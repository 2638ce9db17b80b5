/* Finding and signalling descendants. As a subreaper we are the parent of every orphan below us, so
 * walking down from ourselves finds all of them, also those that called setsid or forked twice. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor.h"

struct pid_list {
  int *pids;
  size_t count, capacity;
};

/* Out of memory: what does not fit now is found by the next walk. */
static void add_pid(struct pid_list *list, int pid) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
    int *grown = realloc(list->pids, capacity * sizeof *grown);
    if (grown == NULL) return;
    list->pids = grown;
    list->capacity = capacity;
  }
  list->pids[list->count++] = pid;
}

/* Reads a small file whole. Returns its length or -1; the text is terminated. */
static ssize_t read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t used = 0;
  while (used < size - 1) {
    ssize_t got = read(fd, text + used, size - 1 - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += (size_t)got;
  }
  close(fd);
  text[used] = '\0';
  return (ssize_t)used;
}

/* The number that `text` starts with, followed by `after`; 0 when that is no process id. */
static int pid_of(const char *text, char after) {
  char *end;
  errno = 0;
  long pid = strtol(text, &end, 10);
  return end == text || *end != after || errno != 0 || pid < 0 || pid > INT_MAX ? 0 : (int)pid;
}

/* Parent and start time from a line of /proc/PID/stat: the name in brackets may hold anything. */
static bool parse_stat(const char *text, int *parent, uint64_t *start_time) {
  const char *at = strrchr(text, ')');
  if (at == NULL || at[1] != ' ') return false;
  at += 2; /* field 3 */
  for (int field = 3; *at != '\0'; field++) {
    if (field == 4) *parent = pid_of(at, ' ');
    if (field == 22) {
      *start_time = strtoull(at, NULL, 10);
      return true;
    }
    at = strchr(at, ' ');
    if (at == NULL) return false;
    at++;
  }
  return false;
}

static bool read_stat(int pid, int *parent, uint64_t *start_time) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  return read_text(path, text, sizeof text) > 0 && parse_stat(text, parent, start_time);
}

uint64_t tree_start_time(int pid) {
  int parent = 0;
  uint64_t start_time = 0;
  return read_stat(pid, &parent, &start_time) ? start_time : 0;
}

/* The children of one thread, from the kernel's own list. False where the kernel has none. */
static bool add_children_of_thread(struct pid_list *list, int pid, const char *thread) {
  char path[96];
  static char text[65536];
  snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, thread);
  if (read_text(path, text, sizeof text) < 0) return errno != ENOENT;
  char *at = text;
  for (;;) {
    char *end;
    long child = strtol(at, &end, 10);
    if (end == at) return true;
    /* A number cut off by the end of the buffer is left for the next walk. */
    if (*end != '\0' && child > 1) add_pid(list, (int)child);
    at = end;
  }
}

/* A child belongs to the thread that forked it. */
static bool add_children(struct pid_list *list, int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *threads = opendir(path);
  if (threads == NULL) return true; /* it ended */
  bool known = true;
  for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
    if (entry->d_name[0] != '.') known = add_children_of_thread(list, pid, entry->d_name) && known;
  closedir(threads);
  return known;
}

/* Without that list: all processes, then rounds of "whose parent is in the set". */
static void add_by_scanning(struct pid_list *found) {
  DIR *proc = opendir("/proc");
  if (proc == NULL) return;
  struct pid_list all = {0}, parents = {0};
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    int pid = pid_of(entry->d_name, '\0'), parent = 0;
    uint64_t start_time;
    if (pid <= 1 || !read_stat(pid, &parent, &start_time)) continue;
    add_pid(&all, pid);
    add_pid(&parents, parent);
  }
  closedir(proc);
  int self = getpid();
  size_t count = all.count < parents.count ? all.count : parents.count;
  for (size_t next = 0, root = (size_t)self; next <= found->count; next++) {
    for (size_t i = 0; i < count; i++)
      if ((size_t)parents.pids[i] == root) add_pid(found, all.pids[i]);
    if (next < found->count) root = (size_t)found->pids[next];
  }
  free(all.pids);
  free(parents.pids);
}

size_t tree_signal(int number) {
  struct pid_list list = {0};
  size_t taken = 0;
  char self[16];
  snprintf(self, sizeof self, "%d", (int)getpid());
  bool listed = add_children_of_thread(&list, getpid(), self);
  if (!listed) add_by_scanning(&list);
  /* Children are looked up before their parent is signalled: afterwards they would be elsewhere. */
  for (size_t i = 0; i < list.count; i++) {
    if (listed) add_children(&list, list.pids[i]);
    if (kill(list.pids[i], number) == 0) taken++;
  }
  free(list.pids);
  return taken;
}
