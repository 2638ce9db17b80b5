"""One application of scenario db-exhaustion: holds its database sessions open until it is ended.

usage: clients.py NAME CONNINFO READY

A session the server closes is noted and stays closed: a pool that leaks does not mend itself.
READY is written when all sessions stand where the scenario wants them.
"""

import json
import selectors
import sys
import time

import pq
from processes import write_private

SLEEP = "SELECT pg_sleep(3600)"

IDLE = {
    "api": "SELECT id, email FROM users WHERE id = 17",
    "worker": "SELECT id FROM media_items WHERE status = 'processing' LIMIT 20",
    "reports": "SELECT count(*) FROM orders WHERE status = 'paid'",
}
BUSY = {
    "api": "/* GET /api/search */ SELECT count(*), pg_sleep(3600) FROM media_items LIMIT 1",
    "worker": "/* transcode */ " + SLEEP,
    "reports": "/* monthly revenue */ SELECT sum(total), pg_sleep(3600) FROM orders",
}
# sessions per application: idle, busy, and what those idle in transaction said last
PLANS = {
    "api": (44, 6, ["UPDATE users SET last_login = last_login WHERE id = 1",
                    "SELECT status FROM orders WHERE id = 7",
                    "SELECT status FROM orders WHERE id = 8",
                    "SELECT count(*) FROM sessions"]),
    "worker": (8, 8, ["INSERT INTO events (name) VALUES ('job.start')",
                      "SELECT id FROM media_items WHERE id = 3"]),
    "reports": (2, 13, ["SELECT sum(total) FROM orders"]),
    "api-restarted": (2, 0, []),
}
# a chain behind the api session that forgot to commit: one waits for it, the next for that one
CHAIN = [
    "BEGIN; UPDATE users SET last_login = last_login WHERE id = 2;"
    " UPDATE users SET last_login = last_login WHERE id = 1; COMMIT; " + SLEEP,
    "BEGIN; UPDATE users SET last_login = last_login WHERE id = 2; COMMIT; " + SLEEP,
]


class Client:
    def __init__(self, name, conninfo):
        self.application = name.removesuffix("-restarted")
        self.conninfo = f"{conninfo} user=app_{self.application}"
        self.selector = selectors.DefaultSelector()
        self.idle, self.busy, self.forgotten = PLANS[name]
        self.pids = []

    def open(self, busy):
        session = pq.Session(f"{self.conninfo} application_name={self.application}")
        self.pids.append(session.pid)
        self.selector.register(session.fileno(), selectors.EVENT_READ, (session, busy))
        return session

    def start(self):
        for text in self.forgotten:
            self.open(None).query(f"BEGIN; {text}")
        for _ in range(self.idle):
            self.open(None).query(IDLE[self.application])
        for _ in range(self.busy):
            self.open(BUSY[self.application]).send(BUSY[self.application])
        if self.application == "worker":
            self.start_chain()

    def start_chain(self):
        """Each link is sent only when the one before it waits, else there is no chain."""
        keeper = pq.Session(f"{self.conninfo} application_name=lab-keeper")
        for text in CHAIN:
            session = self.open(SLEEP)
            session.send(text)
            deadline = time.monotonic() + 10
            while keeper.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1",
                               session.pid) == "0":
                if time.monotonic() > deadline:
                    raise RuntimeError("the blocked chain does not form")
                time.sleep(0.01)
        self.keeper = keeper

    def serve(self):
        while self.selector.get_map():
            for key, _ in self.selector.select():
                session, busy = key.data
                if not session.drain():
                    print(f"{time.time():.3f} session {session.pid} was closed by the server",
                          flush=True)
                    self.selector.unregister(key.fd)
                    session.close()
                elif busy and session.is_idle():
                    session.send(busy)


def main():
    name, conninfo, ready = sys.argv[1:]
    client = Client(name, conninfo)
    client.start()
    write_private(ready, json.dumps(client.pids))
    client.serve()
    while True:          # all sessions gone; the application itself goes on
        time.sleep(3600)


if __name__ == "__main__":
    main()
