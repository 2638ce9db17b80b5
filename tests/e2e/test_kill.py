"""kill -9 of opsrun at 20 random moments of a live play: nothing of it goes on, the journal knows all.

The docker of this test leaves a child behind that called setsid, as a careless daemon would.
"""

import json
import os
import random
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
sleep 0.7
"""
PLAY = ("play", PLAYBOOK, "-e", "lab", "--yes", "-p", "idle=100ms", "-p", "healthy=10",
        "-p", "pause=50ms", "-p", "pool=api-container", "-p", "watch=300ms", "-p", "poll=100ms")


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
        wait_until(lambda: not alive(below) and not self.left_behind(), within=2)
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

    def expect_the_log_to_know(self, run, ended, calls):
        """Each session the server ended and each docker call stands in `opsrun log`, done or begun."""
        done = self.opsrun("log", run)
        self.expect(done, code=0)
        records = self.journal(run)
        begun = [r for r in records if r["type"] == "effect.begin"]
        finished = {(r["path"], r["step"], r["attempt"], r["ordinal"]): r
                    for r in records if r["type"] == "effect.end" and r["class"] == "change"}
        recorded, open_changes = set(), 0
        for record in begun:
            self.assertIn(record["summary"].split("\n")[0][:40], done.out, done)
            end = finished.get((record["path"], record["step"], record["attempt"],
                                record["ordinal"]))
            if end is None:
                open_changes += 1
            elif end["kind"].startswith("sql"):
                recorded |= {row["pid"] for row in (end.get("value") or {}).get("rows", [])}
        unrecorded = set(ended) - recorded
        self.assertLessEqual(recorded - set(ended), set(), "recorded, but the server knows nothing")
        self.assertLessEqual(len(unrecorded), 20 * open_changes, f"unknown to the journal\n{done}")
        self.assertLessEqual(len(calls), sum(r["kind"].startswith("shell") for r in begun))

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
            ended = self.lab.ended_by_an_administrator()[before:]
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
