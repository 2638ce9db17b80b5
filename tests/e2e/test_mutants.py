"""The promises of the Lua core that a few changed characters would break: the unit tests notice. Mutants that
need a build are tried with --full; here, that they are not out of date."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mutants"))
from mutants import MUTANTS  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Mutants(unittest.TestCase):
    def test_what_each_mutant_breaks_is_still_there_once(self):
        for mutant in MUTANTS:
            with open(os.path.join(ROOT, mutant["file"]), encoding="utf-8") as file:
                self.assertEqual(file.read().count(mutant["old"]), 1, f"{mutant['name']} in {mutant['file']}")

    def test_every_quick_mutant_turns_the_suite_red(self):
        runner = os.path.join(ROOT, "tests", "mutants", "run.py")
        done = subprocess.run([sys.executable, runner, "--quick"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
