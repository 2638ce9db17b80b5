"""Services: processes on the lab's hosts, started, restarted, stopped and taken back for real."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main, start_time, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
from test_hosts import HostsTest  # noqa: E402

HEADER = 'playbook { title = "Trial", uses = { shell = { "false" } } }\nlocal service = require "service"\n'


class Services(HostsTest):

    def setUp(self):
        super().setUp()
        self.addCleanup(self.end_process)
        pid_file, start = self.path("app.pid"), self.path("start")
        self.write("start", f'#!/bin/sh\nsetsid sleep 86420 </dev/null >/dev/null 2>&1 &\necho $! >{pid_file}\n')
        os.chmod(start, 0o755)
        self.words = self.environment(f'''return {{
          hosts = {{ web = {{ "web1", "web2", config = "{self.path_of("config")}" }} }},
          services = {{
            app = {{ host = "web1", start = {{ "{start}" }}, stop = "kill $(cat {pid_file})", pid_file = "{pid_file}" }},
            unit = {{ systemd = "no-such-unit.service", host = "web2" }},
            broken = {{ start = {{ "true" }}, stop = {{ "true" }}, status = {{ "false" }} }},
          }},
        }}''')

    def pid(self):
        """The service's process, if it lives."""
        try:
            with open(self.path("app.pid"), encoding="ascii") as file:
                pid = int(file.read())
        except (OSError, ValueError):
            return None
        return pid if start_time(pid) else None

    def end_process(self):
        if self.pid():
            os.kill(self.pid(), signal.SIGKILL)

    def trial(self, body, *words):
        return self.play(f'step("Try", function(p)\n{body}\nend)\n', *self.words, *words, header=HEADER)

    def test_a_service_is_started_restarted_and_stopped_and_seen_to_be(self):
        done = self.trial('''
          local first = service "app":start().pid
          local second = service "app":restart().pid
          local looked = service "app":status()
          local after = service "app":stop()
          return { first, second, looked.pid, looked.hosts[1].host, after.state }''')
        self.expect(done, code=0, out=[r"changed +restart app \(process of .*\) on web1"])
        first, second, looked, host, after = self.kept("try")
        self.assertNotEqual(first, second)
        self.assertEqual((second, "web1", "inactive"), (looked, host, after))
        self.assertIsNone(self.pid())

    def test_a_dry_run_reads_and_shows_and_changes_nothing(self):
        done = self.trial('note("now %s", service "app":status().state)\nservice "app":restart()', "-n")
        self.expect(done, code=0, out=["now inactive", "WOULD restart app", "web1: kill", "web1: .*/start"])
        self.assertIsNone(self.pid())

    def test_what_was_stopped_for_a_while_runs_again_at_the_end_whatever_happened(self):
        self.expect(self.trial('service "app":start()'), code=0)
        before = self.pid()
        done = self.trial('service.stopped("app")\nshell.run { "false" }')
        self.expect(done, code=1, out=["changed +stop app", "take back: app is stopped"])
        self.assertTrue(self.pid())
        self.assertNotEqual(self.pid(), before)
        self.expect(self.trial('service.started("app")'), code=0, out=["already so, not ours"])

    def test_an_operation_it_does_not_have_is_skipped_aloud(self):
        self.expect(self.trial('service "app":scale(3)'), code=0, out=["skipped: 'app' is a process of .*, which has no 'scale'"])

    def test_one_that_does_not_come_up_fails_and_says_how_it_is(self):
        done = self.trial('service "broken":start { timeout = "1s" }')
        self.expect(done, code=1, text=["'broken' is not as it should be after start: inactive"])

    def test_a_restart_whose_connection_breaks_is_decided_by_what_is_seen_afterwards(self):
        self.expect(self.trial('service "app":start()'), code=0)
        before = self.pid()
        slow = self.path("start")
        with open(slow, "a", encoding="utf-8") as file:
            file.write("sleep 3\n")
        path = self.write("books/trial.lua", HEADER + 'step("Try", function() service "app":restart() end)\n')
        process = self.start("play", path, *self.words)
        self.assertTrue(wait_until(lambda: self.pid() not in (None, before), within=20))
        self.drop("web1")
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, (out + err).decode())
        self.assertNotEqual(self.pid(), before)

    def test_a_restart_whose_connection_breaks_is_not_claimed_where_nothing_shows_it(self):
        words = self.environment(f"""return {{
          hosts = {{ web1 = {{ config = "{self.path_of("config")}" }} }},
          services = {{ app = {{ host = "web1", start = {{ "true" }}, status = {{ "true" }},
                                restart = "touch {self.path("begun")}; sleep 9" }} }} }}""")
        path = self.write("books/trial.lua", HEADER + 'step("Try", function() service "app":restart() end)\n')
        process = self.start("play", path, *words)
        self.assertTrue(wait_until(lambda: os.path.exists(self.path("begun")), within=20))
        self.drop("web1")
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 7, (out + err).decode())

    def test_a_restart_that_a_killed_run_began_is_found_out_and_not_made_again(self):
        self.expect(self.trial('service "app":start()'), code=0)
        before = self.pid()
        with open(self.path("start"), "a", encoding="utf-8") as file:
            file.write("sleep 2\n")
        path = self.write("books/killed.lua", HEADER + 'step("Try", function() return service "app":restart().pid end)\n')
        process = self.start("play", path, *self.words)
        self.assertTrue(wait_until(lambda: self.pid() not in (None, before), within=20))
        process.kill()
        process.communicate()
        restarted = self.pid()
        time.sleep(2)
        done = self.opsrun("resume", next(run for run in self.run_ids() if "killed" in run))
        self.expect(done, code=0)
        self.assertEqual(self.pid(), restarted)

    def killed(self, body, happened=None):
        """A run of one step, killed at its first change."""
        path = self.write("books/killed.lua", HEADER + f'step("Try", function() {body} end)\n')
        run, killed = play_and_kill(self, ("play", path, *self.words), 1, happened)
        self.assertTrue(killed)
        return run

    def lines(self, name):
        """How often a script of ours ran."""
        with open(self.path(name), encoding="ascii") as file:
            return len(file.readlines())

    def test_a_restart_that_nothing_shows_is_not_claimed_after_a_kill(self):
        log = self.path("log")
        self.write("log", "")
        self.words = self.environment(f"""return {{ services = {{
          app = {{ start = {{ "true" }}, restart = "echo restarted >>{log}", status = {{ "true" }} }} }} }}""")
        body = 'service "app":restart { settle = 0 }'
        for happened, answer, in_all in ((None, "not", 1), (lambda: self.lines("log") == 2, "happened", 2)):
            run = self.killed(body, happened)
            stopped = self.opsrun("resume", run)
            self.expect(stopped, code=7, err=["nobody knows whether this happened: restart app", "nothing shows whether it was started since"])
            done = self.opsrun("resume", run, "--answer", f"{stopped.outcome_gate()}={answer}")
            self.expect(done, code=0)
            self.assertEqual(self.lines("log"), in_all)

    def test_a_restart_cut_short_while_it_is_down_is_started_and_not_stopped_again(self):
        log, pid_file = self.path("log"), self.path("app.pid")
        self.words = self.environment(f"""return {{
          hosts = {{ web1 = {{ config = "{self.path_of("config")}" }} }},
          services = {{
            app = {{ host = "web1", start = {{ "{self.path("start")}" }}, pid_file = "{pid_file}",
                    stop = "echo stopped >>{log}; kill $(cat {pid_file}); sleep 5" }},
          }} }}""")
        self.expect(self.trial('service "app":start()'), code=0)
        before = self.pid()
        run = self.killed('return service "app":restart().pid', lambda: self.pid() is None)
        done = self.opsrun("resume", run)
        self.expect(done, code=0, out=["made again: restart app .*cut short while it was down"])
        self.assertNotIn(self.pid(), (None, before))
        self.assertEqual(self.lines("log"), 1)

    def test_an_unknown_service_names_what_there_is(self):
        done = self.trial('service "ap":restart()')
        self.expect(done, code=4, text=["no services connection 'ap'", "did you mean 'app'"])


if __name__ == "__main__":
    main()
