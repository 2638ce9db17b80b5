"""All of tests/e2e/endless.py: every loop and call is ended within a second of the deadline, every way to use up memory
ends with a record that says so."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from harness import main  # noqa: E402
from endless import BOMBS, LOOPS, MEMORY  # noqa: E402
from test_runaway import CAP, RunawayTest  # noqa: E402


class Runaways(RunawayTest):

    def test_every_loop(self):
        slowest = self.end_by_deadline(LOOPS, LOOPS)
        print(f"{len(LOOPS)} loops, the slowest {slowest:.2f} s behind the deadline")

    def test_every_call(self):
        slowest = self.end_by_deadline(BOMBS, BOMBS)
        print(f"{len(BOMBS)} calls of the library, the slowest {slowest:.2f} s behind the deadline")

    def test_every_way_to_use_up_memory(self):
        highest = self.end_by_memory(MEMORY, MEMORY)
        print(f"{len(MEMORY)} ways to use up memory, {highest >> 20} MiB at most")
        self.assertLess(highest, CAP + (32 << 20))


if __name__ == "__main__":
    main()
