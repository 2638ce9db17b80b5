"""Scenarios cache-degraded and cache-wrong: what the application keeps in Redis cannot be used, or is not true.

As a program, `cache_scenarios.py URL READY`, this is the users: requests to the cached endpoints, at a steady rate.
"""

import http.client
import itertools
import json
import os
import random
import sys
import time
import urllib.parse

import app_cache
import app_scenarios
import database
import redis_memory
from processes import write_private

RATE = 60               # requests a second
ENOUGH = 20             # of them, and the rate of hits says something
ASKED = {"exam-info": 45, "active-exams": 20, "system-settings": 1}      # more exams than `warm` knows
WEIGHTS = (50, 35, 15)
SEED = 23


def requests():
    chance = random.Random(SEED)
    while True:
        endpoint = chance.choices(list(ASKED), WEIGHTS)[0]
        yield f"/api/{endpoint}?id={chance.randint(1, ASKED[endpoint])}"


def main():
    address, ready = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
    link = None
    for number, path in enumerate(requests()):
        try:
            link = link or http.client.HTTPConnection(address.hostname, address.port, timeout=10)
            link.request("GET", path)
            link.getresponse().read()
        except (OSError, http.client.HTTPException):
            link = None
        if number == ENOUGH:
            write_private(ready, str(os.getpid()))
        time.sleep(1 / RATE)


def write_entries(lab, entry):
    """Puts entry(endpoint, number), a text, where the application will look for its own; they never expire."""
    with redis_memory.connect(lab) as redis:
        redis.pipeline([("SET", app_cache.key_of(endpoint, number), entry(endpoint, number))
                        for endpoint, most in ASKED.items() for number in range(1, most + 1)])


def start_users(lab):
    ready = lab.path("cache-users.ready")
    app_scenarios.tell_app(lab, "state", {"cache": redis_memory.url(lab)})
    lab.processes.start("cache-users", [sys.executable, os.path.join(database.HERE, "cache_scenarios.py"),
                                        f"http://127.0.0.1:{lab.facts['http']}", ready],
                        lab.path("cache-users.log"), ready=lambda: os.path.exists(ready))


def empty(lab):
    with redis_memory.connect(lab) as redis:
        keys = list(itertools.chain(*(redis.keys(f"{endpoint}:*") for endpoint in ASKED)))
        if keys:
            redis.ask("UNLINK", *keys)


def break_degraded(lab):
    """What the last version left: exams past their end, lists in a schema that is read no more."""
    def entry(endpoint, number):
        if endpoint == "active-exams":
            return f"v1|{number}|…"
        return app_cache.Cache.entry("left over", -60 if endpoint == "exam-info" else app_cache.LIVES)
    write_entries(lab, entry)
    start_users(lab)
    print(f"cache-degraded: {RATE} requests a second, and few of them find something in the cache: entries of the last version"
          " cannot be used, never expire, and are in the way of new ones")


def break_wrong(lab):
    """All is found, and nothing of it is true."""
    write_entries(lab, lambda endpoint, number: app_cache.Cache.entry("of yesterday", 86400))
    start_users(lab)
    print("cache-wrong: every request is answered from the cache, with what was true yesterday")


def mend(lab):
    lab.processes.stop("cache-users")
    if lab.processes.is_running("app"):
        app_scenarios.tell_app(lab, "state", {"cache": None})
    empty(lab)
    if os.path.exists(lab.path("cache-users.ready")):
        os.unlink(lab.path("cache-users.ready"))


def truth(url, path):
    """What an endpoint answers, for tests."""
    address = urllib.parse.urlsplit(url)
    link = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    link.request("GET", path)
    return json.loads(link.getresponse().read())["data"]


SCENARIOS = {"cache-degraded": (break_degraded, mend), "cache-wrong": (break_wrong, mend)}

if __name__ == "__main__":
    main()
