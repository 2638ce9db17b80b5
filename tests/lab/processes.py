"""Processes of one lab: started detached, found again by pid file, ended by pid alone.

A pid file holds the pid and the start time the kernel keeps, so that a pid that was given to
somebody else in between is never signalled.
"""

import json
import os
import signal
import subprocess
import time


def start_time(pid):
    """The kernel's start time of a live process, or None (a zombie counts as ended)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def write_private(path, text, mode=0o600):
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, path)


class Processes:
    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        return os.path.join(self.directory, f"{name}.pid")

    def start(self, name, argv, log, user=None, ready=None, within=20, stop="TERM", keep=()):
        """Starts argv as `name`; waits until ready() is true. Raises RuntimeError if it is not.

        user: a pwd entry to run as. stop: the signal that ends it in an orderly way. keep: descriptors
        it inherits."""
        as_user = {}
        if user is not None:
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with open(log, "ab") as output:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, start_new_session=True, cwd="/", env=env,
                                       pass_fds=keep, **as_user)
        write_private(self.path(name), json.dumps(
            {"pid": process.pid, "start": start_time(process.pid), "argv": argv, "stop": stop}))
        deadline = time.monotonic() + within
        while ready is not None and not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(name)
                raise RuntimeError(f"'{name}' did not come up, its log: {log}")
            time.sleep(0.01)
        return process.pid

    def names(self):
        if not os.path.isdir(self.directory):
            return []
        return sorted(f[:-4] for f in os.listdir(self.directory) if f.endswith(".pid"))

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def is_running(self, name):
        entry = self.read(name)
        return bool(entry and entry["start"] and start_time(entry["pid"]) == entry["start"])

    def pid(self, name):
        return self.read(name)["pid"] if self.is_running(name) else None

    def stop(self, name, grace=10):
        """Ends one process: its own signal first, KILL when that was not heard in `grace` s."""
        entry = self.read(name)
        if entry and entry["start"]:
            for number in (signal.Signals["SIG" + entry["stop"]], signal.SIGKILL):
                if start_time(entry["pid"]) != entry["start"]:
                    break
                os.kill(entry["pid"], number)
                deadline = time.monotonic() + grace
                while start_time(entry["pid"]) == entry["start"] and time.monotonic() < deadline:
                    reap(entry["pid"])
                    time.sleep(0.005)
        if entry:
            os.unlink(self.path(name))


def reap(pid):
    """Collects a child of ours that ended; others are collected by their own parent."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
