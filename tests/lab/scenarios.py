"""What the lab can break, and how it is put right again."""

import os
import sys
import time

import app_scenarios
import backups
import busy_job
import cache_scenarios
import database
import data_lost
import database_down
import disk_space
import front
import lock_queue
import memory_leak
import pool_exhausted
import pq
import queue_scenarios
import redis_memory
import releases
import replica
import runaways
import tuning

# seconds: sessions have been idle so long when `break` returns
SETTLE = float(os.environ.get("OPSRUN_LAB_SETTLE", "2"))

USAGE = ("SELECT count(*), current_setting('max_connections') FROM pg_stat_activity"
         " WHERE backend_type = 'client backend' AND application_name <> 'lab-observer'")
BY_STATE = ("SELECT application_name, state, count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND application_name <> 'lab-observer'"
            " GROUP BY 1, 2 ORDER BY 1, 2")
YOUNGEST_IDLE = ("SELECT coalesce(min(extract(epoch FROM clock_timestamp() - state_change)), 0)"
                 " FROM pg_stat_activity WHERE backend_type = 'client backend'"
                 " AND state LIKE 'idle%' AND application_name IN ('api', 'worker', 'reports')")


class Observer:
    """A short session of the lab's own, which no count takes in."""

    def __init__(self, lab):
        self.session = pq.Session(lab.conninfo("lab-observer"))

    def __enter__(self):
        return self.session

    def __exit__(self, *_):
        self.session.close()


def usage(lab):
    with Observer(lab) as session:
        used, limit = session.query(USAGE)[0]
        return int(used), int(limit)


def current(lab):
    try:
        with open(lab.path("scenario"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def start_clients(lab, name, plan=None):
    ready = lab.path(f"{name}.ready")
    if os.path.exists(ready):
        os.unlink(ready)
    lab.processes.start(
        name, [sys.executable, os.path.join(database.HERE, "clients.py"), plan or name,
               lab.client_conninfo(), ready],
        lab.path(f"{name}.log"), ready=lambda: os.path.exists(ready))


def stop_clients(lab, name):
    lab.processes.stop(name)
    if os.path.exists(lab.path(f"{name}.ready")):
        os.unlink(lab.path(f"{name}.ready"))


def wait_until_gone(lab, names, within=10):
    """A server notices a closed client a moment later; waits until it has."""
    deadline = time.monotonic() + within
    with Observer(lab) as session:
        while True:
            left = session.value("SELECT count(*) FROM pg_stat_activity WHERE application_name"
                                 " = ANY ($1::text[]) AND backend_type = 'client backend'",
                                 "{" + ",".join(names) + "}")
            if left == "0":
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{left} sessions of {', '.join(names)} do not end")
            time.sleep(0.02)


def restart_clients(lab, name):
    """What a restart of the container does: all its sessions end, a few fresh ones open."""
    stop_clients(lab, name)
    wait_until_gone(lab, [name])
    start_clients(lab, name, f"{name}-restarted")


def break_db_exhaustion(lab):
    for name in ("api", "worker", "reports"):      # api first: the others wait for its lock
        start_clients(lab, name)
    with Observer(lab) as session:
        while float(session.value(YOUNGEST_IDLE)) < SETTLE:
            time.sleep(0.05)
        used, limit = session.query(USAGE)[0]
        print(f"db-exhaustion: {used} of {limit} connections are used")
        for application, state, count in session.query(BY_STATE):
            print(f"  {application:<12} {state:<22} {count:>3}")
    print("one api session forgot to commit and blocks a chain of two workers;"
          " nobody reconnects by itself")


def mend_db_exhaustion(lab):
    names = ("api", "worker", "reports")
    for name in names:
        stop_clients(lab, name)
    wait_until_gone(lab, names)


SCENARIOS = {
    "db-exhaustion": (break_db_exhaustion, mend_db_exhaustion),
    "redis-memory": (redis_memory.break_it, redis_memory.mend),
    **app_scenarios.SCENARIOS,
    **backups.SCENARIOS,
    **data_lost.SCENARIOS,
    **database_down.SCENARIOS,
    **cache_scenarios.SCENARIOS,
    **busy_job.SCENARIOS,
    **disk_space.SCENARIOS,
    **front.SCENARIOS,
    **lock_queue.SCENARIOS,
    **queue_scenarios.SCENARIOS,
    **memory_leak.SCENARIOS,
    **pool_exhausted.SCENARIOS,
    **runaways.SCENARIOS,
    **tuning.SCENARIOS,
    **releases.SCENARIOS,
    **replica.SCENARIOS,
}


def break_it(lab, name):
    if name not in SCENARIOS:
        raise RuntimeError(f"no scenario '{name}'; there are: {', '.join(SCENARIOS)}")
    mend(lab, quiet=True)
    with open(lab.path("scenario"), "w", encoding="utf-8") as file:
        file.write(name)
    SCENARIOS[name][0](lab)


def mend(lab, quiet=False):
    name = current(lab)
    if name in SCENARIOS:
        SCENARIOS[name][1](lab)
        os.unlink(lab.path("scenario"))
    if not quiet:
        used, limit = usage(lab)
        print(f"mended: {name or 'nothing was broken'}; {used} of {limit} connections are used")
