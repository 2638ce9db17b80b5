"""Twenty processes resume one run at the same moment: one goes on, the others name it and end within a second."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, main, wait_until  # noqa: E402
import test_resume  # noqa: E402   the module: its own tests are not run again

RESUMERS = 20


class Race(test_resume.Resume):
    ROUNDS = 6

    def race(self, run):
        """(the process that goes on, [(code, text, seconds) of the others])"""
        ended, lock = [], threading.Lock()

        def watch(process, began):
            out, err = process.communicate()
            with lock:
                ended.append((process, process.returncode, (out + err).decode(), time.monotonic() - began))

        processes, threads = [], []
        for _ in range(RESUMERS):
            process = subprocess.Popen([OPSRUN, "resume", run], cwd=ROOT, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ())
            processes.append(process)
            threads.append(threading.Thread(target=watch, args=(process, time.monotonic()), daemon=True))
            threads[-1].start()
        self.assertTrue(wait_until(lambda: len(ended) >= RESUMERS - 1, within=20), f"{RESUMERS - len(ended)} go on")
        with lock:
            others = [(code, text, seconds) for _, code, text, seconds in ended]
            left = [process for process in processes if process not in [process for process, *_ in ended]]
        self.assertEqual(len(left), 1, f"{len(left)} go on\n" + "\n".join(text for _, text, _ in others))
        return left[0], threads, others

    def side_by_side(self):
        """Seconds until as many that only look are over: what a machine that others use takes for itself."""
        began = time.monotonic()
        for process in [self.start("status") for _ in range(RESUMERS)]:
            process.communicate()
        return time.monotonic() - began

    def test_exactly_one_goes_on_and_the_others_name_it_within_a_second(self):
        run = self.killed(f'''
step("First", function()
  {self.append('"now"')}
  {self.wait()}
  {self.append('"after"')}
end)''')
        slowest = 0
        for number in range(self.ROUNDS):
            winner, threads, others = self.race(run)
            for code, text, seconds in others:
                self.assertEqual(code, 5, text)
                self.assertRegex(text, rf"run '{re.escape(run)}' is held by process {winner.pid}\b")
                slowest = max(slowest, seconds)
            self.assertLess(slowest, 1 + self.side_by_side(), f"round {number}")
            winner.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join(20)
        self.let_go()
        self.expect(self.resume(run), code=0)
        self.assertEqual(self.lines(), ["now", "after"])
        print(f"\n{self.ROUNDS} rounds of {RESUMERS} resumers: one went on each time, the others named it; "
              f"the slowest after {slowest:.2f} s")


if __name__ == "__main__":
    main()
