"""A playbook author's room: playbooks and environments written on the spot, played in the lab."""

import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest  # noqa: E402

HEADER = 'playbook { title = "Trial", uses = { shell = { "touch", "false" } } }\n'


class AuthorTest(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-author-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.room, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def play(self, text, *words, header=HEADER, env=None, command="play"):
        """Plays header and text in the lab, or in the environment the words name."""
        words = words if "-e" in words else ("-e", "lab", *words)
        return self.opsrun(command, self.write("books/trial.lua", header + text), *words, env=env)

    def step(self, body, *words, opts="", **more):
        """One step, id 'try', with this body; its first line is line 3."""
        return self.play(f'step("Try", {opts}function(p)\n{body}\nend)\n', *words, **more)

    def environment(self, text, name="trial"):
        self.write(f"environments/{name}.lua", text)
        return ("--config", self.room, "-e", name)

    def lab_environment(self, fields, name="trial"):
        """The lab's database under another environment's rules."""
        return self.environment('return { sql = { primary = { url = secret.env "DATABASE_URL" } }, '
                                f"{fields} }}", name)

    def events(self, done, kind=None):
        """Events of a --json run; every line of stdout is one."""
        events = [json.loads(line) for line in done.out.splitlines()]
        return [e for e in events if kind is None or e["event"] == kind]

    def last(self, kind=None):
        """Records of the newest run, of one type or all."""
        runs = os.path.join(self.home, "runs")
        run = max(self.run_ids(), key=lambda name: os.stat(os.path.join(runs, name)).st_mtime_ns)
        return [r for r in self.journal(run) if kind is None or r["type"] == kind]

    def kept(self, step):
        """What the journal says a step of the newest run returned."""
        return [r for r in self.last("step.end") if r["step"] == step][-1].get("value")

    def flag(self, name):
        """enabled of a row of feature_flags, as the server says; None: no such row."""
        rows = self.lab.ask("SELECT enabled FROM feature_flags WHERE name = $1", name)
        return rows[0][0] == "t" if rows else None

    def everything(self):
        """The bytes of all that a run left, by path."""
        found = {}
        for place, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    found[os.path.join(place, name)] = file.read()
        return found

    def order(self, done, *patterns):
        """Asserts that these stand in stdout one after another."""
        at = 0
        for pattern in patterns:
            match = re.compile(pattern).search(done.out, at)
            self.assertTrue(match, f"no '{pattern}' behind the others in\n{done}")
            at = match.end()
