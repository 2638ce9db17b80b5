"""Jobs of the lab's application, in Redis as Bull keeps them, and who adds and does them.

  bull:media:wait       list of ids; added on the left, taken from the right
  bull:media:active     list: what a worker has taken
  bull:media:completed bull:media:failed      sorted sets of ids by when, in milliseconds
  bull:media:id         the last id
  bull:media:ID         hash: name, data, timestamp (added), finishedOn, failedReason

As a program: `job_queue.py produce REDIS READY SHARE` adds jobs at a steady rate, of which a share (0 to 1) cannot be
done; `job_queue.py work REDIS CONNINFO READY` is one worker, with a database session of its own.
"""

import json
import random
import sys
import time

import pq
import resp
from processes import write_private

PREFIX = "bull:media:"
RATE = 40               # jobs a second are added
TAKES = 0.04            # seconds one job takes a worker
IN_TIME = 300           # seconds a job may wait and take
KEPT = 200              # ids of jobs that were done
POISON = "codec h266 is not installed"
SEED = 5


def put(redis, jobs):
    """Adds jobs, each {name, data, timestamp?}; the oldest first."""
    last = redis.ask("INCRBY", PREFIX + "id", len(jobs))
    commands = []
    for number, job in enumerate(jobs, last - len(jobs) + 1):
        commands += [("HSET", f"{PREFIX}{number}", "name", job["name"], "data", json.dumps(job.get("data", {})),
                      "timestamp", int(1000 * job.get("timestamp", time.time()))),
                     ("LPUSH", PREFIX + "wait", number)]
    redis.pipeline(commands)


def fail(redis, number, reason):
    moment = int(1000 * time.time())
    redis.pipeline([("HSET", f"{PREFIX}{number}", "failedReason", reason, "finishedOn", moment),
                    ("LREM", PREFIX + "active", 1, number), ("ZADD", PREFIX + "failed", moment, number)])


def text(value):
    return value.decode() if value is not None else None


class Queue:
    """What the application's interface tells of it, and does."""

    def __init__(self, url):
        self.url = url

    def numbers(self):
        with resp.Redis(self.url) as redis:
            wait, active, failed, added, last, done = redis.pipeline([
                ("LLEN", PREFIX + "wait"), ("LLEN", PREFIX + "active"), ("ZCARD", PREFIX + "failed"), ("GET", PREFIX + "id"),
                ("LINDEX", PREFIX + "wait", -1), ("ZRANGE", PREFIX + "completed", -KEPT, -1)])
            since = redis.ask("HGET", f"{PREFIX}{text(last)}", "timestamp") if last else None
            times = redis.pipeline([("HMGET", f"{PREFIX}{text(number)}", "timestamp", "finishedOn") for number in done])
        added = int(added or 0)
        oldest = round(time.time() - int(since) / 1000, 1) if since else 0
        late = sum(int(end) - int(begin) > 1000 * IN_TIME for begin, end in times)
        queue = {"name": "media", "waiting": wait, "active": active, "failed": failed, "oldest_seconds": oldest, "added": added,
                 "completed": added - wait - active - failed}
        return {"depth": wait, "failed": failed, "oldest_seconds": oldest, "queues": [queue],
                **({"in_time": round(100 - 100 * late / len(times), 1)} if times else {})}

    def failed(self):
        with resp.Redis(self.url) as redis:
            found = redis.ask("ZRANGE", PREFIX + "failed", 0, -1, "WITHSCORES")
            ids, moments = [text(n) for n in found[::2]], found[1::2]
            facts = redis.pipeline([("HMGET", f"{PREFIX}{n}", "name", "failedReason") for n in ids])
        return [{"id": n, "queue": "media", "name": text(name), "reason": text(reason), "failed_at": int(float(moment)) / 1000}
                for n, moment, (name, reason) in zip(ids, moments, facts)]

    def retry(self, ids):
        with resp.Redis(self.url) as redis:
            again = [n for n in ids if redis.ask("ZREM", PREFIX + "failed", n) == 1]
            redis.pipeline([("LPUSH", PREFIX + "wait", n) for n in again])
        return len(again)


def needs_queue(route, else_route=None):
    def answer(handler):
        if handler.state.queue:
            return route(handler)
        return else_route(handler) if else_route else (404, {"error": "there is no queue now"})
    return answer


ROUTES = {
    ("GET", "/api/admin/queues/stats"): needs_queue(lambda handler: (200, {"data": handler.state.queue.numbers()}),
                                                    lambda handler: handler.numbers()),
    ("GET", "/api/admin/queues/failed"): needs_queue(lambda handler: (200, {"data": handler.state.queue.failed()})),
    ("POST", "/api/admin/queues/retry"): needs_queue(
        lambda handler: (200, {"data": {"retried": handler.state.queue.retry(json.loads(handler.body)["ids"])}})),
}


def produce(url, ready, share):
    chance, redis = random.Random(SEED), resp.Redis(url)
    for number in range(sys.maxsize):
        name = "charge" if chance.random() < 0.1 else "transcode"
        put(redis, [{"name": name, "data": {"poison": chance.random() < float(share)}}])
        if number == RATE // 4:
            write_private(ready, "")
        time.sleep(1 / RATE)


def do(session, redis, number):
    facts = redis.ask("HGET", f"{PREFIX}{number}", "data")
    if json.loads(facts or b"{}").get("poison"):
        time.sleep(TAKES)
        return fail(redis, number, POISON)
    session.query(f"INSERT INTO events (name, payload) SELECT 'job', '{{\"n\": {int(number)}}}' FROM pg_sleep({TAKES})")
    moment = int(1000 * time.time())
    redis.pipeline([("HSET", f"{PREFIX}{number}", "finishedOn", moment), ("LREM", PREFIX + "active", 1, number),
                    ("ZADD", PREFIX + "completed", moment, number),
                    ("ZREMRANGEBYRANK", PREFIX + "completed", 0, -KEPT - 1)])


def work(url, conninfo, ready):
    redis, session = resp.Redis(url), pq.Session(conninfo)
    write_private(ready, "")
    while True:
        number = redis.ask("RPOPLPUSH", PREFIX + "wait", PREFIX + "active")
        if number is None:
            time.sleep(TAKES)
        else:
            do(session, redis, number.decode())


if __name__ == "__main__":
    {"produce": produce, "work": work}[sys.argv[1]](*sys.argv[2:])
