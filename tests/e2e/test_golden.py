"""A journal of each format that was ever released replays for ever, byte for byte."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT  # noqa: E402


class Golden(unittest.TestCase):

    def test_every_golden_journal_replays_to_its_report(self):
        rooms = sorted(glob.glob(os.path.join(ROOT, "tests", "golden", "format-*")))
        self.assertTrue(rooms)
        for room in rooms:
            home = tempfile.mkdtemp(prefix="opsrun-golden-")
            self.addCleanup(shutil.rmtree, home, ignore_errors=True)
            shutil.copytree(os.path.join(room, "home"), home, dirs_exist_ok=True)
            run, = os.listdir(os.path.join(home, "runs"))
            done = subprocess.run([OPSRUN, "replay", run, "--config", room], stdin=subprocess.DEVNULL, check=False,
                                  capture_output=True, text=True, cwd=room, env={**os.environ, "OPSRUN_HOME": home})
            with open(os.path.join(room, "replay.txt"), encoding="utf-8") as file:
                self.assertEqual(file.read(), done.stdout, done.stderr)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        print(f"{len(rooms)} golden journal(s) replayed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
