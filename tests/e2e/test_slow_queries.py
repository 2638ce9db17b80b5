"""Playbook tuning/slow-queries.lua on counters, plans and the log of a real server: dry, refused, live, killed in between."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
from tuning import SLOW  # noqa: E402

PLAYBOOK = "tuning/slow-queries.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab")
LOG = (*PLAY, "-p", "log=yes", "-p", "log_for=300ms")
SETTING = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0"


class SlowQueries(LabTest):
    """All tests share one table that is read from end to end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("slow-queries", settle=0)

    def expect_not_logged(self, done=None):
        self.assertEqual(self.lab.ask(SETTING), [], done)

    def artifacts(self):
        return set(os.listdir(os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")))

    def test_a_dry_run_reports_all_of_it_and_changes_nothing(self):
        done = self.opsrun(*LOG, "-n", "-p", f"explain={SLOW}")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"pg_stat_statements 1\.\d+, counted since 20\d\d-", r"WARNING +the slowest statement, in the mean [\d.]+ ms",
            r"5 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +\d+ +SELECT id, text FROM exercises WHERE type = \$1",
            r"1000 +[\d.]+ +[\d.]+ +[\d.]+ +SELECT email FROM users WHERE id = \$1", "Seq Scan on exercises", "read from end to end: exercises",
            "skipped: parameter 'measure' is not given", r"WOULD ASK Log statements above 100 ms on primary for .*It was: not set",
            'WOULD exec primary: ALTER DATABASE "app" SET log_min_duration_statement', "next +opsrun play tuning/indexes.lua"],
            absent=["pg_stat_statements AS", "actual time"])
        self.assertEqual(self.artifacts(), {"slowest.csv", "dearest.csv", "asked-often.csv", "plan.txt"})
        self.expect_not_logged(done)

    def test_the_report_needs_nobody_to_agree_and_holds_no_values(self):
        done = self.opsrun(*PLAY)
        self.expect(done, code=0, out=["the slowest", "what costs most time in all", "changed +nothing", "told +team"], absent=["type 15"])

    def test_live_a_plan_is_measured_and_what_is_slow_is_logged_for_a_while_only(self):
        process = self.start(*PLAY, "--yes", "-p", f"explain={SLOW}", "-p", "measure=yes", "-p", "log=yes", "-p", "log_for=2s")
        self.assertTrue(wait_until(lambda: self.lab.ask(SETTING), within=30))
        self.assertEqual(self.lab.ask(SETTING), [["{log_min_duration_statement=100}"]])
        session = self.lab.session(application_name="api")
        session.query("SELECT pg_sleep(0.15)")
        session.close()
        out, err = process.communicate(timeout=60)
        out = out.decode()
        self.assertEqual(process.returncode, 0, out + err.decode())
        for part in ("actual time=", "Execution Time", "1 statements took longer than 100 ms meanwhile", "OK +statements are logged from not set"):
            self.assertRegex(out, part)
        self.expect_not_logged()

    def test_what_was_set_before_is_set_again(self):
        self.lab.ask("ALTER DATABASE app SET log_min_duration_statement = 5000")
        self.addCleanup(self.lab.ask, "ALTER DATABASE app RESET log_min_duration_statement")
        self.expect(self.opsrun(*LOG, "--yes"), code=0, out=["OK +statements are logged from 5000"])
        self.assertEqual(self.lab.ask(SETTING), [["{log_min_duration_statement=5000}"]])

    def test_refused_nothing_is_logged_and_nothing_is_run(self):
        self.expect(self.opsrun(*LOG), code=5, text=["--answer log-slow-statements-for-a-while=yes"])
        self.expect_not_logged()
        done = self.opsrun(*PLAY, "-p", f"explain={SLOW}", "-p", "measure=yes")
        self.expect(done, code=0, out=["Measure it", "declined"], absent=["actual time"])

    def test_what_is_no_select_is_neither_planned_nor_run(self):
        for text, code, why in (("DELETE FROM exercises", 5, "cannot prove that 'EXPLAIN"), ("ANALYZE SELECT 1", 1, "syntax error"),
                                ("SELECT 1; DELETE FROM exercises", 5, "cannot prove that 'EXPLAIN"),
                                ("SELECT pg_terminate_backend(1)", 5, "cannot prove that 'EXPLAIN")):
            self.expect(self.opsrun(*PLAY, "-p", f"explain={text}", "-p", "measure=yes", "--yes"), code=code, text=[why])
        self.assertEqual(self.lab.ask("SELECT count(*) FROM exercises"), [["10000"]])

    def test_a_dead_database_fails_the_first_look(self):
        done = self.opsrun(*PLAY, env={"DATABASE_URL": "postgres://ops:nobody-there@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["step 'Look at the counters'.*cannot connect to 'primary'"])

    def test_killed_while_it_is_logged_a_resume_ends_it_and_an_undo_does(self):
        for number, happened in ((1, None), (1, lambda: self.lab.ask(SETTING)), (2, lambda: not self.lab.ask(SETTING))):
            with self.subTest(f"change {number}", made=happened is not None):
                run, killed = play_and_kill(self, (*LOG, "--yes"), number, happened)
                self.assertTrue(killed)
                self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["DONE.* Slow query report"])
                self.expect_not_logged()
        run, killed = play_and_kill(self, (*LOG, "--yes"), 1, lambda: self.lab.ask(SETTING))
        self.assertTrue(killed)
        self.expect(self.opsrun("undo", run, "--yes"), code=0)
        self.expect_not_logged()


if __name__ == "__main__":
    main()
