"""A million keys, each asked for its time to live, in constant memory and in good time."""

import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import LabTest, main  # noqa: E402
from test_redis import Server  # noqa: E402

KEYS = 1000000
LIMIT = 40 << 10    # KiB of resident memory


class MillionKeys(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-redis-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        server = Server(self.lab.env["REDIS_URL"])
        self.addCleanup(server.close)
        server.ask("CONFIG", "SET", "maxmemory", "0")
        server.ask("FLUSHALL")
        server.ask("DEBUG", "POPULATE", KEYS, "key", 8)

    def play(self, body):
        """-> (what it printed, seconds, peak KiB)"""
        path = os.path.join(self.room, "trial.lua")
        with open(path, "w", encoding="utf-8") as file:
            file.write('playbook { title = "Million" }\nstep("Count", function()\n' + body + "\nend)\n")
        began = time.monotonic()
        process = self.start("play", path, "-e", "lab")
        out = process.stdout.read().decode()
        err = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.returncode, 0, out + err)
        return out, time.monotonic() - began, usage.ru_maxrss

    def count(self, options, what):
        out, seconds, peak = self.play(
            f'local n = 0\nfor key, ttl in redis "cache":scan {options} do n = n + (ttl == nil and 1 or -ttl) end\n'
            'note("%d keys", n)')
        print(f"{what}: {seconds:.2f} s, {peak / 1024:.1f} MB")
        self.assertIn(f"{KEYS} keys", out)
        self.assertLess(peak, LIMIT)

    def test_a_million_keys_in_40_mb(self):
        self.count("{}", "1,000,000 keys")

    def test_a_million_keys_with_their_times_to_live_in_40_mb(self):
        self.count('{ with = "ttl" }', "1,000,000 keys with TTL")


if __name__ == "__main__":
    main()
