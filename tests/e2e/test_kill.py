"""kill -9 of opsrun at 20 random moments of a live play: nothing of it goes on, the journal knows all.

The docker of this test leaves a child behind that called setsid, as a careless daemon would.
"""

import json
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (PLAYBOOK, LabTest, alive, descendants, main, start_time,  # noqa: E402
                     wait_until)

SEED = 20
MOMENTS = 20
DOCKER = """#!/bin/sh
# Writes down whom it left behind, then takes its time.
setsid sh -c 'echo $$ >>{room}/left; exec sleep 600' &
echo $$ >>{room}/left
echo "$*" >>{room}/calls
sleep 0.2
"""
PLAY = ("play", PLAYBOOK, "-e", "lab", "--yes", "-p", "idle=100ms", "-p", "healthy=10",
        "-p", "pause=50ms", "-p", "pool=api-container", "-p", "watch=100ms", "-p", "poll=50ms")


class KilledAtRandom(LabTest):
    def setUp(self):
        super().setUp()
        self.room = os.path.join(self.lab.room, "docker")
        os.makedirs(self.room, exist_ok=True)
        with open(os.path.join(self.room, "docker"), "w", encoding="ascii") as file:
            file.write(DOCKER.format(room=self.room))
        os.chmod(os.path.join(self.room, "docker"), 0o755)
        self.path = self.room + ":" + self.lab.env["PATH"]

    def lines(self, name):
        try:
            with open(os.path.join(self.room, name), encoding="ascii") as file:
                return file.read().split("\n")[:-1]
        except OSError:
            return []

    def forget(self):
        for name in ("left", "calls"):
            path = os.path.join(self.room, name)
            if os.path.exists(path):
                os.unlink(path)

    def play_and_kill(self, delay):
        """Returns what ran below opsrun, and how long its end took."""
        process = self.start(*PLAY, env={"PATH": self.path})
        below = {}
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
            below |= descendants(process.pid)
        below |= descendants(process.pid)
        below |= {int(pid): start_time(int(pid)) for pid in self.lines("left")}
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.communicate()
        wait_until(lambda: not alive(below) and not self.left_behind(), within=10)
        return below, time.monotonic() - killed

    def left_behind(self):
        """Processes the docker of this test named, that still run it."""
        running = []
        for pid in map(int, self.lines("left")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
            except OSError:
                continue
            if b"sleep\x00600" in command or self.room.encode() in command:
                running.append(pid)
        return running

    def settled(self, before, run):
        """Whom the server ended since, once it has heard that opsrun is gone and all have ended that opsrun saw end.

        A session that was told to end writes so a moment later than the teller is answered."""
        self.assertTrue(wait_until(lambda: self.lab.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'opsrun%'")
            == [["0"]]), "opsrun's own session stays")
        told = {str(pid) for pid in self.pids(self.opsrun("log", run).out, "changed", "terminate")} if run else set()
        self.assertTrue(wait_until(lambda: not told & {pid for pid, in self.lab.ask("SELECT pid FROM pg_stat_activity")}),
                        "it has heard that it is to end, and stays")
        known = []
        while known != (known := self.lab.ended_by_an_administrator()[before:]):
            time.sleep(0.1)
        return known

    def pids(self, log, kind, of=""):
        """Pids that lines of such a kind name which hold `of`."""
        return {int(pid) for line in log.splitlines() if re.search(f" ({kind}) ", line) and of in line
                for pid in re.findall(r"\b\d+\b", line.split("pid")[-1])}

    def expect_the_log_to_know(self, run, ended, calls):
        """Each session the server ended and each docker call stands in `opsrun log`; what is
        recorded as done, the server saw."""
        log = self.opsrun("log", run)
        self.expect(log, code=0)
        shown = self.pids(log.out, "begin|changed")
        self.assertEqual(set(ended) - shown, set(), f"ended, and not in the log\n{log}")
        begun = [line for line in log.out.splitlines() if " begin " in line and "docker restart" in line]
        self.assertLessEqual(len(calls), len(begun), f"called, and not in the log\n{log}")
        done = self.pids(log.out, "changed", "terminate")
        self.assertEqual(done - set(ended), set(), f"in the log, and not on the server\n{log}")

    def test_nothing_goes_on_and_the_log_shows_every_change_the_server_saw(self):
        chance = random.Random(SEED)
        self.lab.break_it("db-exhaustion", settle=0.1)
        began = time.monotonic()
        whole = self.opsrun(*PLAY, env={"PATH": self.path})
        length = time.monotonic() - began
        self.expect(whole, code=1)
        self.assertEqual(self.left_behind(), [], "a finished run leaves nothing behind either")
        print(f"a whole run: {length:.2f} s")
        slowest, stages = 0, {}
        for number in range(MOMENTS):
            self.forget()
            self.lab.break_it("db-exhaustion", settle=0.1)
            before = len(self.lab.ended_by_an_administrator())
            known = set(self.run_ids())
            delay = chance.uniform(0, length)
            below, seconds = self.play_and_kill(delay)
            slowest = max(slowest, seconds)
            self.assertEqual((alive(below), self.left_behind()), (set(), []),
                             f"moment {number}, {delay:.3f} s: alive after {seconds:.2f} s")
            runs = set(self.run_ids()) - known
            ended = self.settled(before, *runs or {None})
            stage = "docker" if self.lines("calls") else "ended" if ended else "before"
            stages[stage] = stages.get(stage, 0) + 1
            if not runs:
                self.assertEqual((ended, self.lines("calls")), ([], []), "changed without a run")
                continue
            self.expect_the_log_to_know(runs.pop(), ended, self.lines("calls"))
        print(f"{MOMENTS} kills, last descendant gone after {slowest:.2f} s at most; "
              f"how far they were: {json.dumps(stages)}")


if __name__ == "__main__":
    main()
