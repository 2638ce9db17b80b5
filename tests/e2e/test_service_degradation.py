"""Playbook service-degradation while both instances behind nginx are slow: dry, refused, live, with dead peers, killed in between."""

import os
import re
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import killing  # noqa: E402
from harness import LabTest, main, wait_until  # noqa: E402

PLAYBOOK = "incident/service-degradation.lua"
SOON = ("-p", "sample=2s", "-p", "least=4", "-p", "over=300ms", "-p", "calm=300ms", "-p", "poll=100ms", "-p", "pause=100ms", "-p", "recover=40s", "-p", "crit=900")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
# a machine that is busy with other tests would be the likeliest cause
CAUSE = ("--answer", "cause=application")
INSTANCES = ("app", "app-2")
GATE = "restart-one-instance-after-another"


class SlowTest(LabTest):
    """Every test finds two slow instances, and visitors who have noticed."""

    pids = None

    def setUp(self):
        super().setUp()
        if self.pids is None or self.look() != self.pids:      # a restart makes them fast
            self.lab.break_it("service-degradation", settle=0)
            self.lab.read_env()
            SlowTest.pids = self.look()
        self.assertTrue(wait_until(lambda: len(self.statuses()) >= 8, within=30), "visitors come")

    def look(self):
        """The process of each instance; None while it is down."""
        found = {}
        for name in INSTANCES:
            place = os.path.join(self.lab.directory, name)
            with open(f"{place}.number", encoding="ascii") as file:
                pid = int(file.read())
            found[name] = pid if os.path.exists(f"/proc/{pid}") and os.path.exists(f"{place}.pid") else None
        return found

    def statuses(self):
        """What visitors were answered so far."""
        with open(self.lab.env["ACCESS_LOG"], encoding="ascii") as file:
            return re.findall(r'" (\d{3}) \d+ "', file.read())

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

    def test_without_a_terminal_the_restart_is_refused(self):
        done = self.opsrun(*PLAY, *CAUSE, "-p", "hard=60000")
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"], out=["changed +nothing"])
        self.expect_untouched(done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        terminal = self.terminal(*PLAY, *CAUSE, "-p", "hard=60000")
        terminal.wait_for("Restart app, app-2")
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
        self.assertEqual({s for s in self.statuses() if s >= "5"}, set(), "one instance answers while the other restarts")
        again = self.opsrun(*PLAY, "--yes", "-p", "warn=900")
        self.expect(again, code=0, out=["not slow", "changed +nothing"])
        self.assertEqual(self.look(), now)

    def killed(self, number, happened=None):
        run, was_killed = killing.play_and_kill(self, (*PLAY, *CAUSE, "--yes", "-p", "hard=60000"), number, happened)
        self.assertTrue(was_killed)
        return run

    def goes_on(self, run, *words, times):
        done = self.opsrun("resume", run, "--yes", "--stale-ok", *words)
        self.expect(done, code=0, out=[r"OK +p95 response time \d+ ms"])
        now = self.look()
        self.assertTrue(all(now[name] not in (None, self.pids[name]) for name in INSTANCES), (now, self.pids))
        self.assertEqual(self.restarts(run), times)
        self.assertLess(self.seconds(), 0.9)

    def test_killed_before_the_second_restart_resume_makes_it_and_not_the_first_again(self):
        self.goes_on(self.killed(2), times=["app", "app-2", "app-2"])

    def test_killed_while_an_instance_was_down_the_run_asks_and_ends_with_both_up(self):
        run = self.killed(1, lambda: self.look()["app"] is None)
        asked = self.opsrun("resume", run, "--stale-ok")
        self.expect(asked, code=7, text=["'app' is inactive now"])
        gate = re.search(rf"--answer ({GATE}\.outcome[.\d]*)=not", asked.text)[1]
        self.goes_on(run, "--answer", f"{gate}=not", times=["app", "app", "app-2"])


if __name__ == "__main__":
    main()
