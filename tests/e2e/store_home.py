"""What the tests of kept runs share: a home and an environment that need no server, opsrun on them."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import OPSRUN, ROOT, Done


class HomeTest(unittest.TestCase):
    """A room with playbooks, an environment without servers, and a home, for each test."""

    def setUp(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-kept-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.home = os.path.join(self.room, "home")
        self.write("environments/bare.lua", 'return { label = "bare" }\n')

    def write(self, name, text):
        path = os.path.join(self.room, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def environ(self, **more):
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "USER", "ASAN_OPTIONS", "LSAN_OPTIONS",
                                                    "OPSRUN_RUNTIME_DIR") if name in os.environ}
        return {**kept, "OPSRUN_HOME": self.home, "OPSRUN_PATH": self.room, "TERM": "xterm", **more}

    def call(self, *argv):
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, env=self.environ(),
                              timeout=120, check=False)
        return Done(list(argv), done.returncode, done.stdout.decode(errors="replace"),
                    done.stderr.decode(errors="replace"), 0)

    def opsrun(self, *words):
        return self.call(OPSRUN, *words)

    def play_words(self, path, *more):
        return ("play", path, "-e", "bare", "--config", os.path.join(self.room, "environments"), *more)

    def play(self, path, *more):
        """Plays; the run's id and how it ended."""
        before = set(self.run_ids())
        done = self.opsrun(*self.play_words(path, *more))
        new = sorted(set(self.run_ids()) - before)
        return (new[0] if new else None), done

    def run_ids(self):
        """Runs as `opsrun runs` lists them."""
        done = self.opsrun("runs", "--json")
        self.assertEqual(done.code, 0, done)
        return [json.loads(line)["run"] for line in done.out.splitlines()]

    def folder(self, run, *below):
        return os.path.join(self.home, "runs", run, *below)
