"""Playbook deadlocks on real deadlocks and real queues: dry, refused, live, taken up again after kill -9."""

import csv
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402

PLAYBOOK = "incident/deadlocks.lua"
GATE = "release-the-queues"
SOON = ("-p", "wait=300ms", "-p", "grace=1s", "-p", "poll=50ms", "-p", "drain=5s", "-p", "watch=300ms")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
ROOTS = ("SELECT DISTINCT h.pid, h.application_name FROM pg_stat_activity w CROSS JOIN LATERAL"
         " unnest(pg_blocking_pids(w.pid)) b (pid) JOIN pg_stat_activity h ON h.pid = b.pid"
         " WHERE cardinality(pg_blocking_pids(h.pid)) = 0 ORDER BY 2")


class Deadlocks(LabTest):
    """Every test finds seven deadlocks in the last hour and three queues; a test that left them whole leaves them to the next."""

    queues = None

    def setUp(self):
        super().setUp()
        if self.queues is None or (self.lab.sessions(), self.waiting()) != (self.queues, 5):
            self.lab.break_it("deadlocks")
            type(self).queues = self.lab.sessions()
            time.sleep(0.5)                # those that wait do so longer than `wait`
        self.ended_before = len(self.lab.ended_by_an_administrator())
        self.roots = {name: int(pid) for pid, name in self.lab.ask(ROOTS)}

    def waiting(self):
        return int(self.lab.ask(WAITING)[0][0])

    def ended(self):
        return self.lab.ended_by_an_administrator()[self.ended_before:]

    def hold(self, row, **params):
        """A session of our own that holds a row, and one that waits for it."""
        holder, waiter = self.lab.session(**params), self.lab.session(application_name="waiter")
        self.addCleanup(holder.close)
        self.addCleanup(waiter.close)
        before = self.waiting()
        holder.query(f"BEGIN; UPDATE users SET last_login = last_login WHERE id = {row}")
        waiter.send(f"UPDATE users SET last_login = last_login WHERE id = {row}")
        self.assertTrue(wait_until(lambda: self.waiting() > before))
        time.sleep(0.4)
        return holder

    def expect_untouched(self, sessions, done):
        self.assertEqual(self.lab.sessions(), sessions, done)
        self.assertEqual((self.waiting(), self.ended()), (5, []), done)


    def deadlocks(self):
        with open(self.lab.env["POSTGRES_LOG"], encoding="utf-8") as file:
            return file.read().count("ERROR:  deadlock detected")

    def test_there_are_seven_deadlocks_and_three_roots_until_it_is_mended(self):
        self.assertEqual(set(self.roots), {"api", "reports", "worker"})
        self.assertEqual(self.waiting(), 5)
        before = self.deadlocks()
        self.lab.break_it("deadlocks")
        self.assertEqual(self.deadlocks() - before, 7)
        self.lab.mend()
        self.assertEqual((self.waiting(), self.lab.sessions()), (0, set()))

    def test_a_dry_run_shows_the_trees_and_what_it_would_end_and_ends_nothing(self):
        before = self.lab.sessions()
        done = self.opsrun(*PLAY, "-n")
        pids = {name: str(pid) for name, pid in self.roots.items()}
        self.expect(done, code=0, out=[
            r"(WARNING|CRITICAL) +deadlocks an hour", r"UPDATE users SET last_login = last_login WHERE id = #",
            r"5 sessions wait for a lock", rf"{pids['reports']} +reports", r"\| \d+ +api", r"\| \| \d+ +worker",
            rf"WOULD ASK End pid .*They hold up 5 sessions.*gate {GATE}",
            rf"WOULD cancel 2 statements on primary: pid {pids['reports']}, {pids['worker']}",
            rf"WOULD terminate 3 sessions on primary: .*{pids['api']}", "would wait until nobody waits", "WOULD tell team"])
        self.expect_untouched(before, done)

    def test_the_evidence_is_kept_with_the_run(self):
        self.opsrun(*PLAY, "-n")
        place = os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")
        self.assertEqual(set(os.listdir(place)), {"deadlocks.log", "deadlock-statements.csv", "who-waits-for-whom.csv"})
        with open(os.path.join(place, "who-waits-for-whom.csv"), encoding="utf-8") as file:
            self.assertEqual(len(list(csv.reader(file))), 1 + 8)

    def test_a_queue_that_is_young_is_no_queue_yet(self):
        done = self.opsrun(*PLAY, "-n", "-p", "wait=1h")
        self.expect(done, code=0, out=["nobody has waited for a lock longer than 1h"], absent=["WOULD (cancel|terminate)"])

    def test_without_a_log_the_first_run_knows_no_rate_and_says_so(self):
        done = self.opsrun("play", PLAYBOOK, "--config", self.config_without_log(), "-e", "bare", "-n", *SOON)
        self.expect(done, code=0, out=["skipped: .*log", "the next run tells the rate", "UNKNOWN +deadlocks an hour",
                                       "WOULD cancel 2 statements"])

    def config_without_log(self):
        place = os.path.join(self.home, "config")
        os.mkdir(place)
        with open(os.path.join(place, "bare.lua"), "w", encoding="ascii") as file:
            file.write('return { label = "bare", sql = { primary = { url = secret.env "DATABASE_URL" } } }\n')
        return place

    def test_without_a_terminal_it_is_refused_and_nothing_is_touched(self):
        before = self.lab.sessions()
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"])
        self.expect_untouched(before, done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        before = self.lab.sessions()
        terminal = self.terminal(*PLAY)
        terminal.wait_for("They hold up 5 sessions")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(before, done)

    def test_a_database_that_is_gone_fails_the_first_step(self):
        done = self.opsrun(*PLAY, "--yes", env={"DATABASE_URL": "postgres://ops:nobody-is-there@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["step 'Count deadlocks'.*cannot connect to 'primary' \\(127.0.0.1:1\\)"])

    def test_live_the_queues_go_and_only_their_roots_are_ended(self):
        others = {pid for pid, _ in self.lab.sessions()} - set(self.roots.values())
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=0, out=["cancel 2 statements", "terminate 2 sessions", r"OK +deadlocks an hour 0"])
        self.assertEqual(self.waiting(), 0)
        self.assertEqual(set(self.ended()), {self.roots["api"], self.roots["worker"]}, "the deaf one and the silent one")
        now = {pid for pid, _ in self.lab.sessions()}
        self.assertEqual(now, others | {self.roots["reports"]}, "a cancelled statement keeps its session")
        again = self.opsrun(*PLAY)
        self.expect(again, code=0, out=["nobody has waited for a lock"])
        self.assertEqual(len(self.ended()), 2)

    def test_only_the_pids_that_were_named(self):
        done = self.opsrun(*PLAY, "--yes", "-p", f"pids={self.roots['api']}", "-p", "drain=300ms")
        self.expect(done, code=1, out=["left alone: pid", "not among the pids given"],
                    text=["nobody waits for a lock longer than 300ms"])
        self.assertEqual(self.ended(), [self.roots["api"]])

    def test_what_is_kept_and_a_superusers_session_are_left_and_said_so(self):
        dump = self.hold(50, application_name="pg_dump")
        admin = self.hold(60, application_name="console")
        done = self.opsrun(*PLAY, "--yes", "-p", "drain=300ms")
        self.expect(done, code=1, out=[f"left alone: pid {dump.pid}, which holds up 1: pg_dump is kept",
                                       f"left alone: pid {admin.pid}, which holds up 1: a superuser's"],
                    text=["Watch the queues go"])
        self.assertEqual((dump.value("SELECT 1"), admin.value("SELECT 1")), ("1", "1"))
        self.assertEqual(self.waiting(), 2)

    def test_a_root_that_went_on_since_it_was_shown_is_left_alone(self):
        holder = self.hold(70, application_name="late-riser")
        terminal = self.terminal(*PLAY, "-p", "roles=ops", "-p", f"pids={holder.pid}", "-p", "drain=1s")
        terminal.wait_for(rf"End pid {holder.pid} on primary")      # the line wraps behind it, wherever
        terminal.wait_for(r"yes or no \[no\]: ")
        holder.query("COMMIT")
        terminal.send("y\n")
        terminal.wait_for("Ask those who run them")
        self.assertEqual(holder.value("SELECT 1"), "1")
        self.assertEqual(self.ended(), [])

    def test_more_deadlocks_while_it_watches_fail_the_run(self):
        process = self.start(*PLAY, "--yes", "-p", "watch=20s", "-p", "warn=0", "-p", "pids=1", "-p", "wait=1h")
        journal = wait_until(lambda: self.run_ids() and "count-the-next-hour" in str(self.journal(self.run_ids()[-1])),
                             within=30)
        self.assertTrue(journal)
        one, two = (self.lab.session(application_name="pair") for _ in range(2))
        for session, row in ((one, 80), (two, 81)):
            session.query(f"BEGIN; UPDATE users SET last_login = last_login WHERE id = {row}")
        for session, row in ((one, 81), (two, 80)):
            session.send(f"UPDATE users SET last_login = last_login WHERE id = {row}")
        wait_until(lambda: all([s.drain() and s.is_idle() for s in (one, two)]))
        one.close()
        two.close()
        out, err = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 1, out.decode() + err.decode())
        self.assertRegex(out.decode() + err.decode(), "Count the next hour")

    def changes_made(self, run):
        """Statements sent to the server to change it, and over."""
        records = [r for r in self.journal(run) if r.get("step") == "release-the-queues"]
        begun = {r["ordinal"] for r in records if r["type"] == "effect.begin" and r["kind"] == "sql.exec"}
        return [r for r in records if r["type"] == "effect.end" and r["ordinal"] in begun]

    def test_killed_between_cancel_and_terminate_a_resume_ends_what_was_agreed_on(self):
        process = self.start(*PLAY, "--yes", "-p", "grace=5s")
        cancelled = wait_until(lambda: self.run_ids() and self.changes_made(self.run_ids()[-1]), within=20)
        self.assertTrue(cancelled)
        process.kill()
        process.communicate()
        self.assertEqual(self.ended(), [])
        run = self.run_ids()[-1]
        state = self.opsrun("status")
        self.expect(state, out=[run, "release-the-queues"])
        done = self.opsrun("resume", run, "--yes", "--stale-ok", within=60)
        self.expect(done, code=0, out=["terminate 2 sessions"])
        self.assertEqual(set(self.ended()), {self.roots["api"], self.roots["worker"]})
        self.assertEqual(self.waiting(), 0)


if __name__ == "__main__":
    main()
