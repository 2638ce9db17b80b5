/* Locks that end with their holder, and say who it is. Open file description locks: they can be
 * asked for without being taken, and closing another descriptor of the file does not drop them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store_io.h"

struct store_lock {
  int fd;
};

static struct flock whole_file(short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static void write_holder(int fd, const char *note) {
  char host[65] = "", since[32], text[512];
  gethostname(host, sizeof host - 1);
  time_t now = time(NULL);
  struct tm tm;
  gmtime_r(&now, &tm);
  strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
  int len = snprintf(text, sizeof text, "%ld\n%s\n%s\n%s\n", (long)getpid(), host, since,
                     note != NULL ? note : "");
  /* Only for the reader's eyes: the lock holds without it, on a full disk too. */
  if (ftruncate(fd, 0) == 0 && len > 0) {
    ssize_t ignored =
        pwrite(fd, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, 0);
    (void)ignored;
  }
}

static void copy_line(char **at, char *out, size_t size) {
  char *line = strsep(at, "\n");
  snprintf(out, size, "%s", line != NULL ? line : "");
}

/* Is the process that wrote this still there? Of another machine's nobody knows. */
static bool may_live(const struct store_holder *holder) {
  char host[65] = "";
  gethostname(host, sizeof host - 1);
  return strcmp(host, holder->host) != 0 || kill(holder->pid, 0) == 0 || errno != ESRCH;
}

static bool read_once(int fd, struct store_holder *holder) {
  char text[512], pid[24];
  memset(holder, 0, sizeof *holder);
  ssize_t len = pread(fd, text, sizeof text - 1, 0);
  if (len <= 0) return false;
  text[len] = '\0';
  char *at = text;
  copy_line(&at, pid, sizeof pid);
  copy_line(&at, holder->host, sizeof holder->host);
  copy_line(&at, holder->since, sizeof holder->since);
  copy_line(&at, holder->note, sizeof holder->note);
  holder->pid = (pid_t)strtol(pid, NULL, 10);
  return holder->pid > 0 && may_live(holder);
}

/* The holder may be between taking the lock and writing its name: then the file is empty, or still
   names one that was killed. */
static void read_holder(int fd, struct store_holder *holder) {
  for (int look = 0; look < 60 && !read_once(fd, holder); look++)
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static int refuse(const char *shown, const struct store_holder *holder, struct store_error *error) {
  if (holder->pid == 0)
    return store_fail(error, "locked", "'%s' is held by another process", shown);
  return store_fail(error, "locked", "'%s' is held by process %ld on %s since %s%s%s", shown,
                    (long)holder->pid, holder->host, holder->since,
                    holder->note[0] != '\0' ? ", run " : "", holder->note);
}

/* In the shared home the next holder may be another of the group, whatever the umask says. */
static int open_lock(int dir, const char *name) {
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  int fd = openat(dir, name, flags | O_CREAT | O_EXCL, store_file_mode());
  if (fd < 0) return errno == EEXIST ? openat(dir, name, flags) : -1;
  if (store_file_mode() != 0600) (void)fchmod(fd, store_file_mode());
  return fd;
}

int store_lock_at(int dir, const char *name, const char *shown, const char *note,
                  struct store_holder *holder, struct store_error *error) {
  struct store_holder found;
  int fd = open_lock(dir, name);
  if (fd < 0) return store_fail_errno(error, errno, "open the lock of", shown);
  struct flock lock = whole_file(F_WRLCK);
  int code;
  do code = fcntl(fd, F_OFD_SETLK, &lock);
  while (code != 0 && errno == EINTR);
  if (code == 0) {
    write_holder(fd, note);
    return fd;
  }
  if (errno != EAGAIN && errno != EACCES) {
    store_fail_errno(error, errno, "lock", shown);
  } else {
    read_holder(fd, &found);
    refuse(shown, &found, error);
    if (holder != NULL) *holder = found;
  }
  close(fd);
  return -1;
}

struct store_lock *store_lock_named(const char *name, const char *note, struct store_holder *holder,
                                    struct store_error *error) {
  struct store_lock *lock = malloc(sizeof *lock);
  if (lock == NULL) {
    store_fail_errno(error, ENOMEM, "lock", name);
    return NULL;
  }
  int dir = store_open_home("locks", true, error);
  if (dir >= 0) {
    char file[65];
    store_digest(name, strlen(name), file); /* a name may hold anything */
    lock->fd = store_lock_at(dir, file, name, note, holder, error);
    close(dir);
    if (lock->fd >= 0) return lock;
  }
  free(lock);
  return NULL;
}

void store_unlock_at(int fd) {
  if (fd < 0) return;
  (void)!ftruncate(fd, 0); /* the next one to be refused must not read our name */
  close(fd);
}

void store_unlock(struct store_lock *lock) {
  if (lock == NULL) return;
  store_unlock_at(lock->fd);
  free(lock);
}

int store_holder_at(int dir, const char *name, struct store_holder *holder) {
  memset(holder, 0, sizeof *holder);
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return 0;
  struct flock lock = whole_file(F_WRLCK);
  int held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  if (held) read_holder(fd, holder);
  close(fd);
  return held;
}

int store_holder_of(const char *id, struct store_holder *holder, struct store_error *error) {
  if (!store_is_name(id, STORE_ID_MAX)) return store_fail(error, "name", "'%s' is no run id", id);
  int runs = store_open_home("runs", false, error);
  if (runs < 0) return -1;
  int dir = openat(runs, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int number = errno;
  close(runs);
  if (dir < 0) return store_fail_errno(error, number, "open run", id);
  int held = store_holder_at(dir, "lock", holder);
  close(dir);
  return held;
}
