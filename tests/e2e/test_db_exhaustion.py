"""Playbook incident/db-exhaustion.lua on a real server: dry, refused, answered, on a terminal, again."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import PLAYBOOK, LabTest, main, wait_until  # noqa: E402

GATE = "terminate-idle-sessions"
PROMPT = r"yes or no \[no\]: "      # what was typed before it never answers
PLAY = ("play", PLAYBOOK, "-e", "lab", "-p", "idle=2s")


class Rehearsed(LabTest):
    """A dry run reads for real and changes nothing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("db-exhaustion")

    def test_a_dry_run_lists_what_it_would_end_and_ends_nothing(self):
        before = self.lab.sessions()
        silent = self.lab.sessions("idle", "idle in transaction")
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["DRY RUN", "connections used", "WOULD ASK.*Terminate 61 sessions",
                                       f"gate {GATE}", "WOULD terminate 20 sessions",
                                       "pg_terminate_backend"])
        missing = [pid for pid, _ in silent if not re.search(rf"\b{pid}\b", done.out)]
        self.assertEqual(missing, [], f"not listed\n{done}")
        self.assertEqual(self.lab.sessions(), before)
        self.assertEqual(self.lab.ended_by_an_administrator(), [])

    def test_a_dry_run_does_not_wait_for_a_recovery_that_cannot_come(self):
        done = self.opsrun(*PLAY, "-n", "-p", "watch=10m")
        self.expect(done, code=0)
        self.assertLess(done.seconds, 5, done)

    def test_a_dry_run_says_how_true_it_was(self):
        self.expect(self.opsrun(*PLAY, "-n"), code=0,
                    out=[r"\d+ steps: .*read for real", "planned", "undetermined"])

    def test_checks_after_the_first_planned_change_are_undetermined(self):
        done = self.opsrun(*PLAY, "-n")
        recovery = done.out[done.out.index("Watch the pool recover"):]
        self.assertIn("UNDETERMINED", recovery.upper(), done)

    def test_a_dry_run_saves_the_evidence(self):
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0)
        texts = self.artifacts()
        self.assertEqual({name.split(".")[0] for name in texts},
                         {"idle-sessions", "idle-in-transaction", "blocked-chains"})
        self.assertIn("UPDATE users", "".join(texts.values()))

    def artifacts(self):
        found = {}
        for place, _, names in os.walk(os.path.join(self.home, "runs")):
            for name in names:
                if name.split(".")[0] in ("idle-sessions", "idle-in-transaction", "blocked-chains"):
                    with open(os.path.join(place, name), encoding="utf-8") as file:
                        found[name] = file.read()
        return found

    def test_a_dry_run_of_a_container_restart_shows_the_exact_command(self):
        log = os.path.join(self.lab.directory, "docker.log")
        done = self.opsrun(*PLAY, "-n", "-p", "pool=api-container")
        self.expect(done, code=0, out=["WOULD .*docker restart api-container"])
        self.assertFalse(os.path.exists(log))

    def test_json_is_one_event_a_line_and_nothing_else(self):
        done = self.opsrun(*PLAY, "-n", "--json")
        self.expect(done, code=0)
        events = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual(events[0]["event"], "run.start")
        self.assertEqual(events[-1]["event"], "run.end")

    def test_without_an_idle_session_long_enough_nothing_is_planned(self):
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "-n")
        self.expect(done, code=0, out=["no session has been idle longer than 5m"],
                    absent=["WOULD ASK.*Terminate"])

    def test_the_default_of_idle_is_five_minutes(self):
        self.expect(self.opsrun("params", PLAYBOOK, "-e", "lab"), code=0, out=[r"idle\s.*\b5m\b"])

    def test_the_password_is_nowhere(self):
        self.opsrun(*PLAY, "-n", "-vv")
        password = self.lab.env["DATABASE_URL"].split(":")[2].split("@")[0].encode()
        for place, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    self.assertNotIn(password, file.read(), name)


class Played(LabTest):
    """Live: what a gate refuses is not done, what it lets pass is, once."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("db-exhaustion")
        self.already = self.lab.ended_by_an_administrator()

    def ended(self):
        return self.lab.ended_by_an_administrator()[len(self.already):]

    def test_without_a_terminal_it_is_refused_and_the_flag_is_named(self):
        before = self.lab.sessions()
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=[f"--answer {GATE}=yes"])
        self.assertEqual(self.lab.sessions(), before)
        self.assertEqual(self.ended(), [])

    def test_live_it_frees_the_server_and_the_second_play_has_nothing_to_do(self):
        busy = self.lab.sessions("active")
        silent = self.lab.sessions("idle", "idle in transaction")
        done = self.opsrun(*PLAY, "--answer", f"{GATE}=yes")
        self.expect(done, code=0, out=["connections used"])
        print(f"live: {done.seconds:.2f} s, {self.lab.percent():.0f} % used")
        self.assertLess(self.lab.percent(), 80)
        self.assertEqual(sorted(self.ended()), sorted(pid for pid, _ in silent))
        self.assertEqual(self.lab.sessions() - silent, busy)
        again = self.opsrun(*PLAY, "--answer", f"{GATE}=yes")
        self.expect(again, text=["no session has been idle longer than 2s"])
        again = self.opsrun(*PLAY)
        self.expect(again, code=0, out=["no session has been idle longer than 2s"])
        self.assertEqual(len(self.ended()), len(silent))

    def test_yes_covers_the_ordinary_gates(self):
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=0)
        self.assertLess(self.lab.percent(), 80)
        self.expect(self.opsrun(*PLAY, "--yes"), code=0, out=["no session has been idle longer"])

    def test_the_labs_own_sessions_are_kept(self):
        kept = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lab-keeper' ORDER BY 1"
        before = self.lab.ask(kept)
        self.expect(self.opsrun(*PLAY, "--yes"), code=0)
        self.assertEqual(self.lab.ask(kept), before)
        self.assertGreater(len(before), 0)

    def test_who_waited_for_a_lock_goes_on(self):
        self.expect(self.opsrun(*PLAY, "--yes"), code=0)
        waiting = wait_until(lambda: self.lab.ask(
            "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] == "0")
        self.assertTrue(waiting)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        before = self.lab.sessions()
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Terminate 61 sessions idle longer than 2s")
        terminal.wait_for(PROMPT)
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.assertEqual(self.lab.sessions(), before)

    def test_yes_on_a_terminal_frees_the_server(self):
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Terminate 61 sessions idle longer than 2s")
        terminal.wait_for(PROMPT)
        terminal.send("y\n")
        terminal.wait_for("Open a ticket")
        terminal.wait_for(PROMPT)
        terminal.send("\n")
        self.expect(terminal.finish(), code=0)
        self.assertLess(self.lab.percent(), 80)

    def test_a_session_back_at_work_since_it_was_listed_is_left_alone(self):
        worker = self.lab.session(application_name="late-riser")
        self.addCleanup(worker.close)
        worker.query("SELECT 1")
        wait_until(lambda: float(self.lab.ask(
            "SELECT extract(epoch FROM clock_timestamp() - state_change) FROM pg_stat_activity"
            " WHERE pid = $1", worker.pid)[0][0]) > 2)
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Terminate 62 sessions")
        terminal.wait_for(PROMPT)
        worker.query("SELECT 2")
        terminal.send("y\n")
        terminal.wait_for("61 of 62 sessions ended")
        terminal.wait_for(PROMPT)
        terminal.send("\n")
        self.expect(terminal.finish(), code=0)
        self.assertEqual(worker.value("SELECT 3"), "3")

    def test_a_role_that_may_see_less_is_told_so(self):
        self.lab.ask("DROP ROLE IF EXISTS narrow")
        self.lab.ask("CREATE ROLE narrow LOGIN PASSWORD 'a-narrow-password'")
        self.addCleanup(self.lab.ask, "DROP ROLE narrow")
        port = self.lab.env["DATABASE_URL"].split(":")[-1]
        done = self.opsrun(*PLAY, "-n", env={
            "DATABASE_URL": f"postgres://narrow:a-narrow-password@127.0.0.1:{port}"})
        self.expect(done, code=0, out=["sessions cannot be seen.*pg_read_all_stats"])

    def test_a_pool_that_stays_full_gets_its_container_restarted(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "pool=api-container", "-p", "healthy=31",
                           "-p", "pause=100ms")
        self.expect(done, code=0)
        with open(os.path.join(self.lab.directory, "docker.log"), encoding="utf-8") as file:
            calls = [json.loads(line)["argv"] for line in file]
        self.assertEqual(calls, [["restart", "api-container"]])

    def test_a_pool_that_does_not_recover_fails_the_run(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "healthy=5", "-p", "pause=100ms",
                           "-p", "watch=1s", "-p", "poll=200ms")
        self.expect(done, code=1, text=["connections below 5 %"])


if __name__ == "__main__":
    main()
