"""Figures of the skeleton: how fast opsrun starts, lists and plays nothing, and how much memory it takes.

Of many runs, what is judged is how long each computed, and of those the first quartile: others of this machine take the time
on the clock, and what is in the caches. The clock of a quiet one is in docs/BENCHMARKS.md; what opsrun waits for is its syncs.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, PLAYBOOK, ROOT, LabTest, children_computed, main, with_peak  # noqa: E402

PLAYBOOKS = 78
EMPTY = 'playbook { title = "Nothing" }\nstep("Nothing", function() end)\n'


def quick(times):
    """The first quartile: what others do only adds."""
    return statistics.quantiles(times, n=4)[0]


class Figures(LabTest):
    def environ(self, **more):
        """The runtime is the one that was built in."""
        return {name: value for name, value in super().environ(**more).items() if name != "OPSRUN_RUNTIME_DIR"}

    def time_of(self, argv, env, runs=40):
        """Milliseconds that each run computed; what is printed goes nowhere."""
        times = []
        for _ in range(runs):
            before = children_computed()
            process = subprocess.Popen(argv, cwd=self.home, env=env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            code = process.wait()
            times.append(1000 * (children_computed() - before))
            self.assertEqual(code, 0, argv)
        return times

    def test_list_of_78_playbooks_computes_at_most_three_times_as_long_as_an_empty_lua(self):
        library, env = os.path.join(self.home, "playbooks", "incident"), self.environ()
        os.makedirs(library)

        def listed():
            out = subprocess.run([OPSRUN, "list"], cwd=self.home, env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 text=True, check=True).stdout
            return len(re.findall(r"\S+/\S+\.lua ", out))

        for number in range(PLAYBOOKS - listed()):      # beside those that come with opsrun
            shutil.copy(os.path.join(ROOT, "playbooks", PLAYBOOK), os.path.join(library, f"copy-{number:02}.lua"))
        self.assertEqual(listed(), PLAYBOOKS)
        pairs = [(self.time_of([OPSRUN, "list"], env, 1)[0], self.time_of(["lua5.4", "-e", ""], env, 1)[0]) for _ in range(60)]
        ours, lua = (quick(column) for column in zip(*pairs))      # in turns: what slows one slows the other
        print(f"list of {PLAYBOOKS}: {ours:.1f} ms, lua5.4 -e '': {lua:.1f} ms, {ours / lua:.1f} times")
        self.assertLessEqual(ours, 3 * lua)

    def test_an_empty_play_computes_for_at_most_12_ms(self):
        playbook = os.path.join(self.home, "nothing.lua")
        with open(playbook, "w", encoding="ascii") as file:
            file.write(EMPTY)
        os.makedirs(os.path.join(self.home, "environments"))
        with open(os.path.join(self.home, "environments", "bare.lua"), "w", encoding="ascii") as file:
            file.write('return { label = "bare" }\n')
        times = self.time_of([OPSRUN, "play", playbook, "-e", "bare"], self.environ())
        print(f"empty play: {quick(times):.1f} ms")
        self.assertLessEqual(quick(times), 12)

    def test_the_main_job_stays_within_25_mb(self):
        self.lab.break_it("db-exhaustion")
        code, out, err, peak = with_peak([OPSRUN, "play", PLAYBOOK, "-e", "lab", "--yes", "-p", "idle=2s"], cwd=ROOT,
                                         env=self.environ())
        print(f"db-exhaustion: peak memory {peak / 1024:.1f} MB")
        self.assertEqual(code, 0, out + err)
        self.assertLessEqual(peak, 25 * 1024)


if __name__ == "__main__":
    main()
