"""The kill matrix: SIGKILL at one system call of a run, then `opsrun resume` until it is done, then the judge counts.

A point is (book, system call, k): the k-th such call of the run's own thread, at which it dies before the call is made.
Taken one after another from a run that was only watched, they lie before and behind every record of the journal and
everything that is sent or received; calls of the threads that work on files are points by their path. strace does the
killing, so what dies is the plain program. The judge (matrix_judge.py) asks the servers, never opsrun.
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, LabTest  # noqa: E402
import matrix_judge as judge  # noqa: E402

HERE = os.path.join(ROOT, "tests", "e2e", "matrix")
BOOKS = ("rows", "calls", "things", "switches", "nested")
ANSWERS = {"calls": ("--answer", "colour=red", "--answer", "key=done:turned", "--answer", "way=under")}
CALLS = ("write,pwrite64,fdatasync,fsync,fallocate,ftruncate,renameat,mkdirat,unlinkat,"
         "connect,sendto,sendmsg,recvfrom,poll,epoll_wait,clone3,exit_group")
FILES = "openat,write,fsync,fdatasync,ftruncate,renameat,renameat2,unlinkat,mkdirat,linkat,utimensat"
PR_SET_CHILD_SUBREAPER = 36
MOST_RESUMES = 3


class Case:
    """One run in a home and a directory of its own; `tag` says on the servers whose marks these are."""

    def __init__(self, servers, book, tag):
        self.servers, self.book, self.tag = servers, book, tag
        self.room = os.path.join(servers["room"], tag)
        self.home, self.dir = os.path.join(self.room, "home"), os.path.join(self.room, "dir")
        os.makedirs(self.dir)
        self.env = {"PATH": servers["PATH"], "HOME": "/root", "LANG": "C.UTF-8", **servers["env"], "OPSRUN_HOME": self.home,
                    "OPSRUN_PATH": os.path.join(HERE, "books")}
        if "OPSRUN_RUNTIME_DIR" in os.environ:
            self.env["OPSRUN_RUNTIME_DIR"] = os.environ["OPSRUN_RUNTIME_DIR"]

    def close(self):
        shutil.rmtree(self.room, ignore_errors=True)

    def words(self):
        words = [OPSRUN, "play", self.book + ".lua", "--config", HERE, "-e", "matrix", "-p", "tag=" + self.tag, "--yes",
                 *ANSWERS.get(self.book, ())]
        return words + (["-p", "dir=" + self.dir] if self.book == "things" else [])

    def call(self, words, strace=()):
        """Runs opsrun, under strace when told how; when this returns, nothing of it is alive."""
        with tempfile.TemporaryFile() as out:
            done = subprocess.run([*strace, *words], cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=subprocess.STDOUT, timeout=90, check=False)
            reap()
            out.seek(0)
            return done.returncode, out.read().decode(errors="replace")

    def run_id(self):
        """The run's id, or None before it has one."""
        runs = os.path.join(self.home, "runs")
        ids = os.listdir(runs) if os.path.isdir(runs) else []
        return ids[0] if ids else None

    def journal(self):
        """Whole records so far."""
        path, records = os.path.join(self.home, "runs", self.run_id() or "none", "journal"), []
        if os.path.exists(path):
            with open(path, "rb") as file:
                for line in file.read().split(b"\n"):
                    try:
                        records.append(json.loads(line))
                    except ValueError:
                        break
        return records

    def tally(self):
        return judge.tally(self)


def spread(points, number):
    """So many of a list, evenly."""
    return [points[i * len(points) // number] for i in range(number)]


def reap():
    """Waits for whatever a dead opsrun left to us: its supervisors, with all that ran below them."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return
    raise AssertionError("something of a dead opsrun is alive after 20 s")


def injection(point):
    """How strace strikes at a point: before the call is made."""
    call, number, path = point["call"], point["number"], point.get("path")
    where = ["-f", "-P", path] if path else []
    return ["strace", "-qq", "-o", os.devnull, *where, "-e", f"trace={call}",
            "-e", f"inject={call}:error=EIO:signal=KILL:when={number}"]


def watched(case):
    """Plays a book to its end; its points, its tally, its records."""
    trace, files = os.path.join(case.room, "trace"), os.path.join(case.room, "files")
    code, text = case.call(case.words(), ["strace", "-qq", "-y", "-o", trace, "-e", f"trace={CALLS}"])
    assert code == 0, text
    tally, records, points, seen = case.tally(), case.journal(), [], {}
    begun = False
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"(\w+)\(([^<]*<([^>]*)>)?", line)
            if not match:
                continue
            call, target = match.group(1), match.group(3) or ""
            seen[call] = seen.get(call, 0) + 1
            begun = begun or call == "mkdirat" and case.home in line
            if not begun or call == "write" and case.home not in target and "socket" not in target:
                continue    # what it prints, what wakes its own loop
            points.append({"book": case.book, "call": call, "number": seen[call]})
    assert begun and points, "a run that made no home"
    if case.book == "things":
        points += file_points(case, files)
    return points, tally, records


def file_points(case, trace):
    """Points of the threads that work on files, by path: the first call of each kind."""
    other = Case(case.servers, case.book, case.tag + "-files")
    paths = [os.path.join(other.dir, name) for name in ("room", "room/list", "room/list.gz", "room/old", "log")]
    where = [word for path in paths for word in ("-P", path)]
    code, text = other.call(other.words(), ["strace", "-qq", "-f", "-y", "-o", trace, *where, "-e", f"trace={FILES}"])
    assert code == 0, text
    found = {}
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"\d+ +(\w+)\(", line)
            for path in paths:
                if match and re.search(re.escape(path) + r'[">]', line):
                    found[(match.group(1), path)] = True
    other.close()
    return [{"book": case.book, "call": call, "number": 1, "path": os.path.relpath(path, other.dir)} for call, path in found]


def killed(case, words, point):
    """Runs words up to the point. True when it died there."""
    if point.get("path"):
        point = {**point, "path": os.path.join(case.dir, point["path"])}
    code, text = case.call(words, injection(point))
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return True
    assert code in (0, 5, 7), f"code {code} from a run that was not killed\n{text}"
    return False


def over(case):
    """Has the run come to its end, or never to its beginning, so that there is nothing to go on with?"""
    records = case.journal()
    ends = [record for record in records if record["type"] == "run.end"]
    if ends:
        return ends[-1]["state"] in ("done", "undone")
    return not any(record["type"] == "run.start" for record in records)


def go_on(case, result, command="resume"):
    """Resumes until it is done; what cannot be found out is answered by what the servers counted."""
    answers = []
    while not over(case) and result["resumes"] <= MOST_RESUMES:
        result["resumes"] += 1
        doubts = judge.doubts(case.journal())
        known = ANSWERS.get(case.book, ()) if command == "resume" else ()
        code, text = case.call([OPSRUN, command, case.run_id(), "--yes", *known, *answers])
        result["last"] = text
        if code == 7:
            asked = set(re.findall(r"--answer (\S+?)=happened", text))
            for gate in asked:
                answers += ["--answer", judge.answer(case, gate, doubts, result)]
        elif code != 0 and not (code == 5 and over(case)):
            result["wrong"] = f"{command} ended with code {code}: {said(text)}"
            return
    if not over(case):
        result["wrong"] = f"not done after {result['resumes']} times {command}"


def said(text):
    """opsrun's own last word."""
    line = re.search(r"(?m)^opsrun: .*", text)
    return line.group() if line else text[-200:]


def blank(case, point, again):
    """A verdict, before anything has happened."""
    return {"point": point, "again": again, "tag": case.tag, "killed": False, "pair": False, "place": "", "doubts": [],
            "ended": [], "asked": [], "resumes": 0, "last": "", "wrong": None}


def finished(case, result):
    """The verdict, with the journal of what is wrong; OPSRUN_MATRIX_KEEP=1 leaves its folder there, too."""
    if result["wrong"]:
        result["journal"] = [judge.line(record) for record in case.journal()]
    if not (result["wrong"] and os.environ.get("OPSRUN_MATRIX_KEEP")):
        case.close()
    return result


def one(job):
    """A point from kill to verdict. In a process of its own, where waiting for orphans harms nobody."""
    began = time.monotonic()
    servers, expected, point, again, number = job
    case = Case(servers, point["book"], f"{point['book']}-{number}")
    result = blank(case, point, again)
    try:
        result["killed"] = killed(case, case.words(), point)
        judge.note_place(case, result)
        if again and result["killed"] and not over(case):
            words = [OPSRUN, "resume", case.run_id(), "--yes", *ANSWERS.get(case.book, ())]
            result["pair"] = killed(case, words, again)
        go_on(case, result)
        judge.compare(case, result, expected[case.book])
    except Exception as error:      # pylint: disable=broad-except   a verdict, too: this point is wrong
        result["wrong"] = f"{type(error).__name__}: {error}"
    result["seconds"] = time.monotonic() - began
    return finished(case, result)


def in_own_process():
    """Orphans of opsrun become children of this worker, which waits for them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class MatrixTest(LabTest):
    """A lab, a counting server, the watched books and workers to kill them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        room = tempfile.mkdtemp(prefix="opsrun-matrix-", dir=shared)
        cls.addClassCleanup(shutil.rmtree, room, ignore_errors=True)
        counting = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "counting_server.py")],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.addClassCleanup(counting.stdout.close)
        cls.addClassCleanup(counting.wait)
        cls.addClassCleanup(counting.stdin.close)
        url = f"http://127.0.0.1:{int(counting.stdout.readline())}"
        command = os.path.join(room, "count-mark")
        with open(command, "w", encoding="ascii") as file:
            file.write('#!/bin/sh\necho "$2" >>"$1/commands"\n')
        os.chmod(command, 0o755)
        cls.lab.ask("CREATE TABLE marks (id bigserial PRIMARY KEY, tag text, mark text)")
        cls.lab.ask("CREATE INDEX ON marks (tag)")
        cls.servers = {
            "room": room, "url": url, "PATH": f"{room}:{os.environ['PATH']}",
            "env": {name: cls.lab.env[name] for name in ("DATABASE_URL", "REDIS_URL")}
            | {"COUNT_URL": url, "COUNT_HOOK": url + "/message"},
        }
        cls.workers = concurrent.futures.ProcessPoolExecutor(os.cpu_count(), initializer=in_own_process)
        cls.addClassCleanup(cls.workers.shutdown, cancel_futures=True)

    @classmethod
    def watch(cls, books=BOOKS):
        """Plays every book once. Sets .points {book: list}, .expected {book: tally}, .effects {book: n}."""
        cls.points, cls.expected, cls.effects = {}, {}, {}
        for book, future in [(book, cls.workers.submit(watch_one, cls.servers, book)) for book in books]:
            cls.points[book], cls.expected[book], records = future.result()
            cls.effects[book] = judge.effects(records)
            wrong = judge.more_than_once(cls.expected[book])
            assert not wrong, f"{book}.lua, whole: {wrong}"

    def pairs(self, number, seed):
        """Points, and for each a second one for the resume, in which fewer calls are made."""
        chance, books = random.Random(seed), [points for points in self.points.values()]
        first = [chance.choice(chance.choice(books)) for _ in range(number)]
        second = [chance.choice([other for other in self.points[point["book"]] if not other.get("path")]) for point in first]
        return first, [{**other, "number": chance.randint(1, other["number"])} for other in second]

    @classmethod
    def number(cls):
        """One that no run of this class had: what the servers counted is told apart by it."""
        cls.numbers = getattr(cls, "numbers", 0) + 1
        return cls.numbers

    def kill_at(self, points, again=None):
        """The verdict of each point, in order; of each pair when `again` gives a second point."""
        jobs = [(self.servers, self.expected, point, again and again[i], self.number()) for i, point in enumerate(points)]
        return list(self.workers.map(one, jobs, chunksize=1))

    def expect_all_well(self, results):
        slowest = max(results, key=lambda result: result["seconds"])
        print("\n" + judge.summary(results) + f"\nthe slowest: {slowest['seconds']:.1f} s, {slowest['point']}")
        self.expect_well(results)

    def expect_well(self, results):
        wrong = [result for result in results if result["wrong"]]
        if wrong:
            kinds = {}
            for result in wrong:
                kind = result["point"]["book"], re.sub(r"\d+", "#", result["wrong"].replace(result["tag"], "TAG"))[:200]
                kinds.setdefault(kind, []).append(result)
            summary = "\n".join(f"{len(same)} × {book}: {what}" for (book, what), same in kinds.items())
            stories = "\n".join(story(same[0]) for same in kinds.values())
            self.fail(f"{len(wrong)} of {len(results)} points are wrong\n{summary}\n{stories}")


def story(result):
    """What happened at a point that is wrong."""
    return "\n".join([f"== {result['point']} {result['again'] or ''}", result["wrong"], f"in doubt: {result['doubts']}",
                      "-- journal", *result["journal"], "-- the last opsrun", result["last"]])


def watch_one(servers, book):
    case = Case(servers, book, book)
    with contextlib.closing(case):
        return watched(case)
