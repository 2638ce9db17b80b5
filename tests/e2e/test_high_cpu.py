"""Playbook high-cpu on a nightly report that does not end: dry, refused, live, here and on a host, killed in between."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, start_time, wait_until  # noqa: E402

PLAYBOOK = "incident/high-cpu.lua"
# 100 %: this machine may have other work, which is nobody's business here
SOON = ("-p", "over=200ms", "-p", "warn=100", "-p", "crit=100", "-p", "act=0", "-p", "lasts=200ms", "-p", "poll=50ms", "-p", "drain=10s",
        "-p", "calm=100ms", "-p", "grace=500ms")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
STOP = ("--answer", "rein-it-in=stop", "--yes")
NICED, LOWERED = 5, 19


class HighCpu(LabTest):
    """Every test finds the nightly report at work: one process that hears TERM, and its child, which does not. A test that
    left it as it was leaves it to the next."""

    pids, starts = (), ()

    def setUp(self):
        super().setUp()
        if os.path.exists(self.ready_file()):
            self.read_job()
        if len(self.alive()) != 2 or self.nice() != {NICED}:
            self.lab.break_it("high-cpu", settle=0)
            self.read_job()

    def ready_file(self):
        return os.path.join(self.lab.directory, "nightly.ready")

    def read_job(self):
        with open(self.ready_file(), encoding="utf-8") as file:
            said = json.load(file)
        self.pids, self.starts = said["pids"], said["starts"]
        self.unit = os.path.basename(said["group"]) if said["group"] else None
        self.job = ("-p", f"job={self.pids[0]}")

    def alive(self):
        return [pid for pid, start in zip(self.pids, self.starts) if start_time(pid) == start]

    def nice(self):
        return {os.getpriority(os.PRIO_PROCESS, pid) for pid in self.alive()}

    def expect_untouched(self, done):
        self.assertEqual((self.alive(), self.nice()), (self.pids, {NICED}), done)

    def lab_pid(self, name):
        with open(os.path.join(self.lab.directory, f"{name}.pid"), encoding="utf-8") as file:
            return json.load(file)["pid"]

    def test_a_dry_run_shows_both_ways_and_touches_nothing(self):
        done = self.opsrun(*PLAY, *self.job, "-p", "warn=0", "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"WARNING +processors used [\d.]+ %", r"\d+ processors, load", "no statement of primary runs longer",
            rf"{self.pids[1]} +root +5 +\d+ +python3 busy_job.py", "WOULD ASK What about", f"WOULD .* gives way: nice 19 for pid {self.pids[0]}",
            f"WOULD TERM 2 processes of .*pid {self.pids[0]}, {self.pids[1]}", "kill -s KILL --", "UNDETERMINED +processors used"])
        self.expect_untouched(done)
        self.assertEqual(os.listdir(os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")), ["processes.csv"])

    def test_what_opsrun_rests_on_and_databases_are_nobodys_runaway(self):
        for pid, why in ((os.getpid(), "opsrun rests on it"), (self.lab_pid("postgres"), "postgres is kept")):
            done = self.opsrun(*PLAY, "-p", f"job={pid}", "-n")
            self.expect(done, code=0, out=[f"left alone: pid {pid}, .*: {why}"], absent=[f"kill .*{pid}", f"for pid {pid}"])

    def test_without_a_terminal_the_job_is_asked_for_and_the_evidence_is_saved(self):
        done = self.opsrun(*PLAY, "-p", "worker=app", "-p", "workers=1")
        self.expect(done, code=5, text=["--answer find-the-runaway-job="], out=["saved .*processes.csv"])
        # more workers are no remedy on a machine that is full, and never fewer than there are
        self.expect(done, out=["skipped: (0.* processors are free: more workers on this machine|1 of app run already)"])
        self.expect_untouched(done)

    def test_no_on_a_terminal_leaves_the_job_as_it_was(self):
        terminal = self.terminal(*PLAY, "--answer", f"find-the-runaway-job={self.pids[0]}", "--answer", "rein-it-in=stop")
        terminal.wait_for(r"End .*There is no way back")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(done)

    def test_what_does_not_last_ends_well_and_asks_nobody(self):
        done = self.opsrun(*PLAY, "-p", "act=100")
        self.expect(done, code=0, out=["not above 100 % for"], absent=["--answer"])

    def test_a_dead_host_fails_the_first_step(self):
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, *self.job, *STOP, "-p", "host=web1", env={"SSH_CONFIG": config})
        self.expect(done, code=1, text=["step 'Measure the processors'.*cannot connect to host 'web1'"])
        self.expect_untouched(done)

    def test_live_the_job_ends_and_nothing_else_does(self):
        others = [self.lab_pid(name) for name in ("app", "postgres", "redis", "mail")]
        began = [start_time(pid) for pid in others]
        job = ("-p", f"job={self.unit}") if self.unit else self.job
        done = self.opsrun(*PLAY, *job, *STOP)
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["TERM 2 processes", f"KILL 1 process of .*: pid {self.pids[1]}",
                                       "OK +processes of the job 0", "told +team how it ended"])
        self.assertEqual(self.alive(), [])
        self.assertEqual([start_time(pid) for pid in others], began)
        self.expect(self.opsrun(*PLAY, *self.job, *STOP), code=1, text=[f"there is no process {self.pids[0]}"])

    def test_a_job_that_gives_way_goes_on_and_undo_gives_it_its_priority_back(self):
        done = self.opsrun(*PLAY, *self.job, "--yes")
        self.expect(done, code=0, out=["gives way: nice 19", "niced work is not counted now"])
        self.assertEqual((self.alive(), self.nice()), (self.pids, {LOWERED}))
        self.expect(self.opsrun("runs", "--standing"), out=[f"{self.run_ids()[-1]} .*gives way"])
        self.expect(self.opsrun("undo", self.run_ids()[-1], "--yes"), code=0)
        self.assertEqual(self.nice(), {NICED})

    def test_a_service_on_a_host_is_stopped_and_undo_starts_it_again(self):
        done = self.opsrun(*PLAY, "-p", "host=web1", "-p", "service=nightly", "--skip", "see-whether-it-lasts",
                           "--skip", "watch-it-calm-down", *STOP)
        print(f"on a host: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +stop nightly"])
        self.assertEqual(self.alive(), [])
        self.expect(self.opsrun("undo", self.run_ids()[-1], "--yes"), code=0, out=["start nightly"])
        self.read_job()
        self.assertEqual(self.alive(), self.pids)

    def test_processors_that_stay_busy_fail_the_run_and_on_call_hears_it(self):
        done = self.opsrun(*PLAY, *self.job, "-p", "warn=0", "-p", "drain=500ms", "--answer", "rein-it-in=nothing", "--yes")
        self.expect(done, code=1, text=["Watch it calm down", "at most 0 % of the processors"], out=["told +oncall how it ended"])
        self.expect_untouched(done)

    def kill_at(self, kind, begins, *words):
        """kill -9 as soon as the journal has a record of this kind about a change that begins so; the run's id."""
        earlier, process = self.run_ids(), self.start(*PLAY, *self.job, *words)

        def has_come():
            records = [r for run in self.run_ids() if run not in earlier for r in self.journal(run)]
            those = {r["ordinal"] for r in records if r["type"] == "effect.begin" and begins in r["summary"]}
            return any(r["type"] == kind and r.get("step") == "rein-it-in" and r["ordinal"] in those for r in records)
        wait_until(lambda: has_come() or process.poll() is not None, within=60, every=0.002)
        self.assertIsNone(process.poll(), f"it ended by itself: {process.communicate() if process.poll() is not None else ''}")
        process.kill()
        process.communicate()
        return next(run for run in self.run_ids() if run not in earlier)

    def test_killed_while_the_job_is_told_to_end_a_resume_ends_all_of_it(self):
        for number, kind in enumerate(("effect.begin", "effect.end")):
            if number > 0:
                self.lab.break_it("high-cpu", settle=0)
                self.read_job()
            run = self.kill_at(kind, "TERM 2", *STOP, "-p", "grace=2s")
            self.assertIn(self.pids[1], self.alive())
            done = self.opsrun("resume", run, "--stale-ok", *STOP)
            self.expect(done, code=0, out=["KILL 1 process"])
            self.assertEqual(self.alive(), [])

    def test_killed_while_its_priority_is_lowered_a_resume_goes_on_and_undo_takes_it_back(self):
        run = self.kill_at("effect.begin", "gives way", "--yes")
        self.expect(self.opsrun("resume", run, "--stale-ok", "--yes"), code=0)
        self.assertEqual(self.nice(), {LOWERED})
        self.expect(self.opsrun("undo", run, "--yes"), code=0)
        self.expect_untouched(run)


if __name__ == "__main__":
    main()
