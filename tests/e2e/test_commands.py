"""list, show, check, params, doctor and help as a user calls them."""

import fcntl
import glob
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, LabTest  # noqa: E402

PLAYBOOK = "incident/db-exhaustion.lua"


def call(*words, cwd=ROOT, **env):
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LSAN_OPTIONS", "ASAN_OPTIONS", "OPSRUN_RUNTIME_DIR") if k in os.environ}
    return subprocess.run([OPSRUN, *words], cwd=cwd, env={**kept, **env}, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)


def on_a_terminal(columns, *words):
    """What it shows on a terminal of so many columns, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LSAN_OPTIONS", "ASAN_OPTIONS", "OPSRUN_RUNTIME_DIR") if k in os.environ}
    with subprocess.Popen([OPSRUN, *words], cwd=ROOT, env={**kept, "TERM": "dumb", "LANG": "C.UTF-8"}, stdin=theirs, stdout=theirs,
                          stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:      # the last one has closed it
                break
            if not data:
                break
            seen += data
        os.close(ours)
        assert process.wait() == 0, seen
    return seen.decode().replace("\r\n", "\n")


def library():
    """Names of the playbooks there are."""
    top = os.path.join(ROOT, "playbooks")
    return sorted(os.path.relpath(path, top) for path in glob.glob(os.path.join(top, "*", "*.lua")))


class Commands(unittest.TestCase):

    def setUp(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-commands-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.room, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_list_shows_severity_response_path_and_title(self):
        done = call("list", "connection", "exhaustion")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^severity +respond +playbook +title$")
        self.assertRegex(done.stdout, r"(?m)^high +5m +incident/db-exhaustion\.lua +Database connection exhaustion$")
        self.assertIn('"respond":"5m"', call("list", "--json", "connection", "exhaustion").stdout)

    def test_list_finds_a_playbook_by_the_heading_of_the_runbook_it_replaces(self):
        self.assertRegex(call("list", "issue: redis memory FULL").stdout, r"(?m)^high +15m +incident/redis-memory\.lua ")

    def test_list_reads_a_description_that_is_joined_as_a_whole(self):
        self.write("playbooks/long.lua", 'playbook {\n  title = "Long",\n  about = "one half "\n    .. "and the other",\n}\n')
        self.assertRegex(call("list", "half and the other", cwd=self.room).stdout, r"(?m)long\.lua +Long$")

    def test_list_and_show_tell_of_each_playbook_severity_response_steps_what_it_may_touch_and_sources(self):
        listed = call("list").stdout
        for name in library():
            shown = call("show", name).stdout
            facts = shown.split("\n")[1]
            self.assertTrue(facts.startswith(name), facts)
            if "kind incident" in facts and name != "incident/assess.lua":      # that one finds out how severe it is
                severity = re.search("severity (critical|high|medium|low)", facts)
                self.assertTrue(severity, facts)
                self.assertRegex(listed, rf"(?m)^{severity[1]} .* {name} ")
            respond = re.search("respond within ([0-9]+[smhd])", facts)
            if respond:
                self.assertRegex(listed, rf"(?m)^[a-z]+ +{respond[1]} +{name} ")
            for title in ("Parameters", "May touch", "Steps", "Sources", "Usage"):
                self.assertRegex(shown, rf"(?m)^{title}\n +\S", name)
            self.assertRegex(shown, r"(?m)^Sources\n(  runbook 00[0-4]: [^\n]+\n)+\n", name)

    def test_on_80_and_on_120_columns_show_breaks_no_word_and_list_no_row(self):
        for columns in (80, 120):
            for name in library():
                shown = on_a_terminal(columns, "show", name).partition("\nUsage\n")[0]      # that is there to be copied
                for line in shown.split("\n"):
                    self.assertTrue(len(line) <= columns or " " not in line.strip(), f"{name} on {columns} columns: {line}")
            for line in on_a_terminal(columns, "list").split("\n"):
                self.assertLessEqual(len(line), columns)

    def test_off_a_terminal_show_breaks_no_row(self):
        self.assertRegex(call("show", PLAYBOOK).stdout, r"(?m)^  keep +list of string, default \S+ +application names whose .* ended$")

    def test_show_says_that_a_playbook_touches_nothing(self):
        path = self.write("still.lua", 'playbook { title = "Still" }\nstep("x", function() note "x" end)\n')
        self.assertIn("May touch\n  nothing  that its header or its text names\n", call("show", path).stdout)

    def test_list_says_when_nothing_matches_and_shows_what_does_not_load(self):
        self.assertIn("no playbook holds 'zzz'", call("list", "zzz").stdout)
        self.write("playbooks/bad.lua", "local = 1\n")
        self.assertRegex(call("list", cwd=self.room).stdout, r"bad\.lua +does not load: bad\.lua:1:")

    def test_show_names_parameters_steps_and_what_may_be_touched(self):
        done = call("show", PLAYBOOK)
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in ("Parameters", "duration, default 5m", "May touch", "docker restart", "Steps",
                     "terminate-idle-sessions", "Usage"):
            self.assertIn(part, done.stdout)

    def test_show_tells_all_that_may_be_touched_also_by_what_is_called(self):
        self.write("p/inner.lua", 'playbook { title = "Inner", uses = { shell = { "docker stop" } }, limits = { boxes = 2 } }\n'
                                  'step("x", function() redis "cache":get "a" end)\n')
        self.write("p/outer.lua", """playbook { title = "Outer", lock = "boxes", calls = { "inner", "missing" }, uses = { files = { "/var/tmp" } },
            tell = { team = "warning" }, limits = { rows = 5 }, params = { db = { type = "sql" }, token = { type = "secret" },
            where = { type = "url" }, dirs = { type = "list", of = "path" } } }
          local db = sql "primary"
          step("x", function(p)
            db:query "SELECT 1" sql(p.db):query "SELECT 1" state "alerts":get "x" notify "oncall" "x" sql(p.db .. "x"):query "SELECT 1"
          end)""")
        done = call("show", "outer", OPSRUN_PATH=os.path.join(self.room, "p"))
        self.assertEqual(done.returncode, 0, done.stderr)
        own, _, below = done.stdout.partition("May touch, by calling inner.lua")
        for row in ("sql +the connection of parameter 'db'", "secret +the value of parameter 'token'", "http +the value of parameter 'where'",
                    "files +the value of parameter 'dirs'", "sql +the connection 'primary' +line 4", "state +the state 'alerts'",
                    "notify +the people 'oncall'", "sql +a name that only the run knows", "files +/var/tmp", "calls +inner", "at most +5 rows",
                    r"tells +team \(warning\)", "lock +one run at a time of all with lock 'boxes'"):
            self.assertRegex(own, row)
        for row in ("redis +the connection 'cache'", "shell +docker stop", "at most +2 boxes",
                    "May touch, by calling missing.lua\n +unknown +it is not there"):
            self.assertRegex(below, row)

    def test_show_and_check_need_no_secrets(self):
        self.assertEqual(call("check", os.path.join(ROOT, "playbooks")).returncode, 0)

    def test_check_reports_all_findings_of_a_directory_with_file_and_line(self):
        self.write("p/a.lua", 'playbook { title = "a" }\nlocal n = 0\nstep("x", function() n = 1 shw() end)\n')
        self.write("p/b.lua", 'playbook { titel = "b" }\n')
        done = call("check", os.path.join(self.room, "p"))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout, (
            "a.lua:3: a step assigns 'n', a local of the file\n"
            "  return the value from the step; a later step calls the handle: local idle = step(…), then idle()\n"
            "a.lua:3: undeclared global 'shw'\n  did you mean 'show'?\n"
            "b.lua:1: unknown header field 'titel'\n  did you mean 'title'?\n"
            "2 playbooks: 3 findings\n"))

    def test_params_shows_each_value_and_where_it_comes_from(self):
        done = call("params", PLAYBOOK, "-e", "lab", "-p", "idle=2s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^idle +2s +-p +duration")
        self.assertRegex(done.stdout, r"(?m)^keep .* lab.* +list of string")
        self.assertRegex(done.stdout, r"(?m)^db +primary +default +sql")

    def test_doctor_names_what_is_missing(self):
        done = call("doctor", "-e", "lab", OPSRUN_HOME=self.room)
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        self.assertIn("environment variable 'DATABASE_URL' is not set", done.stdout)
        self.assertRegex(done.stdout, r"ok +opsrun-sql\.so")

    def test_an_environment_that_others_may_write_is_refused(self):
        path = self.write("environments/open.lua", "return {}")
        os.chmod(path, 0o666)
        done = call("params", PLAYBOOK, "-e", "open", "--config", self.room)
        self.assertEqual(done.returncode, 4)
        self.assertIn("may be written by everybody", done.stderr)

    def test_a_playbook_that_never_ends_loading_is_ended(self):
        path = self.write("loop.lua", 'playbook { title = "x" }\nwhile true do end\n')
        done = call("show", path)
        self.assertEqual((done.returncode, done.stderr), (3, "opsrun: loop.lua:2: it does not come to an end\n"))


class Verbosity(LabTest):

    def test_vv_shows_what_an_effect_returned_and_v_does_not(self):
        path = os.path.join(self.home, "look.lua")
        with open(path, "w", encoding="ascii") as file:
            file.write('playbook { title = "Look" }\nstep("Look", function()\n'
                       '  sql "primary":query("SELECT \'the \' || \'answer\' AS said")\nend)\n')
        self.expect(self.opsrun("play", path, "-e", "lab", "-v"), code=0, out=["read +query"], absent=["the answer"])
        self.expect(self.opsrun("play", path, "-e", "lab", "-vv"), code=0, out=["said\\n +the answer"])
        self.expect(self.opsrun("play", path, "-e", "lab", "-vv", "--json"), code=0, absent=["the answer"])


if __name__ == "__main__":
    unittest.main()
