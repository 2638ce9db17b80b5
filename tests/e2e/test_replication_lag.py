"""Playbook replication-lag on a replica that a report holds up: dry, refused, live, gone on with after kill -9."""

import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, pq  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "incident/replication-lag.lua"
GATE = "cancel-what-holds-replay-up"
SOON = ("-p", "warn=2s", "-p", "crit=1m", "-p", "poll=50ms", "-p", "soon=2s", "-p", "drain=10s", "-p", "calm=200ms",
        "-p", "over=200ms")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
REPORT = "SELECT pid FROM pg_stat_activity WHERE query LIKE '/* replica report%' AND state = 'active'"


class LagTest(LabTest):
    """Every test finds a replica that hangs and a primary that writes on."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("replication-lag")
        self.addCleanup(self.lab.mend)
        for line in self.lab.call("env").splitlines():       # its port is a new one each time
            if line.startswith("export REPLICA_URL="):
                self.lab.env["REPLICA_URL"] = line.split("=", 1)[1].strip("'")
        time.sleep(2.3)                # it is further behind than `warn`

    def on_replica(self, text):
        session = pq.Session(self.lab.env["REPLICA_URL"] + "?application_name=lab-observer&sslmode=disable")
        try:
            return session.query(text)
        finally:
            session.close()

    def replayed(self):
        return self.on_replica("SELECT pg_last_wal_replay_lsn()")

    def expect_untouched(self, before, done):
        self.assertEqual((len(self.on_replica(REPORT)), self.replayed()), (1, before), done)


class Scenario(LagTest):

    def test_replay_hangs_until_it_is_mended_and_then_nothing_of_the_replica_is_left(self):
        before = self.replayed()
        time.sleep(0.5)
        self.assertEqual(self.replayed(), before)
        self.lab.mend()
        with self.assertRaises(pq.Error):
            self.replayed()
        self.assertEqual(self.lab.ask("SELECT count(*) FROM pg_replication_slots"), [["0"]])
        self.assertEqual(self.lab.ask("SELECT to_regclass('replicated_events')"), [[None]])


class Rehearsed(LagTest):

    def test_a_dry_run_looks_at_both_ends_and_cancels_nothing(self):
        before = self.replayed()
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0, out=[
            "OK +replicas connected 1", r"lab_replica +physical +true", "OK +receiver streaming", r"WARNING +replica behind [\d.]+ s",
            "most of them in the replay", "processors used by the replica", r"disk of the replica [\d.]+ %",
            "replay waits for RecoveryConflict", f"WOULD ASK Cancel 1 statements on replica.*gate {GATE}",
            "WOULD cancel 1 statement on replica", "UNDETERMINED +replica behind"])
        self.expect_untouched(before, done)


    def test_the_replica_s_own_machine_is_looked_at_by_ssh(self):
        before = self.replayed()
        done = self.opsrun(*PLAY, "-n", "-p", "host=web1")
        self.expect(done, code=0, out=["processors used by the replica", r"disk of the replica [\d.]+ %", "WOULD cancel 1 statement"])
        self.expect_untouched(before, done)


class Refused(LagTest):

    def test_refused_it_leaves_the_report_alone(self):
        before = self.replayed()
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"])
        self.expect_untouched(before, done)

    def test_a_replica_that_is_gone_fails_its_step_by_name(self):
        done = self.opsrun(*PLAY, "--yes", env={"REPLICA_URL": "postgres://ops:nobody-is-there@127.0.0.1:1/app"})
        self.expect(done, code=1, text=[r"step 'Look at the replica'.*cannot connect to 'replica' \(127.0.0.1:1\)"])

    def test_a_primary_is_no_replica(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "replica=primary")
        self.expect(done, code=1, text=["'primary' is no replica: it takes writes"])


class Played(LagTest):

    def test_live_the_report_is_cancelled_and_the_replica_catches_up(self):
        before = self.replayed()
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["cancel 1 statement on replica", "the replica is less than 2s behind",
                                       r"OK +replica behind [\d.]+ s"])
        self.assertEqual(self.on_replica(REPORT), [])
        self.assertNotEqual(self.replayed(), before)
        again = self.opsrun(*PLAY)
        self.expect(again, code=0, out=["the replica is [0-9.]+ s behind, less than 2s"])

    def test_a_report_that_is_kept_stays_and_the_run_fails(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "keep=reports", "-p", "drain=500ms")
        self.expect(done, code=1, out=["left alone: pid .*reports is kept"], text=["Watch it catch up"])
        self.assertEqual(len(self.on_replica(REPORT)), 1)


class Killed(LagTest):

    def test_killed_after_the_cancel_and_before_it_is_recorded_a_resume_watches_it_to_the_end(self):
        run, _ = play_and_kill(self, (*PLAY, "--yes"), 1, lambda: self.on_replica(REPORT) == [])
        done = self.opsrun("resume", run, "--yes", "--stale-ok", within=60)
        self.expect(done, code=0, out=[r"OK +replica behind [\d.]+ s"])
        self.assertEqual(self.on_replica(REPORT), [])


class OnAStandby(LagTest):
    """A standby gives no transaction ids; what it can be told is a change all the same."""

    def play(self, statement, *words):
        room = tempfile.mkdtemp(prefix="opsrun-author-")
        self.addCleanup(shutil.rmtree, room, ignore_errors=True)
        path = os.path.join(room, "tell.lua")
        with open(path, "w", encoding="utf-8") as file:
            file.write('playbook { title = "Tell it", uses = { sql = { "replica" } } }\n'
                       f'step("Tell", function() sql "replica":exec("{statement}") end)\n')
        return self.opsrun("play", path, "-e", "lab", *words)

    def test_what_a_standby_can_be_told_is_done_and_journaled_without_a_transaction_id(self):
        self.expect(self.play("SELECT pg_wal_replay_pause()", "-n"), code=0, out=["WOULD .*pg_wal_replay_pause"])
        self.assertEqual(self.on_replica("SELECT pg_is_wal_replay_paused()"), [["f"]])
        self.expect(self.play("SELECT pg_wal_replay_pause()"), code=0, out=["changed .*pg_wal_replay_pause"])
        self.assertEqual(self.on_replica("SELECT pg_is_wal_replay_paused()"), [["t"]])
        begin = next(r for r in self.journal(self.run_ids()[-1]) if r["type"] == "effect.begin")
        self.assertNotIn("xid", begin["token"])
        self.assertIn("backend_pid", begin["token"])

    def test_what_it_cannot_do_is_said_by_the_server(self):
        self.expect(self.play("INSERT INTO feature_flags (name) VALUES ('no')"), code=1,
                    err=["cannot execute INSERT in a read-only transaction"])


if __name__ == "__main__":
    main()
