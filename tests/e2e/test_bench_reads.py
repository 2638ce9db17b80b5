"""bench/reads.py works and prints its figures, so that it does not rot. What it measures is not judged here."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, main  # noqa: E402


class ReadsBench(unittest.TestCase):

    def test_it_prints_what_the_proof_costs_a_read(self):
        done = subprocess.run([os.path.join(ROOT, "bench", "reads.py"), "--rounds", "1", "--reads", "200"], text=True, check=False,
                              env={**os.environ, "OPSRUN_BIN": OPSRUN}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        print(done.stdout)
        self.assertIn(done.returncode, (0, 1), done.stdout)      # 1: slower than it should be, perhaps a busy machine
        self.assertEqual(done.stdout.count(" wrapped "), 3, done.stdout)


if __name__ == "__main__":
    main()
