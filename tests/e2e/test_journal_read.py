"""runs, status and log on runs that go on, were killed, are damaged: the right words, never a crash."""

import os
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FaultTest  # noqa: E402
from harness import main, wait_until  # noqa: E402

BODY = ('undo("put it back", function() shell.run(mark "back") end)\n'
        'note("a note") check("load", 3, {unit = "%"})\n'
        'shell.run(mark "first") shell.run("echo there >>" .. HERE .. "/places; sleep 60")')


class ReadTest(FaultTest):

    def in_flight(self, body=BODY):
        process = self.start("play", self.step(body.replace("HERE", f'"{self.room}"')), "-e", "lab")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.wait_for_place("there", process)
        return process

    def killed(self, body=BODY):
        process = self.in_flight(body)
        process.kill()
        process.wait()
        return self.run_ids()[0]


class Unfinished(ReadTest):

    def test_a_run_that_goes_on(self):
        process = self.in_flight()
        run = self.run_ids()[0]
        self.expect(self.opsrun("runs"), code=0, out=[rf"{run} .* running"])
        self.expect(self.opsrun("status"), code=0, out=[f"{run}  running", "at step try-it"])
        self.expect(self.opsrun("log", run), code=0, out=["begin", f"still running, as process {process.pid}"])

    def test_a_killed_run_with_a_change_in_flight(self):
        run = self.killed()
        self.expect(self.opsrun("runs"), code=0, out=[rf"{run} .* in doubt"])
        self.expect(self.opsrun("status"), code=0,
                    out=[f"{run}  in doubt", "in doubt: .*sleep 60", "not undone: put it back"])
        self.expect(self.opsrun("log", run), code=0, out=["in doubt: .*nobody knows.*sleep 60"])

    def test_a_killed_run_with_nothing_in_flight(self):
        process = self.in_flight('shell.run("echo there >>" .. HERE .. "/places") sleep "60s"')
        self.assertTrue(wait_until(lambda: self.records("effect.end"), within=20))
        process.kill()
        process.wait()
        run = self.run_ids()[0]
        self.expect(self.opsrun("runs"), code=0, out=[rf"{run} .* interrupted"])
        self.expect(self.opsrun("status"), code=0, out=[f"{run}  interrupted"], absent=["in doubt"])
        self.expect(self.opsrun("log", run), code=0, out=["interrupted: .*no change was in flight"])

    def test_follow_shows_a_run_to_its_end(self):
        process = self.start("play", self.step(
            'shell.run(mark "there") for i = 1, 8 do sleep "100ms" note("line %d", i) end'), "-e", "lab")
        self.wait_for_place("there", process)
        log = self.opsrun("log", self.run_ids()[0], "--follow")
        self.expect(log, code=0, out=["line 1\n", "line 8\n", "done, exit 0"],
                    absent=["cut short"])
        self.assertEqual(log.out.count("line 3\n"), 1)
        self.assertEqual(self.collect(process).code, 0)

    def test_follow_ends_when_the_run_is_killed(self):
        process = self.in_flight()
        log = self.start("log", self.run_ids()[0], "--follow")
        self.assertTrue(log.stdout.readline(), "it shows what there is")
        time.sleep(0.5)
        self.assertIsNone(log.poll())
        process.kill()
        self.expect(self.collect(log), code=0, out=["in doubt"])

    def test_follow_obeys_ctrl_c(self):
        self.in_flight()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            log = self.start("log", self.run_ids()[0], "--follow")
            self.assertTrue(log.stdout.readline(), "it shows what there is")
            log.send_signal(number)
            self.expect(self.collect(log), code=code)

    def test_a_run_killed_before_it_wrote_anything(self):
        self.killed()
        os.makedirs(os.path.join(self.home, "runs", "0101-0000-empty"), mode=0o700)
        with open(os.path.join(self.home, "runs", "0101-0000-empty", "journal"), "wb"):
            pass
        os.makedirs(os.path.join(self.home, "runs", "0101-0000-bare"), mode=0o700)
        for words in (("runs",), ("status",), ("runs", "--json"), ("status", "--json")):
            self.expect(self.opsrun(*words), code=0, out=["0101-0000-empty", "0101-0000-bare", "-fault"])
        self.expect(self.opsrun("log", "0101-0000-empty"), code=0)
        self.expect(self.opsrun("log", "0101-0000-bare"), code=4, err=["0101-0000-bare"])


class Damaged(ReadTest):
    """A journal cut anywhere: what is whole is shown. A bit flipped anywhere: refused, the line named."""

    def setUp(self):
        super().setUp()
        self.run_id = self.killed()
        self.path = os.path.join(self.home, "runs", self.run_id, "journal")
        with open(self.path, "rb") as file:
            self.bytes = file.read()
        self.ends = [m.end() for m in re.finditer(rb"\n", self.bytes)]

    def put(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def expect_words(self, state, code, **words):
        self.expect(self.opsrun("runs"), code=0, out=[rf"{self.run_id} .* {state}"])
        self.expect(self.opsrun("status"), code=0, out=[rf"{self.run_id}  {state}"])
        self.expect(self.opsrun("log", self.run_id), code=code, **words)

    def test_cut_at_various_bytes(self):
        at = set(self.ends) | {end + 1 for end in self.ends[:-1]} | {end - 1 for end in self.ends}
        at |= set(range(1, len(self.bytes), 97))
        begins = [i for i, line in enumerate(self.bytes.split(b"\n")) if b"effect.begin" in line]
        for cut in sorted(at):
            with self.subTest(cut=cut):
                self.put(self.bytes[:cut])
                whole = sum(1 for end in self.ends if end <= cut)
                notice = [] if cut in self.ends else ["cut short"]
                log = self.opsrun("log", self.run_id)
                self.expect(log, code=0, err=notice)
                self.assertEqual(len(re.findall(r"(?m)^\d\d:\d\d:\d\d\.", log.out)), whole, log)
                doubtful = whole - 1 in begins
                self.expect(log, out=["in doubt" if doubtful else "interrupted"])
                if cut % 5 == 0:
                    self.expect_words("in doubt" if doubtful else "interrupted", 0)

    def test_a_bit_flipped_in_every_record(self):
        start = 0
        for number, end in enumerate(self.ends, 1):
            for at in (start, (start + end) // 2, end - 3):
                with self.subTest(line=number, byte=at):
                    data = bytearray(self.bytes)
                    data[at] ^= 1 << (at % 7)
                    self.put(bytes(data))
                    self.expect_words("unreadable", 4, err=["damaged at line", re.escape(self.path)],
                                      out=[r"^$"])
            start = end

    def test_lines_swapped_dropped_or_doubled(self):
        lines = self.bytes.splitlines(keepends=True)
        for data in ([lines[0], lines[2], lines[1], *lines[3:]], lines[1:], lines[:2] + lines[3:],
                     [lines[0], *lines], [b"\n", *lines], [*lines[:3], b"\n", *lines[3:]]):
            self.put(b"".join(data))
            self.expect_words("unreadable", 4, err=["damaged at line"])

    def test_what_is_no_journal_at_all(self):
        for data in (b"\x00" * 4096, os.urandom(4096) + b"\n", b"[1,2]\n", b"{}\n", b"null\n",
                     b'{"n":1}\n' * 3, b"\xff" * 100):
            self.put(data)
            for words in (("runs",), ("status",)):
                self.expect(self.opsrun(*words), code=0, out=[self.run_id])
            self.assertIn(self.opsrun("log", self.run_id).code, (0, 4))
        os.unlink(self.path)
        os.mkdir(self.path)
        self.expect_words("unreadable", 4, err=[re.escape(self.path)])
        shutil.rmtree(self.path)
        os.symlink("/etc/passwd", self.path)
        self.expect_words("unreadable", 4, err=[re.escape(self.path)], absent=["root:"])


if __name__ == "__main__":
    main()
