"""Figures of the skeleton: how fast opsrun starts, lists and plays nothing, and how much memory it takes.

Medians of many runs, side by side with the thing they are compared with, so that a busy machine
slows both.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, PLAYBOOK, ROOT, LabTest, main, with_peak  # noqa: E402

PLAYBOOKS = 78
EMPTY = 'playbook { title = "Nothing" }\nstep("Nothing", function() end)\n'


class Figures(LabTest):
    def time_of(self, argv, env, runs=41):
        """Milliseconds, each run's own; what is printed goes nowhere."""
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            process = subprocess.Popen(argv, cwd=self.home, env=env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            code = process.wait()
            times.append(1000 * (time.perf_counter() - began))
            self.assertEqual(code, 0, argv)
        return times

    def medians(self, one, other, env):
        """Medians of two commands, run in turns of eight."""
        first, second = [], []
        for _ in range(5):
            first += self.time_of(one, env, 8)
            second += self.time_of(other, env, 8)
        return statistics.median(first), statistics.median(second)

    def test_list_of_78_playbooks_takes_at_most_three_times_an_empty_lua(self):
        library = os.path.join(self.home, "playbooks", "incident")
        os.makedirs(library)
        for number in range(PLAYBOOKS):
            shutil.copy(os.path.join(ROOT, "playbooks", PLAYBOOK),
                        os.path.join(library, f"copy-{number:02}.lua"))
        env = self.environ()
        listed = subprocess.run([OPSRUN, "list"], cwd=self.home, env=env, stdout=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, text=True, check=True).stdout
        self.assertEqual(listed.count("copy-"), PLAYBOOKS, listed)
        ours, lua = self.medians([OPSRUN, "list"], ["lua5.4", "-e", ""], env)
        print(f"list of {PLAYBOOKS}: {ours:.1f} ms, lua5.4 -e '': {lua:.1f} ms, {ours / lua:.1f} times")
        self.assertLessEqual(ours, 3 * lua)

    def test_an_empty_play_takes_at_most_12_ms(self):
        playbook = os.path.join(self.home, "nothing.lua")
        with open(playbook, "w", encoding="ascii") as file:
            file.write(EMPTY)
        os.makedirs(os.path.join(self.home, "environments"))
        with open(os.path.join(self.home, "environments", "bare.lua"), "w", encoding="ascii") as file:
            file.write('return { label = "bare" }\n')
        times = self.time_of([OPSRUN, "play", playbook, "-e", "bare"], self.environ(), 40)
        print(f"empty play: {statistics.median(times):.1f} ms")
        self.assertLessEqual(statistics.median(times), 12)

    def test_the_main_job_stays_within_25_mb(self):
        self.lab.break_it("db-exhaustion")
        code, out, err, peak = with_peak([OPSRUN, "play", PLAYBOOK, "-e", "lab", "--yes", "-p", "idle=2s"], cwd=ROOT,
                                         env=self.environ())
        print(f"db-exhaustion: peak memory {peak / 1024:.1f} MB")
        self.assertEqual(code, 0, out + err)
        self.assertLessEqual(peak, 25 * 1024)


if __name__ == "__main__":
    main()
