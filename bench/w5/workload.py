"""W5: what a command costs that has next to nothing to do."""

import os
import shutil

from place import PYTHON, ROOT
from workload import OURS, Claim
from workload import Workload as Base

PLAYBOOKS = 78


class Workload(Base):
    title = "list, check, and a play of nothing"
    about = (f"`list` of a library of {PLAYBOOKS} playbooks, `check` of one, and `play` of a playbook with one empty step,"
             " beside interpreters that are given an empty program and an Ansible playbook with one empty task.")
    memory = 25

    def prepare(self, place):
        library = place.path("library", "incident")
        os.makedirs(library)
        source = os.path.join(ROOT, "playbooks", "incident", "db-exhaustion.lua")
        for number in range(PLAYBOOKS):
            shutil.copy(source, os.path.join(library, f"copy-{number:02}.lua"))
        place.env["OPSRUN_PATH"] = place.path("library")

    def contestants(self, place):
        found = {
            f"{OURS} play": place.play(self.playbook()),
            f"{OURS} list": [place.opsrun, "list"],
            f"{OURS} check": [place.opsrun, "check", "incident/copy-00.lua"],
            "C": [place.compiled(self.path("peer.c"))],
            "lua": ["lua5.4", "-e", ""],
            "bash": ["bash", "-c", ""],
            "Python": [PYTHON, "-c", ""],
            "Ansible": ["ansible-playbook", "-i", "localhost,", self.path("peer.yml")],
        }
        return {name: argv for name, argv in found.items() if name not in place.missing}

    def answer(self, name, measured):
        if name == f"{OURS} list":
            return f"{measured.text.count('copy-')} playbooks"
        return "done"

    def same(self, name, answer, ours):
        return answer == (f"{PLAYBOOKS} playbooks" if name == f"{OURS} list" else "done")

    def claims(self, place, series):
        lua = series["lua"].median
        limit = 1000 * (2 * lua + 0.002)
        return [
            *(Claim(f"{name}, against 2 × lua + 2 ms", 1000 * series[name].median, most=round(limit, 1), unit="ms")
              for name in (f"{OURS} list", f"{OURS} check")),
            Claim("a play of nothing", 1000 * series[f"{OURS} play"].median, most=8, unit="ms"),
            Claim("peak memory", max(series[name].peak for name in series if name.startswith(OURS)),
                  most=self.memory, unit="MiB"),
        ]
