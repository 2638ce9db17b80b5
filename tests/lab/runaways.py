"""Scenario high-db-cpu: statements that compute without an end, one that is deaf to cancellation, and a dump.

As a program, `runaways.py CONNINFO READY`, it is the applications of that scenario and holds their sessions open.
"""

import json
import os
import sys
import time

import database
import lock_queue
import pq
from processes import write_private

# 125 billion rows are joined and none kept: it computes, and neither reads the disk nor fills it.
ENDLESS = ("/* customers who also bought */ SELECT count(*) FROM orders a, orders b, orders c"
           " WHERE a.total * b.total < -c.total")
SLOW = "SELECT count(*), pg_sleep(0.15) FROM media_items WHERE status = 'ready'"
DUMP = "COPY (SELECT pg_sleep(3600)) TO STDOUT"


def main():
    conninfo, ready = sys.argv[1:]
    sessions = []

    def start(name, text, application=None):
        session = pq.Session(f"{conninfo} user=app_{name} application_name={application or name}")
        session.query("SET max_parallel_workers_per_gather = 0")
        session.send(text)
        sessions.append(session)
        return session
    once = pq.Session(f"{conninfo} user=app_reports application_name=reports")
    for _ in range(3):
        once.query(SLOW)
    sessions.append(once)
    start("reports", ENDLESS)
    start("reports", ENDLESS)
    start("worker", lock_queue.STUBBORN)
    start("api", DUMP, application="pg_dump")
    write_private(ready, json.dumps([session.pid for session in sessions]))
    while True:
        for session in list(sessions):
            if not session.drain():
                sessions.remove(session)
                session.close()
        time.sleep(0.05)


def break_it(lab):
    ready = lab.path("runaways.ready")
    lab.processes.start(
        "runaways", [sys.executable, os.path.join(database.HERE, "runaways.py"), lab.client_conninfo(), ready],
        lab.path("runaways.log"), ready=lambda: os.path.exists(ready), within=60)
    print("high-db-cpu: two reports compute without an end, a worker does not let itself be cancelled, and a dump runs,"
          " which is none of them")


def mend(lab):
    lab.processes.stop("runaways")
    if os.path.exists(lab.path("runaways.ready")):
        os.unlink(lab.path("runaways.ready"))
    lock_queue.end_sessions(lab, (*lock_queue.NAMES, "pg_dump"))


SCENARIOS = {"high-db-cpu": (break_it, mend)}

if __name__ == "__main__":
    main()
