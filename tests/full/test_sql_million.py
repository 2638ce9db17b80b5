"""A million rows, one by one, in constant memory, each 64-bit id exact."""

import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import LabTest, main  # noqa: E402

ROWS = 1000000
FIRST = 2**63 - 1 - ROWS      # ids that no float holds
LIMIT = 40 << 10              # KiB of resident memory


class MillionRows(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-sql-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)

    def play(self, body):
        """-> (what it printed, seconds, peak KiB)"""
        path = os.path.join(self.room, "trial.lua")
        with open(path, "w", encoding="utf-8") as file:
            file.write('playbook { title = "Million" }\nstep("Count", function()\n' + body + "\nend)\n")
        began = time.monotonic()
        process = self.start("play", path, "-e", "lab")
        out, err = process.stdout.read().decode(), process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.returncode, 0, out + err)
        return out, time.monotonic() - began, usage.ru_maxrss

    def test_a_million_rows_in_40_mb_each_id_exact(self):
        out, seconds, peak = self.play(f"""
          local n, wrong = 0, 0
          sql "primary":each("SELECT {FIRST}::bigint + i AS id, 'row ' || i AS name FROM generate_series(1, $1::int) i",
            {{ {ROWS} }}, function(row)
              n = n + 1
              if row.id ~= {FIRST} + n or row.name ~= "row " .. n then wrong = wrong + 1 end
            end, {{ timeout = "5m" }})
          note("%d rows, %d wrong", n, wrong)""")
        print(f"1,000,000 rows: {seconds:.2f} s, {peak / 1024:.1f} MB")
        self.assertIn(f"{ROWS} rows, 0 wrong", out)
        self.assertLess(peak, LIMIT)

    def test_what_is_stopped_early_is_not_read_to_its_end(self):
        out, seconds, peak = self.play(f"""
          local n = 0
          sql "primary":each("SELECT i FROM generate_series(1, 10 * {ROWS}) i", {{}}, function()
            n = n + 1
            return n < 1000
          end, {{ timeout = "5m" }})
          note("%d rows seen", n)""")
        print(f"1,000 rows of 10,000,000: {seconds:.2f} s, {peak / 1024:.1f} MB")
        self.assertIn("1000 rows seen", out)
        self.assertLess(peak, LIMIT)


if __name__ == "__main__":
    main()
