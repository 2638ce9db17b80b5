"""The promises of the Lua core that a few changed characters would break: the unit tests notice."""

import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Mutants(unittest.TestCase):
    def test_every_quick_mutant_turns_the_suite_red(self):
        runner = os.path.join(ROOT, "tests", "mutants", "run.py")
        done = subprocess.run([sys.executable, runner, "--quick"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
