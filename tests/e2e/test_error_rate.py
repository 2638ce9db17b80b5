"""Playbook error-rate while the searches of a site fail as long as a flag is on: dry, refused, live, with dead peers, killed in between."""

import datetime
import glob
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "incident/error-rate.lua"
SAMPLE = 2             # seconds
SOON = ("-p", f"sample={SAMPLE}s", "-p", "least=5", "-p", "calm=300ms", "-p", "poll=200ms", "-p", "recover=40s")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
FLAGS = "SELECT name, enabled, kill_switch FROM feature_flags ORDER BY name"
BEFORE = [["beta-upload", "f", "f"], ["dark-mode", "t", "f"], ["new-search", "t", "f"]]
KILLED = [["beta-upload", "f", "f"], ["dark-mode", "t", "f"], ["new-search", "t", "t"]]


class ErrorRateTest(LabTest):
    """Every test finds the flag on, visitors who search, and most of them failing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("error-rate", settle=0)
        cls.lab.read_env()

    def setUp(self):
        super().setUp()
        start = 0
        if self.flags() != BEFORE:
            start = os.path.getsize(self.lab.env["ACCESS_LOG"])
            self.lab.ask("UPDATE feature_flags SET kill_switch = false")
        self.assertTrue(wait_until(lambda: self.is_over_a_sample(self.failures(start)[:1]), within=30),
                        "searches of visitors fail, and have done so for a whole sample")

    def failures(self, start=0):
        """When visitors were answered 5xx, in seconds since 1970, since the access log was so large."""
        with open(self.lab.env["ACCESS_LOG"], encoding="ascii") as file:
            file.seek(start)
            times = re.findall(r'\[([^]]+)\] "[^"]*" 5\d\d ', file.read())
        return [datetime.datetime.strptime(when, "%d/%b/%Y:%H:%M:%S %z").timestamp() for when in times]

    def is_over_a_sample(self, times):
        """Are these so long ago that a sample does not hold them? Those of a log are whole seconds."""
        return bool(times) and time.time() - max(times) > SAMPLE + 1.5

    def search(self):
        """What a visitor who searches is answered: the status, and by which engine."""
        try:
            with urllib.request.urlopen(self.lab.env["SITE_URL"] + "/api/search?q=cats", timeout=30) as answer:
                return answer.status, json.load(answer)["engine"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    def flags(self):
        return [list(row) for row in self.lab.ask(FLAGS)]

    def expect_untouched(self):
        self.assertEqual(self.flags(), BEFORE)
        self.assertEqual(self.search(), (500, None))

    def expect_killed(self):
        self.assertEqual(self.flags(), KILLED)
        self.assertEqual(self.search(), (200, "search"))

    def artifacts(self):
        return {os.path.basename(path) for path in glob.glob(os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts", "*"))}

    def test_a_dry_run_names_the_feature_shows_the_kill_and_changes_nothing(self):
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"CRITICAL +error rate [1-4]\d(\.\d+)? %", r"% of \d+ requests were refused \(4xx\)", "change 7",
            r"admin3 +flag.enable new-search", r"/api/search +\d+ +[1-9]\d* ", r"/api/orders/# +\d+ +0 +0 ",
            r"\d+ +new +new-search: index version # cannot be read", r"41 +17 +new +SearchIndexError", r"3 +2 +– +TimeoutError",
            "OK +database answers", "OK +cache answers", "OK +provider api none", "what fails names the flag new-search",
            r"speaks for: feature", r"gate cause, taken as feature", r"WOULD ASK Kill flag new-search\?.*gate agree-on-it",
            "would change set kill_switch of flag new-search to true"])
        self.expect_untouched()
        self.assertLessEqual({"endpoints.csv", "errors.log"}, self.artifacts())

    def test_without_a_terminal_the_cause_and_the_kill_are_refused(self):
        self.expect(self.opsrun(*PLAY), code=5, text=[r"--answer cause=feature\|deploy\|dependency\|other"], out=["changed +nothing"])
        done = self.opsrun(*PLAY, "--answer", "cause=feature", "--answer", "flag=new-search")
        self.expect(done, code=5, text=["--answer agree-on-it=yes"], out=["changed +nothing"])
        self.expect_untouched()

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        terminal = self.terminal(*PLAY, "--answer", "cause=feature", "-p", "flag=new-search")
        terminal.wait_for("Kill flag new-search")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        self.expect(terminal.finish(), code=5)
        self.expect_untouched()

    def test_live_the_feature_is_killed_searches_serve_again_and_the_run_takes_it_back_when_asked(self):
        done = self.opsrun(*PLAY, "-p", "escalate=300ms", "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +set kill_switch of flag new-search to true", r"OK +error rate 0 %", "told +team how",
                                       r'"oncall".*errors still after'])
        self.expect_killed()
        self.expect(self.opsrun("runs", "--standing"), out=["kill_switch of flag new-search is true"])
        self.assertTrue(wait_until(lambda: self.is_over_a_sample(self.failures()), within=30))
        again = self.opsrun(*PLAY, "--yes")
        self.expect(again, code=0, out=["nothing to mend", "changed +nothing"])
        run = next(name for name in self.run_ids() if name.endswith("-error-rate"))
        self.expect(self.opsrun("undo", run, "--yes"), code=0, out=["kill_switch of flag new-search to false"])
        self.expect_untouched()
        self.expect(self.opsrun(*PLAY, "-n"), code=0, out=["flags switched by opsrun", r"new-search +kill +by --yes +error rate"])

    def test_too_few_requests_are_no_rate(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "least=100000")
        self.expect(done, code=0, out=["UNKNOWN +error rate", "too few requests", "service-outage.lua", "changed +nothing"])
        self.expect_untouched()

    def test_without_an_access_log_the_application_tells_the_rate(self):
        body = json.dumps({"numbers": {"analytics": {"error_rate": 7.5}}}).encode()
        environment = os.path.join(self.home, "environments")
        os.makedirs(environment)
        with open(os.path.join(environment, "told.lua"), "w", encoding="ascii") as file:
            file.write('return { http = { api = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" } } }')
        play = ("--config", self.home, "play", PLAYBOOK, "-e", "told", "-p", "figures=/api/admin/monitoring/analytics",
                "-p", "flags_route=/api/admin/feature-flags", "-p", "flags_list_at=data")
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/state", data=body, timeout=20) as answer:
            answer.read()
        done = self.opsrun(*play, "--answer", "cause=feature", "--answer", "flag=new-search", "-n")
        self.expect(done, code=0, out=["CRITICAL +error rate 7.5 %", "skipped: .*'access'", "speaks for: other", "flag new-search to true",
                                       "POST .*/api/admin/feature-flags"])
        self.expect(self.opsrun("--config", self.home, "play", PLAYBOOK, "-e", "told"), code=1,
                    text=["step 'Measure the errors'", "neither parameter 'access' nor 'figures'"])
        self.expect_untouched()

    def test_a_database_that_is_gone_is_the_cause_and_is_left_to_its_own_playbook(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": "postgres://ops:nobody-is-there@127.0.0.1:1/app"})
        self.expect(done, code=1, out=["UNKNOWN +audit_logs", "CRITICAL +database cannot connect", "speaks for: dependency",
                                       "plays incident/database-down.lua", "changed +nothing"], text=["step 'Mend the cause'"])
        self.expect_untouched()

    def test_another_cause_plays_its_own_playbook_and_kills_nothing(self):
        done = self.opsrun(*PLAY, "--yes", "--answer", "cause=deploy", env={"LAB_RELEASES": "/nowhere"})
        self.expect(done, code=1, out=["plays deploy/rollback.lua"], text=["step 'Mend the cause'", "/nowhere"])
        self.expect_untouched()

    def test_an_access_log_that_is_not_there_is_no_good_news(self):
        done = self.opsrun(*PLAY, "--yes", env={"ACCESS_LOG": "/nowhere/access.log"})
        self.expect(done, code=1, text=["step 'Measure the errors'", "/nowhere/access.log"], out=["changed +nothing"])

    def test_killed_before_the_flag_is_switched_resume_switches_it_once(self):
        run, was_killed = play_and_kill(self, (*PLAY, "--yes"), 1)
        self.assertTrue(was_killed)
        self.expect_untouched()
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +error rate 0 %"])
        self.expect_killed()

    def test_killed_after_the_flag_was_switched_resume_goes_on_and_undo_leaves_nothing_switched(self):
        run, was_killed = play_and_kill(self, (*PLAY, "--yes"), 1, lambda: self.flags() == KILLED)
        self.assertTrue(was_killed)
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +error rate 0 %"])
        self.expect_killed()
        begun = [r for r in self.journal(run) if r["type"] == "effect.begin" and r.get("kind") == "sql.transaction"]
        self.assertEqual(len(begun), 1, "it is not made again")
        self.expect(self.opsrun("undo", run, "--yes"), code=0)
        self.expect_untouched()


if __name__ == "__main__":
    main()
