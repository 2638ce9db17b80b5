"""logs:scan on real files: formats, windows, rotated and compressed files, what could not be read."""

import bz2
import calendar
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN  # noqa: E402

MORNING = calendar.timegm((2026, 11, 20, 3, 0, 0))


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(MORNING + seconds))


class Logs(unittest.TestCase):

    def setUp(self):
        self.room = os.path.realpath(tempfile.mkdtemp(prefix="opsrun-logs-"))
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.logs = os.path.join(self.room, "logs")
        os.mkdir(self.logs)

    def put(self, name, lines, age=0, opener=None):
        path = os.path.join(self.logs, name)
        text = "".join(line + "\n" for line in lines).encode()
        with (opener or open)(path, "wb") as file:
            file.write(text)
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def play(self, body, *words, pattern="*.log*", logs=None, zone="Etc/UTC", prefix=None, out=None):
        source = logs or f'paths = {{ "{self.logs}/{pattern}" }}'
        os.makedirs(os.path.join(self.room, "config", "environments"), exist_ok=True)
        with open(os.path.join(self.room, "config", "environments", "here.lua"), "w") as file:
            file.write(f'return {{ timezone = "{zone}", logs = {{ app = {{ {source} }} }} }}\n')
        playbook = os.path.join(self.room, "play.lua")
        with open(playbook, "w") as file:
            file.write(f'playbook {{ title = "Logs" }}\nstep("Look", function()\n{body}\nend)\n')
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LSAN_OPTIONS", "ASAN_OPTIONS") if k in os.environ}
        return subprocess.run(
            [*(prefix or []), OPSRUN, "play", playbook, "-e", "here", "--config", os.path.join(self.room, "config"), *words],
            env={**kept, "OPSRUN_HOME": os.path.join(self.room, "home")}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, cwd=self.room, timeout=120)

    def expect(self, done, code, *parts):
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, text)

    def test_texts_are_counted_and_the_files_and_times_are_told(self):
        self.put("app.log", [f"{stamp(i)} {'ERROR' if i % 3 == 0 else 'INFO'} request {i}" for i in range(90)])
        done = self.play("""
          local r = logs "app":scan { errors = { match = "ERROR" }, both = { match = { "ERROR", "INFO" } },
            rest = { match = "ERROR", invert = true }, any_case = { match = "error", ignore_case = true },
            by_regex = { regex = [[request \\d$]] } }
          note("%d %d %d %d %d of %d", r.errors.count, r.both.count, r.rest.count, r.any_case.count,
            r.by_regex.count, r.lines)
          note("from %s to %s", r.from, r.to)""".replace("\\\\", "\\"))
        self.expect(done, 0, "30 90 60 30 10 of 90", "from 2026-11-20 03:00 to 2026-11-20 03:01:29",
                    f"app: read {self.logs}/app.log, 90 lines of them, 2026-11-20 03:00 to 2026-11-20 03:01:29")

    def test_a_window_is_half_open(self):
        self.put("app.log", [f"{stamp(i)} ERROR {i}" for i in range(100)])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 03:00:10..2026-11-20 03:00:20", e = { match = "ERROR", tail = 20 } }
          note("%d %s %s", r.e.count, r.e.tail[1], r.e.tail[10])"""),
                    0, f"10 {stamp(10)} ERROR 10 {stamp(19)} ERROR 19")

    def test_local_times_are_those_of_the_zone_also_over_a_change_of_clocks(self):
        # Madrid: 2026-10-25 03:00 CEST becomes 02:00 CET.
        self.put("app.log", ["2026-10-25 01:30:00 E one", "2026-10-25 03:30:00 E two", "2026-10-24 23:30:00Z E three"])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-10-24T23:00:00Z..2026-10-25T02:00:00Z", e = { match = "E" , tail = 5 } }
          note("first %d %s", r.e.count, table.concat(r.e.tail, "|"))
          r = logs "app":scan { window = "2026-10-25T02:30:00Z..2026-10-25T02:31:00Z", e = { match = "two" } }
          note("second %d", r.e.count)""", zone="Europe/Madrid"),
                    0, "first 2 2026-10-25 01:30:00 E one|2026-10-24 23:30:00Z E three", "second 1")

    def test_the_usual_forms_of_time_are_read(self):
        lines = ["2026-11-20 03:00:05.123 UTC [77] LOG:  X", "2026-11-20T04:00:05+01:00 X", "2026/11/20 03:00:05 [error] X",
                 "Nov 20 03:00:05 host cron[1]: X", "<13>Nov 20 03:00:05 host X", f"{MORNING + 5} X", f"{MORNING + 5}123 X",
                 "[Fri Nov 20 03:00:05.1 2026] [error] X", "99:M 20 Nov 2026 03:00:05.001 * X", "[2026-11-20 03:00:05,5] X"]
        path = self.put("app.log", lines)
        os.utime(path, (MORNING + 60, MORNING + 60))
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 03:00:05..2026-11-20 03:00:06", x = { match = "X" } }
          note("%d undated %d", r.x.count, r.undated)"""), 0, f"{len(lines)} undated 0")

    def test_a_line_without_a_time_belongs_to_the_one_above(self):
        self.put("app.log", [f"{stamp(0)} ERROR boom", "  at Deep.call", "  at Deeper.call", f"{stamp(50)} fine", "  at Late.call"])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 03:00..2026-11-20 03:00:30", at = { match = " at " } }
          note("%d", r.at.count)"""), 0, "    2\n")

    def test_rotated_and_compressed_files_count_oldest_first(self):
        self.put("app.log", [f"{stamp(30)} ERROR new"])
        self.put("app.log.1", [f"{stamp(20)} ERROR middle"], age=100)
        with open(self.put("app.log.2.gz", [f"{stamp(10)} ERROR second"], age=200, opener=gzip.open), "ab") as file:
            file.write(gzip.compress(f"{stamp(11)} ERROR third\n".encode()))  # two members
        os.utime(os.path.join(self.logs, "app.log.2.gz"), (time.time() - 200,) * 2)
        expected = 4
        if shutil.which("zstd"):
            plain = self.put("zz", [f"{stamp(1)} ERROR first"], age=300)
            subprocess.run(["zstd", "-q", "--rm", plain, "-o", os.path.join(self.logs, "app.log.3.zst")], check=True)
            os.utime(os.path.join(self.logs, "app.log.3.zst"), (time.time() - 300,) * 2)
            expected = 5
        done = self.play("""
          local r = logs "app":scan { e = { match = "ERROR", tail = 9 } }
          for i, line in ipairs(r.e.tail) do r.e.tail[i] = line:match "%a+$" end
          note("%d %s files %d", r.e.count, table.concat(r.e.tail, " "), #r.files)""")
        self.expect(done, 0, f"{expected} {'first ' if expected == 5 else ''}second third middle new files {expected - 1}")

    def test_json_fields_are_compared_grouped_and_measured(self):
        self.put("app.log", [json.dumps({"time": stamp(i), "level": "error" if i % 4 == 0 else "info",
                                         "ms": i, "http": {"path": f"/p{i % 3}", "status": 500 if i % 10 == 0 else 200},
                                         "msg": f'said "no" {i}'}) for i in range(100)])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 03:00..2026-11-20 03:02",
            errors = { field = "level", equals = "error" },
            slow = { field = "ms", above = 89, group = "http.path" },
            status = { field = "http.status", above = 499, per = "30s" },
            quick = { field = "ms", below = 10 },
            shapes = { match = "said", group = "message", shape = true } }
          note("%d slow %d %g %g %g quick %d", r.errors.count, r.slow.count, r.slow.min, r.slow.max, r.slow.mean, r.quick.count)
          note("%s=%d %d groups", r.slow.groups[1].value, r.slow.groups[1].count, r.slow.distinct)
          local series = {}
          for i, row in ipairs(r.status.series) do series[i] = row.count end
          note("series %s at %s", table.concat(series, ","), r.status.series[2].at)
          note("shapes %d %s", r.shapes.distinct, r.shapes.groups[1].value)"""), 0,
                    "25 slow 10 90 99 94.5 quick 10", "=4 3 groups", "series 3,3,3,1 at 2026-11-20 03:00:30", "shapes 1 said")

    def test_access_logs_have_their_fields(self):
        self.put("access.log", [
            f'10.0.0.{i % 5} - - [20/Nov/2026:04:00:{i % 60:02} +0100] "GET /api/{"slow" if i % 7 == 0 else "fast"}?id={i} HTTP/1.1" '
            f'{500 if i % 20 == 0 else 200} {i * 10} "-" "curl/7.88" {i / 100}' for i in range(60)])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 03:00..2026-11-20 03:01",
            failed = { field = "status", above = 499 }, paths = { field = "path", group = "path", top = 1 },
            remotes = { match = "GET", group = "remote" }, slow = { field = "request_time", above = 0.5 } }
          note("%d %s %d others %d", r.failed.count, r.paths.groups[1].value, r.paths.groups[1].count, r.paths.others)
          note("%d remotes, slow %d", r.remotes.distinct, r.slow.count)"""), 0,
                    "3 /api/fast 51 others 9", "5 remotes, slow 9")

    def test_plain_pairs_and_captures_group(self):
        self.put("app.log", [f'{stamp(i)} level=warn user="u {i % 2}" took={i}ms job-{i % 3} done' for i in range(30)])
        self.expect(self.play("""
          local r = logs "app":scan { slow = { field = "took", above = 19 }, users = { match = "level", group = "user" },
            jobs = { regex = "job-([0-9])", group = 1 } }
          note("%d %s %d jobs %d", r.slow.count, r.users.groups[1].value, r.users.groups[1].count, r.jobs.distinct)"""),
                    0, "10 u 0 15 jobs 3")

    def test_a_missing_log_is_a_failure_never_zero(self):
        self.expect(self.play('logs "app":scan { e = { match = "x" } }'), 1, "no log file could be read",
                    f"'{self.logs}/*.log*': no such file")
        os.mkdir(os.path.join(self.logs, "dir.log"))
        self.expect(self.play('logs "app":scan { e = { match = "x" } }'), 1, "no log file could be read")

    def test_what_cannot_be_read_is_told_beside_what_can(self):
        self.put("good.log", [f"{stamp(1)} ERROR"])
        self.put("old.log.bz2", ["x"], opener=bz2.open)
        whole = gzip.compress(b"".join(f"{stamp(i)} ERROR {os.urandom(8).hex()}\n".encode() for i in range(5000)))
        with open(os.path.join(self.logs, "cut.log.gz"), "wb") as file:
            file.write(whole[:len(whole) // 2])
        with open(os.path.join(self.logs, "bad.log.gz"), "wb") as file:
            file.write(b"\x1f\x8bgarbage that is no gzip at all")
        self.put("none.log", ["no time here", "nor here"])
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 00:00..2026-11-21 00:00", e = { match = "ERROR" } }
          note("%d unread, more than one %s", #r.unread, tostring(r.e.count > 1))"""), 0,
                    "bzip2 is not read", "it ends in the middle of its compressed data", "its gzip data is damaged",
                    "no time was recognised in its lines", "4 unread, more than one true")

    def test_files_not_written_to_since_the_window_began_are_not_read(self):
        self.put("app.log.9", [f"{stamp(1)} ERROR"], age=40 * 86400)
        self.put("app.log", [time.strftime("%Y-%m-%dT%H:%M:%SZ ERROR", time.gmtime(time.time() - 60))])
        self.expect(self.play("""
          local r = logs "app":scan { window = "last 24h", e = { match = "ERROR" } }
          note("%d of %d, %d skipped", r.e.count, #r.files, #r.skipped)"""), 0, "1 of 1, 1 skipped",
                    "1 file not written to since then")

    def test_long_lines_missing_ends_and_empty_files(self):
        self.put("a.log", [f"{stamp(1)} ERROR " + "x" * 3000000 + " ERROR", f"{stamp(2)} ERROR short"])
        with open(os.path.join(self.logs, "b.log"), "wb") as file:
            file.write(f"{stamp(3)} ERROR no end".encode())
        open(os.path.join(self.logs, "empty.log"), "w").close()
        self.expect(self.play("""
          local r = logs "app":scan { window = "2026-11-20 00:00..2026-11-21 00:00", e = { match = "ERROR" } }
          note("%d in %d files", r.e.count, #r.files)"""), 0, "3 in 3 files")

    def test_a_hostile_expression_ends_at_its_limit_and_that_is_told(self):
        self.put("app.log", [f"{stamp(1)} " + "a" * 40 + "b"])
        self.expect(self.play("""
          local r = logs "app":scan { e = { regex = "(a+)+$" } }
          note("%d gave up %s", r.e.count, tostring(r.e.gave_up))"""), 0, "0 gave up 1")

    def test_misuse_is_told_in_words(self):
        self.put("app.log", [f"{stamp(1)} x"])
        for call, words in (('{}', "nothing is asked"), ('{ e = { mach = "x" } }', "did you mean 'match'?"),
                            ('{ e = { match = "" } }', "match: expected a text"), ('{ e = { above = 3 } }', "are about a field"),
                            ('{ e = { match = "x", per = "1m" } }', "per: needs a window"), ('{ files = { match = "x" } }', "choose another name"),
                            ('{ e = { regex = "(" } }', "missing closing parenthesis"), ('{ window = "soon", e = { match = "x" } }', "is no window of time"),
                            ('{ e = "x" }', "expected name = { match = … }, got string")):
            with self.subTest(call):
                done = self.play(f'logs "app":scan {call}')
                self.expect(done, 1, words, "play.lua:3")
        self.expect(self.play('logs "ap":scan { e = { match = "x" } }'), 4, "has no logs connection 'ap'", "did you mean 'app'?")
        self.expect(self.play('logs "app":scan { e = { match = "x" } }', logs='path = "/x"'), 4, "unknown field 'path'")
        self.expect(self.play('logs "app":scan { e = { match = "x" } }', logs='paths = { "x" }'), 4, "'x' is no absolute path")

    def test_a_dry_run_reads_as_a_live_one(self):
        self.put("app.log", [f"{stamp(1)} ERROR"])
        self.expect(self.play('note("%d", logs "app":scan { e = { match = "ERROR" } }.e.count)', "-n"), 0, "    1\n")

    def test_memory_stays_small_and_a_time_limit_ends_it(self):
        line = f"{stamp(1)} INFO " + "x" * 80 + "\n"
        path = os.path.join(self.logs, "big.log")
        with open(path, "w") as file:
            for _ in range(300):
                file.write(line * 10000)
        body = """
          local r = logs "app":scan { window = "2026-11-20 00:00..2026-11-21 00:00", e = { match = "ERROR" }, i = { match = "INFO x", top = 3, group = "message" } }
          note("%d %d", r.e.count, r.i.count)"""
        self.assertTrue(shutil.which("python3"))
        probe = ["python3", "-c", "import os,resource,subprocess,sys; r=subprocess.run(sys.argv[1:]).returncode;"
                 "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r)"]
        done = self.play(body, prefix=probe)
        self.expect(done, 0, "0 3000000")
        peak = int(re.search(r"peak (\d+)", done.stdout).group(1)) / 1024
        with open(OPSRUN, "rb") as file:
            sanitized = b"libasan" in file.read()
        print(f"\npeak memory over {os.path.getsize(path) >> 20} MiB of log: {peak:.1f} MiB")
        if not sanitized:
            self.assertLess(peak, 40)
        self.expect(self.play('logs "app":scan { timeout = "20ms", i = { regex = "INFO +x+$" } }'), 1, "took longer than 0.02 s")


if __name__ == "__main__":
    unittest.main(verbosity=2)
