"""Playbook disk-space on a full file system: dry, refused, live, on its own full disk, killed in between, with dead peers."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
import disk_space  # noqa: E402

PLAYBOOK = "incident/disk-space.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab")
YES = ("--yes", "--answer", "remove-old-backups=remove backups", "--answer", "keep-it-from-coming-back=done")
ALL = ("-p", "target=10")      # nothing is enough: every class has its turn
PROMPT = r"yes or no \[no\]: "
WRITTEN = ("logs/app.log", "logs/reports.log")      # the program of the scenario goes on with these
GONE = {*(f"logs/old/app.log-{n}.gz" for n in range(3)), *(f"tmp/upload-{n}" for n in range(3)),
        *(f"backups/app-{n}.dump" for n in range(3))}
OLD_LOGS = {f"logs/app.log.{n}" for n in range(1, 9)}


class DiskTest(LabTest):
    """Every test finds the disk full."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("disk-space", settle=0)
        self.addCleanup(self.lab.mend)
        self.disk = self.lab.env["LAB_DISK"]

    def path(self, *names):
        return os.path.join(self.disk, *names)

    def percent(self):
        stat = os.statvfs(self.disk)
        return 100 * (stat.f_blocks - stat.f_bfree) / stat.f_blocks

    def files(self):
        """{name below the disk: its content's digest}; a home that lies there is none of it."""
        found = {}
        for folder, _, names in os.walk(self.disk):
            for name in names:
                path = os.path.join(folder, name)
                short = os.path.relpath(path, self.disk)
                if not short.startswith("home/"):
                    with open(path, "rb") as file:
                        found[short] = hashlib.sha256(file.read()).hexdigest()
        return found

    def expect_untouched(self, before, done):
        """What the scenario's own program writes to may have grown; nothing else differs."""
        now = self.files()
        differing = [name for name in {**before, **now} if name not in WRITTEN and before.get(name) != now.get(name)]
        for name in WRITTEN:
            if os.path.getsize(self.path(name)) < 2 << 20:
                differing.append(name)
        if differing:
            self.fail(f"differ: {sorted(differing)}\n{done}")

    def expect_freed(self, before, done):
        """Every class is done as planned, and nothing but it."""
        now = self.files()
        self.assertEqual({name for name in before if name not in now} - {n for n in before if n.startswith("journal/")},
                         GONE | OLD_LOGS, done)
        self.assertEqual({name for name in now if name not in before}, {f"{name}.gz" for name in OLD_LOGS})
        for name in OLD_LOGS:
            with gzip.open(self.path(name + ".gz")) as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), before[name], f"{name} is readable still")
        changed = {name for name in now if name in before and now[name] != before[name]}
        self.assertLessEqual(changed, set(WRITTEN), done)
        self.assertEqual(len([name for name in now if name.startswith("journal/")]), 1, "the young journal is left")
        self.assertLess(os.path.getsize(self.path("logs/app.log")), 1 << 20)
        self.assertLess(self.percent(), 75)

    def artifacts(self):
        place = os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")
        return {name: os.path.join(place, name) for name in os.listdir(place)}


class Rehearsed(DiskTest):

    def test_a_dry_run_leaves_the_disk_as_it_is_and_lists_each_change(self):
        before = self.files()
        done = self.opsrun(*PLAY, "-n", *ALL)
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"CRITICAL  disk \S+ 100 %", "tmp/deleted +4194304", "compressed logs, remove +3 +6.0 MB",
            "logs, compress +8 +16.0 MB", "journal, vacuum +1", "backups, remove +3 +12.0 MB", "temporary, remove +3 +6.0 MB",
            "live logs, cut +1 +12.0 MB", "WOULD ASK Free .* like this", "WOULD remove 3 files below .*/logs/old",
            "WOULD compress 8 files", "WOULD journalctl .*--vacuum-time=172800s", "app-9.dump stays, and its checksum is right",
            "WOULD remove 3 files below .*/backups", "WOULD remove 3 files below .*/tmp", "WOULD truncate .*/app.log",
            "skipped: parameter 'docker' is not given", "skipped: parameter 'volumes' is not given", "files 18 of 20000"])
        self.expect_untouched(before, done)

    def test_a_disk_with_room_is_left_alone(self):
        os.unlink(self.path("data/table"))
        before = self.files()
        self.expect(self.opsrun(*PLAY, *YES[:1]), code=0, out=["nothing to do", "changed +nothing"])
        self.expect_untouched(before, "")

    def test_the_fullest_file_system_is_found_without_its_name(self):
        with open(os.path.join(self.home, "bare.lua"), "w", encoding="utf-8") as file:
            file.write("return { label = 'bare' }")
        done = self.opsrun("play", PLAYBOOK, "-n", "--config", self.home, "-e", "bare", "--until", "find-what-others-hold")
        self.expect(done, code=0, out=[r"CRITICAL  disk \S+/disk 100 %", "nobody is told as 'team'"])


class Refused(DiskTest):

    def test_without_a_terminal_it_is_refused_and_nothing_is_touched(self):
        before = self.files()
        done = self.opsrun(*PLAY, *ALL)
        self.expect(done, code=5, text=["--answer agree-on-the-plan=yes"])
        self.expect_untouched(before, done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        before = self.files()
        terminal = self.terminal(*PLAY, *ALL)
        terminal.wait_for("Free .* like this")
        terminal.wait_for(PROMPT)
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(before, done)

    def test_each_class_has_a_gate_of_its_own_and_backups_must_be_typed(self):
        before = self.files()
        done = self.opsrun(*PLAY, *ALL, "--answer", "agree-on-the-plan=yes")
        self.expect(done, code=1, out=["declined", "CRITICAL"])
        self.expect_untouched(before, done)
        done = self.opsrun(*PLAY, *ALL, "--yes")
        self.expect(done, code=0, out=["step 'Remove old backups' was declined"])
        self.assertTrue(os.path.exists(self.path("backups/app-0.dump")), done)

    def test_protected_paths_are_never_in_the_plan(self):
        done = self.opsrun(*PLAY, *ALL, *YES, "-p", f"protect={self.path('logs')},{self.path('tmp/upload-1')}")
        self.expect(done, out=["compressed logs, remove +0", "logs, compress +0", "live logs, cut +0", "temporary, remove +2"])
        now = self.files()
        self.assertLessEqual(OLD_LOGS | {"tmp/upload-1"}, set(now))
        self.assertNotIn("tmp/upload-0", now)

    def test_more_files_than_the_limit_are_not_touched(self):
        for n in range(20001):
            os.link(self.path("tmp/young"), self.path(f"tmp/many-{n}"))
        old = time.time() - 9 * 86400
        os.utime(self.path("tmp/young"), (old, old))
        done = self.opsrun(*PLAY, *ALL, *YES)
        self.expect(done, code=5, text=["limits.files", "Remove old temporary files"])
        self.assertTrue(os.path.exists(self.path("tmp/many-0")))


class Played(DiskTest):

    def test_live_every_class_is_done_and_the_program_goes_on_writing(self):
        before = self.files()
        hooks = len(self.hooks())
        done = self.opsrun(*PLAY, *ALL, *YES)
        print(f"live: {done.seconds:.2f} s, {self.percent():.0f} % afterwards")
        self.expect(done, code=0, out=[r"OK +disk", "OK +application status", "reports.log stays|app.log +12.0 MB", "before: 0 bytes"])
        self.expect_freed(before, done)
        size = os.path.getsize(self.path("logs/app.log"))
        self.assertTrue(wait_until(lambda: os.path.getsize(self.path("logs/app.log")) > size), "it appends to the cut log")
        with open(self.path("logs/app.log"), "rb") as file:
            self.assertNotIn(b"\0", file.read(), "without a hole")
        kept = self.artifacts()
        self.assertLessEqual({"largest.csv", "plan.csv", "journal.export.gz", "tail-1-app.log"}, set(kept))
        with gzip.open(kept["journal.export.gz"], "rt", encoding="utf-8") as file:
            self.assertIn("MESSAGE=entry 50 of the lab", file.read())
        self.assertEqual(len(self.hooks()) - hooks, 1, "the team always hears the result")
        again = self.opsrun(*PLAY, *ALL, *YES)
        self.expect(again, code=0, out=["nothing to do"])

    def hooks(self):
        return [r for r in self.requests() if r["path"] == "/hooks/team"]

    def requests(self):
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/requests", timeout=10) as answer:
            return json.load(answer)

    def test_it_stops_at_the_target(self):
        done = self.opsrun(*PLAY, *YES, "-p", "target=85")
        self.expect(done, code=0, out=["less than 85 %: enough"])
        now = self.files()
        self.assertLessEqual({f"backups/app-{n}.dump" for n in range(3)} | {f"tmp/upload-{n}" for n in range(3)}, set(now))
        self.assertLess(self.percent(), 85)

    def test_a_log_that_is_written_without_appending_is_named_and_left(self):
        done = self.opsrun(*PLAY, *ALL, *YES, "-p", "live_max=1mb")
        self.expect(done, code=0, out=["reports.log stays: python3 .* writes it without appending"])
        self.assertGreater(os.path.getsize(self.path("logs/reports.log")), 2 << 20)
        self.assertLess(os.path.getsize(self.path("logs/app.log")), 1 << 20)

    def test_what_is_written_to_after_it_was_listed_is_left_and_named(self):
        terminal = self.terminal(*PLAY, *ALL)
        terminal.wait_for("Free .* like this")
        terminal.wait_for(PROMPT)
        terminal.send("y\n")
        terminal.wait_for("Remove 3 compressed logs")
        terminal.wait_for(PROMPT)
        terminal.send("y\n")
        terminal.wait_for("Compress 8 logs")
        with open(self.path("logs/app.log.3"), "ab") as file:
            file.write(b"late\n")
        terminal.wait_for(PROMPT)
        terminal.send("y\n")
        terminal.wait_for(r"left: '\S+/app.log.3':")
        self.assertTrue(os.path.exists(self.path("logs/app.log.3")))
        self.assertTrue(os.path.exists(self.path("logs/app.log.4.gz")))

    def test_without_a_newer_proved_backup_no_backup_is_removed(self):
        with open(self.path("backups/app-9.dump"), "r+b") as file:
            file.seek(100)
            file.write(b"damaged")
        done = self.opsrun(*PLAY, *ALL, *YES)
        self.expect(done, code=1, text=["Remove old backups", "app-9.dump is damaged: no older one is removed"])
        self.assertLessEqual({f"backups/app-{n}.dump" for n in range(3)}, set(self.files()))
        os.unlink(self.path("backups/app-9.dump.sha256"))
        self.lab.break_it("disk-space", settle=0)
        os.unlink(self.path("backups/app-9.dump.sha256"))
        done = self.opsrun(*PLAY, *ALL, *YES)
        self.expect(done, code=1, text=["nothing proves the newest backup"])
        self.assertTrue(os.path.exists(self.path("backups/app-0.dump")))


class OnItsOwnDisk(DiskTest):
    """OPSRUN_HOME lies on the full file system."""

    def setUp(self):
        super().setUp()
        self.home = self.path("home")
        os.mkdir(self.home)
        os.truncate(self.path("data/table"), 0)
        note = self.path("home", "note.lua")
        with open(note, "w", encoding="utf-8") as file:
            file.write('playbook { title = "Note" }\nstep("Note", function() note "hi" end)\n')
        self.expect(self.opsrun("play", note, "-e", "lab"), code=0)      # what leaves its ballast for the bad day
        disk_space.fill(self.disk)

    def test_the_ballast_opens_the_run_that_makes_room(self):
        self.assertEqual(os.statvfs(self.disk).f_bavail, 0)
        before = self.files()
        done = self.opsrun(*PLAY, *ALL, *YES)
        self.expect(done, code=0, err=["is full: opsrun released its reserve of 8 MiB"])
        self.expect_freed(before, done)
        run = next(name for name in self.run_ids() if name.endswith("disk-space"))
        self.assertEqual(len([r for r in self.journal(run) if r["type"] == "ballast"]), 1)
        anchor = re.search(r"anchor (\d+:[0-9a-f]+)", done.out)[1]
        self.expect(self.opsrun("verify", run, "--anchor", anchor), code=0)
        self.opsrun(*PLAY, "-n")
        self.assertEqual(os.path.getsize(self.path("home/ballast")), 8 << 20, "it is there again")


class DeadPeers(DiskTest):

    def test_a_dead_database_fails_the_step_that_asks_it_and_touches_nothing(self):
        before = self.files()
        done = self.opsrun(*PLAY, *ALL, *YES, env={"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["Find what others hold", "cannot connect to 'primary'", "changed +nothing"])
        self.expect_untouched(before, done)

    def test_a_dead_application_fails_its_step_and_the_room_is_made(self):
        before = self.files()
        done = self.opsrun(*PLAY, *ALL, *YES, env={"APP_URL": "http://127.0.0.1:1"})
        self.expect(done, code=1, text=["See that the application is well", "cannot connect"])
        self.expect_freed(before, done)


class KilledBetween(DiskTest):

    def test_after_kill_minus_nine_resume_does_the_rest_and_nothing_twice(self):
        killed = 0
        for number in range(1, 9):
            if number > 1:
                self.lab.break_it("disk-space", settle=0)
            before = self.files()
            run, was_killed = play_and_kill(self, (*PLAY, *ALL, *YES), number)
            if not was_killed:
                continue
            killed += 1
            done = self.opsrun("resume", run, *YES, "--stale-ok")
            self.expect(done, code=0)
            self.expect_freed(before, done)
            changes = [r["step"] for r in self.journal(run) if r["type"] == "effect.end" and r["outcome"] == "done"
                       and r["kind"] == "files.remove"]
            self.assertEqual(len(changes), len(set(changes)), "no removal is recorded twice")
        print(f"{killed} kills, each resumed")
        self.assertGreaterEqual(killed, 5)

    def test_a_removal_that_happened_and_was_not_recorded_is_found_out_and_the_rest_is_done(self):
        before = self.files()
        run, _ = play_and_kill(self, (*PLAY, *ALL, *YES), 1,
                               lambda: not any(os.path.exists(self.path(f"logs/old/app.log-{n}.gz")) for n in range(3)))
        done = self.opsrun("resume", run, *YES, "--stale-ok")
        self.expect(done, code=0, text=["happened, not made again: remove 3 files", r"\(found out\)"])
        self.expect_freed(before, done)


class Docker(DiskTest):
    """The lab's docker is a pretence with docker's words and refusals; a read is not shown what lies in /tmp."""

    @classmethod
    def setUpClass(cls):
        if os.path.realpath(ROOT).startswith("/tmp/"):
            raise unittest.SkipTest("the checkout lies below /tmp, which a read does not see: nor the pretence of docker")
        tempfile.tempdir = "/var/tmp"
        cls.addClassCleanup(setattr, tempfile, "tempdir", None)
        super().setUpClass()

    def store(self):
        with open(os.path.join(self.lab.directory, "docker.json"), encoding="utf-8") as file:
            store = json.load(file)
        return {kind: [i["Name"].lstrip("/") if "Name" in i else ",".join(i["names"]) for i in store[kind]]
                for kind in ("container", "image", "volume")}

    def test_only_what_ended_long_ago_and_what_is_named_goes_and_volumes_are_typed(self):
        done = self.opsrun(*PLAY, *ALL, *YES, "-p", "docker=true", "-p", "images=shop:1", "-p", "volumes=shop-cache",
                           "--answer", "volume-shop-cache=shop-cache")
        self.expect(done, code=0, out=["docker rm migrate-1 worker-old", "docker image rm sha256:d+ shop:1", "docker volume rm shop-cache"])
        self.assertEqual(self.store(), {"container": ["worker-stopped"], "image": ["", "shop:2"], "volume": ["shop-db"]})

    def test_yes_to_all_removes_no_volume(self):
        done = self.opsrun(*PLAY, *ALL, "--yes", "-p", "volumes=shop-cache,shop-db")
        self.expect(done, code=0, out=["step 'Remove volumes' was declined"])
        self.assertEqual(self.store()["volume"], ["shop-cache", "shop-db"])

    def test_a_volume_that_is_used_is_refused_by_docker_and_the_step_says_so(self):
        done = self.opsrun(*PLAY, *ALL, *YES, "-p", "volumes=shop-db", "--answer", "volume-shop-db=shop-db")
        self.expect(done, code=1, text=["Remove volumes", "in use"])


class Scenario(DiskTest):

    def test_it_is_full_for_real_and_mend_leaves_nothing(self):
        with self.assertRaises(OSError):
            with open(self.path("one-more"), "wb") as file:
                file.write(bytes(8192))
        self.assertGreater(self.percent(), 99)
        self.lab.mend()
        self.assertFalse(os.path.ismount(self.disk))
        found = subprocess.run(["pgrep", "-f", f"disk_writer.py {self.disk}"], capture_output=True, text=True, check=False)
        self.assertEqual(found.stdout, "")


if __name__ == "__main__":
    main()
