/* What the helper inside the jail takes away, once bubblewrap's mounts stand: device nodes that
 * could be changed, mounts that could still arrive, every capability, and system calls. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

/* The devices are the host's own: on a writable mount their owner could chmod them. bubblewrap can
   bind a device read-only or usable, not both; writing into one needs no writable mount. What the
   host mounts from now on must not appear in here. */
int confine_mounts(void) {
  static const char *const devices[] = {"/dev/null", "/dev/zero",    "/dev/full",
                                        "/dev/random", "/dev/urandom"};
  struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
    if (syscall(SYS_mount_setattr, -1, devices[i], 0, &read_only, sizeof read_only) != 0) return -1;
  struct mount_attr private = {.propagation = MS_PRIVATE};
  return (int)syscall(SYS_mount_setattr, -1, "/", 0x8000 /* AT_RECURSIVE */, &private,
                      sizeof private);
}

int confine_capabilities(void) {
  /* Only root keeps one: reading what belongs to others, as it could outside. */
  uint32_t kept = geteuid() == 0 ? 1U << CAP_DAC_READ_SEARCH : 0;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return -1;
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
    if (cap < 32 && (kept & (1U << cap)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return -1;
  }
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{kept, kept, 0}, {0, 0, 0}};
  return (int)syscall(SYS_capset, &header, data);
}

int confine_calls(int fd) {
  static struct sock_filter filter[4096];
  size_t used = 0;
  for (;;) {
    ssize_t got = read(fd, (char *)filter + used, sizeof filter - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    used += (size_t)got;
  }
  if (used == 0 || used == sizeof filter || used % sizeof filter[0] != 0) {
    errno = EINVAL; /* no filter, or not a whole one */
    return -1;
  }
  struct sock_fprog program = {(unsigned short)(used / sizeof filter[0]), filter};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
