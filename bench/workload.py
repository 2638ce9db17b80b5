"""What the workloads share: who takes part, what the right answer is, which figures must hold."""

import os
import re
import sys

from place import PYTHON, ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "opsrun"


class Claim:
    """A figure of the acceptance: text, what was measured, the most (or the least) it may be."""

    def __init__(self, text, value, most=None, least=None, unit="×"):
        self.text, self.value, self.most, self.least, self.unit = text, value, most, least, unit

    @property
    def holds(self):
        return ((self.most is None or self.value <= self.most)
                and (self.least is None or self.value >= self.least))

    def __str__(self):
        wanted = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"
        return f"{self.text}: {self.value:.3g} {self.unit} ({wanted})"


class Workload:
    """One piece of work that every contestant does alone, from start to end of its process."""

    title = about = ""
    peers = ("C", "Python", "bash", "Ansible")
    against_c = None              # opsrun takes at most so many times C's time
    others = {}                   # peer: it takes at least so many times opsrun's time
    parts = {}                    # peer: the share of the work it does, where all of it would take minutes
    memory = 25                   # MiB opsrun may take
    within = 600                  # seconds one run may take
    c_packages = ()               # pkg-config names, of the peer in C
    ours = ()                     # words behind 'opsrun play PLAYBOOK'

    def __init__(self, small):
        self.small = small
        self.name = os.path.basename(os.path.dirname(os.path.abspath(self.file())))

    def file(self):
        return sys.modules[type(self).__module__].__file__

    def path(self, name):
        return os.path.join(HERE, self.name, name)

    def prepare(self, place):
        """Once: data and servers. May add variables for the peers to place.env."""

    def before(self, place):
        """Before each run: the world as it was."""

    def playbook(self):
        return self.path("play.lua")

    def contestants(self, place):
        """{name: argv}, opsrun first; peers that are not installed are left out (see run)."""
        ways = {
            "C": lambda: [place.compiled(self.path("peer.c"), self.c_packages)],
            "Python": lambda: [PYTHON, self.path("peer.py")],
            "bash": lambda: ["bash", self.path("peer.sh")],
            "Ansible": lambda: ["ansible-playbook", "-i", "localhost,", self.path("peer.yml")],
        }
        return {OURS: place.play(self.playbook(), *self.ours), **{peer: ways[peer]() for peer in self.peers
                                                                  if peer not in place.missing}}

    def answer(self, name, measured):
        """What a contestant found out, in words that are the same for all. None: it did not say."""
        found = re.search(r"answer: ([^\"\n]*)", measured.text)
        return found and found.group(1).strip()

    def same(self, name, answer, ours):
        """Is that answer right? Where a peer does a part of the work, a part of the answer."""
        return answer is not None and answer == ours

    def claims(self, place, series):
        """Figures that must hold; series: {name: Series}."""
        mine = series[OURS].median
        claims = []
        if self.against_c:
            claims.append(Claim("against C", mine / series["C"].median, most=self.against_c))
        claims += [Claim(f"{peer} against opsrun", series[peer].median / mine, least=least)
                   for peer, least in self.others.items() if peer in series]
        claims.append(Claim("peak memory", series[OURS].peak, most=self.memory, unit="MiB"))
        return claims
