"""Reads a trace of opsrun's system calls (strace -f -y) and says which of them act on the outside though no effect was
going on: OPSRUN_TRACE=1 marks where the gate takes an effect and where it is done with it.

Allowed anywhere: the run's own folder, the terminal, the loop's own pipes and events, the resolver. What children do
is their jail's affair; that they are started is a call of ours.
"""

import re

CALLS = ("%network,%file,%process,write,writev,pwrite64,pwritev,pwritev2,sendfile,splice,copy_file_range,ftruncate,fallocate,fchmod,fchown,"
         "fsetxattr,fremovexattr,futimesat,kill,tkill,tgkill,pidfd_send_signal,rt_sigqueueinfo,ptrace,process_vm_writev,prlimit64,setpriority,"
         "sched_setaffinity,sched_setscheduler,ioprio_set,sethostname,settimeofday,clock_settime,reboot,init_module,shmget,msgget,msgsnd,semop,"
         "mq_open,mq_timedsend,fanotify_mark,io_uring_setup")
SENDS = ("sendto", "sendmsg", "sendmmsg")
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "splice", "copy_file_range", *SENDS)
CHANGES_FILES = re.compile(r"(unlink|rename|mkdir|rmdir|link|symlink|mknod|chmod|fchmod|chown|lchown|fchown|truncate|ftruncate|fallocate|utime|"
                           r"utimens|futimes|setxattr|lsetxattr|fsetxattr|removexattr|lremovexattr|fremovexattr|creat|mount|umount|swapon|chroot|"
                           r"pivot_root|acct|quotactl)(at|at2|2|64)?$")
ALWAYS = ("kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo", "ptrace", "process_vm_writev", "sethostname", "settimeofday",
          "clock_settime", "reboot", "init_module", "shmget", "msgget", "msgsnd", "semop", "mq_open", "mq_timedsend", "io_uring_setup",
          "setpriority", "sched_setaffinity", "sched_setscheduler", "ioprio_set", "listen", "bind", "execve", "execveat", "fork", "vfork")
QUIET_TARGETS = re.compile(r"(pipe:|anon_inode:|/dev/(pts/|tty|null|full)|\d+<pipe)")
MARK = re.compile(r'write\(-1, "opsrun (begin|finish) ([^"]*)"')
LINE = re.compile(r"^(\d+) +(.*)$")


def whole_lines(lines):
    """(pid, call) in the order the calls were made; what was cut off by another thread is put together."""
    waiting = {}
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        pid, text = match.group(1), match.group(2).rstrip("\n")
        if text.endswith("<unfinished ...>"):
            at = [pid, text.removesuffix("<unfinished ...>")]
            waiting[pid] = at
            yield at
        elif text.startswith("<... "):
            if pid in waiting:
                waiting.pop(pid)[1] += text.split(" resumed>", 1)[-1]
        else:
            yield [pid, text]

UNREAD = re.compile(r"(?:clone3\(|mkdir\(|openat\([^,]*, )0x")


class Judge:
    """Takes the lines of one run; `outside` is what acted outside the marks, `effects` how many effects were marked.
    `unread`: a tracer that is not root sees addresses where texts are, since opsrun lets nobody look into its memory."""

    def __init__(self, home):
        self.home, self.open, self.effects, self.inside, self.outside, self.unread = home, 0, 0, 0, [], False

    def read(self, path):
        with open(path, encoding="utf-8", errors="replace") as file:
            calls = list(whole_lines(file))
        ours = {calls[0][0]}
        for pid, text in calls[1:]:
            if pid not in ours:
                continue
            if UNREAD.match(text):
                self.unread, self.outside = True, []
                return self
            made = re.match(r"clone3?\(.*\) += (\d+)", text)
            if made and "CLONE_THREAD" in text:
                ours.add(made.group(1))
                continue
            mark = MARK.match(text)
            if mark:
                self.open += 1 if mark.group(1) == "begin" else -1
                self.effects += mark.group(1) == "begin" and not mark.group(2).startswith(("goodbye", "look for "))
            elif self.acts(text):
                self.inside += self.open > 0
                if self.open == 0:
                    self.outside.append(text[:200])
        return self

    def acts(self, text):
        call, _, rest = text.partition("(")
        if call == "kill" and re.match(r"\d+, 0\)", rest):
            return False      # signal 0 asks whether somebody is there
        if call in ("clone", "clone3", *ALWAYS):
            return True
        if call == "connect":
            return not re.search(r'htons\(53\)|/nscd/socket|io\.systemd\.Resolve|AF_UNSPEC|SOCK_DGRAM|UDP', rest)
        if call in WRITES:
            return not self.is_quiet(rest) and not re.search(r"UDP.*:53>|NETLINK", rest)
        if call in ("open", "openat", "openat2"):
            return bool(re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", rest)) and not self.is_quiet(rest)
        made = call in ("mkdir", "mkdirat") and re.match(r'(?:AT_FDCWD[^,]*, )?"([^"]*)"', rest)
        if made and f"{self.home}/".startswith(made.group(1).rstrip("/") + "/"):
            return False      # the run's folder is made with all that lead there
        return bool(CHANGES_FILES.match(call)) and not self.is_quiet(rest)

    def is_quiet(self, rest):
        """Is its target the run's own folder, the terminal or the loop? A descriptor stands with its path: 5</a/b>."""
        if re.match(r"[12]<", rest):
            return True      # standard output and error, wherever they go
        return self.home in rest or bool(QUIET_TARGETS.search(rest.split(",", 2)[0] + "," + (rest.split(",", 2) + ["", ""])[1]))
