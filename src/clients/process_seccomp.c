/* The jail's system call filter: everything is allowed but what acts on something outside the
 * command itself and is not already stopped by read-only mounts and missing capabilities. Compiled
 * once a process, kept in a memfd, loaded by the last program before the command. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process_internal.h"

/* Refused with EPERM whatever their arguments. Names this libseccomp does not know are skipped. */
static const char *const refused[] = {
    /* acting on other processes */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease",
    "pidfd_send_signal", "pidfd_getfd", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "kcmp",
    "move_pages", "migrate_pages", "setpriority", "sched_setscheduler", "sched_setparam",
    "sched_setattr", "sched_setaffinity", "ioprio_set",
    /* mounts and namespaces */
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "setns", "unshare", "open_by_handle_at",
    /* ways around this filter, or too large to judge */
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open",
    "userfaultfd", "keyctl", "add_key", "request_key", "fanotify_init", "modify_ldt",
    /* the machine */
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "swapon", "swapoff", "quotactl", "quotactl_fd", "nfsservctl", "acct", "syslog", "vhangup",
    "iopl", "ioperm", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime",
    "sethostname", "setdomainname", "_sysctl", "lookup_dcookie", "uselib", "vm86", "vm86old"};

/* Without a network every socket: also Unix ones, behind which daemons act. */
static const char *const refused_without_net[] = {"socket", "socketpair"};

static bool refuse(scmp_filter_ctx filter, const char *name) {
  int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return true;
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0) == 0;
}

static bool refuse_all(scmp_filter_ctx filter, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!refuse(filter, names[i])) return false;
  return true;
}

/* Refuses `number` when argument `index` equals `value` in its low 32 bits: the kernel looks at no
   more of a command or a request, so higher bits must not hide it. */
static bool refuse_value(scmp_filter_ctx filter, int number, unsigned index, uint64_t value) {
  struct scmp_arg_cmp test = {index, SCMP_CMP_MASKED_EQ, 0xffffffffu, value};
  return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), number, 1, &test) == 0;
}

static bool refuse_bit(scmp_filter_ctx filter, int number, unsigned index, uint64_t bit) {
  struct scmp_arg_cmp test = {index, SCMP_CMP_MASKED_EQ, bit, bit};
  return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), number, 1, &test) == 0;
}

/* Signal 0 only asks whether a process is there ('kill -0'); every other one acts. */
static bool refuse_signals(scmp_filter_ctx filter) {
  static const struct { const char *name; unsigned index; } calls[] = {
      {"kill", 1}, {"tkill", 1}, {"tgkill", 2}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    struct scmp_arg_cmp test = {calls[i].index, SCMP_CMP_NE, 0, 0};
    int number = seccomp_syscall_resolve_name(calls[i].name);
    if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), number, 1, &test) != 0) return false;
  }
  return true;
}

/* One's own limits may be set, and anybody's be read. */
static bool refuse_limits_of_others(scmp_filter_ctx filter) {
  struct scmp_arg_cmp tests[] = {{0, SCMP_CMP_NE, 0, 0}, {2, SCMP_CMP_NE, 0, 0}};
  return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 2, tests) == 0;
}

static bool refuse_descriptor_tricks(scmp_filter_ctx filter) {
  static const int commands[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (!refuse_value(filter, SCMP_SYS(fcntl), 1, (uint64_t)commands[i])) return false;
  static const unsigned long requests[] = {TIOCSTI, TIOCSCTTY, 0x541c /* TIOCLINUX */, FIOSETOWN,
                                           SIOCSPGRP};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
    if (!refuse_value(filter, SCMP_SYS(ioctl), 1, requests[i])) return false;
  /* An exclusive lock on a file that is only open for reading would hold up its owner. */
  return refuse_bit(filter, SCMP_SYS(flock), 1, LOCK_EX);
}

static bool refuse_namespaces(scmp_filter_ctx filter) {
  static const uint64_t bits[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                  CLONE_NEWUSER, CLONE_NEWPID,   CLONE_NEWNET};
  for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
    if (!refuse_bit(filter, SCMP_SYS(clone), 0, bits[i])) return false;
  /* Its flags are behind a pointer; libc falls back to clone. */
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

/* Calls newer than this list: not there, as on an older kernel. Numbers are the same on every
   architecture from 424 on. 451 cachestat, 452 fchmodat2 and 454-456 futex are harmless and known
   to newer libraries. */
static bool refuse_unknown(scmp_filter_ctx filter) {
  for (int number = 457; number < 640; number++)
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0) != 0) return false;
  return true;
}

static bool add_rules(scmp_filter_ctx filter, bool net) {
  /* The default of a call under another architecture's numbers would end one thread only. */
  return seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
         seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 &&
         refuse_all(filter, refused, sizeof refused / sizeof refused[0]) &&
         (net || refuse_all(filter, refused_without_net, 2)) && refuse_signals(filter) &&
         refuse_limits_of_others(filter) && refuse_descriptor_tricks(filter) &&
         refuse_namespaces(filter) && refuse_unknown(filter);
}

/* Compiles into a sealed memfd. Returns it, or -1 with errno. */
static int compile(bool net) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  int fd = -1;
  if (filter != NULL && add_rules(filter, net)) {
    fd = memfd_create("opsrun-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && seccomp_export_bpf(filter, fd) != 0) {
      close(fd);
      fd = -1;
    }
    if (fd >= 0) fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  }
  if (filter != NULL) seccomp_release(filter);
  if (fd < 0) errno = EINVAL;
  return fd;
}

int process_filter_fd(bool net) {
  static int compiled[2] = {-1, -1};
  int *fd = &compiled[net ? 1 : 0];
  if (*fd < 0) *fd = compile(net);
  if (*fd < 0) return -1;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
  return open(path, O_RDONLY | O_CLOEXEC); /* a position of its own: several read at once */
}
