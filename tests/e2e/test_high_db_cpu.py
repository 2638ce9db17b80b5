"""Playbook high-db-cpu on statements that compute without an end: dry, refused, live, undone and gone on with after kill -9."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402

PLAYBOOK = "incident/high-db-cpu.lua"
GATE = "end-runaway-statements"
# 1 %: this machine may have other work, and the runaways get little of it then
SOON = ("-p", "long=300ms", "-p", "cpu=1", "-p", "grace=1s", "-p", "over=300ms", "-p", "poll=50ms", "-p", "drain=10s",
        "-p", "calm=200ms", "-p", "rows=1000")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
RUNNING = ("SELECT pid, application_name FROM pg_stat_activity WHERE state = 'active' AND application_name IN"
           " ('reports', 'worker', 'pg_dump')")


class RunawayTest(LabTest):
    """Every test finds two endless reports, a deaf worker and a dump."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("high-db-cpu")
        self.addCleanup(self.lab.mend)
        time.sleep(0.5)
        self.ended_before = len(self.lab.ended_by_an_administrator())
        self.running = self.look()
        self.deaf = [pid for pid, name in self.running if name == "worker"]
        self.runaways = sorted(pid for pid, name in self.running if name != "pg_dump")

    def look(self):
        return {(int(pid), name) for pid, name in self.lab.ask(RUNNING)}

    def ended(self):
        return self.lab.ended_by_an_administrator()[self.ended_before:]

    def expect_untouched(self, done):
        self.assertEqual((self.look(), self.ended()), (self.running, []), done)


class Rehearsed(RunawayTest):

    def test_a_dry_run_shows_all_that_is_asked_for_and_ends_nothing(self):
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"processors used by the database [\d.]+ %", "4 statements run", "customers who also bought",
            r"3 +[1-9]\d\d+ +\d+\.\d +[\d.]+ +SELECT count\(\*\), pg_sleep\(\$1\) FROM media_items", r"backup: pg_dump",
            r"left alone: pid \d+, [\d.]+ s: pg_dump is kept", f"WOULD ASK Cancel 3 statements on primary.*gate {GATE}",
            "WOULD cancel 3 statements", "WOULD terminate 3 sessions", r"public\.orders +5000", "UNDETERMINED +runaway statements"])
        self.expect_untouched(done)
        place = os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")
        self.assertEqual(set(os.listdir(place)), {
            "running.csv", "who-waits-for-whom.csv", "slow-statements.csv", "tables-read-whole.csv", "unused-indexes.csv"})

    def test_the_server_s_own_machine_is_measured_by_ssh(self):
        done = self.opsrun(*PLAY, "-n", "-p", "host=web1")
        self.expect(done, code=0, out=[r"processors used by the database [\d.]+ %", "WOULD cancel 3 statements"])
        self.expect_untouched(done)

    def test_by_default_a_statement_is_a_runaway_after_five_minutes(self):
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "-n")
        self.expect(done, code=0, out=["no statement that is ours to end runs longer than 5m"], absent=["WOULD (cancel|term)"])

    def test_without_the_extension_slow_statements_are_skipped_with_the_reason(self):
        self.lab.ask("DROP EXTENSION pg_stat_statements")
        self.addCleanup(self.lab.ask, "CREATE EXTENSION pg_stat_statements")
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0, out=["skipped: the database has no pg_stat_statements", "WOULD cancel 3 statements"])


class Refused(RunawayTest):

    def test_without_a_terminal_it_is_refused_and_nothing_is_touched(self):
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"])
        self.expect_untouched(done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Cancel 3 statements on primary")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(done)

    def test_a_database_that_is_gone_fails_the_first_step(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": "postgres://ops:nobody-is-there@127.0.0.1:1/app"})
        self.expect(done, code=1, text=[r"step 'Measure the processors'.*cannot connect to 'primary' \(127.0.0.1:1\)"])


class Played(RunawayTest):

    def test_live_the_runaways_end_the_dump_goes_on_and_the_processors_are_free(self):
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[r"WARNING +processors used by the database [\d.]+ %", "cancel 3 statements",
                                       "terminate 1 session", "OK +processors used by the database",
                                       "OK +runaway statements 0"])
        self.assertEqual({name for _, name in self.look()}, {"pg_dump"})
        self.assertEqual(self.ended(), self.deaf, "who heard its cancellation keeps its session")
        self.expect(self.opsrun(*PLAY), code=0, out=["no statement that is ours to end"])

    def test_only_the_pids_that_were_named(self):
        chosen = self.runaways[0] if self.runaways[0] not in self.deaf else self.runaways[1]
        done = self.opsrun(*PLAY, "--yes", "-p", f"pids={chosen}", "-p", "cpu=100")
        self.expect(done, out=["not among the pids given", f"cancel 1 statement on primary: pid {chosen}"])
        self.assertEqual(self.look(), {one for one in self.running if one[0] != chosen})

    def test_who_waits_for_a_lock_is_no_runaway(self):
        holder, waiter = self.lab.session(application_name="holder"), self.lab.session(application_name="waiter")
        self.addCleanup(holder.close)
        self.addCleanup(waiter.close)
        holder.query("BEGIN; UPDATE users SET last_login = last_login WHERE id = 50")
        waiter.send("UPDATE users SET last_login = last_login WHERE id = 50")
        self.assertTrue(wait_until(lambda: self.lab.ask("SELECT 1 FROM pg_locks WHERE NOT granted")))
        time.sleep(0.5)                # it does so longer than `long`
        done = self.opsrun(*PLAY, "-p", "roles=ops", "-p", "cpu=100", "--yes")
        self.expect(done, out=[f"left alone: pid {waiter.pid}, .*waits for a lock: see incident/deadlocks.lua",
                               "opsrun play incident/deadlocks.lua"])
        self.expect_untouched(done)

    def test_processors_that_stay_busy_fail_the_run(self):
        done = self.opsrun(*PLAY, "--yes", "-p", f"pids={self.deaf[0]}", "-p", "drain=1s")
        self.expect(done, code=1, text=["Watch it calm down", "the database takes less than 1 % of the processors"])


class Killed(RunawayTest):

    def kill_after_the_cancel(self):
        """Ends opsrun while it waits for the deaf one; the run's id."""
        process = self.start(*PLAY, "--yes", "-p", "grace=20s")

        def is_made():
            records = self.journal(self.run_ids()[-1]) if self.run_ids() else []
            begun = {r["ordinal"] for r in records if r["type"] == "effect.begin" and r["kind"] == "sql.exec"}
            return any(r["type"] == "effect.end" and r.get("step") == GATE and r["ordinal"] in begun for r in records)
        self.assertTrue(wait_until(is_made, within=30))
        process.kill()
        process.communicate()
        self.assertEqual(self.ended(), [])
        return self.run_ids()[-1]

    def test_killed_between_cancel_and_terminate_a_resume_ends_the_deaf_one(self):
        done = self.opsrun("resume", self.kill_after_the_cancel(), "--yes", "--stale-ok", within=60)
        self.expect(done, code=0, out=["terminate 1 session"])
        self.assertEqual(self.ended(), self.deaf)
        self.assertEqual({name for _, name in self.look()}, {"pg_dump"})

    def test_killed_there_is_nothing_to_take_back_and_nothing_goes_on_by_itself(self):
        run = self.kill_after_the_cancel()
        self.expect(self.opsrun("undo", run, "--yes"), text=["nothing"])
        self.assertEqual({pid for pid, name in self.look() if name != "pg_dump"}, set(self.deaf))
        self.assertTrue(wait_until(lambda: not self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opsrun%'")), "a session of it stays")


if __name__ == "__main__":
    main()
