"""What the header of a playbook allows cannot be walked around: more than a hundred ways, each played live, 0 pass."""

import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import evasions  # noqa: E402
from harness import OPSRUN, ROOT, main  # noqa: E402

HEADER = """playbook { title = "Trial", calls = { "listed", "asks-for-other" }, params = {
    verb = { type = "string", optional = true }, name = { type = "string", default = "oncall" },
    other = { type = "string", default = "alerts" } },
  uses = { shell = { "tool ok", "tool {verb}", "{verb}" }, files = { "ROOM/open", "{verb}", "ROOM{verb}", "relative/path" },
    http = { "http://127.0.0.1:PORT" }, notify = { "team" }, state = { "shared" } } }
"""
OTHER = 'playbook { title = "Other" }\nstep("Never", function() state():set("played", 1) note("PLAYED") end)\n'
LISTED = OTHER.replace("PLAYED", "listed").replace('state():set("played", 1) ', "")
ASKS = 'playbook { title = "Asks" }\nstep("Ask", function() call("other") end)\n'


class Server(http.server.ThreadingHTTPServer):
    """Answers with its own number of requests; /away leads to another server."""

    def __init__(self, evil=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard, self.evil = [], evil
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        self.server.heard.append(self.path)
        away = self.server.evil and self.path.startswith("/away")
        self.send_response(302 if away else 200)
        if away:
            host = "127.0.0.1." if "dots" in self.path else "127.0.0.1"
            self.send_header("Location", f"http://{host}:{self.server.evil}/stolen")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Evasions(unittest.TestCase):

    count = 0

    def setUp(self):
        self.room = os.path.realpath(tempfile.mkdtemp(prefix="opsrun-evade-"))
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.evil = Server()
        self.good = Server(self.evil.server_port)
        for server in (self.evil, self.good):
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
        self.lay_out()

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.room, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def lay_out(self):
        """Places and programs anew; a program that is run writes its name and words to the log."""
        for name in ("open", "closed", "bin", "evil", "books", "environments"):
            shutil.rmtree(os.path.join(self.room, name), ignore_errors=True)
        program = f'#!/bin/sh\nif [ "$#" = 1 ] && [ "$1" = ok ]; then exit 0; fi\necho bad >> {self.room}/log\n'
        self.write("bin/tool", program, 0o755)
        self.write("evil/tool", f"#!/bin/sh\necho evil >> {self.room}/log\n", 0o755)
        self.write("evil/rc", f"echo rc >> {self.room}/log\n")
        os.symlink("tool", os.path.join(self.room, "bin/alias"))
        self.write("closed/f", "closed\n")
        self.write("open/own", "own\n")
        os.makedirs(os.path.join(self.room, "open/sub"))
        for name, target in (("link", "../closed"), ("flink", "../closed/f"), ("up", ".."), ("loop", ".")):
            os.symlink(target, os.path.join(self.room, "open", name))
        os.link(os.path.join(self.room, "closed/f"), os.path.join(self.room, "open/hard"))
        os.utime(os.path.join(self.room, "closed/f"), (1000, 1000))
        for name, text in (("other", OTHER), ("listed", LISTED), ("asks-for-other", ASKS)):
            self.write(f"books/{name}.lua", text)
        os.symlink("other.lua", os.path.join(self.room, "books/linked.lua"))
        hook = f'{{ {{ slack = "http://127.0.0.1:{self.evil.server_port}/hook" }} }}'
        self.write("environments/trial.lua", f'return {{ notify = {{ team = {hook}, oncall = {hook}, ["team "] = {hook} }} }}')

    def closed(self):
        """What must stay as it is: names, bytes and times below closed, and what lies beside open."""
        found = {}
        for name in sorted(os.listdir(os.path.join(self.room, "closed"))):
            path = os.path.join(self.room, "closed", name)
            with open(path, "rb") as file:
                found[name] = (file.read(), os.stat(path).st_mtime)
        return found, sorted(n for n in os.listdir(self.room) if n not in ("home", "log", "open"))

    def put(self, text):
        for word, value in (("ROOM", self.room), ("PORT", self.good.server_port), ("EVIL", self.evil.server_port)):
            text = text.replace(word, str(value))
        return text

    def play(self, body, *words, header=HEADER):
        self.write("books/trial.lua", self.put(header) + f'step("Try", function(p)\n{self.put(body)}\nend)\n')
        env = {"PATH": f".::relative:{self.room}/bin:/usr/bin:/bin", "HOME": self.room, "OPSRUN_HOME": self.room + "/home",
               "OPSRUN_PATH": self.room + "/books", "LANG": "C.UTF-8"}
        env |= {k: os.environ[k] for k in ("OPSRUN_RUNTIME_DIR", "ASAN_OPTIONS", "LSAN_OPTIONS") if k in os.environ}
        return subprocess.run([OPSRUN, "play", self.room + "/books/trial.lua", "-e", "trial", "--config", self.room, *words],
                              cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=False)

    def log(self):
        path = os.path.join(self.room, "log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().split()

    def evade(self, cases, fails=True):
        """Plays each case; returns those that passed, and why."""
        passed, before = [], self.closed()
        for case in cases:
            Evasions.count += 1
            done = self.play(case)
            traces = self.log() + self.evil.heard + (["PLAYED"] if "PLAYED" in done.stdout else [])
            if self.closed() != before:
                traces.append("closed was changed")
            if done.returncode not in (0, 1, 4, 5) or fails and done.returncode == 0:
                traces.append(f"exit {done.returncode}")
            if "command not found" in done.stdout:
                traces.append("it was let through, and only not found")
            if traces:
                passed.append(f"{case}: {traces}\n{done.stdout}")
            if os.path.exists(self.room + "/log"):
                os.unlink(self.room + "/log")
            self.evil.heard.clear()
            self.lay_out()
        return passed

    def nothing_passes(self, cases, fails=True):
        passed = self.evade(cases, fails)
        print(f"{len(cases)} ways, {len(passed)} pass")
        self.assertEqual([], passed, "\n".join(passed))

    def test_what_is_allowed_passes(self):
        allowed = ['shell.run { "tool", "ok" }', 'shell.run({ "tool", "ok" }, { env = { LC_ALL = "C", PGHOST = "db" } })',
                   'files.write("ROOM/open/own", "x")', 'http.get("http://127.0.0.1:PORT/fine")',
                   'http.get("HTTP://127.0.0.1:PORT/fine")', 'call("listed")', 'state("shared"):set("a", 1)']
        for case in allowed:
            done = self.play(case)
            self.assertEqual(0, done.returncode, f"{case}\n{done.stdout}")
        self.assertEqual([], self.log())
        self.assertEqual(2, len(self.good.heard))

    def test_commands(self):
        own_directory = 'shell.run({ "tool", "ok" }, { cwd = "ROOM/evil" })'  # is what it says: the tool of PATH
        self.assertIn(own_directory, evasions.SHELL)
        self.nothing_passes([case for case in evasions.SHELL if case != own_directory])
        self.nothing_passes([own_directory], fails=False)

    def test_paths(self):
        harmless = ('flink"', 'open/link"', 'open", {', '"ROOM/open/own", "ROOM/closed', "__index", "open/link/", "\uff0e")
        may_end_well = [case for case in evasions.FILES if any(word in case for word in harmless)]
        self.nothing_passes(may_end_well, fails=False)  # a link itself goes or is replaced; what it leads to stays
        self.nothing_passes([case for case in evasions.FILES if case not in may_end_well])

    def test_origins(self):
        behind_the_path = "http://127.0.0.1:PORT#@127.0.0.1:EVIL:EVIL@127.0.0.1:EVIL/"  # asks the allowed one, rightly
        urls = [url for url in evasions.HTTP if url != behind_the_path]
        self.assertEqual(len(evasions.HTTP), len(urls) + 1)
        self.nothing_passes([f'http.get("{url}", {{ follow = 3, timeout = "2s" }})' for url in urls])
        self.nothing_passes([f'http.get("{behind_the_path}", {{ follow = 3, timeout = "2s" }})'], fails=False)
        self.nothing_passes([f'http.post("{url}", {{ json = {{}}, timeout = "2s" }})' for url in urls[:20]])

    def test_calls(self):
        self.nothing_passes(evasions.CALLS)

    def test_recipients_and_shared_state(self):
        self.nothing_passes(evasions.NAMES)

    def test_an_entry_whose_parameter_is_empty_or_missing_allows_nothing(self):
        for words in ((), ("-p", "verb="), ("-p", "verb= ")):
            done = self.play('shell.run { "tool", "bad" }', *words)
            self.assertEqual(5, done.returncode, done.stdout)
            done = self.play('files.write("ROOM/closed/f", "x")', *words)
            self.assertEqual(5, done.returncode, done.stdout)
            self.assertEqual([], self.log())

    def test_what_a_listed_program_may_be_told_is_its_entrys_matter(self):
        header = HEADER.replace('"tool ok"', '"env tool"')
        done = self.play('shell.run { "env", "tool", "bad" }', header=header)
        self.assertEqual(0, done.returncode, done.stdout)  # documented: an entry allows what its program makes of the rest
        self.assertEqual(["bad"], self.log())

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.count} evasions played")


if __name__ == "__main__":
    main()
