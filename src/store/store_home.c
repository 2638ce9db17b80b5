/* Where runs are kept, and which there are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_io.h"

static const char shared_home[] = "/var/lib/opsrun";

/* The shared place counts only if we may write there: a stranger's runs stay his own. */
static bool is_shared(const char *home) { return strcmp(home, shared_home) == 0; }

static void absolute(const char *path, char *out, size_t size) {
  char cwd[PATH_MAX];
  if (path[0] == '/' || getcwd(cwd, sizeof cwd) == NULL) snprintf(out, size, "%s", path);
  else snprintf(out, size, "%s/%s", cwd, path);
  size_t len = strlen(out);
  while (len > 1 && out[len - 1] == '/') out[--len] = '\0';
}

const char *store_home(void) {
  static char home[2 * PATH_MAX];
  const char *given = getenv("OPSRUN_HOME");
  if (given != NULL && *given != '\0') {
    absolute(given, home, sizeof home);
    return home;
  }
  if (access(shared_home, W_OK | X_OK) == 0) {
    snprintf(home, sizeof home, "%s", shared_home);
    return home;
  }
  const char *state = getenv("XDG_STATE_HOME"), *user = getenv("HOME");
  if (state != NULL && state[0] == '/') {
    snprintf(home, sizeof home, "%s/opsrun", state);
    return home;
  }
  if (user == NULL || user[0] != '/') {
    const struct passwd *entry = getpwuid(geteuid());
    user = entry != NULL && entry->pw_dir != NULL ? entry->pw_dir : "/nonexistent";
  }
  snprintf(home, sizeof home, "%s/.local/state/opsrun", user);
  return home;
}

mode_t store_file_mode(void) { return is_shared(store_home()) ? 0660 : 0600; }

static mode_t dir_mode(void) { return is_shared(store_home()) ? 02770 : 0700; }

/* Makes the directory and its parents. A new entry is synced into its parent: a journal in a
   directory that a power cut takes away is no journal. */
static int make_path(char *path) {
  if (mkdir(path, dir_mode()) != 0) {
    if (errno == EEXIST) return 0;
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || slash == NULL || slash == path) return -1;
    *slash = '\0';
    int code = make_path(path);
    *slash = '/';
    if (code != 0 || (mkdir(path, dir_mode()) != 0 && errno != EEXIST)) return -1;
  }
  if (is_shared(store_home())) (void)chmod(path, dir_mode()); /* past the umask */
  char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path) return 0;
  *slash = '\0';
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *slash = '/';
  int code = fd < 0 ? -1 : store_calls.fsync(fd);
  int number = errno;
  if (fd >= 0) close(fd);
  errno = number;
  return code;
}

/* Others who may write here could swap a journal or a lock for their own. */
static int check_owner(int fd, const char *path, struct store_error *error) {
  struct stat st;
  if (fstat(fd, &st) != 0) return store_fail_errno(error, errno, "open", path);
  if (st.st_uid != 0 && st.st_uid != geteuid() && !is_shared(store_home()))
    return store_fail(error, "denied", "cannot use '%s': it belongs to another user", path);
  if ((st.st_mode & S_IWOTH) != 0)
    return store_fail(error, "denied",
                      "cannot use '%s': everybody may write there, try 'chmod o-w'", path);
  return 0;
}

int store_open_home(const char *below, bool make, struct store_error *error) {
  const char *home = store_home();
  char path[2 * PATH_MAX + 64];
  snprintf(path, sizeof path, "%s%s%s", home, below != NULL ? "/" : "", below != NULL ? below : "");
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT && make) {
    if (make_path(path) != 0) return store_fail_errno(error, errno, "make", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (fd < 0) return store_fail_errno(error, errno, "open", path);
  if (check_owner(fd, path, error) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

bool store_is_name(const char *name, size_t cap) {
  size_t len = strlen(name);
  if (len == 0 || len > cap || name[0] == '.' || name[0] == '-') return false;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c < 0x20 || c == '/' || c == 0x7F) return false;
  }
  return true;
}

struct entry {
  char *id;
  int64_t seconds;
  uint32_t nanoseconds;
};

static int older(const void *one, const void *two) {
  const struct entry *a = one, *b = two;
  if (a->seconds != b->seconds) return a->seconds < b->seconds ? -1 : 1;
  if (a->nanoseconds != b->nanoseconds) return a->nanoseconds < b->nanoseconds ? -1 : 1;
  return strcmp(a->id, b->id);
}

/* When the run's folder was made. Ids hold no year, so they do not tell. */
static void birth_of(int dir, struct entry *entry) {
  struct statx st;
  if (statx(dir, entry->id, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_MTIME, &st) != 0) return;
  struct statx_timestamp when = (st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime : st.stx_mtime;
  entry->seconds = when.tv_sec;
  entry->nanoseconds = when.tv_nsec;
}

static int take_entries(DIR *listing, struct entry **entries, size_t *count) {
  size_t room = 0;
  const struct dirent *found;
  while ((found = readdir(listing)) != NULL) {
    if (!store_is_name(found->d_name, STORE_ID_MAX)) continue;
    if (found->d_type != DT_DIR && found->d_type != DT_UNKNOWN) continue;
    if (*count == room) {
      room = room == 0 ? 64 : room * 2;
      struct entry *grown = realloc(*entries, room * sizeof *grown);
      if (grown == NULL) return -1;
      *entries = grown;
    }
    struct entry entry = {.id = strdup(found->d_name)};
    if (entry.id == NULL) return -1;
    birth_of(dirfd(listing), &entry);
    (*entries)[(*count)++] = entry;
  }
  return 0;
}

int store_list(char ***ids, size_t *count, struct store_error *error) {
  *ids = NULL;
  *count = 0;
  int fd = store_open_home("runs", false, error);
  if (fd < 0) return strcmp(error->code, "missing") == 0 ? 0 : -1;
  DIR *listing = fdopendir(fd);
  if (listing == NULL) {
    close(fd);
    return store_fail_errno(error, errno, "list", store_home());
  }
  struct entry *entries = NULL;
  size_t used = 0;
  int code = take_entries(listing, &entries, &used);
  closedir(listing);
  char **out = code == 0 ? calloc(used + 1, sizeof *out) : NULL;
  if (used > 0) qsort(entries, used, sizeof *entries, older);
  for (size_t i = 0; i < used; i++) {
    if (out != NULL) out[i] = entries[i].id;
    else free(entries[i].id);
  }
  free(entries);
  if (out == NULL) return store_fail_errno(error, ENOMEM, "list", store_home());
  *ids = out;
  *count = used;
  return 0;
}

void store_free_list(char **ids, size_t count) {
  for (size_t i = 0; i < count; i++) free(ids[i]);
  free(ids);
}
