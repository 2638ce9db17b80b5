"""A trace of the suite: whatever opsrun does in the end-to-end tests, every system call of its that acts on the outside
lies between the gate's marks. Each of their opsruns runs under strace; what the tests themselves find is told, and is
not what is judged here.

  OPSRUN_TRACED_TESTS=test_sql,test_redis   only these files
"""

import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from harness import OPSRUN  # noqa: E402
from trace_judge import CALLS, Judge  # noqa: E402

LEFT_OUT = {
    "test_bench": "speed", "test_bench_journal": "speed", "test_bench_reads": "speed", "test_figures": "speed",
    "test_mutants": "plays nothing", "test_reachable": "plays nothing", "test_lab": "plays nothing",
    "test_settle": "asks the adapters through a command of its own, where no gate is",
    "test_runaway": "takes minutes under a tracer that counts every call of a loop",
}
WITHIN = 900               # seconds one test file may take

# What may act outside of an effect, and why.
PLAYS_NOTHING = ("doctor",)            # it is asked to try every connection, and says so
BY_THE_ENVIRONMENT = {"test_secrets": r"clone3\(", "test_proc_secrets": r"clone3\("}      # a parameter that is a secret.command's: known before there is a run

# The process keeps its id, its parent and its signals: the tracer is nobody's child. Who is traced already is let be.
WRAPPER = """#!/bin/sh
read -r _ tracer <<END
$(grep TracerPid: /proc/$$/status)
END
[ "$tracer" = 0 ] || exec {opsrun} "$@"
printf '%s\\n' "${{OPSRUN_HOME:-${{XDG_STATE_HOME:-${{HOME:-/root}}/.local/state}}/opsrun}}" "$*" >{room}/$$.facts
chmod 666 {room}/$$.facts
OPSRUN_TRACE=1 exec strace -DDD -f --seccomp-bpf -yy -qq -s 120 -e signal=none -o {room}/$$.trace -e trace={calls} {opsrun} "$@"
"""


class Suite(unittest.TestCase):

    maxDiff = None

    def setUp(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-traces-")
        os.chmod(self.room, 0o1777)      # some of the tests play as another user
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.wrapper = os.path.join(self.room, "opsrun")
        with open(self.wrapper, "w", encoding="utf-8") as file:
            file.write(WRAPPER.format(opsrun=OPSRUN, room=self.room, calls=CALLS))
        os.chmod(self.wrapper, os.stat(self.wrapper).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        self.runs, self.effects, self.inside, self.outside, self.unread = 0, 0, 0, [], 0

    def play(self, path):
        """Runs one test file with the wrapper as its opsrun. Returns how many of its tests passed, and how many there are."""
        done = subprocess.run([sys.executable, "-B", path, "-v"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "OPSRUN_BIN": self.wrapper}, text=True, check=False,
                              errors="replace", timeout=WITHIN)
        self.said = done.stdout
        ran = re.search(r"^Ran (\d+) tests?", done.stdout, re.M)
        wrong = sum(map(int, re.findall(r"(?:failures|errors|skipped)=(\d+)", done.stdout)))
        return (int(ran.group(1)) - wrong, int(ran.group(1))) if ran else (0, 0)

    def judge(self, name):
        """Reads and removes every trace there is."""
        for facts in glob.glob(os.path.join(self.room, "*.facts")):
            trace = facts.removesuffix("facts") + "trace"
            with open(facts, encoding="utf-8", errors="replace") as file:
                home, words = (file.read() + "\n").split("\n", 1)
            self.wait_until_written(trace)
            if os.path.exists(trace) and os.path.getsize(trace) > 0:
                judged = Judge(home).read(trace)
                self.runs += 1
                self.unread += judged.unread
                self.effects += judged.effects
                self.inside += judged.inside
                if words.split()[:1] and words.split()[0] not in PLAYS_NOTHING:
                    self.outside += [f"{name}: opsrun {words.strip()[:100]}\n  {text}" for text in judged.outside
                                     if not re.match(BY_THE_ENVIRONMENT.get(name, "(?!)"), text)]
                os.unlink(trace)
            os.unlink(facts)

    def wait_until_written(self, trace):
        """The tracer ends a moment after what it traces."""
        size, deadline = -1, time.monotonic() + 10
        while time.monotonic() < deadline and os.path.exists(trace) and os.path.getsize(trace) != size:
            size = os.path.getsize(trace)
            time.sleep(0.02)

    def test_no_call_of_the_suite_acts_outside_an_effect(self):
        wanted = [name for name in os.environ.get("OPSRUN_TRACED_TESTS", "").split(",") if name]
        files = {os.path.basename(path)[:-3]: path for path in sorted(glob.glob(os.path.join(ROOT, "tests", "e2e", "test_*.py")))}
        passed, there = 0, 0
        for name, path in files.items():
            if name in (wanted or files) and name not in LEFT_OUT:
                runs, effects, outside = self.runs, self.effects, len(self.outside)
                good, some = self.play(path)
                self.judge(name)
                passed, there = passed + good, there + some
                for line in re.findall(r"^(?:FAIL|ERROR): (.*)$", self.said, re.M):
                    print(f"  does not pass with a tracer: {line}")
                print(f"{name}: {good} of {some} tests, {self.runs - runs} runs, {self.effects - effects} effects, "
                      f"{len(self.outside) - outside} calls outside", flush=True)
        print(f"{self.runs} runs of opsrun in {there} tests ({passed} pass with a tracer): {self.effects} effects, {self.inside} calls"
              f" inside them, {len(self.outside)} outside; {self.unread} runs of another user's could not be read")
        kinds = {re.sub(r"\d+", "N", text): text for text in self.outside}      # one example of each
        self.assertEqual(list(kinds), [], "\n".join(list(kinds.values())[:60]))
        self.assertGreaterEqual(passed, 0.9 * there, "the tests are what plays")
        self.assertGreater(self.runs, 0)
        self.assertLessEqual(self.unread, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
