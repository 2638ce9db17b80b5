"""Where the measuring happens: a lab of its own, compiled peers, variables for everybody."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from measure import Trouble

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, os.environ.get("OPSRUN_BUILD_DIR") or "build")

sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
from lab import Lab, on_free_port  # noqa: E402
from processes import Processes  # noqa: E402


PYTHON = "/usr/bin/python3"       # the one Debian's modules belong to


def missing_peers():
    """Peers whose tools are not all installed."""
    modules = subprocess.run([PYTHON, "-c", "import psycopg2, redis, requests"], stderr=subprocess.DEVNULL, check=False)
    there = {"Python": modules.returncode == 0, "Ansible": shutil.which("ansible-playbook"),
             "bash": all(map(shutil.which, ("curl", "jq", "psql", "redis-cli", "openssl")))}
    return [peer for peer, found in there.items() if not found]


class Place:
    def __init__(self):
        self.opsrun = os.environ.get("OPSRUN_BIN") or os.path.join(BUILD, "opsrun")
        if not os.access(self.opsrun, os.X_OK):
            raise Trouble(f"'{self.opsrun}' is not there: ./dev build")
        self.room = tempfile.mkdtemp(prefix="opsrun-bench-")
        os.chmod(self.room, 0o711)          # the database, another user, must get to its files
        self.lab_directory = os.path.join(self.room, "lab")
        self.servers = Processes(os.path.join(self.room, "servers"))
        os.mkdir(self.servers.directory)
        self.env, self.missing = {}, missing_peers()

    def __enter__(self):
        try:
            self.launcher = self.compiled(os.path.join(HERE, "launch.c"))
            self.call_lab("up")
            self.env = self.variables()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for name in self.servers.names():
            self.servers.stop(name)
        if os.path.isdir(self.lab_directory):
            self.call_lab("down")
        shutil.rmtree(self.room, ignore_errors=True)

    def call_lab(self, *words, **env):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tests", "lab", "lab.py"), *words],
                              env={**os.environ, "OPSRUN_LAB_DIR": self.lab_directory, **env},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"lab {' '.join(words)}: {done.stdout}")
        return done.stdout

    def lab(self):
        return Lab(self.lab_directory).load()

    def variables(self):
        """What every contestant gets: a short environment, the lab's variables, a home of our own."""
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
               "HOME": self.room, "OPSRUN_HOME": self.path("home"), "BENCH_ROOM": self.room, "ANSIBLE_NOCOWS": "1",
               "ANSIBLE_LOCALHOST_WARNING": "false", "BENCH_LOG": self.path("app.log"),
               "BENCH_BACKUPS": self.path("backups"), "BENCH_CHECKS_URL": "http://127.0.0.1:1",
               "BENCH_INSTANT_URL": "http://127.0.0.1:1"}
        for name in ("OPSRUN_RUNTIME_DIR",):
            if name in os.environ:
                env[name] = os.environ[name]
        for line in self.call_lab("env").splitlines():
            name, value = line.removeprefix("export ").split("=", 1)
            env[name] = shlex.split(value)[0].replace("$PATH", env["PATH"])
        facts = self.lab().facts            # as redis-cli wants them
        env |= {"REDISCLI_AUTH": facts["password"], "REDIS_PORT": str(facts["redis"])}
        return env

    def path(self, *names):
        return os.path.join(self.room, *names)

    def play(self, playbook, *words):
        """argv that plays a playbook in the benchmark's environment."""
        return [self.opsrun, "play", playbook, "-e", "bench", "--config", HERE, *words]

    def compiled(self, source, packages=()):
        """The program of one C file, as fast as the compiler makes it."""
        name = "-".join(os.path.splitext(source)[0].split(os.sep)[-2:])
        target = self.path(name)
        if not os.path.exists(target):
            flags = []
            if packages:
                flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=True,
                                       stdout=subprocess.PIPE, text=True).stdout.split()
            done = subprocess.run(["gcc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                                   "-o", target, source, "-I", HERE, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                raise Trouble(f"'{source}' does not compile\n{done.stdout}")
        return target

    def serve(self, name, argv, ready):
        """Starts a server on a free loopback port: argv(port) is run until ready(port). Returns the port."""
        return on_free_port(lambda port: self.servers.start(
            name, argv(port), self.path(f"{name}.log"), ready=lambda: ready(port)))
