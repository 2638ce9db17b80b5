"""kill -9 at a place of a run that does not depend on how fast the machine is.

strace stops opsrun at every sync of its journal, and no change is made whose begin is not synced: so what has happened
when it is killed there is known. A change that was made and not recorded is had by letting it go on until the outside
shows it; should the journal know already, it is cut behind the change's begin, which is what an earlier kill leaves.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT  # noqa: E402

AT_EACH_SYNC = ("strace", "-D", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:signal=STOP")
BEGIN = b'"type":"effect.begin"'


def play_and_kill(test, words, number, happened=None, within=60):
    """Runs opsrun with these words; SIGKILL when the journal has begun its number-th change.

    test      a LabTest
    number    1 is the first change
    happened  None: the change is not made. A function: it is made as soon as this is true, and not recorded
    within    seconds it may take to begin the change, and to make it
    returns   the run's id, and whether it was killed (not: it ended without so many changes)
    """
    with tempfile.TemporaryFile() as output, contextlib.closing(Begins(test)) as begins:
        process = subprocess.Popen([*AT_EACH_SYNC, OPSRUN, *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, env=test.environ(LSAN_OPTIONS="detect_leaks=0", ASAN_OPTIONS="detect_leaks=0"))
        try:
            begun = go_on_until(process, lambda: begins.look() >= number, within)
            made = begun and (happened is None or go_on_until(process, happened, within))
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
        test.assertIsNotNone(begun, f"change {number} was not begun within {within} s\n{text}")
        test.assertTrue(made or not begun, f"change {number} was not to be seen within {within} s\n{text}")
        if begun and happened is not None:
            begins.forget_behind(number)
        return begins.run(), begun


def go_on_until(process, condition, within):
    """Lets a process go on from each stop. True: the condition holds; False: it ended without; None: neither in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        over = process.poll() is not None
        if condition():
            return True
        if over:
            return False
        if is_stopped(process.pid):
            process.send_signal(signal.SIGCONT)
        time.sleep(0.002)
    return None


def is_stopped(pid):
    """Is the whole process stopped, not only its first thread for strace's sake?"""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii", errors="replace") as file:
                if int(thread) != pid and file.read().rsplit(")", 1)[1].split()[0] == "T":
                    return True
    except OSError:
        pass
    return False


class Begins:
    """Where in the journal of the run that is new each change's begin is over, in bytes; it is read on as it grows."""

    def __init__(self, test):
        self.test, self.known = test, set(test.run_ids())
        self.file, self.ends, self.at, self.rest = None, [], 0, b""

    def run(self):
        return (set(self.test.run_ids()) - self.known).pop()

    def look(self):
        """How many there are by now."""
        if self.file is None:
            for run in set(self.test.run_ids()) - self.known:
                path = os.path.join(self.test.home, "runs", run, "journal")
                self.file = open(path, "rb") if os.path.exists(path) else None
        *lines, self.rest = (self.rest + (self.file.read() if self.file else b"")).split(b"\n")
        for line in lines:
            self.at += len(line) + 1
            if BEGIN in line:
                self.ends.append(self.at)
        return len(self.ends)

    def forget_behind(self, number):
        """Cuts the journal behind the number-th."""
        os.truncate(self.file.name, self.ends[number - 1])

    def close(self):
        if self.file:
            self.file.close()
