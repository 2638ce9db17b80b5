"""Scenario deadlocks: transactions that met in opposite orders, and two queues behind sessions that hold on.

As a program, `lock_queue.py CONNINFO READY`, it is the applications of that scenario and holds their sessions open.
"""

import json
import os
import sys
import time

import database
import pq
from processes import write_private

PAIRS = 7              # deadlocks: more than the 5 an hour that are a warning
FIRST = 100            # their rows begin here, those of the queues lie below
NAMES = ("api", "worker", "reports")
COUNT = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

# Catches its own cancellation: only the end of the session ends it.
STUBBORN = """DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600);
EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"""


def touch(row):
    return f"UPDATE users SET last_login = last_login WHERE id = {row}"


class Applications:
    def __init__(self, conninfo):
        self.conninfo, self.open = conninfo, []
        self.keeper = pq.Session(f"{conninfo} user=app_api application_name=lab-keeper")

    def session(self, name):
        session = pq.Session(f"{self.conninfo} user=app_{name} application_name={name}")
        self.open.append(session)
        return session

    def wait_for(self, what, text, wanted):
        deadline = time.monotonic() + 20
        while int(self.keeper.value(text)) < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come about")
            time.sleep(0.02)

    def deadlock(self):
        """Pairs that take two rows each in opposite orders, all at once; each session says how it ended."""
        before = int(self.keeper.value(COUNT))
        pairs = []
        for n in range(PAIRS):
            rows = FIRST + 2 * n, FIRST + 2 * n + 1
            pair = self.session("api"), self.session("worker")
            for session, row in zip(pair, rows):
                session.query(f"BEGIN; {touch(row)}")
            for session, row in zip(pair, reversed(rows)):
                session.send(touch(row))
            pairs += pair
        self.settle(pairs)
        for session in pairs:
            session.query("ROLLBACK")
        self.wait_for("the deadlocks", COUNT, before + PAIRS)     # counters are told when a session is idle

    def settle(self, sessions):
        """Takes in the answers: the server ends one of each pair, the other one goes on."""
        deadline = time.monotonic() + 20
        while any(not session.is_idle() for session in sessions):
            for session in sessions:
                session.drain()
            if time.monotonic() > deadline:
                raise RuntimeError("the deadlocks are not resolved")
            time.sleep(0.02)

    def hold_on(self):
        """Roots of three queues: at work in a transaction, silent in one, and deaf to cancellation."""
        working, silent, deaf = self.session("reports"), self.session("api"), self.session("worker")
        working.query(f"BEGIN; {touch(1)}")
        working.send("/* monthly revenue */ SELECT sum(total), pg_sleep(3600) FROM orders")
        silent.query(f"BEGIN; {touch(2)}")
        deaf.query(f"BEGIN; {touch(3)}")
        deaf.send(STUBBORN)
        waiting = 0
        for name, rows in (("api", (11, 1)), ("worker", (11,)), ("api", (2,)), ("api", (2,)), ("worker", (3,))):
            session = self.session(name)
            session.send("BEGIN; " + "; ".join(map(touch, rows)) + "; COMMIT")
            waiting += 1
            self.wait_for("a queue", WAITING, waiting)


def main():
    conninfo, ready = sys.argv[1:]
    applications = Applications(conninfo)
    applications.deadlock()
    applications.hold_on()
    write_private(ready, json.dumps([session.pid for session in applications.open]))
    while True:
        for session in list(applications.open):
            if not session.drain():
                applications.open.remove(session)
                session.close()
        time.sleep(0.05)


def ask(lab, text):
    session = pq.Session(lab.conninfo("lab-observer"))
    try:
        return session.query(text)
    finally:
        session.close()


def break_it(lab):
    ready = lab.path("locks.ready")
    lab.processes.start(
        "locks", [sys.executable, os.path.join(database.HERE, "lock_queue.py"), lab.client_conninfo(), ready],
        lab.path("locks.log"), ready=lambda: os.path.exists(ready), within=60)
    waiting = ask(lab, WAITING)[0][0]
    print(f"deadlocks: {PAIRS} within the last seconds, {waiting} sessions wait behind three that hold on:"
          " one is at work, one forgot to commit, one does not let itself be cancelled")


def end_sessions(lab, applications):
    """Ends what is left of them; a deaf one would not notice that its client is gone."""
    names = ", ".join(f"'{name}'" for name in applications)
    left = f"FROM pg_stat_activity WHERE application_name IN ({names}) AND backend_type = 'client backend'"
    ask(lab, f"SELECT pg_terminate_backend(pid) {left}")
    deadline = time.monotonic() + 10
    while ask(lab, f"SELECT count(*) {left}")[0][0] != "0":
        if time.monotonic() > deadline:
            raise RuntimeError(f"the sessions of {names} do not end")
        time.sleep(0.02)


def mend(lab):
    lab.processes.stop("locks")
    if os.path.exists(lab.path("locks.ready")):
        os.unlink(lab.path("locks.ready"))
    end_sessions(lab, NAMES)


SCENARIOS = {"deadlocks": (break_it, mend)}

if __name__ == "__main__":
    main()
