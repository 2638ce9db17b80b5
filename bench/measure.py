"""One command measured: wall time, peak memory, what it printed."""

import os
import statistics
import subprocess
import tempfile


class Trouble(Exception):
    """What the person at the keyboard is told."""


class Measured:
    """seconds: wall time. peak: ru_maxrss in KiB, of the command or the largest child it waited for."""

    def __init__(self, seconds, peak, code, text):
        self.seconds, self.peak, self.code, self.text = seconds, peak, code, text


def run(launcher, argv, env, cwd, within):
    """Runs argv to its end by launch.c; both streams go to a file, as to a log. Raises Trouble after
    `within` seconds."""
    with tempfile.TemporaryFile() as output:
        reader, writer = os.pipe()
        with os.fdopen(reader, encoding="ascii") as told:
            process = subprocess.Popen([launcher, str(writer), str(within), *argv], env=env, cwd=cwd,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       pass_fds=[writer])
            os.close(writer)
            try:
                words = told.read().split()
            finally:
                process.terminate()       # on Ctrl-C; else it has ended
                process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if len(words) != 3:
        raise Trouble(f"{argv[0]} could not be started\n{text[-2000:]}")
    code, nanoseconds, peak = map(int, words)
    if code < 0:
        raise Trouble(f"{argv[0]} took more than {within} s\n{text[-2000:]}")
    return Measured(nanoseconds / 1e9, peak, code, text)


class Series:
    """The runs of one contestant."""

    def __init__(self, name):
        self.name, self.runs = name, []

    @property
    def median(self):
        return statistics.median(r.seconds for r in self.runs)

    @property
    def span(self):
        times = [r.seconds for r in self.runs]
        return min(times), max(times)

    @property
    def spent(self):
        return sum(r.seconds for r in self.runs)

    @property
    def peak(self):
        """MiB"""
        return max(r.peak for r in self.runs) / 1024
