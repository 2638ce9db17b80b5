"""The fingerprint of a whole lab, and what may differ between two of them: allowed_touches.json, each with its
reason. What differs and is not on that list is a change that a read or a dry run made.

    world = World(lab)
    before = world.look()
    …
    differing = world.differences(before, world.look())      # {place: (was, is)}
"""

import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
import resp  # noqa: E402
import pq  # noqa: E402
import cluster  # noqa: E402
import keyspace  # noqa: E402
import received  # noqa: E402
import tree  # noqa: E402
import victims  # noqa: E402


def allowed():
    with open(os.path.join(HERE, "allowed_touches.json"), encoding="utf-8") as file:
        return [(re.compile(entry["place"]), entry["reason"]) for entry in json.load(file)["allowed"]]


class World:
    """A lab with victims in it. Everything is put back by the lab's own end, the rest by close()."""

    def __init__(self, lab):
        self.lab, self.used = lab, set()
        with open(os.path.join(lab.directory, "postgres.room"), encoding="utf-8") as file:
            room = file.read()
        self.data = os.path.join(room, "data")      # what is in it is looked at row by row
        self.cluster = cluster.Cluster(lab.env["DATABASE_URL"], self.data, lab.env["POSTGRES_LOG"])
        keeper = lab.session()
        for setting in ("autovacuum = off", "checkpoint_timeout = '1d'"):      # the server's own work is not ours
            keeper.query(f"ALTER SYSTEM SET {setting}")
        self.sessions = victims.postgres(keeper, lab.session)
        keeper.query("SELECT pg_reload_conf()")
        time.sleep(0.2)      # no checkpoint, no vacuum from here on
        keeper.query("CHECKPOINT")
        keeper.close()
        self.told, self.heard = 0, 0
        plain, tls = resp.Redis(lab.env["REDIS_URL"]), keyspace.SecureRedis(lab.env["REDISS_URL"], lab.env["APP_CA"])
        self.redis = [keyspace.Keyspace("redis", plain, victims.redis(plain)), keyspace.Keyspace("redis-tls", tls)]
        self.subscriber = resp.Redis(lab.env["REDIS_URL"])
        self.subscriber.ask("CLIENT", "SETNAME", "victim")
        self.subscriber.ask("PSUBSCRIBE", "*")
        self.playground = victims.Playground()
        with open(os.path.join(lab.directory, "docker.log"), "ab"):
            pass      # the first who asks it would make the file

    def close(self):
        self.cluster.close()
        for session in self.sessions.values():
            session.close()
        for link in (*self.redis, self.subscriber):
            link.close()
        self.playground.close()

    def settle(self):
        """Waits until the sessions of a run that ended are gone; a server notices a moment later."""
        deadline = time.monotonic() + 10
        while not self.cluster.quiet():
            if time.monotonic() > deadline:
                raise AssertionError("sessions of opsrun do not end")
            time.sleep(0.01)

    def look(self):
        """What there is to be seen, as {place: text}. Counters of Redis' commands as they were before and after
        the look stand under two names."""
        self.settle()
        found, arrived, left = {}, {}, {}
        for server in self.redis:
            some, before, after = server.look()
            found |= some
            arrived |= before
            left |= after
        self.told += victims.told(self.sessions["listener"])
        self.heard += victims.hears(self.subscriber)
        found |= self.cluster.look()
        found["postgres/victims/busy"] = str(self.sessions["busy"].is_idle())
        found["postgres/victims/listener"] = f"{self.told} notifications"
        found["redis/subscriber"] = f"{self.heard} bytes"
        found |= received.look(self.lab.env, self.lab.directory)
        found |= tree.look("lab", self.lab.directory, leave_out=(self.data,))
        found |= self.playground.look()
        return found, arrived, left

    def differences(self, before, after):
        """{place: (was, is)} of all that differs and is not on the list."""
        was, now = {**before[0], **before[2]}, {**after[0], **after[1]}
        differing = {}
        for place in was.keys() | now.keys():
            if was.get(place) != now.get(place):
                rule = next((rule for rule, _ in ALLOWED if rule.fullmatch(place)), None)
                if rule is None:
                    differing[place] = (was.get(place), now.get(place))
                else:
                    self.used.add(rule.pattern)
        return differing


ALLOWED = allowed()
