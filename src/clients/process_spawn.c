/* From a request to a running supervisor: its command line, its descriptors, posix_spawn. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process_internal.h"
#include "process_jail.h"

const char *process_supervisor_path(void) {
  static const char *const places[] = {"", "/../lib/opsrun"};
  static char path[PATH_MAX + 64];
  if (path[0] != '\0') return path;
  char directory[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", directory, sizeof directory - 1);
  if (length <= 0) return NULL;
  directory[length] = '\0';
  char *slash = strrchr(directory, '/');
  if (slash == NULL) return NULL;
  *slash = '\0';
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    snprintf(path, sizeof path, "%s%s/opsrun-supervisor", directory, places[i]);
    if (access(path, X_OK) == 0) return path;
  }
  path[0] = '\0';
  return NULL;
}

static void add_option(struct process_words *list, const char *option, const char *value) {
  process_words_add(list, option);
  process_words_add(list, value);
}

/* supervisor inside …: what bubblewrap executes. */
static void add_inside(struct process_words *list, const struct process_request *request) {
  process_words_add(list, process_supervisor_path());
  process_words_add(list, "inside");
  if (request->cwd != NULL) add_option(list, "--cwd", request->cwd);
  if (request->jail->net) process_words_add(list, "--net");
  add_option(list, "--writable", "/tmp");
  const char *const *writable = request->jail->writable;
  for (; writable != NULL && *writable != NULL; writable++)
    add_option(list, "--writable", *writable);
  process_words_add(list, request->probe ? "--probe" : "--");
}

const char *process_build_argv(struct process_launch *launch,
                               const struct process_request *request) {
  struct process_words list = {0};
  const char *supervisor = process_supervisor_path();
  if (supervisor == NULL)
    return "'opsrun-supervisor' is neither beside the opsrun executable nor in lib/opsrun";
  process_words_add(&list, supervisor);
  process_words_add(&list, "run");
  if (request->jail == NULL && request->cwd != NULL) add_option(&list, "--cwd", request->cwd);
  if (request->jail != NULL) process_words_add(&list, "--jail");
  if (request->tty) process_words_add(&list, "--tty");
  process_words_add(&list, "--");
  const char *problem = NULL;
  if (request->jail != NULL) {
    problem = process_jail_words(&list, request);
    add_inside(&list, request);
  }
  if (!request->probe)
    for (char *const *word = request->argv; *word != NULL; word++) process_words_add(&list, *word);
  if (problem == NULL && list.broken) problem = "out of memory";
  if (problem != NULL) {
    process_words_free(&list);
    return problem;
  }
  launch->argv = list.words;
  return NULL;
}

static int add_descriptors(posix_spawn_file_actions_t *actions,
                           const struct process_launch *launch) {
  int rc = 0;
  for (int target = 0; rc == 0 && target < 5; target++)
    if (launch->fds[target] >= 0)
      rc = posix_spawn_file_actions_adddup2(actions, launch->fds[target], target);
  return rc;
}

/* A session of its own, nothing blocked, nothing ignored. */
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int rc = posix_spawnattr_setsigmask(attributes, &none);
  if (rc == 0) rc = posix_spawnattr_setsigdefault(attributes, &all);
  if (rc == 0)
    rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSID);
  return rc;
}

int process_spawn(const struct process_launch *launch, char *const *env) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int rc = posix_spawn_file_actions_init(&actions);
  if (rc == 0) {
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
      pid_t pid = -1;
      rc = add_descriptors(&actions, launch);
      if (rc == 0) rc = set_attributes(&attributes);
      if (rc == 0)
        rc = posix_spawn(&pid, launch->argv[0], &actions, &attributes, launch->argv, env);
      posix_spawnattr_destroy(&attributes);
      posix_spawn_file_actions_destroy(&actions);
      if (rc == 0) return pid;
    } else {
      posix_spawn_file_actions_destroy(&actions);
    }
  }
  errno = rc;
  return -1;
}

void process_launch_free(struct process_launch *launch) {
  for (char **word = launch->argv; word != NULL && *word != NULL; word++) free(*word);
  free(launch->argv);
  launch->argv = NULL;
  for (size_t i = 0; i < sizeof launch->fds / sizeof launch->fds[0]; i++) {
    if (launch->fds[i] >= 0) close(launch->fds[i]);
    launch->fds[i] = -1;
  }
}

static bool is_program(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && access(path, X_OK) == 0;
}

bool process_find(const char *name, const char *path, char *out, size_t size) {
  if (name[0] == '\0') return false;
  if (strchr(name, '/') != NULL) {
    int length = snprintf(out, size, "%s", name);
    return length > 0 && (size_t)length < size && is_program(out);
  }
  if (path == NULL) path = "/bin:/usr/bin";
  for (const char *at = path;; at++) {
    size_t length = strcspn(at, ":");
    int used = length == 0 ? snprintf(out, size, "./%s", name)
                           : snprintf(out, size, "%.*s/%s", (int)length, at, name);
    if (used > 0 && (size_t)used < size && is_program(out)) return true;
    at += length;
    if (*at == '\0') return false;
  }
}
