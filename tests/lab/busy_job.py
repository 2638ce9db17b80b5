"""Scenario high-cpu: a nightly report that does not come to its end. It is a service of the lab, two processes: one
that hears TERM, and one that is deaf to it.

It shares its machine with others: it is niced from the start, works one millisecond in five, and ends by itself after
ten minutes. As a program: `busy_job.py work READY` is the job, `busy_job.py LAB start|stop` its init script.
"""

import contextlib
import json
import os
import shlex
import signal
import sys
import time

import database
from processes import Processes, start_time, write_private

NICE, LIFE = 5, 600
WORK, REST = 0.002, 0.008       # seconds
GROUPS = "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"


def enter_group():
    """A control group of the job's own, named like a unit, where this machine allows it; else None."""
    name = f"opsrun-lab-{os.getpid()}.service"
    for place in GROUPS:
        path = os.path.join(place, name)
        with contextlib.suppress(OSError):
            if not os.path.exists(os.path.join(place, "cgroup.procs")):
                continue
            os.mkdir(path)
            try:
                write(os.path.join(path, "cgroup.procs"), str(os.getpid()))
                return path
            except OSError:
                os.rmdir(path)
    return None


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def work(ready):
    os.nice(NICE)
    group = enter_group()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        write_private(f"{ready}.pid-file", str(os.getpid()))
        write_private(ready, json.dumps({"pids": [os.getpid(), child], "starts": [start_time(os.getpid()), start_time(child)],
                                         "group": group}))
    end = time.monotonic() + LIFE
    while time.monotonic() < end:
        until = time.thread_time() + WORK
        while time.thread_time() < until:
            pass
        time.sleep(REST)


def facts(lab):
    """What the job said of itself; None while there is none."""
    try:
        with open(ready_file(lab), encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return None


def ready_file(lab):
    return lab.path("nightly.ready")


def start(lab):
    ready = ready_file(lab)
    lab.processes.start("nightly", [sys.executable, os.path.join(database.HERE, "busy_job.py"), "work", ready],
                        lab.path("nightly.log"), ready=lambda: os.path.exists(ready))


def break_it(lab):
    start(lab)
    pids, group = facts(lab)["pids"], facts(lab)["group"]
    print(f"high-cpu: a nightly report, pid {pids[0]} and {pids[1]}, takes some of the processors without an end\n"
          f"it belongs to {os.path.basename(group) if group else 'no group of its own: this machine does not allow one'}")


def mend(lab):
    lab.processes.stop("nightly")
    found = facts(lab)
    if found is None:
        return
    for pid, began in zip(found["pids"], found["starts"]):
        if start_time(pid) == began:
            os.kill(pid, signal.SIGKILL)
        while start_time(pid) == began:
            time.sleep(0.01)
    if found["group"]:
        os.rmdir(found["group"])
    for path in (ready_file(lab), f"{ready_file(lab)}.pid-file"):
        os.unlink(path)


def environment(lab):
    """Its init script and its pid file; they are named also while it is not there."""
    call = shlex.join([sys.executable, "-B", os.path.join(database.HERE, "busy_job.py"), lab.directory])
    return {"LAB_NIGHTLY_START": f"{call} start", "LAB_NIGHTLY_STOP": f"{call} stop",
            "LAB_NIGHTLY_PID": f"{ready_file(lab)}.pid-file"}


class Room:
    """As much of the lab as its service needs, when it is called from elsewhere."""

    def __init__(self, directory):
        self.directory, self.processes = directory, Processes(directory)

    def path(self, *names):
        return os.path.join(self.directory, *names)


SCENARIOS = {"high-cpu": (break_it, mend)}

if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(sys.argv[2])
    else:
        {"start": start, "stop": mend}[sys.argv[2]](Room(sys.argv[1]))
