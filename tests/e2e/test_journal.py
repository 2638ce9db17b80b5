"""A journal that cannot be written stops every change: full disks, failed syncs, folders that refuse.

How many changes were made is counted on the server.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest  # noqa: E402
from harness import ROOT, Done, main  # noqa: E402

CHANGES = 12
STRIKE = ('for i = 1, N do sql("primary"):exec("insert into struck values ($1)", {i}) end\n'
          ).replace("N", str(CHANGES))


class JournalTest(FaultTest):

    def setUp(self):
        super().setUp()
        self.table("struck")

    def struck(self):
        return int(self.lab.ask("SELECT count(*) FROM struck")[0][0])

    def begun(self):
        return [record for run in self.run_ids() for record in self.journal(run)
                if record["type"] == "effect.begin"]

    def run_command(self, argv, env=None, **options):
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                              env=self.environ(**(env or {})), timeout=60, check=False, **options)
        return Done(argv, done.returncode, done.stdout.decode(errors="replace"),
                    done.stderr.decode(errors="replace"), 0)


class FullDisk(JournalTest):
    """The run's folder on a small tmpfs, filled up to each level."""

    def setUp(self):
        super().setUp()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", self.home], check=True)
        self.addCleanup(subprocess.run, ["umount", self.home], check=True)

    def fill_to(self, left):
        """Leaves so many bytes on the disk."""
        with open(os.path.join(self.home, "ballast"), "wb") as file:
            while True:
                stat = os.statvfs(self.home)
                room = stat.f_bavail * stat.f_frsize - left
                if room <= 0:
                    return
                file.write(b"x" * min(room, 4096))
                file.flush()

    def test_no_change_is_made_that_the_journal_does_not_hold(self):
        path = self.step(STRIKE.replace("($1)", "(length($1))").replace("{i}", '{("x"):rep(6000 + i)}'))
        codes = {}
        for left in range(0, 200 * 1024, 4096):
            for name in os.listdir(self.home):
                subprocess.run(["rm", "-rf", os.path.join(self.home, name)], check=True)
            self.lab.ask("TRUNCATE struck")
            self.fill_to(left)
            done = self.opsrun("play", path, "-e", "lab")
            made = self.struck()
            self.assertEqual(made, len(self.begun()), f"{left} bytes left\n{done}")
            codes[done.code] = codes.get(done.code, 0) + 1
            if done.code == 0:
                self.assertEqual(made, CHANGES, done)
                continue
            self.expect(done, code=7 if made else 4, text=[re.escape(self.home), "no space left on device"])
        print(f"codes of {sum(codes.values())} levels: {codes}")
        self.assertEqual(set(codes), {0, 4, 7})

    def test_an_outcome_always_finds_room(self):
        """A change is not made when there is no room for what must be said of it."""
        path = self.step(STRIKE)
        for left in range(24 * 1024, 90 * 1024, 4096):
            for name in os.listdir(self.home):
                subprocess.run(["rm", "-rf", os.path.join(self.home, name)], check=True)
            self.lab.ask("TRUNCATE struck")
            self.fill_to(left)
            done = self.opsrun("play", path, "-e", "lab")
            ends = [r for run in self.run_ids() for r in self.journal(run) if r["type"] == "effect.end"
                    and r["outcome"] == "done"]
            self.assertEqual(len(ends), self.struck(), f"{left} bytes left\n{done}")


class Folders(JournalTest):
    """Folders that cannot be used: 4, nothing changed, the path named."""

    def as_nobody(self):
        os.setgid(65534)
        os.setuid(65534)

    def expect_four(self, done, path):
        self.expect(done, code=4, text=[re.escape(path)])
        self.assertEqual(self.struck(), 0)

    def test_a_folder_that_may_not_be_written(self):
        os.chmod(self.home, 0o755)
        os.chmod(self.room, 0o755)
        path = self.step(STRIKE)
        done = self.run_command([OPSRUN, "play", path, "-e", "lab"], preexec_fn=self.as_nobody)
        self.expect_four(done, self.home)
        self.expect(done, text=["permission denied|belongs to another user"])

    def test_a_file_in_the_place_of_the_folder(self):
        os.rmdir(self.home)
        with open(self.home, "w", encoding="ascii"):
            pass
        self.addCleanup(os.unlink, self.home)
        self.expect_four(self.opsrun("play", self.step(STRIKE), "-e", "lab"), self.home)

    def test_a_folder_that_everybody_may_write(self):
        os.mkdir(os.path.join(self.home, "runs"))
        os.chmod(os.path.join(self.home, "runs"), 0o777)
        self.expect_four(self.opsrun("play", self.step(STRIKE), "-e", "lab"), self.home)

    def test_a_place_where_nothing_can_be_made(self):
        self.expect_four(self.opsrun("play", self.step(STRIKE), "-e", "lab",
                                     env={"OPSRUN_HOME": "/proc/nowhere"}), "/proc/nowhere")

    def test_a_journal_deleted_in_mid_run_stops_the_next_change(self):
        for what in ("journal", "folder"):
            with self.subTest(what):
                self.lab.ask("TRUNCATE struck")
                path = self.step('sql("primary"):exec("insert into struck values (0)")\n' + (
                    'shell.run(mark "there") sleep "1s"\n' + STRIKE))
                process = self.start("play", path, "-e", "lab")
                self.wait_for_place("there", process)
                run = os.path.join(self.home, "runs", self.run_ids()[0])
                if what == "journal":
                    os.unlink(os.path.join(run, "journal"))
                else:
                    subprocess.run(["rm", "-r", run], check=True)
                done = self.collect(process)
                self.expect(done, code=7, text=[re.escape(run), "deleted"])
                self.assertEqual(self.struck(), 1)
                os.unlink(os.path.join(self.room, "places"))
                subprocess.run(["rm", "-rf", run], check=True)

    def test_rights_taken_away_in_mid_run_do_not_stop_what_is_open(self):
        process = self.start("play", self.step('shell.run(mark "there") sleep "500ms"\n' + STRIKE), "-e", "lab")
        self.wait_for_place("there", process)
        os.chmod(os.path.join(self.home, "runs", self.run_ids()[0], "journal"), 0o400)
        self.expect(self.collect(process), code=0)
        self.assertEqual((self.struck(), len(self.begun())), (CHANGES, CHANGES + 1))

    def test_plays_within_one_minute_get_ids_of_their_own(self):
        path = self.step('note "hi"')
        while True:                  # five in one minute, however near its end we began
            processes = [self.start("play", path, "-e", "lab") for _ in range(5)]
            self.assertEqual({self.collect(process).code for process in processes}, {0})
            stems = {re.match(r"\d{4}-\d{4}-fault", run).group() for run in self.run_ids()}
            if len(stems) == 1:
                break
        stem = stems.pop()
        self.assertEqual(self.run_ids(), [stem] + [f"{stem}-{n}" for n in range(2, 6)])


class Syncs(JournalTest):
    """What the system calls of a run show."""

    def trace(self, path, *inject):
        fd, log = tempfile.mkstemp(prefix="trace", dir=self.room)
        os.close(fd)
        done = self.run_command(
            ["strace", "-f", "-o", log, "-s", "4000", "-y", "-e", "signal=none",
             "-e", "trace=write,pwrite64,fdatasync,fsync,sendto,unlinkat", *inject,
             OPSRUN, "play", path, "-e", "lab"],
            env={"DATABASE_URL": self.lab.env["DATABASE_URL"] + "?sslmode=disable"})
        with open(log, encoding="utf-8", errors="replace") as file:
            return done, file.read().splitlines()

    def check_order(self, lines):
        """No statement of a change leaves before its begin record is synced, nor after a failed sync."""
        begun, synced, failed, sent = 0, 0, False, 0
        for line in lines:
            if re.search(r"write\(\d+<[^>]*/journal>", line) and "effect.begin" in line:
                begun += 1
            elif re.search(r"f(data)?sync\(", line):
                if "/journal>" in line and re.search(r"= 0$", line):
                    synced = begun
                failed = failed or "INJECTED" in line
            elif "sendto(" in line:
                if "insert into struck values" in line:
                    sent += 1
                    self.assertFalse(failed, f"sent after a failed sync: {line}")
                    self.assertLessEqual(sent, synced, f"sent before it was synced: {line}")
                self.assertEqual(begun if not failed else synced, synced,
                                 f"something is sent between a begin record and its sync: {line}")
        return sent

    def test_each_begin_record_is_synced_before_its_statement_leaves(self):
        done, lines = self.trace(self.step(STRIKE))
        self.expect(done, code=0)
        self.assertEqual(self.check_order(lines), CHANGES)
        self.assertEqual(self.struck(), CHANGES)

    def test_no_change_is_made_after_a_failed_sync(self):
        path = self.step(STRIKE.replace(str(CHANGES), "3"))
        for call in ("fdatasync", "fsync"):
            codes = []
            for number in range(1, 40):
                self.lab.ask("TRUNCATE struck")
                subprocess.run(["rm", "-rf", os.path.join(self.home, "runs")], check=True)
                done, lines = self.trace(path, "-e", f"inject={call}:error=EIO:when={number}")
                if not any("INJECTED" in line for line in lines):
                    self.expect(done, code=0)
                    break
                self.check_order(lines)
                made = self.struck()
                codes.append(done.code)
                if made == 3 and len(self.begun()) == 3 and done.code == 0:
                    self.fail(f"{call} {number} failed and nobody said so\n{done}")
                self.expect(done, code=7 if made else 4, text=[re.escape(self.home), "input/output error"])
                self.assertLessEqual(made, len(self.begun()))
            print(f"{call}: {len(codes)} points, codes {codes}")
            self.assertGreater(len(codes), 1)


if __name__ == "__main__":
    main()
