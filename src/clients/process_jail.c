/* What bubblewrap is told, and the one test a process makes whether that works on this machine.
 *
 * The host's processes and network stay visible (no own pid or net namespace: there 'ps' and
 * 'ss' would silently answer nothing); what is taken away are the means to act. As root no user
 * namespace is made, because there root could not read everybody's files. */
#include "process_jail.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process_internal.h"

#define TMP "/tmp"
#define TMP_BYTES "268435456"

static enum process_jail_state state;
static char reason_text[512];
static const char *other_program;

enum process_jail_state process_jail_state(const char **reason) {
  *reason = reason_text;
  return state;
}

void process_jail_use_program(const char *path) {
  other_program = path;
  state = PROCESS_JAIL_UNKNOWN;
}

/* -- words ------------------------------------------------------------------------------------- */

void process_words_add(struct process_words *list, const char *word) {
  if (list->broken) return;
  if (list->count + 1 >= list->capacity) {
    size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
    char **grown = realloc(list->words, capacity * sizeof *grown);
    if (grown == NULL) {
      list->broken = true;
      return;
    }
    list->words = grown;
    list->capacity = capacity;
  }
  char *copy = strdup(word);
  if (copy == NULL) {
    list->broken = true;
    return;
  }
  list->words[list->count++] = copy;
  list->words[list->count] = NULL;
}

void process_words_free(struct process_words *list) {
  for (size_t i = 0; i < list->count; i++) free(list->words[i]);
  free(list->words);
  memset(list, 0, sizeof *list);
}

static void add_words(struct process_words *list, const char *const *words) {
  for (; *words != NULL; words++) process_words_add(list, *words);
}

/* -- the mounts -------------------------------------------------------------------------------- */

static bool is_below_tmp(const char *path) {
  return strncmp(path, TMP "/", sizeof TMP) == 0 && path[sizeof TMP] != '\0' &&
         strstr(path, "/../") == NULL;
}

/* The host's /tmp is hidden by a private one. What the command was explicitly given from there (its
   directory, its PATH, its home, itself) is shown again, read-only. */
static void show_again(struct process_words *list, const char *path) {
  if (!is_below_tmp(path)) return;
  const char *const words[] = {"--ro-bind-try", path, path, NULL};
  add_words(list, words);
}

static void show_given(struct process_words *list, const struct process_request *request) {
  if (request->cwd != NULL) show_again(list, request->cwd);
  for (char *const *entry = request->env; entry != NULL && *entry != NULL; entry++) {
    if (strncmp(*entry, "HOME=", 5) == 0) show_again(list, *entry + 5);
    if (strncmp(*entry, "PATH=", 5) != 0) continue;
    for (const char *at = *entry + 5; *at != '\0';) {
      size_t length = strcspn(at, ":");
      char directory[PATH_MAX];
      if (length < sizeof directory) {
        memcpy(directory, at, length);
        directory[length] = '\0';
        show_again(list, directory);
      }
      at += length + (at[length] == ':');
    }
  }
  if (!request->probe) show_again(list, request->argv[0]);
  show_again(list, process_supervisor_path());
}

static const char *find_bwrap(void) {
  if (other_program != NULL) return access(other_program, X_OK) == 0 ? other_program : NULL;
  static const char *const places[] = {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (access(places[i], X_OK) == 0) return places[i];
  return NULL;
}

const char *process_jail_words(struct process_words *list, const struct process_request *request) {
  /* The capabilities are our helper's; it drops them (src/supervisor/confine.c). */
  static const char *const namespaces[] = {
      "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL",
      "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP", NULL};
  static const char *const as_root[] = {"--cap-add", "CAP_DAC_READ_SEARCH", NULL};
  static const char *const not_root[] = {"--unshare-user", NULL};
  static const char *const root[] = {"--ro-bind", "/", "/", "--tmpfs", "/dev", NULL};
  static const char *const devices[] = {"/dev/null", "/dev/zero",    "/dev/full",
                                        "/dev/random", "/dev/urandom"};
  static const char *const rest[] = {
      "--symlink", "/proc/self/fd", "/dev/fd",     "--symlink", "fd/0", "/dev/stdin",
      "--symlink", "fd/1",          "/dev/stdout", "--symlink", "fd/2", "/dev/stderr",
      "--remount-ro", "/dev",       "--perms",     "1777",      "--size", TMP_BYTES,
      "--tmpfs",   TMP,             NULL};
  const char *bwrap = find_bwrap();
  if (bwrap == NULL) return "bubblewrap (the program 'bwrap') is not installed";
  process_words_add(list, bwrap);
  add_words(list, namespaces);
  add_words(list, geteuid() == 0 ? as_root : not_root);
  add_words(list, root);
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    const char *const words[] = {"--dev-bind", devices[i], devices[i], NULL};
    add_words(list, words);
  }
  add_words(list, rest);
  show_given(list, request);
  const char *const *writable = request->jail->writable;
  for (; writable != NULL && *writable != NULL; writable++) {
    const char *const words[] = {"--bind", *writable, *writable, NULL};
    add_words(list, words);
  }
  process_words_add(list, "--");
  return NULL;
}

/* -- the probe --------------------------------------------------------------------------------- */

void process_jail_judge(const char *problem) {
  state = problem == NULL ? PROCESS_JAIL_WORKS : PROCESS_JAIL_BROKEN;
  snprintf(reason_text, sizeof reason_text, "%s", problem == NULL ? "" : problem);
  reason_text[strcspn(reason_text, "\n")] = '\0';
}

struct op *process_jail_probe(void) {
  static const struct process_jail jail = {NULL, false};
  static char *const argv[] = {"probe", NULL};
  static char *const env[] = {"PATH=/usr/bin:/bin", NULL};
  struct process_request request = {.argv = argv, .env = env, .cwd = "/", .cap = 4096};
  request.tee_fd = -1;
  request.timeout_ms = 10000;
  request.grace_ms = 100;
  request.jail = &jail;
  request.probe = true;
  return process_start(&request);
}
