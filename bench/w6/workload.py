"""W6: what went wrong in a log of a gigabyte."""

import datetime
import json

from workload import Workload as Base

HOURS = 48


class Workload(Base):
    title = "a log of 1 GB"
    about = ("A JSON log of 48 hours, a line in a hundred an error. Errors of the last 24 of them are counted, and grouped"
             " by message. C: one pass over the mapped file. Python: json on the lines that hold the word. bash: grep, jq,"
             " sort, uniq.")
    against_c = 1.5

    def prepare(self, place):
        size = 10_000_000 if self.small else 1_000_000_000
        first = datetime.datetime(2026, 1, 10, tzinfo=datetime.timezone.utc)
        blocks = [self.block(size // (HOURS * 3600), word) for word in (0, 0, 0, 1, 1, 2, 3)]
        with open(place.env["BENCH_LOG"], "wb", buffering=1 << 20) as file:
            for second in range(HOURS * 3600):
                stamp = (first + datetime.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
                block = blocks[second % len(blocks)].replace(b"@" * 19, stamp.encode())
                file.write(block.replace(b"#####", b"%05d" % (second % 100_000)))
        middle = first + datetime.timedelta(hours=HOURS // 2)
        end = first + datetime.timedelta(hours=HOURS)
        place.env |= {"BENCH_FROM": middle.strftime("%Y-%m-%dT%H:%M:%S"), "BENCH_TO": end.strftime("%Y-%m-%dT%H:%M:%S")}
        self.ours = ("-p", f"window={middle:%Y-%m-%dT%H:%M:%SZ}..{end:%Y-%m-%dT%H:%M:%SZ}")

    @staticmethod
    def block(size, word):
        """Lines of one second, with holes for the time and a number."""
        words = ["connection to the database refused", "payment provider did not answer", "upload too large",
                 "cache entry could not be decoded"]
        text, number = b"", 0
        while len(text) < size:
            level = "error" if number % 100 == 7 else "info"
            message = words[word] if level == "error" else f"GET /api/items/{number} 200"
            line = {"time": "@" * 19 + f".{number:03}Z", "level": level, "message": message, "request": f"r-#####-{number}",
                    "user": 1000 + number, "duration_ms": 3.5}
            text += json.dumps(line, separators=(",", ":")).encode() + b"\n"
            number += 1
        return text
