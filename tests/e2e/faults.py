"""What the tests of faults share: playbooks of their own, steady places to strike at, signals.

A playbook of such a test tells where it is through the file `places` in the test's room (`mark`, for
`shell.run`) or through the server's list of activities (`running`).
"""

import os
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, Done, LabTest, wait_until  # noqa: E402,F401

HEADER = ('playbook { title = "Fault", uses = { shell = { "bash", "sh", "sleep", "touch" } } }\n'
          'local function mark(what) return "echo " .. what .. " >>" .. ROOM .. "/places" end\n')


class FaultTest(LabTest):
    """LabTest with a room for playbooks and for what their commands leave behind."""

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-fault-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)

    def write(self, body, name="fault.lua", header=HEADER):
        path = os.path.join(self.room, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(header.replace("ROOM", f'"{self.room}"') + body)
        return path

    def step(self, body, **options):
        """A playbook of one step."""
        return self.write(f'step("Try it", function(p)\n{body}\nend)\n', **options)

    def places(self):
        try:
            with open(os.path.join(self.room, "places"), encoding="utf-8") as file:
                return file.read().split()
        except OSError:
            return []

    def wait_for_place(self, place, process=None):
        reached = wait_until(lambda: place in self.places() or
                             (process is not None and process.poll() is not None), within=20)
        self.assertTrue(reached and place in self.places(), f"never came to '{place}'")

    def table(self, name):
        """An empty table of one number."""
        self.lab.ask(f"DO $$ BEGIN IF to_regclass('{name}') IS NULL THEN CREATE TABLE {name} (n int);"
                     f" END IF; TRUNCATE {name}; END $$")

    def lock(self):
        """Makes table `locked`, which cannot even be read until the test is over."""
        self.table("locked")
        session = self.lab.session()
        self.addCleanup(session.close)
        session.query("BEGIN")
        session.query("LOCK TABLE locked")

    def running(self, text):
        """Backends that run a statement holding this text now."""
        return [int(pid) for pid, in self.lab.ask(
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
            " AND pid <> pg_backend_pid()", f"%{text}%")]

    def wait_for_statement(self, text):
        self.assertTrue(wait_until(lambda: self.running(text), within=20), f"'{text}' never ran")

    def collect(self, process, within=30):
        """The end of a process that was started with .start()"""
        out, err = process.communicate(timeout=within)
        return Done(process.args, process.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"), 0)

    def wait_for_signals(self, number):
        """Until opsrun has taken in so many: two that come at once are one."""
        self.assertTrue(wait_until(lambda: len(self.records("signal")) >= number, within=20), f"signal {number} never came in")

    def records(self, of_type=None, **fields):
        """Records of the only run, of this type and with these fields."""
        runs = self.run_ids()
        self.assertEqual(len(runs), 1, runs)
        return [record for record in self.journal(runs[0])
                if of_type in (None, record["type"]) and
                all(record.get(name) == value for name, value in fields.items())]


def ignore_hangup():
    """What nohup does to the command it starts."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def close_all():
    """Descriptors 0, 1 and 2 are closed when the program begins."""
    for fd in (0, 1, 2):
        os.close(fd)
