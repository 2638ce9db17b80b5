"""Scenario pool-exhausted: two instances of the application with pools of 2 + 2 sessions each, and twice as many visitors.

As a program, `pool_exhausted.py READY URL…`, it is the visitors: VISITORS of them at each instance ask for reports without a
pause, and come again when it restarts.
"""

import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
import urllib.request

import app_scenarios
import database
import front
from processes import write_private

VISITORS = 8
SETTINGS = "# sessions of the database that each process keeps, and may open beyond that\nDB_POOL_MAX=2\nDB_POOL_OVERFLOW=2\n"


def visit(url):
    parts = urllib.parse.urlsplit(url)
    # from another address: on one, a port that nobody listens on may be taken by who knocks at it, and connected to itself
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60, source_address=("127.0.0.2", 0))
    while True:
        try:
            link.request("GET", "/api/report")
            link.getresponse().read()
        except (OSError, http.client.HTTPException):
            link.close()
            time.sleep(0.05)


def main():
    ready, *urls = sys.argv[1:]
    for url in urls:
        for _ in range(VISITORS):
            threading.Thread(target=visit, args=(url,), daemon=True).start()
    write_private(ready, "")
    while True:
        time.sleep(3600)


def url_of(lab, name):
    return f"http://127.0.0.1:{front.ports_of(lab, name)['http']}"


def pool_of(lab, name):
    """What an instance tells of its pool."""
    asked = urllib.request.Request(url_of(lab, name) + "/api/admin/pool", headers={"Authorization": f"Bearer {lab.facts['token']}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)["data"]


def restart(lab, name):
    lab.processes.stop(name)
    app_scenarios.mend_app_down(lab, name)


def break_it(lab):
    for name in front.INSTANCES:
        write_private(lab.path(f"{name}.env"), SETTINGS)
    restart(lab, "app")
    front.start_second(lab)
    ready = lab.path("visitors.ready")
    lab.processes.start("visitors", [sys.executable, os.path.join(database.HERE, "pool_exhausted.py"), ready,
                                     *(url_of(lab, name) for name in front.INSTANCES)],
                        lab.path("visitors.log"), ready=lambda: os.path.exists(ready))
    deadline = time.monotonic() + 30
    while not all(pool_of(lab, name)["waiting"] for name in front.INSTANCES):
        if time.monotonic() > deadline:
            raise RuntimeError("nobody waits for a session: see visitors.log")
        time.sleep(0.05)
    seen = [pool_of(lab, name) for name in front.INSTANCES]
    print(f"pool-exhausted: {sum(s['checked_out'] for s in seen)} sessions are in use, and {sum(s['waiting'] for s in seen)} visitors"
          f" wait for one at {' and '.join(front.INSTANCES)}\n"
          'next: eval "$(./dev lab env)", which tells where the second one is')


def mend(lab):
    for name in ("visitors", "app-2"):
        lab.processes.stop(name)
    for name in ("visitors.ready", "app.env", "app-2.env", "app-2.ports", "app-2.json", "app-2.number"):
        if os.path.exists(lab.path(name)):
            os.unlink(lab.path(name))
    restart(lab, "app")


def environment(lab):
    """Where the second instance is, and the files with the sizes of the pools; without the scenario there is one instance."""
    try:
        second = url_of(lab, "app-2")
    except OSError:
        second = url_of(lab, "app")
    return {"APP_2_URL": second, "LAB_POOL_FILES": ",".join(lab.path(f"{name}.env") for name in front.INSTANCES)}


SCENARIOS = {"pool-exhausted": (break_it, mend)}

if __name__ == "__main__":
    main()
