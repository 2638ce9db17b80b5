"""Signals: the first ends what only looks and lets a change finish, the second cancels, the third is out."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FaultTest, ignore_hangup  # noqa: E402
from harness import alive, descendants, main, start_time, wait_until  # noqa: E402

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
ALWAYS = 'always("tidy up", function() shell.run(mark "tidied") end)\n'
LOOKS = {
    "a read of sql": 'shell.run(mark "there") sql("primary"):query("select n from locked")',
    "a read in the jail": 'shell.run(mark "there") shell.read({"sleep", "60"})',
    "a wait": 'shell.run(mark "there") wait_until("never", {every = "30s", within = "5m"},'
              ' function() return false end)',
    "a sleep": 'shell.run(mark "there") sleep "60s"',
    "branches": 'parallel {{"one", function() sleep "60s" end},'
                ' {"two", function() shell.run(mark "there") shell.read({"sleep", "60"}) end}}',
    "each": 'each({1, 2, 3}, {limit = 1}, function() shell.run(mark "there") sleep "60s" end)',
}
SETSID = ("setsid sh -c 'echo $$ >>ROOM/pids; trap \"\" TERM; exec sleep 60' & "
          "echo $$ >>ROOM/pids; echo there >>ROOM/places; sleep 60")


class First(FaultTest):
    """Ctrl-C, SIGTERM or SIGHUP once."""

    def test_what_only_looks_ends_at_once_and_always_runs(self):
        self.lock()
        for what, body in LOOKS.items():
            for number, code in CODES.items():
                with self.subTest(what=what, signal=number.name):
                    self.forget()
                    process = self.start("play", self.step(ALWAYS + body), "-e", "lab")
                    self.wait_for_place("there", process)
                    time.sleep(0.1)
                    began = time.monotonic()
                    process.send_signal(number)
                    done = self.collect(process)
                    self.assertLess(time.monotonic() - began, 3, done)
                    self.expect(done, code=code, out=["INTERRUPTED", "opsrun log"])
                    self.assertEqual(self.places().count("there"), 1, done)
                    self.assertEqual(self.places().count("tidied"), 1, done)
                    self.assertEqual(self.records("signal")[0]["name"], number.name)
                    self.assertEqual(self.records("run.end")[0]["state"], "interrupted")

    def forget(self):
        for run in self.run_ids():
            os.rename(os.path.join(self.home, "runs", run), os.path.join(self.room, run))
            os.rename(os.path.join(self.room, run), os.path.join(self.room, f"{run}.{time.time()}"))
        if os.path.exists(os.path.join(self.room, "places")):
            os.unlink(os.path.join(self.room, "places"))

    def test_a_statement_in_flight_is_let_finish_and_recorded(self):
        self.table("struck")
        holder = self.lab.session()
        self.addCleanup(holder.close)
        holder.query("BEGIN; LOCK TABLE struck IN EXCLUSIVE MODE")
        path = self.step(ALWAYS + 'sql("primary"):exec("insert into struck select 1")\nshell.run(mark "too far")')
        process = self.start("play", path, "-e", "lab")
        self.wait_for_statement("insert into struck")
        process.send_signal(signal.SIGINT)
        self.wait_for_signals(1)
        holder.query("COMMIT")
        done = self.collect(process)
        self.expect(done, code=130, err=["change in flight"])
        self.assertEqual(self.lab.ask("SELECT count(*) FROM struck"), [["1"]])
        self.assertEqual(self.places(), ["tidied"])
        ends = self.records("effect.end", kind="sql.exec")
        self.assertEqual([record["outcome"] for record in ends], ["done"], done)

    def test_a_command_in_flight_is_let_finish_and_recorded(self):
        path = self.step('shell.run("echo there >>ROOM/places; until [ -e ROOM/go ]; do sleep 0.05; done;'
                         ' echo finished >>ROOM/places")\nshell.run(mark "further")'.replace("ROOM", self.room))
        process = self.start("play", path, "-e", "lab", start_new_session=True)
        self.wait_for_place("there", process)
        os.killpg(process.pid, signal.SIGINT)      # as Ctrl-C reaches the whole foreground group
        self.wait_for_signals(1)
        self.let_go()
        done = self.collect(process)
        self.expect(done, code=130)
        self.assertEqual(self.places(), ["there", "finished"])
        self.assertEqual([r["outcome"] for r in self.records("effect.end", kind="shell.run")], ["done"])

    def let_go(self):
        with open(os.path.join(self.room, "go"), "w", encoding="ascii"):
            pass

    def test_always_goes_on_when_the_signal_comes_while_it_runs(self):
        path = self.step('always("tidy", function() shell.run(mark "always") sleep "500ms"'
                         ' shell.read({"sleep", "0.2"}) shell.run(mark "tidied") end)')
        process = self.start("play", path, "-e", "lab")
        self.wait_for_place("always", process)
        process.send_signal(signal.SIGTERM)
        self.expect(self.collect(process), code=143)
        self.assertEqual(self.places(), ["always", "tidied"])

    def test_nohup_is_obeyed(self):
        path = self.step('shell.run(mark "there") sleep "700ms" shell.run(mark "end")')
        process = self.start("play", path, "-e", "lab", preexec_fn=ignore_hangup)
        self.wait_for_place("there", process)
        process.send_signal(signal.SIGHUP)
        self.expect(self.collect(process), code=0)
        self.assertEqual(self.places(), ["there", "end"])

    def test_undo_is_not_run_without_a_terminal_and_stands_in_the_report(self):
        path = self.step('undo("put it back", function() shell.run(mark "back") end)'
                         ' shell.run(mark "there") sleep "60s"')
        process = self.start("play", path, "-e", "lab")
        self.wait_for_place("there", process)
        process.send_signal(signal.SIGINT)
        self.expect(self.collect(process), code=130, out=["not undone +put it back"])
        self.assertEqual(self.places(), ["there"])
        self.expect(self.opsrun("status"), code=0, out=["not undone: put it back"])

    def test_a_signal_during_start_ends_the_run(self):
        for delay in (0.002, 0.004, 0.006, 0.008, 0.012, 0.02):
            process = self.start("play", self.step('sleep "20s"'), "-e", "lab")
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            done = self.collect(process)
            self.assertIn(done.code, (143, -signal.SIGTERM), done)


class Second(FaultTest):
    """The call in flight is cancelled."""

    def test_a_statement_is_cancelled_on_the_server(self):
        path = self.step(ALWAYS + 'sql("primary"):exec("select pg_sleep(60)")')
        process = self.start("play", path, "-e", "lab")
        self.wait_for_statement("pg_sleep(60)")
        process.send_signal(signal.SIGINT)
        self.wait_for_signals(1)
        self.assertIsNone(self.ended_within(process, 0.5))
        self.assertTrue(self.running("pg_sleep(60)"))
        process.send_signal(signal.SIGINT)
        done = self.collect(process)
        self.expect(done, code=130, err=["cancelling the call in flight"])
        self.assertEqual(self.running("pg_sleep(60)"), [])
        with open(self.lab.env["POSTGRES_LOG"], encoding="utf-8", errors="replace") as file:
            self.assertIn("canceling statement due to user request", file.read())
        self.assertEqual(self.places(), ["tidied"])
        self.assertEqual([r["outcome"] for r in self.records("effect.end", kind="sql.exec")], ["failed"])

    def ended_within(self, process, seconds):
        wait_until(lambda: process.poll() is not None, within=seconds)
        return process.poll()

    def test_a_command_and_all_it_started_end(self):
        path = self.step(f'shell.run([=[{SETSID.replace("ROOM", self.room)}]=])')
        process = self.start("play", path, "-e", "lab")
        self.wait_for_place("there", process)
        self.assertTrue(wait_until(lambda: len(self.pids()) == 2))
        tree = {pid: start_time(pid) for pid in self.pids()} | descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        self.wait_for_signals(1)
        self.assertIsNone(self.ended_within(process, 0.5))
        self.assertEqual(alive(tree), set(tree))
        process.send_signal(signal.SIGTERM)
        done = self.collect(process)
        self.assertEqual(alive(tree), set(), done)
        self.assertIn(done.code, (7, 143), done)
        self.assertEqual(len(self.records("run.end")), 1)

    def pids(self):
        try:
            with open(os.path.join(self.room, "pids"), encoding="ascii") as file:
                return [int(word) for word in file.read().split()]
        except OSError:
            return []


class Third(FaultTest):
    """Out at once; what was in flight is in doubt."""

    def test_the_journal_says_begun_and_not_ended(self):
        path = self.step('shell.run([=[trap "" TERM; echo there >>ROOM/places;'
                         ' while :; do sleep 0.1; done]=])'.replace("ROOM", self.room))
        process = self.start("play", path, "-e", "lab")
        self.wait_for_place("there", process)
        tree = descendants(process.pid)
        for number in (1, 2):
            process.send_signal(signal.SIGINT)
            self.wait_for_signals(number)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        done = self.collect(process)
        self.assertLess(time.monotonic() - began, 2, done)
        self.expect(done, code=130, err=["third signal", "opsrun runs"])
        self.assertTrue(wait_until(lambda: not alive(tree), within=10), "left behind")
        self.assertEqual(len(self.records("effect.begin")), 1)
        self.assertEqual(self.records("effect.end"), [])
        self.expect(self.opsrun("runs"), code=0, out=["in doubt"])
        self.expect(self.opsrun("status"), code=0, out=["in doubt", "in doubt: .*trap"])
        self.expect(self.opsrun("log", self.run_ids()[0]), code=0, out=["begin"])


class Times(FaultTest):
    """A deadline and a step's timeout cancel what runs, and only that."""

    def test_a_deadline_ends_the_run_with_124(self):
        self.lock()
        for body in ('sleep "60s"', 'sql("primary"):query("select n from locked")',
                     'sql("primary"):exec("select pg_sleep(60)")', 'shell.read({"sleep", "60"})'):
            with self.subTest(body):
                done = self.opsrun("play", self.step(ALWAYS + body), "-e", "lab", "--deadline", "1s",
                                   within=30)
                self.expect(done, code=124, text=["deadline of 1s"])
                self.assertEqual(self.running("pg_sleep(60)") + self.running("from locked"), [])
        self.assertEqual(self.places(), ["tidied"] * 4)

    def test_a_steps_timeout_cancels_that_steps_statement(self):
        path = self.write(
            'group("both", {together = true, keep_going = true}, function()\n'
            'step("slow", {timeout = "700ms"}, function() sql("primary"):exec("select pg_sleep(61)") end)\n'
            'step("other", function() sql("primary"):exec("select pg_sleep(2)") shell.run(mark "other") end)'
            '\nend)\n')
        done = self.opsrun("play", path, "-e", "lab", within=40)
        self.expect(done, code=1, text=["'slow' took longer than its timeout of 700ms"])
        self.assertEqual(self.places(), ["other"])
        self.assertEqual(self.running("pg_sleep(61)"), [])

    def test_a_steps_timeout_ends_its_command_and_the_children(self):
        path = self.write('step("slow", {timeout = "2s"}, function()\nshell.run([=[sleep 61 & echo $!'
                          f' >{self.room}/places; wait]=])\nend)\n')
        done = self.opsrun("play", path, "-e", "lab", within=40)
        self.assertIn(done.code, (1, 7), done)
        self.assertIsNone(start_time(int(self.places()[0])), done)


if __name__ == "__main__":
    main()
