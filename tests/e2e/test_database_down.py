"""Playbook database-down while the server is gone, while it recovers, while its disk is full: dry, refused, live, with dead
peers, killed in between."""

import http.server
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import ROOT, main, wait_until  # noqa: E402
import pq  # noqa: E402
from processes import Processes  # noqa: E402

PLAYBOOK = "incident/database-down.lua"
QUICK = ("-p", "pause=50ms", "-p", "poll=100ms", "-p", "wait=20s")
PLAY = ("play", PLAYBOOK, "-e", "lab", *QUICK)
NOBODY = "postgres://ops:nobody@127.0.0.1:1/app"


class DatabaseDown(AuthorTest):
    """One lab for all."""

    def have(self, scenario):
        """Breaks it for this test alone."""
        self.lab.break_it(scenario, settle=0)
        self.addCleanup(self.lab.mend)

    def answers(self):
        """What the server says: how many users there are; None when it does not answer."""
        try:
            return int(self.lab.ask("SELECT count(*) FROM users")[0][0])
        except pq.Error:
            return None

    def server(self):
        """The server's process, or None."""
        return Processes(self.lab.directory).pid("postgres")

    def serves(self):
        try:
            with urllib.request.urlopen(self.lab.env["APP_URL"] + "/health", timeout=10) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def tell_app(self, text):
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/state", data=text.encode(), timeout=10) as answer:
            answer.read()

    def like_the_lab(self, *pairs):
        """The lab's environment with some words in place of others."""
        with open(os.path.join(ROOT, "environments", "lab.lua"), encoding="utf-8") as file:
            text = file.read()
        for old, new in pairs:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return ("play", PLAYBOOK, *self.environment(text), *QUICK)

    def started(self, run):
        return [r for r in self.journal(run) if r["type"] == "effect.begin" and r["kind"] == "service.start"]

    def test_a_dry_run_starts_nothing_and_shows_what_it_would_start(self):
        self.have("database-down")
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["here +cannot connect .*refused", "api +disconnected", "the server is not running", "postgres +inactive",
                                       "unexpected postmaster exit", "WOULD ASK Start postgres", "WOULD start postgres", "web1: .*start"])
        self.assertIsNone(self.server())

    def test_the_disk_of_another_machine_is_looked_at_there(self):
        self.have("database-down")
        self.expect(self.opsrun(*PLAY, "-n", "-p", "host=web1", "-p", "data=/"), code=0, out=[r"disk / [\d.]+ %", "WOULD start postgres"])
        self.assertIsNone(self.server())

    def test_refused_it_stays_down_and_the_flag_that_opens_the_gate_is_named(self):
        self.have("database-down")
        self.expect(self.opsrun(*PLAY), code=5, text=["--answer start-it-once=yes"])
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Start postgres")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        self.expect(terminal.finish(), code=5)
        self.assertIsNone(self.server())

    def test_live_it_is_started_once_and_the_application_has_its_database_again(self):
        self.have("database-down")
        users = "SELECT count(*) FROM users"
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +start postgres", "OK +database answers true", "OK +the application's database connected",
                                       "OK +messages of damage since then 0", "told +team how it ended"])
        self.assertEqual(self.answers(), int(self.lab.ask(users)[0][0]))
        self.assertTrue(self.serves())
        run = self.run_ids()[-1]
        self.assertEqual(len(self.started(run)), 1)
        with open(os.path.join(self.home, "runs", run, "artifacts", "server.log"), encoding="utf-8") as file:
            self.assertIn("unexpected postmaster exit", file.read(), "its last lines were saved before it was started")
        again = self.opsrun(*PLAY, "--yes")
        self.expect(again, code=0, out=["primary answers: it is not down", "changed +nothing"])

    def test_a_client_that_stays_away_is_restarted_when_the_database_is_back(self):
        self.have("database-down")
        self.tell_app('{"status": 503, "paths": ["/health"]}')
        done = self.opsrun(*PLAY, "--yes", "-p", "reconnect=300ms")
        self.expect(done, code=0, out=["Restart app\\? It did not come back to primary", "changed +start postgres", "changed +restart app",
                                       "OK +the application's database connected"])
        self.assertTrue(self.serves())

    def test_what_does_not_come_back_is_a_persons_decision_and_on_call_hears_of_it(self):
        self.have("database-down")
        play = self.like_the_lab(('start = env "LAB_POSTGRES_START"', 'start = "true"'))
        done = self.opsrun(*play, "--yes", "-p", "wait=4s")
        self.expect(done, code=1, out=["'postgres' on web1 is not as it should be after start", "What now\\? stop", "told +oncall how it ended"],
                    text=["Decide what else", "primary is not back: .*refused"])
        run = self.run_ids()[-1]
        for answers, gate in ((("decide-what-else=failover",), "fail-over=primary"), (("decide-what-else=failover", "fail-over=primary"), "failed-over=done"),
                              (("decide-what-else=provider",), "called=done")):
            refused = self.opsrun("resume", run, "--yes", "--stale-ok", *(word for answer in answers for word in ("--answer", answer)))
            self.expect(refused, code=5, text=[f"--answer {gate}"])
        self.assertIsNone(self.server())

    def test_a_dead_host_fails_the_start_by_name(self):
        self.have("database-down")
        config = self.write("ssh_config", "Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, "--yes", env={"SSH_CONFIG": config})
        self.expect(done, code=1, out=["postgres +unknown"], text=["step 'Start it, once'"])
        self.assertIsNone(self.server())

    def kill_at_start(self, ready):
        """kill -9 as soon as ready() is true after the journal began the start."""
        process = self.start(*PLAY, "--yes")
        begun = wait_until(lambda: process.poll() is not None or self.run_ids() and self.started(self.run_ids()[-1]), within=60)
        self.assertTrue(begun and process.poll() is None)
        self.assertTrue(wait_until(ready, within=60))
        process.kill()
        process.communicate()
        return self.run_ids()[-1]

    def test_after_kill_minus_nine_resume_ends_with_one_server_that_answers(self):
        self.have("database-down")
        for number, ready in enumerate((lambda: True, lambda: self.answers() is not None)):
            if number > 0:
                self.lab.break_it("database-down", settle=0)
            self.home = self.path(f"home-{number}")
            os.mkdir(self.home)
            run = self.kill_at_start(ready)
            self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +database answers true"])
            self.assertIsNotNone(self.answers())
            self.assertEqual(len(self.lab.ask("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'checkpointer'")), 1)

    def test_a_server_that_recovers_is_waited_for_and_never_restarted(self):
        self.have("database-recovering")
        before, seen = self.server(), []

        def release():
            """The recovery ends once the run waits for it."""
            seen.append(wait_until(lambda: self.run_ids() and any(
                r["type"] == "step.start" and r["step"] == "wait-for-it" for r in self.journal(self.run_ids()[-1])), within=60))
            self.write_into_lab("recovery.go")
        waiter = threading.Thread(target=release)
        waiter.start()
        done = self.opsrun(*PLAY, "--yes", "-p", "wait=60s")
        waiter.join()
        self.expect(done, code=0, out=["here +cannot connect .*starting up", "skipped: it is starting up .* recovery anew",
                                       "primary answers, its recovery over: true", "changed +nothing"])
        self.assertEqual((self.server(), seen), (before, [True]))
        self.assertIsNotNone(self.answers())

    def write_into_lab(self, name):
        with open(os.path.join(self.lab.directory, name), "w", encoding="ascii"):
            pass

    def logs(self):
        return os.listdir(os.path.join(self.lab.directory, "disk", "logs"))

    def test_on_a_full_disk_nothing_is_started_before_there_is_room(self):
        self.have("database-disk-full")
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0, out=["CRITICAL +disk .*/disk 100 %", "No space left on device", "WOULD remove .*app.log-1.gz"])
        self.assertEqual((self.server(), self.logs()), (None, ["app.log-1.gz"]))
        done = self.opsrun(*PLAY, "--yes", "--answer", "remove-old-compressed-logs=no")
        self.expect(done, code=1, text=["step 'Make room on its disk'.*still full: the server would end again"], absent=["changed +start"])
        self.assertEqual((self.server(), self.logs()), (None, ["app.log-1.gz"]))
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=0, out=["changed +remove .*app.log-1.gz", "changed +start postgres", "OK +database answers true"])
        self.order(done, "changed +remove", "changed +start postgres")
        self.assertIsNotNone(self.answers())

    def test_an_application_that_has_its_database_means_the_way_from_here(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": NOBODY})
        self.expect(done, code=1, text=["step 'See who reaches it'.*api has its database: it is the way from here"])
        self.expect(done, out=["changed +nothing"])

    def test_a_database_that_is_not_there_is_no_case_for_a_restart(self):
        before = self.server()
        self.tell_app('{"status": 503, "paths": ["/health"]}')
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": self.lab.env["DATABASE_URL"].replace("/app", "/apps")})
        self.expect(done, code=1, out=["the database is not there: that is for recovery/restore-database.lua", "What now\\? stop"],
                    text=["primary is not back: .*\"apps\" does not exist"], absent=["changed +start"])
        self.assertEqual(self.server(), before)
        self.tell_app('{"status": null, "paths": null}')

    def test_the_providers_page_is_asked(self):
        self.tell_app('{"status": 503, "paths": ["/health"]}')
        self.addCleanup(self.tell_app, '{"status": null, "paths": null}')

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"status": {"indicator": "major", "description": "Databases"}}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        page = f'http     = {{ page = {{ base = "http://127.0.0.1:{server.server_port}" }},'
        play = self.like_the_lab(("http     = {", page), ('["incident/database-down"] = {', '["incident/database-down"] = { provider = "page",'))
        done = self.opsrun(*play, "--until", "ask-its-provider")
        self.expect(done, code=1, out=["CRITICAL +the provider says major +\\(expected none\\)"])


if __name__ == "__main__":
    main()
