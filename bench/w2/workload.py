"""W2: database connection exhaustion, from the first look to the recovered pool."""

import os
import re

from place import ROOT
from workload import OURS
from workload import Workload as Base


class Workload(Base):
    title = "database connection exhaustion"
    about = ("`incident/db-exhaustion`, live: who holds the connections, what the application says of its pool, evidence into"
             " files, the idle sessions listed and ended, a recount, the pool watched until it is well, the team told. The"
             " lab is broken anew before each run, which is not timed.")
    against_c = 1.15
    c_packages = ("libcurl", "libpq")
    ours = ("--yes", "-p", "idle=2s")

    def prepare(self, place):
        os.mkdir(place.path("evidence"))
        place.env["BENCH_EVIDENCE"] = place.path("evidence")

    def before(self, place):
        place.call_lab("break", "db-exhaustion", OPSRUN_LAB_SETTLE="2.05")

    def playbook(self):
        return os.path.join(ROOT, "playbooks", "incident", "db-exhaustion.lua")

    def answer(self, name, measured):
        if name != OURS:
            return super().answer(name, measured)
        found = re.search(r"(\d+) of \d+ sessions ended", measured.text)
        return found and f"{found.group(1)} sessions ended"
