"""Playbook service-outage while the application is down: dry, refused, live, with dead peers, killed in between."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, start_time  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "incident/service-outage.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab", "-p", "calm=300ms", "-p", "poll=100ms", "-p", "recover=20s")


class OutageTest(LabTest):
    """Every test finds the application down."""

    def setUp(self):
        super().setUp()
        self.lab.mend()
        self.lab.break_it("app-down", settle=0)

    def serves(self):
        try:
            with urllib.request.urlopen(self.lab.env["APP_URL"] + "/health", timeout=10) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def started(self, run):
        return [r for r in self.journal(run) if r["type"] == "effect.begin" and r["kind"] == "service.start"]


class Rehearsed(OutageTest):

    def test_a_dry_run_starts_nothing_and_shows_what_it_would_start(self):
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["api +cannot connect", "app +inactive", "speaks for: application",
                                       "WOULD ASK Start app", "WOULD start app", "web1: .*app-service start"])
        self.assertFalse(self.serves())


class Refused(OutageTest):

    def test_without_a_terminal_the_cause_is_asked_for_and_nothing_is_started(self):
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=["--answer cause="])
        self.assertFalse(self.serves())

    def test_no_to_the_start_leaves_it_down(self):
        terminal = self.terminal(*PLAY, "--answer", "cause=application")
        terminal.wait_for("Start app")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        self.expect(terminal.finish(), code=5)
        self.assertFalse(self.serves())

    def test_another_cause_names_its_own_playbook_and_restarts_nothing(self):
        for cause, playbook in (("database", "incident/database-down.lua"), ("deploy", "deploy/rollback.lua")):
            done = self.opsrun(*PLAY, "--yes", "--answer", f"cause={cause}")
            self.expect(done, code=1, text=[f"the cause is '{cause}': play {playbook}"])
            self.assertFalse(self.serves())


class Played(OutageTest):

    def test_live_it_ends_with_the_application_serving(self):
        began = time.monotonic()
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s; serves again {time.monotonic() - began:.2f} s after the play began")
        self.expect(done, code=0, out=["changed +start app", "OK +application status healthy", "told +team how it ended"])
        self.assertTrue(self.serves())
        run = self.run_ids()[-1]
        kept = os.listdir(os.path.join(self.home, "runs", run, "artifacts"))
        self.assertIn("log-1-app.log", kept, "its log was saved")
        begun = [r["kind"] for r in self.journal(run) if r["type"] in ("effect.begin", "artifact") and "kind" in r]
        self.assertEqual(begun.count("service.start"), 1)
        again = self.opsrun(*PLAY, "--yes")
        self.expect(again, code=0, out=["no outage", "changed +nothing"])

    def test_one_that_runs_and_is_not_well_is_restarted(self):
        self.lab.mend()
        self.lab.break_it("app-sick", settle=0)
        self.assertFalse(self.serves())
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=0, out=["Restart app\\? It is active", "changed +restart app", "OK +application status healthy"])
        self.assertTrue(self.serves())

    def test_what_does_not_become_well_fails_and_on_call_hears_of_it(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "expect=splendid", "-p", "recover=5s", "-p", "first=200ms")
        self.expect(done, code=1, text=["Watch it hold", "api is well"], out=["Escalate"])


class DeadPeers(OutageTest):

    def test_a_dead_database_is_seen_and_named_as_the_cause(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app"})
        self.expect(done, code=1, out=["CRITICAL +database answers", "speaks for: database"],
                    text=["Leave it to its own playbook", "play incident/database-down.lua"])
        self.assertFalse(self.serves())

    def test_a_dead_host_fails_the_start_by_name(self):
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, "--yes", env={"SSH_CONFIG": config})
        self.expect(done, code=1, out=["app +unknown"], text=["Restart what failed"])
        self.assertFalse(self.serves())


class KilledBetween(OutageTest):

    def runs(self):
        return start_time(self.pid()) is not None

    def pid(self):
        try:
            with open(os.path.join(self.lab.directory, "app.pid"), encoding="ascii") as file:
                return json.load(file)["pid"]
        except OSError:
            return 0

    def test_after_kill_minus_nine_resume_ends_with_one_application_serving(self):
        for number, happened in enumerate((None, self.runs, self.serves)):
            if number > 0:
                self.lab.break_it("app-down", settle=0)
            self.home = os.path.join(self.home, f"kill-{number}")
            os.mkdir(self.home)
            run, _ = play_and_kill(self, (*PLAY, "--yes"), 1, happened)
            self.assertEqual(len(self.started(run)), 1)
            done = self.opsrun("resume", run, "--yes", "--stale-ok")
            self.expect(done, code=0, out=["OK +application status healthy"])
            self.assertTrue(self.serves())


if __name__ == "__main__":
    main()
