/* The jail: what a read may not do, tried as root and as nobody. Whether an attempt had an effect is
 * judged from outside: a fingerprint of the victims is taken before and after each. */
#include "process_check.h"

#include <dirent.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "jail_escape.h"

static char scratch[64];       /* the victims' directory; not below /tmp, which the jail hides */
static char run_folder[128];
static char self_path[PATH_MAX];
static int victim_pid, listener, abstract_listener, udp, fifo, shm_id, msg_id;
static mqd_t queue;

/* In bash: $V is the victim's pid, $D its directory, $O ours. Should the jail fail, they happen on this
   machine: each is aimed at our own victims, or sets to what it is what belongs to the machine. */
static const struct { const char *name, *script; } attempts[] = {
    {"write a file", "echo x > $D/file"},
    {"append to a file", "echo x >> $D/file"},
    {"truncate a file", "truncate -s 0 $D/file"},
    {"chmod a file", "chmod 777 $D/file"},
    {"chown a file", "chown 1:1 $D/file"},
    {"touch a file", "touch $D/file"},
    {"touch a directory", "touch -a $D"},
    {"remove a file", "rm -f $D/file"},
    {"rename a file", "mv $D/file $D/moved"},
    {"link a file", "ln $D/file $D/linked; ln $D/file /tmp/linked"},
    {"make a symlink", "ln -s x $D/symlink"},
    {"make a directory", "mkdir $D/new"},
    {"make a fifo", "mkfifo $D/newfifo"},
    {"make a device", "mknod $D/dev c 1 3; mknod /tmp/dev c 1 3 && echo ESCAPED > /tmp/dev"},
    {"write into a fifo", "timeout 1 bash -c \"echo x > $D/fifo\""},
    {"write into a fifo, opened both ways", "exec 9<>$D/fifo; echo x >&9"},
    {"set an attribute", "setfattr -n user.x -v y $D/file; chattr +i $D/file"},
    {"copy over", "cp -f /etc/hostname $D/file; dd if=/dev/zero of=$D/file bs=1 count=1 conv=notrunc"},
    {"write to shared memory", "echo x > /dev/shm/opsrun-jail-test"},
    {"write to a terminal", "for t in /dev/pts/* /dev/tty /dev/console; do : > $t && echo ESCAPED; done"},
    {"change a device", "chmod 666 /dev/null; touch /dev/zero; chown 0 /dev/null"},
    {"write a sysctl", "f=/proc/sys/kernel/printk_delay; echo $(cat $f) > $f && echo ESCAPED"},
    {"write the victim's oom score", "echo 500 > /proc/$V/oom_score_adj"},
    {"press sysrq", ": > /proc/sysrq-trigger && echo ESCAPED"},
    {"set the hostname", "hostname $(hostname) && echo ESCAPED"},
    {"kill", "kill -9 $V; /bin/kill -9 $V"},
    {"stop", "kill -STOP $V"},
    {"renice", "renice 5 -p $V; ionice -c3 -p $V; taskset -p 1 $V; chrt -b -p 0 $V"},
    {"limit", "prlimit --pid $V --nofile=7:7"},
    {"write through the victim's root", "echo x > /proc/$V/root$D/file"},
    {"write through the victim's directory", "echo x > /proc/$V/cwd/file"},
    {"write through the victim's descriptors", "for f in /proc/$V/fd/*; do echo x >> $f; done"},
    {"write through init's root", "echo x > /proc/1/root$D/file; ls /proc/1/root/ && echo ESCAPED"},
    {"write through our parents", "p=$$; while [ $p -gt 1 ]; do echo x > /proc/$p/root$D/file; "
                                  "p=$(ps -o ppid= -p $p | tr -d ' '); done"},
    {"write the victim's memory", "dd if=/dev/zero of=/proc/$V/mem bs=1 count=1 seek=4096"},
    {"read the victim's secret", "grep -z SECRET /proc/$V/environ && echo ESCAPED"},
    {"read opsrun's environment", "tr '\\0' '\\n' < /proc/$O/environ && echo ESCAPED"},
    {"mount", "mount -t tmpfs none $D; mount --bind /tmp $D; mount -o remount,rw /; echo x > $D/file"},
    {"new namespaces", "unshare -rm sh -c \"mount -o remount,rw,bind /; echo x > $D/file\""},
    {"the victim's namespaces", "nsenter -t $V -m sh -c \"echo x > $D/file\""},
    {"another root", "chroot /proc/$V/root sh -c \"echo x > $D/file\""},
    {"setuid programs", "su -c \"echo x > $D/file\" </dev/null; sudo -n touch $D/file"},
    {"a tcp connection", "exec 9<>/dev/tcp/127.0.0.1/$(cat $D/tcp.port)"},
    {"a udp packet", "echo x > /dev/udp/127.0.0.1/$(cat $D/udp.port)"},
    {"inherited descriptors", "ls /proc/$$/fd > /tmp/fds; [ \"$(tr '\\n' ' ' < /tmp/fds)\" = '0 1 2 ' ] || echo ESCAPED"},
    {"survive", "setsid bash -c 'trap \"\" TERM HUP; exec -a jail-survivor sleep 1000' >/dev/null & "
                "(setsid -f bash -c 'trap \"\" TERM; exec -a jail-survivor sleep 1000' &) & sleep 0.2"},
};

#define ATTEMPT_COUNT (sizeof attempts / sizeof attempts[0])

/* -- victims ----------------------------------------------------------------------------------- */

static void write_number(const char *name, int number) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", scratch, name);
  FILE *file = fopen(path, "we");
  if (file == NULL) abort();
  fprintf(file, "%d\n", number);
  fclose(file);
}

static int bound_port(int fd) {
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  if (getsockname(fd, (struct sockaddr *)&at, &size) != 0) abort();
  return ntohs(at.sin_port);
}

static int tcp_listener;

static void open_sockets(void) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", scratch);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 100) != 0) abort();
  memset(at.sun_path, 0, sizeof at.sun_path);
  int length = snprintf(at.sun_path + 1, 60, "opsrun-jail-%s", strrchr(scratch, '/') + 1);
  abstract_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + 1);
  if (bind(abstract_listener, (struct sockaddr *)&at, size) != 0) abort();
  if (listen(abstract_listener, 100) != 0) abort();
  struct sockaddr_in local = {.sin_family = AF_INET};
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (bind(udp, (struct sockaddr *)&local, sizeof local) != 0) abort();
  if (bind(tcp_listener, (struct sockaddr *)&local, sizeof local) != 0) abort();
  if (listen(tcp_listener, 100) != 0) abort();
  write_number("udp.port", bound_port(udp));
  write_number("tcp.port", bound_port(tcp_listener));
}

static void start_victim(void) {
  char log[256];
  snprintf(log, sizeof log, "%s/log", scratch);
  victim_pid = fork();
  if (victim_pid < 0) abort();
  if (victim_pid > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (chdir(scratch) != 0) _exit(1);
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0 || dup2(fd, 7) < 0) _exit(1);
  char *argv[] = {"jail-victim", "1000", NULL}, *env[] = {"SECRET=hunter2hunter2", NULL};
  execve("/bin/sleep", argv, env);
  _exit(1);
}

static void make_victims(void) {
  snprintf(scratch, sizeof scratch, "/var/tmp/opsrun-jail-XXXXXX");
  if (mkdtemp(scratch) == NULL || chmod(scratch, 0777) != 0) abort();
  snprintf(run_folder, sizeof run_folder, "%s/run", scratch);
  if (mkdir(run_folder, 0700) != 0) abort();
  write_number("file", 42);
  char path[256];
  snprintf(path, sizeof path, "%s/fifo", scratch);
  if (mkfifo(path, 0666) != 0) abort();
  fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  open_sockets();
  shm_id = shmget(SHM_KEY, 4096, IPC_CREAT | 0600);
  msg_id = msgget(SHM_KEY, IPC_CREAT | 0600);
  queue = mq_open(MQ_NAME, O_RDONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600, NULL);
  if (fifo < 0 || shm_id < 0 || msg_id < 0) abort();
  start_victim();
}

static void drop_victims(void) {
  kill(victim_pid, SIGKILL);
  waitpid(victim_pid, NULL, 0);
  shmctl(shm_id, IPC_RMID, NULL);
  msgctl(msg_id, IPC_RMID, NULL);
  mq_unlink(MQ_NAME);
  char *argv[] = {"rm", "-rf", "--", scratch, NULL};
  struct process_request request = request_of(argv);
  op_destroy(run_request(&request));
}

/* -- the fingerprint --------------------------------------------------------------------------- */

static void put_status(FILE *out, const char *path, bool content) {
  struct stat s;
  if (lstat(path, &s) != 0) return;
  fprintf(out, "%s %o %u %u %ld %ld.%09ld %ld.%09ld %lu\n", path, s.st_mode, s.st_uid, s.st_gid,
          (long)s.st_size, (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (long)s.st_ctim.tv_sec,
          s.st_ctim.tv_nsec, (unsigned long)s.st_nlink);
  if (!content || !S_ISREG(s.st_mode)) return;
  char text[4096];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  if (got > 0) fwrite(text, 1, (size_t)got, out);
}

static void put_files(FILE *out) {
  struct dirent **names;
  int count = scandir(scratch, &names, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", scratch, names[i]->d_name);
    if (strcmp(names[i]->d_name, "..") != 0) put_status(out, path, true);
    free(names[i]);
  }
  free(names);
  put_status(out, "/dev/null", false);
  put_status(out, "/dev/zero", false);
  put_status(out, "/dev/shm/opsrun-jail-test", false);
  put_status(out, "/etc/shadow", false);
}

static void put_text(FILE *out, const char *path, const char *prefix) {
  char line[512];
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, prefix, strlen(prefix)) == 0) fputs(line, out);
  fclose(file);
}

static void put_victim(FILE *out) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", victim_pid);
  put_text(out, path, "");
  snprintf(path, sizeof path, "/proc/%d/status", victim_pid);
  put_text(out, path, "State:");
  put_text(out, path, "TracerPid:");
  snprintf(path, sizeof path, "/proc/%d/limits", victim_pid);
  put_text(out, path, "Max open files");
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(victim_pid, sizeof set, &set);
  fprintf(out, "nice %d policy %d cpus %d io %ld\n", getpriority(PRIO_PROCESS, (id_t)victim_pid),
          sched_getscheduler(victim_pid), CPU_COUNT(&set), syscall(SYS_ioprio_get, 1, victim_pid));
}

static void put_messages(FILE *out) {
  char text[256];
  fprintf(out, "unix %d abstract %d tcp %d", accept(listener, NULL, NULL),
          accept(abstract_listener, NULL, NULL), accept(tcp_listener, NULL, NULL));
  fprintf(out, " udp %zd", recv(udp, text, sizeof text, 0));
  fprintf(out, " fifo %zd", read(fifo, text, sizeof text));
  char *shared = shmat(shm_id, NULL, SHM_RDONLY);
  fprintf(out, " shm %d", shared == (char *)-1 ? -1 : *shared);
  if (shared != (char *)-1) shmdt(shared);
  struct msqid_ds messages;
  fprintf(out, " msg %lu", msgctl(msg_id, IPC_STAT, &messages) == 0 ? messages.msg_qnum : 99);
  struct mq_attr attributes = {0};
  if (queue >= 0) mq_getattr(queue, &attributes);
  fprintf(out, " mq %ld\n", attributes.mq_curmsgs);
}

/* Everything the attempts are after, as text. The caller frees it. */
static char *fingerprint(void) {
  char *text = NULL, hostname[256] = "";
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (out == NULL) abort();
  put_files(out);
  put_victim(out);
  put_messages(out);
  gethostname(hostname, sizeof hostname);
  fprintf(out, "host %s\n", hostname);
  fclose(out);
  return text;
}

/* -- attempts ---------------------------------------------------------------------------------- */

static struct op *attempt(const char *script, bool jailed, bool net) {
  char *whole = NULL;
  if (asprintf(&whole, "exec 2>&1; V=%d D=%s O=%d; %s", victim_pid, scratch, (int)getpid(), script) < 0)
    abort();
  const char *const writable[] = {run_folder, NULL};
  struct process_jail jail = {writable, net};
  struct op *op = run_script(whole, jailed ? &jail : NULL);
  free(whole);
  return op;
}

static bool says_escaped(const struct op *op) {
  const struct process_stream *out = &process_result(op)->out;
  return out->kept > 0 && memmem(out->data, out->kept, "ESCAPED", 7) != NULL;
}

/* Runs one attempt in the jail; true when nothing happened. */
static bool stopped(const char *script, bool net) {
  char *before = fingerprint();
  struct op *op = attempt(script, true, net);
  char *after = fingerprint();
  bool same = strcmp(before, after) == 0, ran = !op->failed;
  if (!ran) printf("not run: %s\n", op->message);
  else if (!same) printf("--- before\n%s--- after\n%s", before, after);
  bool quiet = !says_escaped(op);
  if (!quiet) printf("%.*s\n", (int)process_result(op)->out.kept, process_result(op)->out.data);
  op_destroy(op);
  free(before);
  free(after);
  return same && ran && quiet;
}

/* One attempt against each layer. Where one gets through, the others must not be let loose. */
static bool jail_holds(void) {
  static const char *const scripts[] = {"touch $D/file", "echo x > $D/fifo", "kill -CONT $V && echo ESCAPED",
                                        "grep -q '^CapEff:[[:space:]]*[04]*$' /proc/self/status || echo ESCAPED"};
  bool holds = true;
  for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
    bool ok = stopped(scripts[i], false);
    CHECK(ok, scripts[i]);
    holds = holds && ok;
  }
  return holds;
}

static void test_attempts(const char *who) {
  char claim[256], script[PATH_MAX + 64];
  for (size_t i = 0; i < ATTEMPT_COUNT; i++) {
    snprintf(claim, sizeof claim, "%s in the jail: no effect of '%s'", who, attempts[i].name);
    CHECK(stopped(attempts[i].script, false), claim);
  }
  for (size_t i = 0; i < ESCAPE_COUNT; i++) {
    snprintf(claim, sizeof claim, "%s in the jail: the call '%s' is refused", who, escapes[i].name);
    snprintf(script, sizeof script, "%s escape %s $V $D", self_path, escapes[i].name);
    CHECK(stopped(script, false), claim);
  }
  CHECK(stopped("kill -9 $V; echo x > $D/file; echo x > $D/fifo & sleep 0.1; kill -STOP $V", true),
        "net = true allows sockets only");
  struct op *op = run_script("ps -eo args | grep -c '^jail-survivo[r]'", NULL);
  CHECK(output_is(op, "0\n"), "nothing that was started in the jail is alive");
  op_destroy(op);
  printf("%s: %zu attempts\n", who, ATTEMPT_COUNT + ESCAPE_COUNT);
}

/* Without the jail the same attempts are seen: the fingerprint is not blind. */
static void test_control(void) {
  static const char *const scripts[] = {
      "echo x >> $D/file", "chmod 600 $D/file", "touch $D/file", "mkdir $D/new", "echo x > $D/fifo",
      "renice 1 -p $V", "kill -STOP $V", "kill -CONT $V", "echo x > /dev/udp/127.0.0.1/$(cat $D/udp.port)",
      "exec 9<>/dev/tcp/127.0.0.1/$(cat $D/tcp.port)", "echo 100 > /proc/$V/oom_score_adj",
      "prlimit --pid $V --nofile=100:100", "echo x > /proc/$V/root$D/file", "echo y > /proc/$V/fd/7"};
  for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
    char *before = fingerprint();
    struct op *op = attempt(scripts[i], false, false);
    usleep(20000); /* the victim's state is shown once it was scheduled */
    char *after = fingerprint();
    CHECK(strcmp(before, after) != 0, scripts[i]);
    op_destroy(op);
    free(before);
    free(after);
  }
}

/* -- what a read must be able to do ------------------------------------------------------------ */

static bool same_answer(const char *script) {
  struct op *inside = attempt(script, true, false), *outside = attempt(script, false, false);
  const struct process_stream *a = &process_result(inside)->out, *b = &process_result(outside)->out;
  bool same = !inside->failed && !outside->failed && a->kept == b->kept && a->kept > 0 &&
              memcmp(a->data, b->data, a->kept) == 0 &&
              process_result(inside)->code == process_result(outside)->code;
  if (inside->failed) printf("not run: %s\n", inside->message);
  if (!same) printf("in the jail:\n%.*s\noutside:\n%.*s\n", (int)a->kept, a->data, (int)b->kept, b->data);
  op_destroy(inside);
  op_destroy(outside);
  return same;
}

static void test_answers(void) {
  /* Nothing that others on this machine change meanwhile: our own victims, what stands still. */
  static const char *const scripts[] = {
      "ps -o pid,ppid,stat,args -p 1,$V", "ps -e -o pid= | grep -w $V", "df -P / | awk '{print $1, $2, $6}'",
      "uptime | grep -o 'load average'", "free -b | awk '/Mem/ {print $2}'", "cat /etc/os-release",
      "du -s /etc/apt", "ss -ltn 2>/dev/null | awk '{print $1, $4}' | grep -w $(cat $D/tcp.port)",
      "grep -i $(printf ':%04X' $(cat $D/tcp.port)) /proc/net/tcp | awk '{print $2, $4}'", "nproc",
      "uname -a", "hostname", "ls -l /usr/bin | tail -5", "stat -c '%n %s %Y' /etc/passwd $D/file", "id",
      "wc -l /etc/services", "find /etc/apt -type f | sort", "ls /proc | grep -x $V", "cat /proc/$V/cmdline",
      "getent passwd postgres root", "head -3 /proc/cpuinfo", "true | false | cat; echo ${PIPESTATUS[*]}",
      "sha256sum /usr/bin/bash", "date +%Y", "ip -V", "ls -l /proc/self/fd | awk '{print $9}' | head -3",
      "echo a > /tmp/$V && sort /tmp/$V | tee /tmp/$V.2; cat /tmp/$V.2; rm /tmp/$V /tmp/$V.2"};
  for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
    if (strncmp(scripts[i], "ls -l", 5) == 0 && geteuid() != 0) continue; /* owners: see below */
    CHECK(same_answer(scripts[i]), scripts[i]);
  }
}

static void test_writable(void) {
  const char *const writable[] = {run_folder, NULL};
  struct process_jail jail = {writable, false};
  char script[512];
  snprintf(script, sizeof script, "echo kept > %s/result && echo ok", run_folder);
  struct op *op = run_script(script, &jail);
  CHECK(output_is(op, "ok\n"), "the run's folder is writable");
  op_destroy(op);
  op = run_script("kill -0 $PPID && echo alive; exec 2>/dev/null; kill -0 999999 || echo dead", &jail);
  CHECK(output_is(op, "alive\ndead\n"), "'kill -0' tells whether a process is there");
  op_destroy(op);
  char *missing[] = {"no-such-command-xyz", NULL}, *pwd[] = {"pwd", NULL};
  struct process_request request = request_of(missing);
  request.jail = &jail;
  op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "command not found") == 0 && op->outcome == OP_NOT_SENT,
        "a missing command is told as exactly as outside");
  op_destroy(op);
  request.argv = pwd;
  request.cwd = "/usr/share";
  op = run_request(&request);
  CHECK(output_is(op, "/usr/share\n"), "the working directory is set");
  op_destroy(op);
  request.cwd = "/no/such";
  op = run_request(&request);
  CHECK(op->failed && strcmp(op->code, "cwd") == 0, "a missing directory is told as outside");
  op_destroy(op);
}

static void test_probe(void) {
  const char *reason = NULL;
  process_jail_use_program("/no/such/bwrap");
  struct op *op = process_jail_probe();
  wait_for(op);
  op_destroy(op);
  CHECK(process_jail_state(&reason) == PROCESS_JAIL_BROKEN, "without bubblewrap the jail is broken");
  CHECK(strstr(reason, "bwrap") != NULL, "and the reason names it");
  process_jail_use_program("/bin/false");
  op = process_jail_probe();
  wait_for(op);
  op_destroy(op);
  CHECK(process_jail_state(&reason) == PROCESS_JAIL_BROKEN, "a bwrap that fails is told");
  CHECK(strncmp(reason, "bubblewrap cannot make the jail here: ", 38) == 0, "in words");
  const struct process_jail jail = {NULL, false};
  op = run_script("echo ran", &jail);
  CHECK(op->failed && strcmp(op->code, "jail") == 0 && op->outcome == OP_NOT_SENT,
        "a command whose jail does not start is not run");
  op_destroy(op);
  process_jail_use_program(NULL);
  op = process_jail_probe();
  wait_for(op);
  op_destroy(op);
  CHECK(process_jail_state(&reason) == PROCESS_JAIL_WORKS, "the jail works here");
  printf("probe: %s\n", reason);
}

static void measure(void) {
  char *argv[] = {"true", NULL};
  struct process_jail jail = {NULL, false};
  struct process_request request = request_of(argv);
  double spent[2];
  for (int jailed = 0; jailed < 2; jailed++) {
    request.jail = jailed ? &jail : NULL;
    uint64_t start = loop_now_ns();
    for (int i = 0; i < 50; i++) op_destroy(run_request(&request));
    spent[jailed] = seconds_since(start) * 1000 / 50;
  }
  printf("'true': %.2f ms bare, %.2f ms in the jail\n", spent[0], spent[1]);
}

static int run_all(const char *who) {
  if (loop_open() != 0) return 1;
  make_victims();
  test_probe();
  if (!jail_holds()) {
    drop_victims();
    return CHECK_RESULT();
  }
  test_attempts(who);
  test_answers();
  test_writable();
  measure();
  test_control();
  drop_victims();
  loop_close();
  return CHECK_RESULT();
}

/* The same again as nobody, in a process of its own. */
static int run_as_nobody(void) {
  fflush(stdout);
  int pid = fork();
  if (pid == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
    execl(self_path, self_path, "nobody", (char *)NULL);
    _exit(1);
  }
  int status = 1;
  waitpid(pid, &status, 0);
  return status == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  ssize_t length = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
  if (length <= 0) return 1;
  if (argc == 5 && strcmp(argv[1], "escape") == 0) return escape_main(argv[2], argv[3], argv[4]);
  if (geteuid() != 0 || argc > 1) return run_all("nobody");
  int failed = run_all("root");
  return run_as_nobody() | failed;
}
