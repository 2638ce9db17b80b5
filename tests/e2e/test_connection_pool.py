"""Playbook scale/connection-pool on two instances whose pools are too small: a report, refused, set in turn, taken back, killed."""

import json
import os
import re
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, start_time  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "scale/connection-pool.lua"
SOON = ("-p", "watch=500ms", "-p", "sample=50ms", "-p", "calm=200ms", "-p", "poll=100ms", "-p", "settles=20s",
        "-p", "recover=30s")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
SET = (*PLAY, "-p", "workers=1", "-p", "set=yes")
INSTANCES = ("app", "app-2")
SMALL, FITS = (2, 2), (6, 6)      # 8 visitors at each instance are 70 % of it; in so many looks all of them are seen once


class PoolTest(LabTest):
    """Every test finds visitors who wait for sessions at two instances; mended for the next one when a test changed them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("pool-exhausted", settle=0)
        cls.read_environment()

    @classmethod
    def read_environment(cls):
        """Where the second instance is changes with each break."""
        said = dict(re.findall(r"^export (\w+)='?(.*?)'?$", cls.lab.call("env"), re.MULTILINE))
        cls.lab.env.update({name: said[name] for name in ("APP_2_URL", "LAB_POOL_FILES")})

    def setUp(self):
        super().setUp()
        if [self.sizes(name) for name in INSTANCES] != [SMALL, SMALL] or not all(self.pool(name) == SMALL for name in INSTANCES):
            self.lab.break_it("pool-exhausted", settle=0)
            self.read_environment()
        self.began = [self.process(name) for name in INSTANCES]

    def process(self, name):
        with open(os.path.join(self.lab.directory, f"{name}.pid"), encoding="utf-8") as file:
            pid = json.load(file)["pid"]
        return pid, start_time(pid)

    def sizes(self, name):
        """What an instance's file says."""
        with open(os.path.join(self.lab.directory, f"{name}.env"), encoding="ascii") as file:
            return tuple(int(value) for value in re.findall(r"=(\d+)$", file.read(), re.MULTILINE))

    def numbers(self, name):
        """What an instance tells of its pool; None while it does not answer."""
        asked = urllib.request.Request(self.lab.env["APP_URL" if name == "app" else "APP_2_URL"] + "/api/admin/pool",
                                       headers={"Authorization": f"Bearer {self.lab.env['ADMIN_TOKEN']}"})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def pool(self, name):
        seen = self.numbers(name)
        return seen and (seen["size"], seen["max_overflow"])

    def expect_pools(self, expected, done):
        self.assertEqual(([self.sizes(name) for name in INSTANCES], [self.pool(name) for name in INSTANCES]),
                         ([expected] * 2, [expected] * 2), done)

    def expect_untouched(self, done):
        self.expect_pools(SMALL, done)
        self.assertEqual([self.process(name) for name in INSTANCES], self.began, done)


class Reported(PoolTest):

    def test_a_report_measures_recommends_and_sets_nothing(self):
        done = self.opsrun(*PLAY)
        print(f"report: {done.seconds:.2f} s")
        self.expect(done, out=[
            r"api +2 +2 +4 +4 +8\n", "CRITICAL +pool of api-2 used 100 %", "WARNING +waiting for the pool of api 4", r"\n +api +\d+\n",      # 8, and one more that the server still closes
            r"now +2 +2 +8\n", r"recommended +6 +6 +24\n", "skipped: a report: -p set=yes sets it", "told +team how it ended"],
            absent=["changed +set"])
        self.assertEqual(sorted(os.listdir(os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts"))),
                         ["pools.csv", "recommended.csv", "sessions.csv"])
        self.expect_untouched(done)

    def test_a_dry_run_lists_each_file_and_each_restart(self):
        done = self.opsrun(*SET, "-n")
        self.expect(done, code=0, out=[
            r"WOULD ASK Set each pool from 2 \+ 2 to 6 \+ 6, 24 connections of 7\d there is room for, and restart app, app-2", r"WOULD set DB_POOL_MAX=6, DB_POOL_OVERFLOW=6 in .*app\.env",
            "WOULD restart app ", r"WOULD set .* in .*app-2\.env", "WOULD restart app-2 "])
        self.expect_untouched(done)

    def test_a_database_whose_connections_run_out_is_called_to_it_when_it_is_told_to(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "lab", "-n", "-p", "fit=yes", "-p", "healthy=1")
        self.expect(done, out=[r"WOULD ASK Set each pool from 2 \+ 2 to 6 ", r"WOULD set DB_POOL_MAX=6.* in .*app-2\.env"])

    def test_functions_get_one_connection_each_and_a_person_sets_it(self):
        done = self.opsrun(*SET, "-p", "serverless=yes", "-p", "instances=30", "-p", "services=", "-p", "configs=", "-n")
        self.expect(done, out=[r"recommended +1 +0 +30\n", "WOULD ASK Set DB_POOL_MAX to 1, such as by 'vercel env'"])

    def test_without_a_yes_and_with_more_than_the_database_has_nothing_is_set(self):
        self.expect(self.opsrun(*SET), code=5, text=["--answer set=yes"])
        done = self.opsrun(*SET, "-p", "size=60", "--yes")
        self.expect(done, code=1, text=["step 'Agree on it'", r"120 connections are more than the \d+ there is room for"])
        self.expect_untouched(done)

    def test_an_instance_or_a_database_that_is_gone_fails_the_first_step(self):
        done = self.opsrun(*SET, "--yes", env={"APP_2_URL": "http://127.0.0.1:1"})
        self.expect(done, code=1, text=["step 'Watch pools and database'.*cannot connect to 'api-2'"])
        done = self.opsrun(*SET, "--yes", env={"DATABASE_URL": "postgres://ops:x@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["step 'Watch pools and database'"])
        self.expect_untouched(done)


class Played(PoolTest):

    def test_live_both_pools_are_set_in_turn_nobody_waits_and_then_they_fit(self):
        done = self.opsrun(*SET, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            "changed +restart app .*\n(.*\n)*.*changed +restart app-2", "nobody waits for a connection: true",
            r"OK +pool of api used [\d.]+ %", "OK +waiting for the pool of api-2 0"])
        self.expect_pools(FITS, done)
        self.assertEqual([self.numbers(name)["waiting"] for name in INSTANCES], [0, 0])
        sessions = int(self.lab.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'api'")[0][0])
        self.assertLessEqual(sessions, 24)
        self.expect(self.opsrun(*SET, "--yes"), code=0, out=[r"6 \+ 6 fits"], absent=["changed +set"])

    def test_a_size_that_does_not_help_goes_back_with_another_restart(self):
        done = self.opsrun(*SET, "-p", "size=1", "-p", "overflow=1", "-p", "settles=500ms", "--yes", "--undo-on-failure")
        self.expect(done, code=8, text=["nobody waits for a connection"])
        self.expect_pools(SMALL, done)


class Killed(PoolTest):

    def test_killed_when_the_first_file_is_written_a_resume_restarts_it_and_sets_the_other(self):
        run, _ = play_and_kill(self, (*SET, "--yes"), 1, lambda: self.sizes("app") == FITS)
        self.assertEqual(self.pool("app"), SMALL)
        done = self.opsrun("resume", run, "--yes", "--stale-ok")
        self.expect(done, code=0, out=["OK +waiting for the pool of api 0"])
        self.expect_pools(FITS, done)

    def test_killed_when_the_first_is_restarted_an_undo_gives_it_back_what_it_had(self):
        run, _ = play_and_kill(self, (*SET, "--yes"), 2, lambda: self.pool("app") == FITS)
        done = self.opsrun("undo", run, "--yes")
        self.assertIn(done.code, (0, 7), f"7: that the restart itself is in doubt is said\n{done}")
        self.expect_pools(SMALL, done)


if __name__ == "__main__":
    main()
