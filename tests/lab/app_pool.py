"""The pool of database sessions that the lab's application keeps where a file beside its configuration says how large it is:
DB_POOL_MAX, and DB_POOL_OVERFLOW for those that are opened in need and closed again. Who finds it full waits.
"""

import contextlib
import re
import threading
import time

import pq

TAKES = 0.2             # seconds a report takes of its session's time
WAITS = 30              # seconds that somebody waits for one


class Full(Exception):
    pass


class Pool:
    def __init__(self, conninfo, size, overflow):
        self.conninfo, self.size, self.overflow = conninfo, size, overflow
        self.changed = threading.Condition()
        self.idle, self.busy, self.waiting = [], 0, 0

    def take(self):
        with self.changed:
            self.waiting += 1
            try:
                if not self.changed.wait_for(lambda: self.busy < self.size + self.overflow, WAITS):
                    raise Full("connection pool exhausted")
            finally:
                self.waiting -= 1
            self.busy += 1
            if self.idle:
                return self.idle.pop()
        try:
            return pq.Session(self.conninfo)
        except pq.Error:
            self.give(None)
            raise

    def give(self, session):
        with self.changed:
            self.busy -= 1
            if session is not None and len(self.idle) + self.busy < self.size:
                self.idle.append(session)
                session = None
            self.changed.notify()
        if session is not None:
            session.close()

    @contextlib.contextmanager
    def session(self):
        session = self.take()
        try:
            yield session
        except pq.Error:
            self.give(None)
            session.close()
            raise
        else:
            self.give(session)

    def numbers(self):
        with self.changed:
            return {"total": len(self.idle) + self.busy, "idle": len(self.idle), "waiting": self.waiting, "checked_out": self.busy,
                    "size": self.size, "max_overflow": self.overflow}


class Kept:
    pool = None


def read_sizes(path):
    """What a file of settings says, as numbers by their names; None where there is no such file."""
    try:
        with open(path, encoding="ascii") as file:
            return {name: int(value) for name, value in re.findall(r"^(\w+)=(\d+)$", file.read(), re.MULTILINE)}
    except OSError:
        return None


def open_pool(config, path):
    """As the file says now: who changes it has to restart the application. Its sessions are those of a role without privileges."""
    sizes = read_sizes(path)
    if sizes is not None:
        Kept.pool = Pool(f"{config['database']} user=app_api application_name=api", sizes["DB_POOL_MAX"], sizes.get("DB_POOL_OVERFLOW", 0))


def numbers():
    return Kept.pool.numbers() if Kept.pool else None


def report(_):
    if Kept.pool is None:
        return 404, {"error": "there are no reports now"}
    began = time.monotonic()
    try:
        with Kept.pool.session() as session:
            session.query(f"SELECT pg_sleep({TAKES})")
    except Full as error:
        return 503, {"error": str(error)}
    return 200, {"seconds": round(time.monotonic() - began, 3)}


ROUTES = {("GET", "/api/report"): report}
