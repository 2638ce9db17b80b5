"""Scenario redis-memory: the lab's Redis is full, and most of what it holds never expires."""

import os
import shutil

import resp

LIMIT = "64mb"
PREFIXES = ("session:", "exercises:", "page:", "queue:", "report:", "tmp:")
TEXT = "x" * 2000
STEP = 100      # keys in one write


def url(lab):
    if not lab.facts.get("redis"):
        raise RuntimeError("the lab has no redis: './dev setup --test' installs it")
    return f"redis://:{lab.facts['password']}@127.0.0.1:{lab.facts['redis']}/0"


def connect(lab):
    return resp.Redis(url(lab))


def commands():
    """What the applications left in it before the last one filled it up."""
    for n in range(2000):
        yield ("SET", f"session:{n}", "s" * 400, "EX", 3600)
    for n in range(6000):
        kind, level = ("regular", "irregular", "mixed")[n % 3], ("easy", "hard")[n % 2]
        yield ("SET", f"exercises:{kind}:{level}:{n}", TEXT)
    for n in range(4000):
        yield ("SET", f"page:{n}", TEXT, *(("EX", 600) if n % 4 == 0 else ()))
    for n in range(20):
        yield ("RPUSH", "queue:mail", *(f"mail {n} {i} {'q' * 80}" for i in range(100)))
    for n in range(40):
        yield ("HSET", "report:2025", *(w for i in range(50) for w in (f"day {n}.{i}", TEXT)))


def fill(redis):
    """Writes until the server refuses; returns how many keys of the last prefix there are."""
    batch = []
    for command in commands():
        batch.append(command)
        if len(batch) == STEP:
            redis.pipeline(batch)
            batch = []
    count = 0
    while True:
        replies = redis.pipeline(batch + [("SET", f"tmp:{n}", TEXT) for n in range(count, count + STEP)])
        refused = [r for r in replies if isinstance(r, resp.Error)]
        count, batch = count + STEP - len(refused), []
        if refused:
            return count


def empty(redis):
    for prefix in PREFIXES:
        keys = redis.keys(prefix + "*")
        for first in range(0, len(keys), 1000):
            redis.ask("UNLINK", *keys[first:first + 1000])


def reset(lab, redis):
    """The settings and the file they are written to, as the lab began."""
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", LIMIT)
    kept = lab.path("redis.conf.before")
    if os.path.exists(kept):
        os.replace(kept, lab.path("redis.conf"))


def break_it(lab):
    with connect(lab) as redis:
        shutil.copy2(lab.path("redis.conf"), lab.path("redis.conf.before"))
        empty(redis)
        redis.ask("CONFIG", "RESETSTAT")
        fill(redis)
        print(f"redis-memory: {redis.info('used_memory_human')} of {LIMIT} used, policy noeviction:"
              " writes are refused")
        for prefix in PREFIXES:
            keys = redis.keys(prefix + "*")
            lasting = sum(left == -1 for left in redis.pipeline([("TTL", k) for k in keys]))
            print(f"  {prefix:<12} {len(keys):>6} keys, {lasting:>6} never expire")


def mend(lab):
    with connect(lab) as redis:
        reset(lab, redis)
        empty(redis)
