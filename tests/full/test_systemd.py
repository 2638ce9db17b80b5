"""Services over ssh on a machine with a real systemd: every claim about units is made of what systemd itself says."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
for room in ("e2e", "lab"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), room))
import systemd_peer  # noqa: E402
from author import AuthorTest  # noqa: E402
from lab import free_port  # noqa: E402
from harness import main, wait_until  # noqa: E402

HEADER = 'playbook { title = "Trial" }\nlocal service = require "service"\n'


class Systemd(AuthorTest):

    @classmethod
    def setUpClass(cls):
        why = systemd_peer.missing()
        if why:
            raise unittest.SkipTest(f"no real systemd here: {why}")
        super().setUpClass()
        directory = tempfile.mkdtemp(prefix="opsrun-systemd-")
        cls.machine = systemd_peer.Machine(directory, free_port())
        cls.addClassCleanup(cls.machine.down)
        cls.machine.up()

    def setUp(self):
        super().setUp()
        units = "".join(f'{name} = {{ systemd = "{name}.service", host = "web1", timeout = "20s" }}, '
                        for name in ("app", "falls", "soon", "slow", "nowhere"))
        room = self.machine.room
        self.words = self.environment(f'''return {{
          hosts = {{ web1 = {{ address = "127.0.0.1", port = {self.machine.port}, user = "root",
            key = "{room}/user.key", known_hosts = "{room}/known_hosts" }} }},
          services = {{ {units} }} }}''')
        self.machine.inside("systemctl", "reset-failed")

    def trial(self, body, *words):
        return self.play(f'step("Try", function(p)\n{body}\nend)\n', *self.words, *words, header=HEADER)

    def unit(self, name, what):
        return self.machine.inside("systemctl", "show", "--value", f"--property={what}", name)

    def test_a_unit_is_started_restarted_and_stopped_as_systemd_says_too(self):
        self.expect(self.trial('service "app":start()'), code=0, out=[r"changed +start app \(systemd unit app.service\) on web1"])
        first = self.unit("app", "MainPID")
        self.assertEqual(self.unit("app", "ActiveState"), "active")
        self.expect(self.trial('return service "app":restart().pid'), code=0)
        second = self.unit("app", "MainPID")
        self.assertNotEqual(first, second)
        self.assertEqual(self.kept("try"), int(second))
        self.expect(self.trial('service "app":stop()'), code=0)
        self.assertEqual(self.unit("app", "ActiveState"), "inactive")

    def test_a_dry_run_shows_the_command_and_systemd_hears_of_none(self):
        before = self.unit("app", "InvocationID")
        done = self.trial('service "app":restart()', "-n")
        self.expect(done, code=0, out=["web1: systemctl --no-ask-password restart -- app.service"])
        self.assertEqual(self.unit("app", "InvocationID"), before)

    def test_a_unit_that_falls_over_has_not_come_up(self):
        self.expect(self.trial('service "falls":start()'), code=1, text=["'falls' on web1 .*failed \\(exit-code\\)", "journalctl -u falls"])
        self.expect(self.trial('service "soon":start()'), code=1, text=["'soon' on web1 came up and did not stay up: failed"])

    def test_a_unit_that_is_not_there_is_told_and_nothing_is_sent(self):
        self.expect(self.trial('service "nowhere":restart()'), code=1, text=["'nowhere' is not there on web1: not-found"],
                    out=["changed +nothing"])

    def test_what_was_stopped_for_a_while_runs_again(self):
        self.expect(self.trial('service "app":start()'), code=0)
        done = self.trial('service.stopped("app")\ncheck("app", service "app":status().state, { expect = "inactive" })')
        self.expect(done, code=0, out=["take back: app is stopped"])
        self.assertEqual(self.unit("app", "ActiveState"), "active")

    def test_a_restart_that_opsrun_stops_waiting_for_goes_on_and_is_unknown(self):
        done = self.trial('service "slow":start { timeout = "1s" }')
        self.expect(done, code=7, text=["did not end within"])
        self.assertTrue(wait_until(lambda: self.unit("slow", "ActiveState") == "active", within=20))


if __name__ == "__main__":
    main()
