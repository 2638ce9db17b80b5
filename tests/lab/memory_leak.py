"""Scenario memory-leak: the lab's application leaks some megabytes a second, up to a hard end, until it is restarted.

Where this machine allows it, the application sits in a control group with a limit, as a container does; one of its
helpers took more than that was then, and the kernel ended it. The group's limit is above all that can leak.
"""

import contextlib
import json
import os
import subprocess
import sys

import app_memory
import app_scenarios
from processes import write_private

RATE = 2 << 20          # bytes a second
LIMIT = 128 << 20       # bytes the application's group may have
HELPER = 24 << 20       # and had, while a helper took twice that
# place of the groups, file with the limit, what says whether limits may be set there
KINDS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", None),
         ("/sys/fs/cgroup", "memory.max", "cgroup.subtree_control"))
# The kernel shall choose it, and nobody else.
TAKES_TOO_MUCH = """import os, sys
for path, text in ((sys.argv[1], str(os.getpid())), ("/proc/self/oom_score_adj", "1000")):
    with open(path, "w") as file:
        file.write(text)
taken = b"x" * int(sys.argv[2])"""


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def may_limit(place, limit, told):
    if told is None:
        return os.path.exists(os.path.join(place, limit))
    with open(os.path.join(place, told), encoding="ascii") as file:
        return "memory" in file.read().split()


def make_group(lab):
    """What there is of a group with a limit: {"group": its path, "killed": whether the kernel ended the helper}, or {}."""
    name = f"opsrun-lab-{lab.processes.pid('app')}.service"
    for place, limit, told in KINDS:
        group = os.path.join(place, name)
        with contextlib.suppress(OSError):
            if not may_limit(place, limit, told):
                continue
            os.mkdir(group)
            try:
                write(os.path.join(group, limit), str(HELPER))
                helper = subprocess.run([sys.executable, "-S", "-E", "-c", TAKES_TOO_MUCH, os.path.join(group, "cgroup.procs"),
                                         str(2 * HELPER)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                write(os.path.join(group, limit), str(LIMIT))
                write(os.path.join(group, "cgroup.procs"), str(lab.processes.pid("app")))
                return {"group": group, "killed": helper.returncode == -9}
            except OSError:
                os.rmdir(group)
    return {}


def break_it(lab):
    facts = make_group(lab)
    write_private(facts_file(lab), json.dumps(facts))
    app_scenarios.tell_app(lab, "state", {"leak": RATE})
    print(f"memory-leak: the application, pid {lab.processes.pid('app')}, leaks {RATE >> 20} MB a second, {app_memory.CAP >> 20} MB at most")
    if facts:
        print(f"its control group may have {LIMIT >> 20} MB" + ("; a helper of it took more, and the kernel ended it" * facts["killed"]))


def facts_file(lab):
    return lab.path("memory-leak.json")


def leave_group(lab):
    """The group goes; who is in it goes where groups of this machine begin. Also when the lab goes down with the scenario on."""
    try:
        with open(facts_file(lab), encoding="utf-8") as file:
            group = json.load(file).get("group")
    except OSError:
        return
    if group and os.path.isdir(group):
        with open(os.path.join(group, "cgroup.procs"), encoding="ascii") as file:
            for pid in file.read().split():
                with contextlib.suppress(ProcessLookupError):      # it ended meanwhile
                    write(os.path.join(os.path.dirname(group), "cgroup.procs"), pid)
        os.rmdir(group)
    os.unlink(facts_file(lab))


def mend(lab):
    leave_group(lab)
    if lab.processes.is_running("app"):
        app_scenarios.tell_app(lab, "state", {"leak": 0})
    else:
        app_scenarios.mend_app_down(lab)


def environment(lab):
    """Where the application writes snapshots of its heap."""
    return {"LAB_HEAP": lab.path("heap")}


SCENARIOS = {"memory-leak": (break_it, mend)}
