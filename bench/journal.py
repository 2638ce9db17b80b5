#!/usr/bin/python3 -B
"""What the journal costs: microseconds per read effect and per change, syncs per change.

usage: bench/journal.py [--rounds N] [--home DIR]

  --rounds N   each contestant runs N times (default 7); medians are compared
  --home DIR   the journals' disk (default: where temporary files go)

The same playbook is played with the runtime as it is and with one that records no effect; they run in
turns, and their difference is the journal's. It needs no server: reads are `files.stat`, changes
`files.touch`. Bounds: at most 60 µs a read effect, at most 2 syncs a change.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPSRUN = os.environ.get("OPSRUN_BIN") or os.path.join(ROOT, os.environ.get("OPSRUN_BUILD_DIR") or "build", "opsrun")
RUNTIME = os.environ.get("OPSRUN_RUNTIME_DIR") or ROOT
READS, CHANGES = 10_000, 200
PLAYBOOK = """playbook {
  title = "Many effects", uses = { files = { "{room}" } }, params = {
    room = { type = "path" }, reads = { type = "integer", default = 0 }, changes = { type = "integer", default = 0 },
  },
}
step("Read", function(p) for _ = 1, p.reads do files.stat(p.room) end end)
step("Change", function(p) for _ = 1, p.changes do files.touch(p.room .. "/touched") end end)
"""


def without_journal(room):
    """A copy of the runtime that records no effect."""
    for part in ("runtime", "stdlib"):
        shutil.copytree(os.path.join(RUNTIME, part), os.path.join(room, "bare", part))
    path = os.path.join(room, "bare", "runtime", "journal.lua")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, instead in (("begin", "run.begun = (run.begun or 0) + 1 do return end"), ("finish", "do return end")):
        text, count = re.subn(rf"(?m)^function journal\.{name}\(run.*\)$", rf"\g<0>\n  {instead}", text)
        if count != 1:
            sys.exit(f"bench/journal.py: no function journal.{name} in {path}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return os.path.join(room, "bare")


class Bench:
    def __init__(self, room, home):
        self.room, self.home = room, home
        self.playbook = os.path.join(room, "many.lua")
        with open(self.playbook, "w", encoding="utf-8") as file:
            file.write(PLAYBOOK)
        os.mkdir(os.path.join(room, "environments"))
        with open(os.path.join(room, "environments", "bare.lua"), "w", encoding="utf-8") as file:
            file.write("return {}\n")
        self.runtimes = {"journal": RUNTIME, "none": without_journal(room)}

    def play(self, runtime, reads, changes, *before):
        env = {**os.environ, "OPSRUN_HOME": self.home, "OPSRUN_RUNTIME_DIR": self.runtimes[runtime]}
        argv = [*before, OPSRUN, "play", self.playbook, "-e", "bare", "--config", os.path.join(self.room, "environments"),
                "-q", "-p", f"room={self.room}", "-p", f"reads={reads}", "-p", f"changes={changes}"]
        began = time.monotonic()
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench/journal.py: code {done.returncode}\n{done.stdout}{done.stderr}")
        return time.monotonic() - began, done.stderr

    def cost(self, rounds, reads, changes):
        """Microseconds of the journal for one effect, and of the whole effect."""
        times = {name: [] for name in self.runtimes}
        empty = [self.play("journal", 0, 0)[0] for _ in range(rounds)]
        for _ in range(rounds):
            for name in self.runtimes:
                times[name].append(self.play(name, reads, changes)[0])
        median = {name: statistics.median(found) for name, found in times.items()}
        count = reads + changes
        return (1e6 * (median["journal"] - median["none"]) / count,
                1e6 * (median["journal"] - statistics.median(empty)) / count)

    def syncs(self, changes):
        _, trace = self.play("journal", 0, changes, "strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none")
        return len(re.findall(r"\bf(?:data)?sync\(", trace))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=False)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--home", default=tempfile.gettempdir())
    given = parser.parse_args()
    room = tempfile.mkdtemp(prefix="opsrun-bench-")
    home = tempfile.mkdtemp(prefix="opsrun-bench-home-", dir=given.home)
    try:
        bench = Bench(room, home)
        read, whole_read = bench.cost(given.rounds, READS, 0)
        change, whole_change = bench.cost(given.rounds, 0, CHANGES)
        syncs = (bench.syncs(30) - bench.syncs(10)) / 20
    finally:
        shutil.rmtree(room)
        shutil.rmtree(home)
    print(f"journal of a read effect: {read:.1f} µs of {whole_read:.1f} µs ({READS:,} effects)")
    print(f"journal of a change: {change:.0f} µs of {whole_change:.0f} µs ({CHANGES} changes)")
    print(f"syncs a change: {syncs:g}")
    return 0 if read <= 60 and syncs <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
