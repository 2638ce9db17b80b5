/* Landlock for the jail, by raw system calls and numbers of our own: Debian 12's header knows only
 * the second of the versions below.
 * ABI 1 (Linux 5.13) file rights; 2 (5.19) refer; 3 (6.2) truncate; 4 (6.7) TCP; 5 (6.10) device
 * ioctls; 6 (6.12) abstract sockets and signals. The scope of signals is not used: it would answer
 * 'kill -0' for a living process with "not permitted", and the call filter stops real ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

#define FS_WRITE_FILE (1ULL << 1)
/* remove dir, file; make char, dir, reg, sock, fifo, block, sym */
#define FS_ABI_1_CHANGES 0x1ff0ULL
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_AND_CONNECT_TCP 3ULL
#define SCOPE_ABSTRACT_UNIX_SOCKET 1ULL

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

struct ruleset {
  uint64_t fs, net, scoped;
};

struct path_rule {
  uint64_t allowed;
  int32_t parent_fd;
} __attribute__((packed));

static int abi_of_kernel(void) {
  return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
}

/* What is taken away, as far as this kernel knows the word for it. Reading and executing are not
   touched. */
static struct ruleset choose_rights(int abi, bool net) {
  struct ruleset set = {FS_WRITE_FILE | FS_ABI_1_CHANGES, 0, 0};
  if (abi >= 2) set.fs |= FS_REFER;
  if (abi >= 3) set.fs |= FS_TRUNCATE;
  if (abi >= 4 && !net) set.net = NET_BIND_AND_CONNECT_TCP;
  if (abi >= 5) set.fs |= FS_IOCTL_DEV;
  if (abi >= 6 && !net) set.scoped = SCOPE_ABSTRACT_UNIX_SOCKET;
  return set;
}

static size_t ruleset_size(int abi) {
  return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static int allow(int ruleset_fd, const char *path, uint64_t rights) {
  struct path_rule rule = {rights, open(path, O_PATH | O_CLOEXEC)};
  if (rule.parent_fd < 0) return -1;
  struct stat facts;
  if (fstat(rule.parent_fd, &facts) == 0 && !S_ISDIR(facts.st_mode))
    rule.allowed &= FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV; /* all that fits a file */
  long rc = syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0);
  int saved = errno;
  close(rule.parent_fd);
  errno = saved;
  return (int)rc;
}

int landlock_apply(char *const *writable, bool net) {
  int abi = abi_of_kernel();
  if (abi < 1) {
    if (abi == 0) errno = EOPNOTSUPP;
    return -1;
  }
  struct ruleset set = choose_rights(abi, net);
  int fd = (int)syscall(SYS_landlock_create_ruleset, &set, ruleset_size(abi), 0);
  if (fd < 0) return -1;
  int rc = allow(fd, "/dev/null", set.fs);
  for (size_t i = 0; rc == 0 && writable != NULL && writable[i] != NULL; i++)
    rc = allow(fd, writable[i], set.fs);
  if (rc == 0) rc = (int)syscall(SYS_landlock_restrict_self, fd, 0);
  int saved = errno;
  close(fd);
  errno = saved;
  return rc == 0 ? abi : -1;
}
