"""Playbook queue-depth on a queue that grows, and on one whose jobs fail: dry, refused, live, killed in between."""

import json
import os
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
from worker_pool import Pool  # noqa: E402

PLAYBOOK = "incident/queue-depth.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab", "-p", "idempotent=transcode", "-p", "sample=500ms", "-p", "poll=100ms")
SOON = (*PLAY, "--yes", "-p", "depth=1290", "-p", "oldest=10m")      # it need not drain for long
BEFORE = {"transcode": 20, "charge": 10}        # jobs that failed before the scenario began


class QueueTest(LabTest):
    """One worker at a queue that eight are needed for."""

    def break_it(self, scenario="queue-depth"):
        self.lab.break_it(scenario, settle=0)

    def ask(self, what):
        request = urllib.request.Request(f"{self.lab.env['APP_URL']}/api/admin/queues/{what}",
                                         headers={"Authorization": f"Bearer {self.lab.env['ADMIN_TOKEN']}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    def failed(self):
        """How many jobs have failed, by name."""
        names = [job["name"] for job in self.ask("failed")]
        return {name: names.count(name) for name in sorted(set(names), reverse=True)}

    def crew(self):
        return len(Pool(self.lab.directory).running())

    def scale(self, count):
        docker = os.path.join(self.lab.directory, "bin", "docker")
        subprocess.run([docker, "compose", "up", "--scale", f"worker={count}", "worker"], check=True, stdin=subprocess.DEVNULL)

    def expect_untouched(self, done):
        self.assertEqual((self.crew(), self.failed()), (1, BEFORE), done)


class Rehearsed(QueueTest):
    """What changes nothing: these tests share one backlog."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("queue-depth", settle=0)

    def test_a_dry_run_tells_depth_age_rates_and_reasons_and_starts_nobody(self):
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"CRITICAL +jobs that wait 1\d\d\d", r"CRITICAL +the oldest waits [34]\d\d", "queue +depth +oldest +active +failed +come +done +fail",
            r"media +1\d\d\d +[34]\d\d\S* +[01] +30 +[1-9][\d.]* +[1-9][\d.]* +0", "0 % of the jobs that ended meanwhile failed",
            "1 of worker run", "log-1-workers.log", r"transcode +the store did not answer +20", r"charge +card declined +10",
            "OK +primary answers true", r"WOULD ASK Scale worker from 1 to 8\?", "WOULD scale worker to 8",
            "--scale worker=8 worker", r"WOULD ASK Try 20 of 30 failed jobs again \(transcode\)\?", "WOULD POST .*/queues/retry",
            r"1 ran before; then \S+ jobs a second came"])
        self.expect_untouched(done)

    def test_refused_nobody_is_started(self):
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=["--answer change-the-number=yes"])
        self.expect_untouched(done)

    def test_workers_that_the_database_has_no_room_for_are_not_started(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "db_max=5")
        self.expect(done, code=1, text=["step 'Start more workers'.*of the connections of primary would be used, more than 5 %"])
        self.expect_untouched(done)

    def test_a_dead_database_is_named_before_anybody_is_started(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": "postgres://ops:nobody-there@127.0.0.1:1/app"})
        self.expect(done, code=1, out=["CRITICAL +primary answers false"],
                    text=["step 'See that what they need is well'.*primary does not answer"])
        self.expect_untouched(done)

    def test_an_application_that_does_not_answer_is_read_past(self):
        done = self.opsrun(*PLAY, "-n", "--until", "look-at-what-failed", env={"APP_URL": "http://127.0.0.1:1"})
        self.expect(done, code=0, out=[r"cannot connect to 'api' .*; read from cache instead", r"CRITICAL +jobs that wait 1\d\d\d",
                                       "skipped: api does not tell which"])


class Live(QueueTest):

    def test_it_grows_until_it_is_mended_and_then_nothing_of_it_is_left(self):
        self.break_it()
        before = self.ask("stats")["depth"]
        self.assertTrue(wait_until(lambda: self.ask("stats")["depth"] > before + 10, within=20))
        self.assertGreater(self.ask("stats")["oldest_seconds"], 300)
        self.lab.mend()
        self.assertEqual((self.crew(), self.ask("stats")["depth"]), (0, 3), "the numbers the lab is told to tell")
        self.assertEqual(self.lab.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'worker'"), [["0"]])

    def test_live_it_drains_idempotent_jobs_are_done_and_the_workers_go_back(self):
        self.break_it()
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            "changed +scale worker to 8", r"OK +jobs that wait \d+", r"OK +the oldest waits [\d.]+ s", "changed +scale worker to 1",
            "limits +jobs 20 of 1000", "left open: Mend what made jobs fail", "told +team how it ended"])
        self.assertEqual(self.crew(), 1)
        self.assertTrue(wait_until(lambda: self.failed() == {"charge": 10}, within=20), "a charge is never made twice")
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "depth=5000"), code=0, out=["no backlog", "changed +nothing"])

    def test_where_nobody_worked_those_that_were_started_stay(self):
        self.break_it()
        self.scale(0)
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0, out=["CRITICAL +workers that run 0", "no job ended meanwhile", r"WOULD ASK Scale worker from 0 to 8\?",
                                       "skipped: none ran before: those that run now stay"])

    def test_a_poisoned_queue_gets_no_more_workers(self):
        self.break_it("queue-poisoned")
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=1, out=["codec h266 is not installed"],
                    text=["step 'Start more workers'.*% of the jobs fail: more workers would only make more failures"])
        self.assertEqual(self.crew(), 1)

    def resume_to_the_end(self, run):
        done = self.opsrun("resume", run, "--yes", "--stale-ok")
        self.expect(done, code=0, out=["DONE.* Queue backlog"])      # with warnings: jobs that had waited long are done late
        self.assertEqual(self.failed(), {"charge": 10}, done)

    def test_killed_while_workers_start_or_end_a_resume_drains_it_and_sends_them_back(self):
        for number, happened in ((1, lambda: self.crew() == 8), (3, lambda: self.crew() == 1)):
            with self.subTest(f"change {number}"):
                self.break_it()
                run, killed = play_and_kill(self, SOON, number, happened)
                self.assertTrue(killed)
                self.resume_to_the_end(run)
                self.assertEqual(self.crew(), 1)

    def test_killed_while_failed_jobs_are_tried_again_a_resume_sees_that_they_are(self):
        for happened in (None, lambda: self.failed() == {"charge": 10}):
            with self.subTest("made" if happened else "not made"):
                self.break_it()
                self.scale(8)
                run, killed = play_and_kill(self, (*PLAY, "--yes"), 1, happened)
                self.assertTrue(killed)
                self.resume_to_the_end(run)
                self.assertEqual(self.crew(), 8, "nobody was started, so nobody is sent back")


if __name__ == "__main__":
    main()
