"""Scenario memory-leak: the lab's application leaks some megabytes a second, up to a hard end, until it is restarted."""

import app_memory
import app_scenarios

RATE = 4 << 20         # bytes a second


def break_it(lab):
    app_scenarios.tell_app(lab, "state", {"leak": RATE})
    print(f"memory-leak: the application, pid {lab.processes.pid('app')}, leaks {RATE >> 20} MB a second, {app_memory.CAP >> 20} MB at most")


def mend(lab):
    if lab.processes.is_running("app"):
        app_scenarios.tell_app(lab, "state", {"leak": 0})
    else:
        app_scenarios.mend_app_down(lab)


def environment(lab):
    """Where the application writes snapshots of its heap."""
    return {"LAB_HEAP": lab.path("heap")}


SCENARIOS = {"memory-leak": (break_it, mend)}
