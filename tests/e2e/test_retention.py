"""keep_runs: old runs of a playbook go when one ends, whole or not at all, and never one that is open."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, main  # noqa: E402
from store_home import HomeTest  # noqa: E402

BODY = 'step("Do it", function() files.write(ROOM .. "/x", "y") artifact("seen.txt", "seen") DONE end)\n'


class Retention(HomeTest):

    def playbook(self, name="kept.lua", keep="keep_runs = 3,", done=""):
        self.write(name, f'playbook {{ title = "Kept", {keep} uses = {{ files = {{ "{self.room}" }} }} }}\n' +
                          BODY.replace("ROOM", f'"{self.room}"').replace("DONE", done))
        return name

    def played(self, path, *more, code=0):
        run, done = self.play(path, *more)
        self.assertEqual(done.code, code, done)
        return run

    def test_as_many_as_the_header_says_stay_whole(self):
        path = self.playbook()
        runs = [self.played(path, *(["-n"] if number == 1 else [])) for number in range(6)]
        self.assertEqual(sorted(self.run_ids()), sorted(runs[3:]))
        for run in runs[3:]:
            self.assertEqual(self.opsrun("verify", run).code, 4)
        self.assertEqual(sorted(os.listdir(os.path.join(self.home, "runs"))), sorted(runs[3:]))

    def test_an_id_is_not_given_again_while_a_later_one_of_its_minute_is_there(self):
        path = self.playbook(keep="keep_runs = 1,")
        runs = [self.played(path) for _ in range(5)]
        self.assertEqual(len(set(runs)), 5, runs)

    def test_a_dry_run_removes_too(self):
        path = self.playbook(keep="keep_runs = 1,")
        self.played(path)
        dry = self.played(path, "-n")
        self.assertEqual(self.run_ids(), [dry])

    def test_open_runs_and_those_of_others_stay(self):
        failing = self.playbook(done='fail("no")')
        failed = self.played(failing, code=1)
        other = self.played(self.playbook("other/kept.lua"))
        path = self.playbook()
        runs = [self.played(path) for _ in range(5)]
        self.assertEqual(set(self.run_ids()), {failed, other, *runs[2:]})

    def test_a_damaged_run_stays(self):
        path = self.playbook()
        damaged = self.played(path)
        with open(self.folder(damaged, "journal"), "r+b") as file:
            file.seek(-30, os.SEEK_END)
            file.write(b"#")
        runs = [self.played(path) for _ in range(4)]
        self.assertEqual(set(self.run_ids()), {damaged, *runs[1:]})

    def test_killed_at_any_call_of_a_removal_a_run_is_there_whole_or_not_at_all(self):
        path, points = self.playbook(keep="keep_runs = 2,"), 0
        for call in ("renameat", "unlinkat", "fsync"):
            for number in range(1, 60):
                before = [self.played(path), self.played(path)]
                done = self.call("strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                 f"inject={call}:signal=KILL:when={number}", OPSRUN, *self.play_words(path))
                killed = done.code != 0
                points += killed
                left = self.run_ids()
                for run in left:         # whole: first and last record are there
                    log = [json.loads(line)["type"] for line in self.opsrun("log", run, "--json").out.splitlines()]
                    if run in before:
                        self.assertEqual((log[0], log[-1]), ("run.start", "run.end"), f"{call} {number}: {run}")
                        self.assertEqual(os.listdir(self.folder(run, "artifacts")), ["seen.txt"])
                if not killed:
                    break
        self.played(path)
        kept = os.listdir(os.path.join(self.home, "runs"))
        self.assertEqual([name for name in kept if name.startswith(".")], [], "what was set aside is swept away")
        print(f"killed at {points} calls of plays that remove: every run whole or gone")
        self.assertGreater(points, 10)


if __name__ == "__main__":
    main()
