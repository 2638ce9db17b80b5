"""The benchmark works: peers answer the same, ratios are printed. No time is asserted."""

import os
import re
import stat
import subprocess
import tempfile
import unittest

from harness import OPSRUN, ROOT, main


class Bench(unittest.TestCase):
    def bench(self, *words, opsrun=OPSRUN):
        done = subprocess.run([os.path.join(ROOT, "bench", "run"), *words], env={**os.environ, "OPSRUN_BIN": opsrun},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, check=False)
        return done.returncode, done.stdout

    def test_a_workload_named_is_done_by_all_who_are_there_and_ratios_are_printed(self):
        code, text = self.bench("W3", "--rounds", "1", "--small")
        print(text)
        self.assertEqual(code, 0, text)
        self.assertIn("everybody's answer: 1500 never expire", text)
        for who in ("opsrun", "C"):
            self.assertRegex(text, rf"(?m)^  {re.escape(who)} .* ms .* × .* MiB +1$")
        self.assertRegex(text, r"against C: [\d.]+ × \(at most 1.3\)")
        self.assertRegex(text, r"1 workloads, nothing judged")

    def test_what_opsrun_itself_takes_is_told_with_the_syncs_of_a_change(self):
        code, text = self.bench("w8", "--rounds", "1", "--small")
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"our own cost of a read effect")
        self.assertRegex(text, r"holds   syncs a change: [012]")

    def test_a_wrong_answer_ends_it_before_anything_is_timed(self):
        with tempfile.TemporaryDirectory() as room:
            liar = os.path.join(room, "opsrun")
            with open(liar, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\necho 'answer: 7 never expire'\n")
            os.chmod(liar, stat.S_IRWXU)
            code, text = self.bench("W3", "--rounds", "1", "--small", opsrun=liar)
        self.assertEqual(code, 1, text)
        self.assertIn("C answers '1500 never expire', opsrun '7 never expire'", text)
        self.assertNotIn("median", text)

    def test_an_unknown_workload_is_a_usage_error(self):
        code, text = self.bench("W99")
        self.assertEqual(code, 2, text)


if __name__ == "__main__":
    main()
