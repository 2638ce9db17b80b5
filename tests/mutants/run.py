"""Breaks our own source on purpose, one promise at a time, and expects the tests to turn red.

  tests/mutants/run.py              all mutants
  tests/mutants/run.py --quick      those that unit tests of the Lua core must catch: no build
  tests/mutants/run.py NAME…        these

Each mutant of mutants.py is one text replaced in one file of a copy of this tree. Tests are named as
ctest names them (lua/test-gate, meta/rooms, c/test_mask, e2e/test_kill). They must pass on the
untouched copy and fail on the broken one.

A mutant runs for real. Where it breaks what keeps a test's own attacks harmless, as those of the jail
do, it says `confined`: its test then runs in namespaces of its own, where everything but its own
directories is read-only. What a broken supervisor leaves running is ended after each test.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "mutants"))
from mutants import MUTANTS  # noqa: E402

WITHIN = 600            # seconds one test may take
INTERPRETED = ("lua/", "meta/")


PR_SET_CHILD_SUBREAPER = 36


def descendants():
    """Ids of every process below this one; nothing else is ever ended."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    below, found = [os.getpid()], []
    while below:
        parent = below.pop()
        children = [child for child, its in parents.items() if its == parent]
        found += children
        below += children
    return found


def end_leftovers():
    """Ends what a test left behind: as a subreaper we inherit it."""
    deadline = time.monotonic() + 10
    while (left := descendants()) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.02)


def confine(argv, room, tree):
    """The command in namespaces of its own: mounts, processes, network, names; nothing outside can be written."""
    words = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--cap-add", "ALL"] if os.geteuid() == 0 else ["--unshare-user"]
    words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
    for place in ("/tmp", "/var/tmp"):
        words += ["--perms", "1777", "--tmpfs", place]
    return [*words, "--perms", "0755", "--dir", room, "--ro-bind", room, room, "--chdir", tree, "--", *argv]


class Stale(Exception):
    """The text that a mutant replaces is not there, or more than once."""


def copy_tree(room):
    """Our source, without builds, version control and labs."""
    def unwanted(directory, names):
        top = os.path.samefile(directory, ROOT)
        return [name for name in names
                if name in (".git", ".lab", "__pycache__") or top and name.startswith("build")]
    tree = os.path.join(room, "tree")
    shutil.copytree(ROOT, tree, symlinks=True, ignore=unwanted)
    return tree


class Tree:
    """A copy of the source and, once a test needs one, its build."""

    def __init__(self, room):
        self.room, self.path = room, copy_tree(room)
        self.build_path = os.path.join(room, "build")
        self.log = os.path.join(room, "log")
        self.passed = set()

    def call(self, argv, **env):
        with open(self.log, "ab") as log:
            log.write(("\n$ " + " ".join(argv) + "\n").encode())
            log.flush()
            try:
                return subprocess.run(argv, cwd=self.path, stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, env={**os.environ, **env}, timeout=WITHIN,
                                      check=False).returncode
            except subprocess.TimeoutExpired:
                return "time-out"

    def build(self, tests):
        """True, or False when it does not compile."""
        targets = ["opsrun"] + [t[2:] for t in tests if t.startswith("c/")]
        if not os.path.exists(self.build_path):
            if self.call(["cmake", "-S", self.path, "-B", self.build_path,
                          "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]) != 0:
                return False
        return self.call(["cmake", "--build", self.build_path, "-j", str(os.cpu_count()),
                          "--target", *targets]) == 0

    def test(self, name, confined=False):
        """True when the test passes."""
        kind, base = name.split("/", 1)
        if kind == "lua":
            argv = ["lua5.4", "tests/lua/run.lua", f"tests/lua/{base}.lua"]
        elif kind == "meta":
            argv = ["lua5.4", f"tests/meta/{base}.lua"]
        elif kind == "c":
            argv = [os.path.join(self.build_path, base)]
        else:
            argv = ["python3", "-B", f"tests/{kind}/{base}.py"]
        if confined:
            argv = confine(argv, self.room, self.path)
        try:
            return self.call(argv, OPSRUN_BIN=os.path.join(self.build_path, "opsrun")) == 0
        finally:
            end_leftovers()

    def replace(self, mutant):
        """Breaks the file; returns its text from before."""
        path = os.path.join(self.path, mutant["file"])
        with open(path, encoding="utf-8") as file:
            text = file.read()
        count = text.count(mutant["old"])
        if count != 1:
            raise Stale(f"the text to replace stands {count} times in {mutant['file']}")
        self.write(mutant, text.replace(mutant["old"], mutant["new"]))
        return text

    def write(self, mutant, text):
        with open(os.path.join(self.path, mutant["file"]), "w", encoding="utf-8") as file:
            file.write(text)


def is_quick(mutant):
    return all(test.startswith(INTERPRETED) for test in mutant["tests"])


def try_mutant(tree, mutant):
    """None when the suite turned red, else what went wrong."""
    needs_build = not is_quick(mutant)
    if needs_build and not tree.build(mutant["tests"]):
        return "the untouched tree does not build"
    confined = mutant.get("confined", False)
    for test in mutant["tests"]:
        if (test, confined) not in tree.passed and not tree.test(test, confined):
            return f"{test} fails on the untouched tree"
        tree.passed.add((test, confined))
    before = tree.replace(mutant)
    try:
        if needs_build and not tree.build(mutant["tests"]):
            return "does not compile: that proves nothing"
        if any(not tree.test(test, confined) for test in mutant["tests"]):
            return None
        return "SURVIVED: " + ", ".join(mutant["tests"]) + " stayed green"
    finally:
        tree.write(mutant, before)


def choose(words):
    if words == ["--quick"]:
        return [m for m in MUTANTS if is_quick(m)]
    unknown = [word for word in words if word not in [m["name"] for m in MUTANTS]]
    if unknown:
        sys.exit(f"no mutant '{unknown[0]}'; there are: " + ", ".join(m["name"] for m in MUTANTS))
    return [m for m in MUTANTS if not words or m["name"] in words]


def main():
    chosen = choose(sys.argv[1:])
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="opsrun-mutants-") as room:
        os.chmod(room, 0o711)      # servers of the tests run as another user
        tree = Tree(room)
        for mutant in chosen:
            try:
                wrong = try_mutant(tree, mutant)
            except Stale as stale:
                wrong = str(stale)
            failed += wrong is not None
            print(f"{'caught ' if wrong is None else 'FAILED '} {mutant['name']}: {mutant['promise']}"
                  + (f"\n         {wrong}" if wrong else ""), flush=True)
        if failed and os.environ.get("OPSRUN_MUTANTS_LOG"):
            shutil.copy(tree.log, os.environ["OPSRUN_MUTANTS_LOG"])
    print(f"{len(chosen)} mutants: {len(chosen) - failed} caught, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
