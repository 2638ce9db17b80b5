/* Where runs are kept. */
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
