"""Playbook scale/workers: up with room, never down by accident, back when it does not help, killed in between."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402
from killing import play_and_kill  # noqa: E402
from worker_pool import Pool  # noqa: E402

PLAY = ("play", "scale/workers.lua", "-e", "lab", "-p", "over=200ms", "-p", "poll=100ms")


class Workers(LabTest):
    """Every test finds one worker and a backlog."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("queue-depth", settle=0)

    def crew(self):
        return len(Pool(self.lab.directory).running())

    def scale(self, count):
        docker = os.path.join(self.lab.directory, "bin", "docker")
        subprocess.run([docker, "compose", "up", "--scale", f"worker={count}", "worker"], check=True, stdin=subprocess.DEVNULL)

    def test_a_dry_run_looks_for_room_and_starts_nobody(self):
        done = self.opsrun(*PLAY, "-n", "-p", "n=3")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            "1 of worker run", r"web1 +[\d.]+ +[\d.]+", r"2 more workers with 1 each make it \d+", r"media +1\d\d\d",
            r"WOULD ASK Scale worker from 1 to 3\?", "WOULD scale worker to 3", "UNDETERMINED +workers 1"])
        self.assertEqual(self.crew(), 1)

    def test_refused_the_number_stays(self):
        self.expect(self.opsrun(*PLAY), code=5, text=["--answer change-the-number=yes"])
        self.assertEqual(self.crew(), 1)

    def test_they_are_never_fewer_by_accident_nor_more_than_the_most(self):
        self.scale(3)
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "n=2"), code=0, out=["more than 2 run: nothing is done", "changed +nothing"])
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "n=3"), code=0, out=["so many run already"])
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "n=40"), code=1, text=["40 are more than -p max=16"])
        self.assertEqual(self.crew(), 3)
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "n=2", "-p", "down=yes"), code=0, out=["Scale worker down from 3 to 2", "OK +workers 2"])
        self.assertEqual(self.crew(), 2)

    def test_without_room_nobody_is_started(self):
        for word, why in (("cores=99", "web1 is busy"), ("db_max=1", "of the connections of primary would be used, more than 1 %")):
            self.expect(self.opsrun(*PLAY, "--yes", "-p", word), code=1, text=[why])
        self.assertEqual(self.crew(), 1)

    def test_a_machine_that_cannot_be_reached_is_named(self):
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        self.expect(self.opsrun(*PLAY, "--yes", env={"SSH_CONFIG": config}), code=1, text=["step 'Count the workers'.*web1"])
        self.assertEqual(self.crew(), 1)

    def test_live_more_for_a_time_stand_until_they_are_taken_back(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "n=4", "-p", "expires=1h", "-p", "team=team")
        self.expect(done, code=0, out=["changed +scale worker to 4", r"OK +workers 4", "'opsrun undo' of this run makes it 1 again", "told +team"])
        self.assertEqual(self.crew(), 4)
        self.expect(self.opsrun("runs", "--standing"), code=0, out=["4 of worker run"])
        self.expect(self.opsrun("undo", self.run_ids()[-1], "--yes"), code=0)
        self.assertEqual(self.crew(), 1)
        self.expect(self.opsrun("runs", "--standing"), absent=["4 of worker run"])

    def test_when_it_does_not_help_as_many_run_again_as_before(self):
        done = self.opsrun(*PLAY, "--yes", "--undo-on-failure", "-p", "n=2", "-p", "watch=300ms", "-p", "jobs=cache", "-p", "few=0",
                           "-p", "queues=nobody", env={"APP_URL": "http://127.0.0.1:1"})
        self.expect(done, code=8, text=["step 'See the queue fall'"], out=["changed +scale worker to 1"])
        self.assertEqual(self.crew(), 1)

    def test_killed_when_they_run_a_resume_finds_them_and_an_undo_sends_them_back(self):
        run, _ = play_and_kill(self, (*PLAY, "--yes", "-p", "n=3"), 1, lambda: self.crew() == 3)
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +workers 3"])
        self.assertEqual(self.crew(), 3)
        run, _ = play_and_kill(self, (*PLAY, "--yes", "-p", "n=5"), 1, lambda: self.crew() == 5)
        self.expect(self.opsrun("undo", run, "--yes"), code=0, out=["happened: scale worker to 5"])
        self.assertEqual(self.crew(), 3)

    def test_killed_before_they_start_a_resume_starts_them(self):
        run, _ = play_and_kill(self, (*PLAY, "--yes", "-p", "n=3"), 1)
        self.assertEqual(self.crew(), 1)
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +workers 3"])
        self.assertEqual(self.crew(), 3)


if __name__ == "__main__":
    main()
