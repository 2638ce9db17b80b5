"""W8: what opsrun itself costs: a read effect, a change's syncs, memory over many effects."""

import re
import resp
import subprocess

from workload import OURS, Claim
from workload import Workload as Base

FEW, MANY, MOST = 1000, 20_000, 100_000


class Workload(Base):
    title = "what opsrun itself takes"
    about = ("One PING of Redis after the other, each an effect that is described, proved, sent and journaled. C: the same"
             " questions by hiredis. The difference between runs of many and of few, less C's, is our own cost of an"
             " effect. The syncs are counted by strace over runs with different numbers of changes.")
    peers = ("C",)
    c_packages = ("hiredis",)

    def counts(self):
        return [n // 50 for n in (FEW, MANY, MOST)] if self.small else [FEW, MANY, MOST]

    def prepare(self, place):
        with resp.Redis(place.env["REDIS_URL"]) as redis:
            redis.ask("FLUSHALL")

    def contestants(self, place):
        program = place.compiled(self.path("peer.c"), self.c_packages)
        found = {}
        for count in self.counts():
            found[f"{OURS}, {count:,} effects"] = place.play(self.playbook(), "-p", f"reads={count}")
            found[f"C, {count:,} questions"] = [program, str(count)]
        return found

    def answer(self, name, measured):
        return super().answer(name, measured) and "PONG"

    def same(self, name, answer, ours):
        return answer == "PONG"

    def syncs(self, place, changes):
        """How often a run with so many changes waits for the disk."""
        argv = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync",
                *place.play(self.playbook(), "-p", "reads=0", "-p", f"changes={changes}", "--yes")]
        done = subprocess.run(argv, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=True)
        return len(re.findall(r"\b(?:fsync|fdatasync|sync_file_range|syncfs|sync)\(", done.stdout))

    def claims(self, place, series):
        few, many, most = self.counts()

        def each(who, what, upper, lower):
            """Microseconds that one more costs."""
            return 1e6 * (series[f"{who}, {upper:,} {what}"].median
                          - series[f"{who}, {lower:,} {what}"].median) / (upper - lower)
        ours, theirs = each(OURS, "effects", many, few), each("C", "questions", many, few)
        last = each(OURS, "effects", most, many)
        syncs = (self.syncs(place, 30) - self.syncs(place, 10)) / 20
        return [
            Claim(f"our own cost of a read effect ({ours:.0f} µs, of which the round trip {theirs:.0f} µs)", ours - theirs,
                  most=60, unit="µs"),
            Claim(f"an effect beyond the {many:,}th against one before it", last / ours, most=1.15),
            Claim("syncs a change", syncs, most=2, unit=""),
            Claim(f"peak memory over {most:,} effects", series[f"{OURS}, {most:,} effects"].peak, most=self.memory,
                  unit="MiB"),
        ]
