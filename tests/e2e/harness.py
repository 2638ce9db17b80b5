"""What the end-to-end tests share: a lab for each class, opsrun on it, a terminal, looks at the server.

  class Something(LabTest):
      def test_claim(self):
          self.lab.break_it("db-exhaustion")
          done = self.opsrun("play", "incident/db-exhaustion.lua", "-n", "-p", "idle=2s")
          self.expect(done, code=0, out=["9 steps"])
"""

import ctypes
import fcntl
import glob
import json
import os
import pty
import re
import resource
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPSRUN = os.environ.get("OPSRUN_BIN") or os.path.join(ROOT, "build", "opsrun")
PLAYBOOK = "incident/db-exhaustion.lua"
CLIENTS = ("api", "worker", "reports")

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
import pq  # noqa: E402
from processes import start_time  # noqa: E402

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:      # started by nohup, or behind a shell's &: opsrun would obey that
        signal.signal(number, signal.SIG_DFL)


def keep_mounts_apart():
    """A mount namespace of our own, where we may: a disk that one test fills is none that another one finds full."""
    libc = ctypes.CDLL(None)
    new_namespace, below_too, slave = 0x20000, 0x4000, 0x80000
    if os.geteuid() == 0 and libc.unshare(new_namespace) == 0:
        libc.mount(b"none", b"/", None, below_too | slave, None)


keep_mounts_apart()


class Done:
    """How a command ended: code (negative: a signal), out, err, seconds, and how long it computed: it and all it waited for."""

    def __init__(self, argv, code, out, err, seconds, computed=None):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds
        self.computed = computed

    @property
    def text(self):
        return self.out + self.err

    def __str__(self):
        out = self.out if len(self.out) < 12000 else f"{self.out[:4000]}\n[…]\n{self.out[-8000:]}"
        return (f"$ {shlex.join(self.argv)}\ncode {self.code} after {self.seconds:.2f} s\n"
                f"-- stdout\n{out}\n-- stderr\n{self.err}")

    def outcome_gate(self):
        """The gate that this message names for a change in doubt: STEP.outcome.N."""
        return re.search(r"--answer (\S+\.outcome\.\d+)=happened", self.err)[1]


class Lab:
    """One ./dev lab in a directory of its own."""

    def __init__(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-test-")
        os.chmod(self.room, 0o711)       # the server, another user, must get to its files
        self.directory = os.path.join(self.room, "lab")
        self.env = {}

    def call(self, *words, check=True, **env):
        """Runs ./dev lab WORDS; returns what it printed, with its exit code if not checked."""
        done = subprocess.run(
            [os.path.join(ROOT, "dev"), "lab", *words], stdin=subprocess.DEVNULL,
            env={**os.environ, "OPSRUN_LAB_DIR": self.directory, **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"./dev lab {' '.join(words)}: {done.returncode}\n{done.stdout}")
        return done.stdout if check else (done.returncode, done.stdout)

    def up(self):
        self.call("up")
        return self.read_env()

    def read_env(self):
        """Also after a break that brings more servers."""
        self.env = {}
        for line in self.call("env").splitlines():
            name, value = line.removeprefix("export ").split("=", 1)
            value = shlex.split(value)[0]
            self.env[name] = value.replace("$PATH", os.environ["PATH"])
        return self

    def down(self):
        self.call("down")
        shutil.rmtree(self.room, ignore_errors=True)

    def break_it(self, scenario, settle=2):
        return self.call("break", scenario, OPSRUN_LAB_SETTLE=str(settle))

    def mend(self):
        return self.call("mend")

    def session(self, **params):
        """A session of our own, as the superuser, under a name that no count takes in."""
        params = {"application_name": "lab-observer", "sslmode": "disable", **params}
        query = "&".join(f"{k}={v}" for k, v in params.items())
        return pq.Session(self.env["DATABASE_URL"] + "?" + query)

    def ask(self, text, *values):
        session = self.session()
        try:
            return session.query(text, *values)
        finally:
            session.close()

    def sessions(self, *states):
        """{(pid, start)} of the scenario's sessions, in the given states or all."""
        rows = self.ask("SELECT pid, backend_start, state FROM pg_stat_activity WHERE"
                        " application_name IN ('api', 'worker', 'reports')")
        return {(int(pid), start) for pid, start, state in rows if not states or state in states}

    def usage(self):
        """Connections in use, without those that look."""
        return int(self.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name <>"
                            " 'lab-observer' AND backend_type = 'client backend'")[0][0])

    def percent(self):
        return 100 * self.usage() / 97

    def ended_by_an_administrator(self):
        """Pids of the sessions somebody terminated, from the server's own log."""
        with open(self.env["POSTGRES_LOG"], encoding="utf-8", errors="replace") as file:
            return [int(pid) for pid in re.findall(
                r"\[(\d+)\] \S* ?.*FATAL:  terminating connection due to administrator", file.read())]


class LabTest(unittest.TestCase):
    """Tests against one lab a class; every test gets its own OPSRUN_HOME."""

    @classmethod
    def setUpClass(cls):
        if not os.access(OPSRUN, os.X_OK):
            raise AssertionError(f"'{OPSRUN}' is not there: ./dev build")
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.down)
        cls.lab.up()

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="opsrun-home-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def environ(self, **more):
        kept = {k: os.environ[k] for k in ("HOME", "LANG", "USER", "LSAN_OPTIONS", "ASAN_OPTIONS",
                                             "OPSRUN_RUNTIME_DIR") if k in os.environ}
        return {**kept, "PATH": os.environ["PATH"], "TERM": "xterm", **self.lab.env,
                "OPSRUN_HOME": self.home, **more}

    def start(self, *words, env=None, **options):
        return subprocess.Popen([OPSRUN, *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environ(**(env or {})), **options)

    def opsrun(self, *words, env=None, within=120):
        """Plays off a terminal: stdin is /dev/null."""
        began, computed = time.monotonic(), children_computed()
        process = self.start(*words, env=env)
        try:
            out, err = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"opsrun {shlex.join(words)} took more than {within} s\n"
                      f"{out.decode(errors='replace')}\n{err.decode(errors='replace')}")
        return Done(["opsrun", *words], process.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"), time.monotonic() - began, children_computed() - computed)

    def terminal(self, *words, env=None):
        terminal = Terminal([OPSRUN, *words], self.environ(**(env or {})))
        self.addCleanup(terminal.close)
        return terminal

    def expect(self, done, code=None, out=(), err=(), text=(), absent=()):
        """One assertion for all that is known; what opsrun printed is in the failure."""
        wrong = []
        if code is not None and done.code != code:
            wrong.append(f"code {done.code}, expected {code}")
        for name, parts in (("out", out), ("err", err), ("text", text)):
            for part in parts:
                if not re.search(part, getattr(done, name)):
                    wrong.append(f"no '{part}' in {name}")
        wrong += [f"'{part}' is there" for part in absent if re.search(part, done.text)]
        if wrong:
            self.fail("; ".join(wrong) + f"\n{done}")

    def run_ids(self):
        runs = os.path.join(self.home, "runs")
        return sorted(os.listdir(runs)) if os.path.isdir(runs) else []

    def journal(self, run):
        """Records of a run; a torn last line is left out."""
        for name in os.listdir(os.path.join(self.home, "runs", run)):
            if name.startswith("journal"):
                records = []
                with open(os.path.join(self.home, "runs", run, name), "rb") as file:
                    for line in file.read().split(b"\n"):
                        try:
                            records.append(json.loads(line))
                        except ValueError:
                            break
                return records
        return []  # its folder is made, its journal not yet


class Terminal:
    """opsrun on a pseudo terminal: 24 lines, 100 columns. What it printed is in .seen"""

    def __init__(self, argv, env):
        self.argv, self.seen, self.mark, self.code = argv, "", 0, None
        self.began = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(argv[0], argv, env)
        self.resize(100)

    def resize(self, columns, lines=24):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds):
        """Takes in what arrives within so many seconds. Returns False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern, within=30):
        """Waits until the pattern appears after the place the last one was found at. A space stands for any white
        space: where a line wraps depends on how long a pid is."""
        deadline, pattern = time.monotonic() + within, re.sub(r"(?<!\\) (?![+*?{])", r"\\s+", pattern)
        while True:
            match = re.compile(pattern).search(self.seen, self.mark)
            if match:
                self.mark = match.end()
                return match
            if time.monotonic() > deadline or not self.read(max(0, deadline - time.monotonic())):
                raise AssertionError(f"'{pattern}' did not appear in:\n{self.seen}")

    def send(self, text):
        os.write(self.fd, text.encode())

    def finish(self, within=60):
        deadline = time.monotonic() + within
        while self.read(0.2):
            if time.monotonic() > deadline:
                raise AssertionError(f"opsrun did not end:\n{self.seen}")
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return Done(self.argv, self.code, self.seen, "", time.monotonic() - self.began)

    def close(self):
        if self.code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.fd)


# A process begins with the peak of the one that started it, so a test's own memory would count: a small one starts it.
LAUNCHER = """import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


def with_peak(argv, **options):
    """Runs a program to its end, stdin from /dev/null: (code, stdout, stderr, peak memory in KiB)."""
    with tempfile.NamedTemporaryFile(prefix="opsrun-peak-") as peak:
        done = subprocess.run([sys.executable, "-S", "-E", "-c", LAUNCHER, peak.name, *argv], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, **options)
        with open(peak.name, encoding="ascii") as file:
            return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), int(file.read())


def children_computed():
    """Seconds of processors that our children took which have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def descendants(pid):
    """{pid: start time} of everything below a process, now."""
    below, found = [pid], {}
    while below:
        parent = below.pop()
        for path in glob.glob(f"/proc/{parent}/task/*/children"):
            try:
                with open(path, encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
            except OSError:
                continue
            for child in children:
                found[child] = start_time(child)
                below.append(child)
    return found


def alive(processes):
    """Those of {pid: start time} that still run."""
    return {pid for pid, start in processes.items() if start and start_time(pid) == start}


def wait_until(condition, within=10, every=0.02):
    """Polls until it is true; returns the last value."""
    deadline = time.monotonic() + within
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return value


def main():
    unittest.main(verbosity=2)
