"""Watches /proc while something plays: what could anybody read of its processes' words and environments?

  with Sampler(pid, needles) as seen: …
  seen.looks        how often all processes below pid were looked at
  seen.processes    how many there were
  seen.words        {needle: [command lines that held it]}
  seen.environ      {needle: {names of commands whose environment held it}}
"""

import glob
import threading


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""      # it ended, or is another user's


class Sampler:

    def __init__(self, pid, needles, every=0.001):
        self.pid, self.every = pid, every
        self.needles = {name: text.encode() for name, text in needles.items()}
        self.looks, self.known = 0, set()
        self.words = {name: [] for name in needles}
        self.environ = {name: set() for name in needles}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    @property
    def processes(self):
        return len(self.known)

    def below(self):
        """The process and all its descendants, now."""
        left = [self.pid]
        while left:
            pid = left.pop()
            yield pid
            for path in glob.glob(f"/proc/{pid}/task/*/children"):
                left += [int(word) for word in read(path).split()]

    def look(self):
        self.looks += 1
        for pid in self.below():
            words, environ = read(f"/proc/{pid}/cmdline"), read(f"/proc/{pid}/environ")
            self.known.add((pid, words))
            for name, needle in self.needles.items():
                if needle in words:
                    self.words[name].append(words)
                if needle in environ and words:      # without words it is between two programs
                    self.environ[name].add(words.split(b"\0")[0].rsplit(b"/", 1)[-1].decode(errors="replace"))

    def watch(self):
        while not self.over.wait(self.every):
            self.look()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
