"""Scenarios queue-depth and queue-poisoned: one worker where eight are needed; jobs that nobody can do."""

import contextlib
import os
import sys
import time

import app_scenarios
import database
import job_queue
import redis_memory
import worker_pool

BACKLOG = 1300
LATE = 250              # of them have waited too long


def fill(lab, share):
    now = time.time()
    jobs = [{"name": "charge" if n % 10 == 0 else "transcode", "data": {"poison": n % 100 < 100 * share},
             "timestamp": now - (400 if n < LATE else 200) + n / 100} for n in range(BACKLOG)]
    with redis_memory.connect(lab) as redis:
        job_queue.put(redis, [{"name": name, "data": {}} for name in ["transcode"] * 20 + ["charge"] * 10])
        for number in range(30):
            moved = redis.ask("RPOPLPUSH", job_queue.PREFIX + "wait", job_queue.PREFIX + "active").decode()
            job_queue.fail(redis, moved, "the store did not answer" if number < 20 else "card declined")
        job_queue.put(redis, jobs)


def break_queue(lab, share=0.0):
    app_scenarios.tell_app(lab, "state", {"queue": redis_memory.url(lab)})
    fill(lab, share)
    worker_pool.Pool(lab.directory).scale(1)
    ready = lab.path("producer.ready")
    lab.processes.start("producer", [sys.executable, os.path.join(database.HERE, "job_queue.py"), "produce", redis_memory.url(lab), ready,
                                     str(share)], lab.path("producer.log"), ready=lambda: os.path.exists(ready))


def break_depth(lab):
    break_queue(lab)
    print(f"queue-depth: {BACKLOG} jobs wait, {LATE} of them for more than five minutes; {job_queue.RATE} a second are added, and"
          f" the one worker does {1 / job_queue.TAKES:.0f}")


def break_poisoned(lab):
    break_queue(lab, 0.8)
    print(f"queue-poisoned: {BACKLOG} jobs wait, and four of five fail wherever they are done")


def mend(lab):
    lab.processes.stop("producer")
    worker_pool.Pool(lab.directory).scale(0)
    if lab.processes.is_running("app"):
        app_scenarios.tell_app(lab, "state", {"queue": None})
    with redis_memory.connect(lab) as redis:
        keys = redis.keys(job_queue.PREFIX + "*")
        for first in range(0, len(keys), 1000):
            redis.ask("UNLINK", *keys[first:first + 1000])
    with contextlib.suppress(OSError):
        os.unlink(lab.path("producer.ready"))


SCENARIOS = {"queue-depth": (break_depth, mend), "queue-poisoned": (break_poisoned, mend)}
