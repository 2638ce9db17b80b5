"""Playbook high-memory on an application that leaks in a group with a limit: dry, refused, live, on this machine, killed in between."""

import glob
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, start_time  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "incident/high-memory.lua"
# the application leaks 2 MB a second; machines and other people's processes are nobody's business here
SOON = ("-p", "growth_mb=0.5", "-p", "interval=500ms", "-p", "watch=1s", "-p", "warm=0s", "-p", "top=3", "-p", "poll=100ms", "-p", "warn=100",
        "-p", "crit=100", "-p", "recover=20s")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)


class LeakTest(LabTest):
    """Every test finds the application leaking, the same process at the beginning and at the end of it unless it was restarted."""

    def setUp(self):
        super().setUp()
        self.lab.mend()
        for path in self.snapshots():
            os.unlink(path)
        self.lab.break_it("memory-leak", settle=0)
        self.addCleanup(self.lab.mend)
        self.began = self.process()
        with open(os.path.join(self.lab.directory, "memory-leak.json"), encoding="utf-8") as file:
            self.group = json.load(file)

    def process(self):
        """Who the application is: its pid, and when that began; None while there is none."""
        try:
            with open(os.path.join(self.lab.directory, "app.pid"), encoding="utf-8") as file:
                pid = json.load(file)["pid"]
        except (OSError, ValueError):
            return None
        start = start_time(pid)
        return (pid, start) if start else None

    def serves(self):
        try:
            with urllib.request.urlopen(self.lab.env["APP_URL"] + "/health", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def snapshots(self):
        return sorted(glob.glob(os.path.join(self.lab.env["LAB_HEAP"], "*.heapsnapshot")))

    def port(self):
        return ("-p", "port=" + self.lab.env["APP_URL"].rsplit(":", 1)[1])

    def expect_untouched(self, done):
        self.assertEqual((self.process(), self.snapshots()), (self.began, []), done)

    def expect_restarted(self, done):
        self.assertIsNone(start_time(self.began[0]), done)
        self.assertNotEqual(self.process(), self.began)
        self.assertTrue(self.serves(), done)


class Rehearsed(LeakTest):

    def test_a_dry_run_measures_for_real_and_lists_the_snapshot_and_the_restart(self):
        done = self.opsrun(*PLAY, *self.port(), "-p", "docker=yes", "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"OK +memory used [\d.]+ %", r"shop-container .*MiB / 512MiB", r"heapUsed +\d+", rf"WOULD ASK Have pid {self.began[0]} of app write",
            f"kill -s USR2 -- {self.began[0]}", "WOULD ASK Take app on web1 out of the load balancer", "WOULD restart app",
            "WOULD ASK Put it back"])
        self.expect_untouched(done)
        self.assertEqual(sorted(os.listdir(os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts"))),
                         ["containers.csv", "heap.json", "processes.csv"])

    def test_on_this_machine_who_grows_is_shown_and_nobody_is_asked_when_nobody_does(self):
        os.makedirs(os.path.join(self.home, "environments"))
        with open(os.path.join(self.home, "environments", "here.lua"), "w", encoding="ascii") as file:
            file.write('return { label = "here" }\n')
        here = ("play", PLAYBOOK, "-e", "here", "--config", self.home, *SOON, "-p", "top=1000")
        done = self.opsrun(*here, "--answer", "name-the-service=none")
        self.expect(done, code=0, out=[rf"\n +{self.began[0]} +[1-9][\d.]* .*python3 app.py", "WARNING +growth of the fastest",
                                       "skipped: no service was named", "skipped: parameter 'api' is not given"])
        done = self.opsrun(*here, "-p", "growth_mb=100000")
        self.expect(done, code=0, out=["nobody grows by more than 100000 MB"], absent=["name-the-service"])
        self.expect_untouched(done)


class Refused(LeakTest):

    def test_no_on_a_terminal_leaves_heap_and_application_as_they_were(self):
        terminal = self.terminal(*PLAY)
        for question in (r"write down its heap.*It stands still", r"Restart app on web1, pid \d+\?"):
            terminal.wait_for(question)
            terminal.wait_for(r"yes or no \[no\]: ")
            terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(done)

    def test_without_its_heap_the_rest_is_measured_and_a_database_is_nobodys_to_restart(self):
        done = self.opsrun(*PLAY, "-p", "service=postgres", "-p", "warn=0", "--yes", env={"APP_URL": "http://127.0.0.1:1"})
        self.expect(done, code=0, out=["skipped: api does not tell", "skipped: no process of postgres is ours to touch"])
        self.expect_untouched(done)

    def test_a_dead_host_fails_the_first_step(self):
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, "--yes", env={"SSH_CONFIG": config})
        self.expect(done, code=1, text=["step 'Measure the memory'.*cannot connect to host 'web1'"], out=["told +oncall how it ended"])
        self.expect_untouched(done)


class Played(LeakTest):

    def test_live_the_heap_is_written_down_and_the_one_that_leaks_is_restarted_and_stays_low(self):
        done = self.opsrun(*PLAY, *self.port(), "-p", "drain=300ms", "--answer", "drain-it=done", "--answer", "put-it-back=done", "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            "WARNING +growth of the fastest", "WARNING +growth of the heap", r"snapshot: .*\.heapsnapshot", "still connected",
            "changed +restart app", "OK +growth of the fastest", "left open: Compare the snapshots", "told +team how it ended"])
        if self.group:
            self.expect(done, out=[r"memory of app, of its limit [1-9][\d.]* %"])
        if self.group.get("killed"):
            self.expect(done, out=["WARNING +processes of app killed for want of memory 1"])
        (path,) = self.snapshots()
        with open(path, encoding="ascii") as file:
            self.assertGreater(sum(json.load(file)["largest"]), 1 << 20, "what leaked is in it")
        self.expect_restarted(done)


class Killed(LeakTest):

    def resumed(self, number, happened):
        # more is used than -p crit=0: whether it leaks need not be measured first
        run, _ = play_and_kill(self, (*PLAY, "-p", "warn=0", "-p", "crit=0", "-p", "watch=100ms", "--yes"), number, happened)
        done = self.opsrun("resume", run, "--yes", "--stale-ok")
        self.expect(done, out=["OK +growth of the fastest", "CRITICAL +memory used", "DONE"])
        self.assertEqual(len(self.snapshots()), 1, "one is written, and not a second one")
        self.expect_restarted(done)

    def test_killed_behind_the_snapshot_a_resume_takes_no_second_one_and_restarts(self):
        self.resumed(1, self.snapshots)

    def test_killed_behind_the_restart_a_resume_restarts_nobody(self):
        seen = []

        def is_restarted():
            is_new = self.process() not in (None, self.began) and self.serves()
            return is_new and (seen or seen.append(self.process()) or True)
        self.resumed(2, is_restarted)
        self.assertEqual([self.process()], seen)


if __name__ == "__main__":
    main()
