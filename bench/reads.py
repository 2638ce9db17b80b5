#!/usr/bin/python3 -B
"""What it costs to send a read so that the server itself keeps it from writing.

usage: bench/reads.py [--rounds N] [--reads N]

  --rounds N   each contestant runs N times (default 7); medians are compared
  --reads N    statements in one run (default 3000)

The same playbook is played with the runtime as it is, whose reads go out as BEGIN READ ONLY, statement, SHOW,
ROLLBACK in one round trip, and with one that sends the statement alone; they run in turns. Bound: a wrapped read
takes at most 2 times as long as a bare one.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from place import ROOT, Place  # noqa: E402

RUNTIME = os.environ.get("OPSRUN_RUNTIME_DIR") or ROOT
STATEMENTS = {
    "one": "SELECT 1",
    "sessions": "SELECT state, count(*) FROM pg_stat_activity GROUP BY state",
    "rows": "SELECT status, sum(total) FROM orders GROUP BY status",
}
PLAYBOOK = """playbook { title = "Many reads", params = { statement = { type = "string" }, reads = { type = "integer" } } }
step("Read", function(p) for _ = 1, p.reads do sql "primary":query(p.statement) end end)
"""
BOUND = 2


def bare_runtime(room):
    """A copy of the runtime that sends a read as it stands."""
    for part in ("runtime", "stdlib"):
        shutil.copytree(os.path.join(RUNTIME, part), os.path.join(room, "bare", part))
    path = os.path.join(room, "bare", "runtime", "sql", "read.lua")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for head, instead in ((r"local function wrap\(request\)", "do return { request.item }, 1 end"),
                          (r"local function check_still_read_only\(.*\)", "do return end")):
        text, count = re.subn(rf"(?m)^{head}$", rf"\g<0>\n  {instead}", text)
        if count != 1:
            sys.exit(f"bench/reads.py: no '{head}' in {path}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return os.path.join(room, "bare")


def play(place, runtime, statement, reads):
    began = time.monotonic()
    done = subprocess.run(place.play(place.path("reads.lua"), "-q", "-p", f"statement={statement}", "-p", f"reads={reads}"),
                          env={**place.env, "OPSRUN_RUNTIME_DIR": runtime}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench/reads.py: code {done.returncode}\n{done.stdout}")
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=False)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--reads", type=int, default=3000)
    given, missed = parser.parse_args(), 0
    with Place() as place:
        with open(place.path("reads.lua"), "w", encoding="utf-8") as file:
            file.write(PLAYBOOK)
        runtimes = {"wrapped": RUNTIME, "bare": bare_runtime(place.room)}
        for name, statement in STATEMENTS.items():
            times = {which: [] for which in runtimes}
            for _ in range(given.rounds):
                for which, runtime in runtimes.items():
                    # the first read also asks what its names mean there; the start is everybody's
                    start = play(place, runtime, statement, 1)
                    times[which].append((play(place, runtime, statement, given.reads) - start) / (given.reads - 1))
            wrapped, bare = (1e6 * statistics.median(times[which]) for which in ("wrapped", "bare"))
            missed += wrapped > BOUND * bare
            print(f"{name:<9} wrapped {wrapped:6.0f} µs, bare {bare:6.0f} µs: {wrapped / bare:.2f} × (at most {BOUND})   {statement}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
