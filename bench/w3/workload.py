"""W3: which of 200,000 keys never expire?"""

import resp

from workload import Workload as Base


class Workload(Base):
    title = "200,000 keys without TTL"
    about = ("Every key of a Redis is asked for its time to live; three of four have none. bash pipes all questions"
             " into one redis-cli; the loop of the source runbook, one redis-cli a key, does one key of a hundred.")
    against_c = 1.3
    c_packages = ("hiredis",)
    parts = {"bash loop": 100}

    def prepare(self, place):
        keys = 2000 if self.small else 200_000
        with resp.Redis(place.env["REDIS_URL"]) as redis:
            redis.ask("FLUSHALL")
            redis.ask("DEBUG", "POPULATE", keys, "key", 8)
            redis.ask("EVAL", "for i = 0, ARGV[1] - 1, 4 do redis.call('EXPIRE', 'key:' .. i, 100000) end", 0, keys)
        place.env["BENCH_LOOP_KEYS"] = str(keys // self.parts["bash loop"])

    def contestants(self, place):
        return {**super().contestants(place), "bash loop": ["bash", self.path("loop.sh")]}

    def same(self, name, answer, ours):
        if name == "bash loop":
            return answer is not None and answer.endswith("never expire")
        return super().same(name, answer, ours)
