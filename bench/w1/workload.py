"""W1: the morning health check."""

import datetime
import json
import os
import re

from place import ROOT
from workload import OURS
from workload import Workload as Base

CHECKS = 21


class Workload(Base):
    title = "morning health check"
    about = ("`daily/health-check`: six questions to the application, its certificate, the database's connections, Redis, disks,"
             f" the errors of a log of 10,000 lines, the newest backup; {CHECKS} verdicts. opsrun asks side by side, the others"
             " one after the other.")
    against_c = 1.15
    others = {"bash": 10, "Ansible": 100}
    c_packages = ("libcurl", "libpq", "hiredis")

    def prepare(self, place):
        os.mkdir(place.env["BENCH_BACKUPS"])
        with open(os.path.join(place.env["BENCH_BACKUPS"], "app.dump"), "wb") as file:
            file.write(bytes(100_000))
        now = datetime.datetime.now(datetime.timezone.utc)
        with open(place.env["BENCH_LOG"], "w", encoding="ascii") as file:
            for number in range(10_000):
                at = now - datetime.timedelta(seconds=2 * (10_000 - number))
                level = "error" if number % 2000 == 77 else "info"
                file.write(json.dumps({"time": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "level": level,
                                       "message": f"GET /api/items/{number} 200"}, separators=(",", ":")) + "\n")
        self.ours = ("-p", f"backups={place.env['BENCH_BACKUPS']}/*.dump")

    def playbook(self):
        return os.path.join(ROOT, "playbooks", "daily", "health-check.lua")

    def answer(self, name, measured):
        if name != OURS:
            return super().answer(name, measured)
        summary = measured.text[measured.text.rindex("checks "):]
        well = {re.sub("^disk .*", "disks", line) for line in re.findall(r"OK  +(.*)", summary)}
        worse = re.findall(r"(?:WARNING|CRITICAL|UNKNOWN)  +(.*)", summary)
        return f"{len(well)} well, {len(worse)} not"
