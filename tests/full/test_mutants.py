"""Every promise that has a mutant: broken on purpose, the tests notice. Builds the host for each."""

import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Mutants(unittest.TestCase):
    def test_every_mutant_turns_the_suite_red(self):
        runner = os.path.join(ROOT, "tests", "mutants", "run.py")
        done = subprocess.run([sys.executable, runner], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
