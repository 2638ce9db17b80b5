"""Playbook service-degradation while both instances behind nginx are slow: dry, refused, live, with dead peers, killed in between."""

import json
import os
import re
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import killing  # noqa: E402
from harness import ROOT, LabTest, main, wait_until  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
import front  # noqa: E402

PLAYBOOK = "incident/service-degradation.lua"
SOON = ("-p", "sample=2s", "-p", "least=4", "-p", "over=300ms", "-p", "calm=300ms", "-p", "poll=100ms", "-p", "pause=100ms", "-p", "recover=40s", "-p", "crit=900")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
# a machine that is busy with other tests would be the likeliest cause
CAUSE = ("--answer", "cause=application")
INSTANCES = ("app", "app-2")
ONE = ("-p", "services=app")
GATE = "restart-one-instance-after-another"


class SlowTest(LabTest):
    """Every test finds two slow instances, and visitors who have noticed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("service-degradation", settle=0)
        cls.lab.read_env()

    def setUp(self):
        super().setUp()
        for name in INSTANCES:      # a restart made them fast
            self.tell(name, delay=front.DELAY, paths=front.SLOW)
        self.mark = os.path.getsize(self.lab.env["ACCESS_LOG"])
        self.pids = self.look()
        self.assertTrue(wait_until(lambda: len(self.seconds_of_the_last(6)) == 6 and min(self.seconds_of_the_last(6)) > 0.9, within=30),
                        "visitors come, and all of them wait")

    def tell(self, name, **wish):
        with open(os.path.join(self.lab.directory, f"{name}.ports"), encoding="ascii") as file:
            port = json.load(file)["http"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_lab/state", data=json.dumps(wish).encode(), timeout=30) as answer:
            answer.read()

    def visits(self):
        """What visitors of this test were answered so far, and how long that took in seconds."""
        with open(self.lab.env["ACCESS_LOG"], encoding="ascii") as file:
            file.seek(self.mark)
            return [(status, float(took)) for status, took in re.findall(r'" (\d{3}) \d+ .* (\d+\.\d+)\n', file.read())]

    def seconds_of_the_last(self, many):
        return [took for _, took in self.visits()[-many:]]

    def look(self):
        """The process of each instance; None while it is down."""
        found = {}
        for name in INSTANCES:
            place = os.path.join(self.lab.directory, name)
            with open(f"{place}.number", encoding="ascii") as file:
                pid = int(file.read())
            found[name] = pid if os.path.exists(f"/proc/{pid}") and os.path.exists(f"{place}.pid") else None
        return found

    def seconds(self):
        """What the slowest of a few requests takes."""
        longest = 0
        for _ in range(4):
            began = time.monotonic()
            with urllib.request.urlopen(self.lab.env["SITE_URL"] + "/api/orders/17", timeout=30) as answer:
                answer.read()
            longest = max(longest, time.monotonic() - began)
        return longest

    def restarts(self, run):
        return [r["target"] for r in self.journal(run) if r["type"] == "effect.begin" and r["kind"] == "service.restart"]

    def expect_untouched(self, done):
        self.assertEqual(self.look(), self.pids, done)

    def test_a_dry_run_measures_shows_the_restarts_and_restarts_nothing(self):
        done = self.opsrun(*PLAY, *CAUSE, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"CRITICAL +p95 response time 1\d\d\d ms", r"/api/orders/# +\d+ +1\d\d\d +1\d\d\d", "slow request: GET /api/orders/#",
            "OK +provider api none", "change 7", "OK +longest statement", "OK +cache answers", r"WOULD tell .oncall.*p95 is 1\d\d\d ms",
            f"WOULD ASK Restart app, app-2, one after another.*gate {GATE}", "WOULD restart app ", "WOULD restart app-2",
            "UNDETERMINED +p95 response time"])
        self.expect_untouched(done)
        place = os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")
        self.assertLessEqual({"endpoints.csv", "slow-lines.log", "machines.csv", "threads-app.txt", "threads-app-2.txt"}, set(os.listdir(place)))
        with open(os.path.join(place, "threads-app.txt"), encoding="utf-8") as file:
            self.assertIn(str(self.pids["app"]), file.read())

    def test_the_machines_it_runs_on_are_looked_at_by_ssh(self):
        done = self.opsrun(*PLAY, *CAUSE, "-n", "-p", "hosts=web1,web2")
        self.expect(done, code=0, out=[r"processors used on web1 \d", r"memory used on web2 \d", r"\d+ connections of visitors on web2"])
        self.expect_untouched(done)

    def test_without_a_terminal_the_restart_is_refused(self):
        done = self.opsrun(*PLAY, *CAUSE, *ONE, "-p", "hard=60000")
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"], out=["changed +nothing"])
        self.expect_untouched(done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        terminal = self.terminal(*PLAY, *CAUSE, *ONE, "-p", "hard=60000")
        terminal.wait_for("Restart app, one after another")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(done)

    def test_another_cause_plays_its_own_playbook_and_restarts_nothing(self):
        done = self.opsrun(*PLAY, "--yes", "--answer", "cause=database", "-p", "hard=60000",
                           env={"DATABASE_URL": "postgres://ops:nobody-is-there@127.0.0.1:1/app"})
        self.expect(done, code=1, out=["CRITICAL +database cannot connect", "speaks for: database", "High database CPU"],
                    text=["step 'Mend the cause'|Measure the processors", r"cannot connect to 'primary' \(127.0.0.1:1\)"])
        self.expect_untouched(done)

    def test_a_machine_that_cannot_be_reached_fails_the_restart_by_name(self):
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, *CAUSE, "--yes", "-p", "hard=60000", env={"SSH_CONFIG": config})
        self.expect(done, code=1, out=["no threads of app: "], text=["step 'Restart one instance after another'"])
        self.expect_untouched(done)

    def test_live_both_are_restarted_in_turn_it_is_fast_again_and_no_visitor_noticed(self):
        done = self.opsrun(*PLAY, *CAUSE, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +restart app .*\n(.*\n)*.*changed +restart app-2", r"OK +p95 response time \d+ ms",
                                       "told +\"oncall\".*p95 is"])
        now = self.look()
        self.assertTrue(all(now[name] not in (None, self.pids[name]) for name in INSTANCES), (now, self.pids))
        self.assertLess(self.seconds(), 0.9)
        self.assertEqual({status for status, _ in self.visits() if status >= "5"}, set(), "one instance answers while the other restarts")
        again = self.opsrun(*PLAY, "--yes", "-p", "warn=900")
        self.expect(again, code=0, out=["not slow", "changed +nothing"])
        self.assertEqual(self.look(), now)

    def killed(self, number, happened=None, words=()):
        run, was_killed = killing.play_and_kill(self, (*PLAY, *CAUSE, *words, "--yes", "-p", "hard=60000"), number, happened)
        self.assertTrue(was_killed)
        return run

    def goes_on(self, run, restarted, times):
        """A resume ends with all of it fast, those restarted anew, and so many restarts begun."""
        done = self.opsrun("resume", run, "--yes", "--stale-ok")
        self.expect(done, code=0, out=[r"OK +p95 response time \d+ ms"])
        now = self.look()
        self.assertTrue(all(now[name] not in (None, self.pids[name]) for name in restarted), (now, self.pids))
        self.assertEqual(self.restarts(run), times)
        self.assertLess(self.seconds(), 0.9)

    def test_killed_before_the_second_restart_resume_makes_it_and_not_the_first_again(self):
        self.goes_on(self.killed(2), INSTANCES, times=["app", "app-2", "app-2"])

    def test_killed_while_an_instance_was_down_resume_brings_it_up(self):
        self.tell("app-2", delay=0)
        run = self.killed(1, lambda: self.look()["app"] is None, ONE)
        self.goes_on(run, ["app"], times=["app", "app"])


if __name__ == "__main__":
    main()
