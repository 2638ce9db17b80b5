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
from harness import ROOT, Done, main, wait_until  # noqa: E402

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

    SIZE = "256k"

    def setUp(self):
        super().setUp()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE},mode=700", "tmpfs", self.home], check=True)
        self.addCleanup(subprocess.run, ["umount", self.home], check=True)

    def fill_to(self, left):
        """Leaves so many bytes on the disk."""
        with open(os.path.join(self.home, "filler"), "wb") as file:
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


class OpenedOnAFullDisk(FullDisk):
    """With the ballast that the run before left."""

    SIZE = "44m"

    def ballast(self):
        path = os.path.join(self.home, "ballast")
        return os.stat(path).st_blocks * 512 if os.path.exists(path) else 0

    def fill_to(self, left):
        """Faster than by writing, for so large a disk."""
        stat = os.statvfs(self.home)
        with open(os.path.join(self.home, "filler"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - left)

    test_no_change_is_made_that_the_journal_does_not_hold = None
    test_an_outcome_always_finds_room = None

    def test_the_ballast_opens_a_run_on_a_full_disk_and_the_operator_is_told(self):
        path, levels = self.step(STRIKE), 0
        self.expect(self.opsrun("play", path, "-e", "lab"), code=0, absent=["reserve of 8 MiB"])
        self.assertEqual(self.ballast(), 8 << 20)
        for left in range(0, 64 * 1024 + 1, 4096):
            self.lab.ask("TRUNCATE struck")
            self.fill_to(left)
            done = self.opsrun("play", path, "-e", "lab")
            self.expect(done, code=0, err=["is full: opsrun released its reserve of 8 MiB"])
            self.assertEqual((self.struck(), self.ballast()), (CHANGES, 0), f"{left} bytes left\n{done}")
            os.unlink(os.path.join(self.home, "filler"))
            self.expect(self.opsrun("play", path, "-e", "lab", "-n"), code=0, absent=["reserve of 8 MiB"])
            self.assertEqual(self.ballast(), 8 << 20, "the next run that finds space makes it again")
            levels += 1
        print(f"{levels} levels of 0 to 64 KiB: each run opened, each change made, the ballast back afterwards")

    def test_what_cannot_be_opened_with_it_either_is_refused(self):
        self.opsrun("play", self.step('note "hi"'), "-e", "lab")
        os.unlink(os.path.join(self.home, "ballast"))
        self.fill_to(0)
        done = self.opsrun("play", self.step(STRIKE), "-e", "lab")
        self.expect(done, code=4, text=[re.escape(self.home), "no space left on device"])
        self.assertEqual(self.struck(), 0)


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
                go = os.path.join(self.room, "go")
                path = self.step('sql("primary"):exec("insert into struck values (0)")\n'
                                 'wait_until("told to go on", { every = "20ms", within = "1m" },'
                                 f' function() return files.stat("{go}") end)\n' + STRIKE)
                process = self.start("play", path, "-e", "lab")
                self.assertTrue(wait_until(lambda: self.run_ids() and self.records("waiting"), within=20))
                run = os.path.join(self.home, "runs", self.run_ids()[0])
                if what == "journal":
                    os.unlink(os.path.join(run, "journal"))
                else:
                    subprocess.run(["rm", "-r", run], check=True)
                with open(go, "w", encoding="ascii"):
                    pass
                done = self.collect(process)
                self.expect(done, code=7, text=[re.escape(run), "deleted"])
                self.assertEqual(self.struck(), 1)
                os.unlink(go)
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
            subprocess.run(["rm", "-r", os.path.join(self.home, "runs")], check=True)
        stem = stems.pop()
        self.assertEqual(self.run_ids(), [stem] + [f"{stem}-{n}" for n in range(2, 6)])


# What can touch the world. The resolver and the loop's own pipes are not among them.
EFFECTS = r"(sendto|sendmsg|connect|execve|unlink|unlinkat|rename|renameat|renameat2|mkdir|mkdirat|truncate|ftruncate)\("
TRACED = ("write,pwrite64,fdatasync,fsync,sendto,sendmsg,connect,execve,openat,unlink,unlinkat,rename,renameat,"
          "renameat2,mkdir,mkdirat,truncate,ftruncate,fallocate")
MIXED = """
artifact("seen.txt", "seen")
for i = 1, 4 do
  sql("primary"):exec("insert into struck values ($1)", {i})
  files.write(HERE .. "/written", "line " .. i)
  shell.run { "touch", HERE .. "/touched" }
  artifact("seen-" .. i .. ".txt", "seen")
end
"""


class Syncs(JournalTest):
    """What the system calls of a run show."""

    def trace(self, path, *inject):
        fd, log = tempfile.mkstemp(prefix="trace", dir=self.room)
        os.close(fd)
        done = self.run_command(
            ["strace", "-f", "-o", log, "-s", "4000", "-y", "-e", "signal=none", "-e", f"trace={TRACED}", *inject,
             OPSRUN, "play", path, "-e", "lab"],
            env={"DATABASE_URL": self.lab.env["DATABASE_URL"] + "?sslmode=disable"})
        with open(log, encoding="utf-8", errors="replace") as file:
            return done, file.read().splitlines()

    def mixed(self):
        header = ('playbook { title = "Fault", uses = { shell = { "touch" }, files = { "%s" } } }\n' % self.room)
        return self.step(MIXED.replace("HERE", f'"{self.room}"'), header=header)

    def is_effect(self, line):
        """Does the call touch anything outside the home?"""
        if self.home in line:
            return False
        return re.search(EFFECTS, line) is not None or re.search(r"openat\(.*O_(WRONLY|RDWR|CREAT)", line) is not None

    def check_order(self, lines, goes_on=False):
        """Between a begin record and its sync nothing is done to the world; nor after a failure at the home, unless
        it was overcome (`goes_on`). Returns how many statements were sent."""
        begun, synced, failed, sent = 0, 0, False, 0
        for line in lines:
            failed = failed or ("INJECTED" in line and self.home in line and not goes_on)
            if re.search(r"write\(\d+<[^>]*/journal>", line) and "effect.begin" in line and "INJECTED" not in line:
                begun += 1
            elif re.search(r"f(data)?sync\(", line) and "/journal>" in line and re.search(r"= 0$", line):
                synced = begun
            elif self.is_effect(line):
                self.assertEqual(begun if not failed else synced, synced, f"between a begin record and its sync: {line}")
                if "insert into struck values" in line and "sendto(" in line:
                    sent += 1
                    self.assertFalse(failed, f"sent after the journal failed: {line}")
                    self.assertLessEqual(sent, synced, f"sent before it was synced: {line}")
        return sent

    def check_directories(self, lines):
        """New entries of the run's folder, and their bytes, are synced before the next record that is synced."""
        waiting, made = {}, 0
        for line in lines:
            entry = re.search(r"renameat\(\d+<([^>]*)>, \"(\.new[^\"]*)\", \d+<[^>]*>, \"([^\"]*)\"\) += 0$", line)
            new = re.search(r"(?:mkdirat|openat)\(\d+<([^>]*)>, \"([^\"]+)\".*(?:O_CREAT|07).*= \d", line)
            done = re.search(r"fsync\(\d+<([^>]*)>\) += 0$", line)
            if entry and entry.group(1).startswith(self.home):
                if waiting.pop(f"{entry.group(1)}/{entry.group(2)}", None):
                    waiting[f"{entry.group(1)}/{entry.group(3)}"] = line
                waiting[entry.group(1)] = line
                made += 1
            elif new and new.group(1).startswith(self.home) and new.group(2) not in ("lock", "ballast"):
                if new.group(2).startswith(".new"):
                    waiting[f"{new.group(1)}/{new.group(2)}"] = line
                else:
                    waiting[new.group(1)] = line
                    made += 1
            elif done:
                waiting.pop(done.group(1), None)
            elif re.search(r"fdatasync\(\d+<[^>]*/journal>", line):
                self.assertEqual(waiting, {}, "a record is synced before the entries it rests on")
        return made

    def test_each_begin_record_is_synced_before_its_statement_leaves(self):
        done, lines = self.trace(self.step(STRIKE))
        self.expect(done, code=0)
        self.assertEqual(self.check_order(lines), CHANGES)
        self.assertEqual(self.struck(), CHANGES)

    def test_nothing_is_done_to_the_world_between_a_begin_record_and_its_sync(self):
        done, lines = self.trace(self.mixed())
        self.expect(done, code=0)
        self.assertEqual(self.check_order(lines), 4)
        effects = sum(1 for line in lines if self.is_effect(line))
        begun = len(self.begun())
        print(f"{begun} begin records, {effects} calls that touch the world: none between a begin and its sync")
        self.assertEqual(begun, 12)
        self.assertGreater(effects, 12)

    def test_blobs_artifacts_and_directories_are_synced_before_what_rests_on_them(self):
        done, lines = self.trace(self.mixed())
        self.expect(done, code=0)
        made = self.check_directories(lines)
        print(f"{made} entries made in the home: each on disk before the next record")
        self.assertGreaterEqual(made, 8)
        first_begin = next(i for i, line in enumerate(lines) if re.search(r"fdatasync\(\d+<[^>]*/journal>", line))
        before = [line for line in lines[:first_begin] if "fsync(" in line]
        self.assertTrue(any("effect.begin" in line for line in lines[:first_begin]), "a sync before anything is changed")
        for folder in ("/runs>", "/runs/[^/>]+>"):
            self.assertTrue(any(re.search(self.home + folder, line) for line in before), f"{folder} was not synced")

    def count_points(self, path, call, error, most=400):
        """Lets the k-th such call fail, for each k. Returns the codes."""
        codes = []
        for number in range(1, most):
            self.lab.ask("TRUNCATE struck")
            subprocess.run(["rm", "-rf", os.path.join(self.home, "runs")], check=True)
            done, lines = self.trace(path, "-e", f"inject={call}:error={error}:when={number}")
            if not any("INJECTED" in line for line in lines):
                self.expect(done, code=0)
                return codes
            at_home = any("INJECTED" in line and self.home in line for line in lines)
            made, begun = self.struck(), len(self.begun())
            self.check_order(lines, goes_on=done.code == 0)
            self.assertLessEqual(made, begun, done)
            codes.append(done.code)
            if at_home and done.code != 0:
                self.expect(done, text=[re.escape(self.home)])
                self.assertIn(done.code, (7,) if made else (4, 7), done)
            elif at_home:
                self.assertEqual((made, begun), (3, 3), f"{call} {number} failed and was not overcome\n{done}")
        self.fail(f"no end of {call}")

    def test_no_change_is_made_after_a_failed_sync(self):
        path = self.step(STRIKE.replace(str(CHANGES), "3"))
        for call in ("fdatasync", "fsync"):
            codes = self.count_points(path, call, "EIO")
            print(f"EIO at {call}: {len(codes)} points, codes {codes}")
            self.assertGreater(len(codes), 1)
            self.assertTrue(set(codes) <= {4, 7}, f"{call} failed and nobody said so: {codes}")

    def test_no_change_is_made_after_a_write_that_found_no_room(self):
        path = self.step(STRIKE.replace(str(CHANGES), "3"))
        self.opsrun("play", path, "-e", "lab")           # the home and its ballast are there
        for call in ("write", "fallocate", "mkdirat"):
            codes = self.count_points(path, call, "ENOSPC")
            print(f"ENOSPC at {call}: {len(codes)} points, codes {codes}")
            self.assertGreater(len(codes), 0)


if __name__ == "__main__":
    main()
