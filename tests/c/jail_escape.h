/* Attempts to act from inside the jail that need system calls of their own. The test runs itself in
 * the jail as `test_process_jail escape NAME PID DIR`; each prints ESCAPED when the call worked. */
#ifndef OPSRUN_TEST_JAIL_ESCAPE_H
#define OPSRUN_TEST_JAIL_ESCAPE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SHM_KEY 0x0c5a1
#define MQ_NAME "/opsrun-jail-test"
#define UDP_PORT_FILE "udp.port"

struct victim {
  int pid;
  const char *dir;
};

typedef long escape_fn(const struct victim *v);

static inline const char *in_dir(const struct victim *v, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", v->dir, name);
  return path;
}

static inline long unix_connect(const char *path, size_t path_len) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  memcpy(to.sun_path, path, path_len);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  return connect(fd, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len));
}

static inline long e_unix(const struct victim *v) {
  const char *path = in_dir(v, "socket");
  return unix_connect(path, strlen(path) + 1);
}

static inline long e_abstract(const struct victim *v) {
  char name[64];
  name[0] = '\0';
  int length = snprintf(name + 1, sizeof name - 1, "opsrun-jail-%s", strrchr(v->dir, '/') + 1);
  return unix_connect(name, (size_t)length + 1);
}

static inline long e_udp(const struct victim *v) {
  FILE *file = fopen(in_dir(v, UDP_PORT_FILE), "re");
  int port = 0;
  if (file == NULL || fscanf(file, "%d", &port) != 1) return -1;
  fclose(file);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  return fd < 0 ? -1 : sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
}

static inline long e_netlink(const struct victim *v) {
  (void)v;
  return socket(AF_NETLINK, SOCK_RAW, 0);
}

static inline long e_socketpair(const struct victim *v) {
  (void)v;
  int ends[2];
  return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static inline long e_kill(const struct victim *v) { return kill(v->pid, SIGKILL); }
static inline long e_tgkill(const struct victim *v) {
  return syscall(SYS_tgkill, v->pid, v->pid, SIGKILL);
}
static inline long e_tkill(const struct victim *v) { return syscall(SYS_tkill, v->pid, SIGKILL); }

static inline long e_sigqueue(const struct victim *v) {
  union sigval value = {.sival_int = 1};
  return sigqueue(v->pid, SIGKILL, value);
}

static inline long e_kill_all(const struct victim *v) {
  (void)v;
  return kill(-1, SIGCONT);
}

static inline long e_pidfd_signal(const struct victim *v) {
  int fd = (int)syscall(SYS_pidfd_open, v->pid, 0);
  return fd < 0 ? -1 : syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static inline long e_pidfd_getfd(const struct victim *v) {
  int fd = (int)syscall(SYS_pidfd_open, v->pid, 0);
  return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static inline long e_ptrace(const struct victim *v) {
  return ptrace(PTRACE_SEIZE, v->pid, NULL, NULL);
}

static inline long e_vm_write(const struct victim *v) {
  char byte = 0;
  struct iovec ours = {&byte, 1}, theirs = {(void *)(uintptr_t)environ[0], 1};
  return process_vm_writev(v->pid, &ours, 1, &theirs, 1, 0);
}

static inline long e_priority(const struct victim *v) {
  return setpriority(PRIO_PROCESS, (id_t)v->pid, 5);
}

static inline long e_affinity(const struct victim *v) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  return sched_setaffinity(v->pid, sizeof set, &set);
}

static inline long e_scheduler(const struct victim *v) {
  struct sched_param param = {0};
  return sched_setscheduler(v->pid, SCHED_BATCH, &param);
}

static inline long e_prlimit(const struct victim *v) {
  struct rlimit limit = {7, 7};
  return prlimit(v->pid, RLIMIT_NOFILE, &limit, NULL);
}

static inline long e_ioprio(const struct victim *v) {
  return syscall(SYS_ioprio_set, 1, v->pid, 3 << 13);
}

static inline long e_setown(const struct victim *v) {
  return fcntl(0, F_SETOWN, v->pid) == 0 || fcntl(1, F_SETOWN, v->pid) == 0 ? 0 : -1;
}

static inline long e_setown_ex(const struct victim *v) {
  struct f_owner_ex owner = {F_OWNER_PID, v->pid};
  return fcntl(1, F_SETOWN_EX, &owner);
}

/* The kernel looks at the low half of the command only. */
static inline long e_setown_high_bits(const struct victim *v) {
  return syscall(SYS_fcntl, 1, (1UL << 32) | F_SETOWN, (long)v->pid);
}

static inline long e_setsig(const struct victim *v) {
  (void)v;
  return fcntl(1, F_SETSIG, SIGKILL);
}

static inline long e_tiocsti(const struct victim *v) {
  (void)v;
  return syscall(SYS_ioctl, 0, TIOCSTI, "x") == 0 || errno != EPERM ? 0 : -1;
}

static inline long e_tiocsti_high_bits(const struct victim *v) {
  (void)v;
  return syscall(SYS_ioctl, 0, (1UL << 32) | TIOCSTI, "x") == 0 || errno != EPERM ? 0 : -1;
}

static inline long e_lock(const struct victim *v) {
  int fd = open(in_dir(v, "file"), O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

static inline long e_lease(const struct victim *v) {
  int fd = open(in_dir(v, "file"), O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : fcntl(fd, F_SETLEASE, F_RDLCK);
}

static inline long e_handle(const struct victim *v) {
  union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  } u;
  int mount_id = 0;
  u.handle.handle_bytes = MAX_HANDLE_SZ;
  int dir = open(v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0 || name_to_handle_at(dir, "file", &u.handle, &mount_id, 0) != 0) return -1;
  return open_by_handle_at(dir, &u.handle, O_RDONLY);
}

static inline long e_flags(const struct victim *v) {
  int fd = open(in_dir(v, "file"), O_RDONLY | O_CLOEXEC);
  long flags = 0x10; /* immutable */
  return fd < 0 ? -1 : ioctl(fd, _IOW('f', 2, long), &flags);
}

static inline long e_shm(const struct victim *v) {
  (void)v;
  int id = shmget(SHM_KEY, 4096, 0600);
  char *at = id < 0 ? (char *)-1 : shmat(id, NULL, 0);
  if (at == (char *)-1) return -1;
  *at = 'X';
  return 0;
}

static inline long e_msg(const struct victim *v) {
  (void)v;
  struct { long type; char text; } message = {1, 'x'};
  int id = msgget(SHM_KEY, 0600);
  return id < 0 ? -1 : msgsnd(id, &message, 1, IPC_NOWAIT);
}

static inline long e_mq(const struct victim *v) {
  (void)v;
  mqd_t queue = mq_open(MQ_NAME, O_WRONLY);
  return queue < 0 ? -1 : mq_send(queue, "x", 1, 0);
}

static inline long e_uring(const struct victim *v) {
  (void)v;
  static char params[120];
  return syscall(SYS_io_uring_setup, 4, params);
}

static inline long e_key(const struct victim *v) {
  (void)v;
  return syscall(SYS_add_key, "user", "opsrun-jail", "x", 1, -4 /* the user's keyring */);
}

static inline long e_keyctl(const struct victim *v) {
  (void)v;
  return syscall(SYS_keyctl, 0 /* get id */, -4, 1);
}

static inline long e_bpf(const struct victim *v) {
  (void)v;
  static char attr[64] = {2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1};
  return syscall(SYS_bpf, 0, attr, sizeof attr);
}

static inline long e_perf(const struct victim *v) {
  static char attr[112] = {1, 0, 0, 0, 112};
  return syscall(SYS_perf_event_open, attr, v->pid, -1, -1, 0);
}

static inline long e_userfault(const struct victim *v) {
  (void)v;
  return syscall(SYS_userfaultfd, 1 /* user mode only */);
}

static inline long e_mount(const struct victim *v) {
  return mount("none", v->dir, "tmpfs", 0, NULL);
}

static inline long e_open_tree(const struct victim *v) {
  return syscall(SYS_open_tree, -1, v->dir, 1 /* clone */);
}

static inline long e_remount(const struct victim *v) {
  (void)v;
  return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL);
}

static inline long e_unshare(const struct victim *v) {
  (void)v;
  return unshare(CLONE_NEWUSER | CLONE_NEWNS);
}

static inline long e_clone(const struct victim *v) {
  (void)v;
  long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) _exit(0);
  return pid;
}

static inline long e_setns(const struct victim *v) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", v->pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : setns(fd, 0);
}

static inline long e_chroot(const struct victim *v) { return chroot(v->dir); }

static inline long e_hostname(const struct victim *v) {
  (void)v;
  char name[256];
  return gethostname(name, sizeof name) == 0 ? sethostname(name, strlen(name)) : -1;
}

static inline long e_clock(const struct victim *v) {
  (void)v;
  struct timezone zone = {0, 0}; /* UTC, as every kernel here */
  return settimeofday(NULL, &zone);
}

static inline long e_module(const struct victim *v) {
  (void)v;
  return syscall(SYS_delete_module, "no_such_module", 0) == 0 || errno != EPERM ? 0 : -1;
}

static inline long e_swap(const struct victim *v) {
  (void)v;
  return syscall(SYS_swapoff, "/no/such") == 0 || errno != EPERM ? 0 : -1;
}

static inline long e_capability(const struct victim *v) {
  (void)v;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1U << CAP_SYS_ADMIN, 1U << CAP_SYS_ADMIN, 0}};
  return syscall(SYS_capset, &header, data);
}

#ifdef __x86_64__
/* The same calls under other numbers: the 32-bit table and the x32 one. */
static inline long e_int80(const struct victim *v) {
  long result = 0;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(37L), "b"((long)v->pid), "c"(9L) : "memory");
  return result < 0 ? -1 : result;
}

static inline long e_x32(const struct victim *v) {
  return syscall(0x40000000 | SYS_kill, v->pid, SIGKILL);
}
#endif

#define ESCAPE(name) {#name, e_##name}
static const struct { const char *name; escape_fn *fn; } escapes[] = {
    ESCAPE(unix), ESCAPE(abstract), ESCAPE(udp), ESCAPE(netlink), ESCAPE(socketpair), ESCAPE(kill),
    ESCAPE(tgkill), ESCAPE(tkill), ESCAPE(sigqueue), ESCAPE(kill_all), ESCAPE(pidfd_signal),
    ESCAPE(pidfd_getfd), ESCAPE(ptrace), ESCAPE(vm_write), ESCAPE(priority), ESCAPE(affinity),
    ESCAPE(scheduler), ESCAPE(prlimit), ESCAPE(ioprio), ESCAPE(setown), ESCAPE(setown_ex),
    ESCAPE(setown_high_bits), ESCAPE(setsig), ESCAPE(tiocsti), ESCAPE(tiocsti_high_bits),
    ESCAPE(lock), ESCAPE(lease), ESCAPE(handle), ESCAPE(flags), ESCAPE(shm), ESCAPE(msg),
    ESCAPE(mq), ESCAPE(uring), ESCAPE(key), ESCAPE(keyctl), ESCAPE(bpf), ESCAPE(perf),
    ESCAPE(userfault), ESCAPE(mount), ESCAPE(open_tree), ESCAPE(remount), ESCAPE(unshare),
    ESCAPE(clone), ESCAPE(setns), ESCAPE(chroot), ESCAPE(hostname), ESCAPE(clock), ESCAPE(module),
    ESCAPE(swap), ESCAPE(capability),
#ifdef __x86_64__
    ESCAPE(int80), ESCAPE(x32),
#endif
};

#define ESCAPE_COUNT (sizeof escapes / sizeof escapes[0])

static inline int escape_main(const char *name, const char *pid, const char *dir) {
  struct victim victim = {atoi(pid), dir};
  for (size_t i = 0; i < ESCAPE_COUNT; i++)
    if (strcmp(escapes[i].name, name) == 0) {
      printf("%s\n", escapes[i].fn(&victim) >= 0 ? "ESCAPED" : strerror(errno));
      return 0;
    }
  printf("ESCAPED: no such attempt\n");
  return 0;
}

#endif
