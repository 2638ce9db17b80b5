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
  bool incomplete; /* there was no memory for more */
};

static void add_pid(struct pid_list *list, int pid) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
    int *grown = realloc(list->pids, capacity * sizeof *grown);
    if (grown == NULL) {
      list->incomplete = true;
      return;
    }
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
static void add_children(struct pid_list *list, int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *threads = opendir(path);
  if (threads == NULL) {
    if (errno == ENOMEM) list->incomplete = true;
    return; /* else it ended */
  }
  for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
    if (entry->d_name[0] != '.') add_children_of_thread(list, pid, entry->d_name);
  closedir(threads);
}

/* Walks up from `pid`. One on the way that ends meanwhile hands its children to us: they are found by
 * the next walk. The bound is against a chain that changes while it is read. */
static bool is_descendant(int pid, int self) {
  for (int steps = 0; steps < 100000 && pid > 1; steps++) {
    int parent = 0;
    uint64_t start_time;
    if (!read_stat(pid, &parent, &start_time)) return false;
    if (parent == self) return true;
    pid = parent;
  }
  return false;
}

/* Without the kernel's list, or without memory for it: every process there is, one after the other.
 * Slower, and it needs no memory. */
static size_t signal_by_scanning(int number) {
  DIR *proc = opendir("/proc");
  if (proc == NULL) return 0;
  size_t taken = 0;
  int self = getpid();
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    int pid = pid_of(entry->d_name, '\0');
    if (pid > 1 && is_descendant(pid, self) && kill(pid, number) == 0) taken++;
  }
  closedir(proc);
  return taken;
}

size_t tree_signal(int number) {
  struct pid_list list = {0};
  size_t taken = 0;
  char self[16];
  snprintf(self, sizeof self, "%d", (int)getpid());
  bool listed = add_children_of_thread(&list, getpid(), self);
  /* Children are looked up before their parent is signalled: afterwards they would be elsewhere. */
  for (size_t i = 0; listed && i < list.count; i++) {
    add_children(&list, list.pids[i]);
    if (kill(list.pids[i], number) == 0) taken++;
  }
  if (!listed || list.incomplete) taken = signal_by_scanning(number);
  free(list.pids);
  return taken;
}
