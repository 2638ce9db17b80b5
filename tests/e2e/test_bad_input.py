"""Bad input gets one clear error: what, where, what to try; the right code; nothing changed."""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402

HEADER = 'playbook { title = "Bad input", uses = { shell = { "bash" } } }\n'


class BadInput(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-bad-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)

    def write(self, text, name="bad.lua"):
        path = os.path.join(self.room, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def environment(self, text, name="trial"):
        self.write(text, f"environments/{name}.lua")
        return ("--config", self.room, "-e", name)

    def play(self, text, *words, header=HEADER, env=None):
        return self.opsrun("play", self.write(header + text), *words, env=env)

    def step(self, body, *words, **options):
        """One step with this body, in the lab."""
        return self.play(f'step("Try it", function(p)\n{body}\nend)\n', *(words or ("-e", "lab")), **options)


class Loading(BadInput):

    def test_a_playbook_that_is_not_there(self):
        done = self.opsrun("play", "incident/db-exhaustoin.lua", "-e", "lab")
        self.expect(done, code=3, err=[r"incident/db-exhaustoin\.lua", r"incident/db-exhaustion\.lua"])

    def test_bytecode_is_not_loaded(self):
        done = self.opsrun("play", self.write(b"\x1bLua" + b"\x54\x00" * 40), "-e", "lab")
        self.expect(done, code=3, err=["bytecode"])

    def test_a_syntax_error_names_file_and_line(self):
        done = self.play("step('x', function()\n  local = 1\nend)\n", "-e", "lab")
        self.expect(done, code=3, err=[r"bad\.lua:3"])

    def test_an_unknown_header_field_names_the_nearest(self):
        done = self.play("", "-e", "lab", header='playbook { title = "x", severty = "high" }\n')
        self.expect(done, code=3, err=[r"bad\.lua:1", "severty", "severity"])

    def test_a_header_field_of_the_wrong_type(self):
        done = self.play("", "-e", "lab", header='playbook { title = 5 }\n')
        self.expect(done, code=3, err=[r"bad\.lua:1", "title", "string"])

    def test_a_step_declared_twice_names_both_places(self):
        done = self.play('step("Same", function() end)\nstep("Same", function() end)\n', "-e", "lab")
        self.expect(done, code=3, err=[r"bad\.lua:3", r"bad\.lua:2", "declared twice"])

    def test_an_effect_while_the_playbook_loads(self):
        done = self.play('sql "primary":query("SELECT 1")\n', "-e", "lab")
        self.expect(done, code=3, err=[r"bad\.lua:2", "only inside a step"])

    def test_a_step_that_assigns_a_local_of_the_file(self):
        path = self.write(HEADER + 'local n = 0\nstep("Count", function() n = n + 1 end)\n')
        done = self.opsrun("check", path)
        self.expect(done, code=3, text=[r"bad\.lua:3", "'n'"])

    def test_an_undeclared_global_in_a_step_is_found_by_check(self):
        path = self.write(HEADER + 'step("Look", function()\n  shw("x")\nend)\n')
        done = self.opsrun("check", path)
        self.expect(done, code=3, text=[r"bad\.lua:3", "shw", "show"])

    def test_an_undeclared_global_in_a_step_fails_the_step(self):
        self.expect(self.step("shw('x')"), code=1, text=[r"bad\.lua:3", "shw", "Try it"])


class CommandLine(BadInput):

    def test_an_unknown_parameter_names_the_nearest(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "lab", "-n", "-p", "idel=5m")
        self.expect(done, code=2, err=["idel", "idle"])

    def test_a_parameter_of_the_wrong_type(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "lab", "-n", "-p", "idle=soon")
        self.expect(done, code=2, err=["idle", "soon", "10m"])

    def test_an_unknown_environment_lists_those_there_are(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "labb", "-n")
        self.expect(done, code=2, err=["labb", r"\blab\b"])

    def test_an_unknown_connection_lists_those_there_are(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "lab", "-n", "-p", "db=primry")
        self.expect(done, code=2, err=["primry", "primary"])

    def test_an_unknown_connection_in_a_step(self):
        self.expect(self.step('sql "primry":query("SELECT 1")'), code=4,
                    text=["primry", "primary", r"bad\.lua:3"])

    def test_an_unset_secret_of_the_environment(self):
        done = self.opsrun("play", "incident/db-exhaustion.lua", "-e", "lab", "-n",
                           env={"DATABASE_URL": ""})
        self.expect(done, text=["DATABASE_URL"], absent=["bug"])
        self.assertIn(done.code, (2, 4), done)

    def test_an_answer_that_meets_no_gate_is_an_error_at_the_end(self):
        done = self.step('note("fine")', "-e", "lab", "--answer", "nosuch=yes")
        self.expect(done, code=2, text=["nosuch", "met no gate"])


class Connections(BadInput):

    def sql_environment(self, url):
        return self.environment(f'return {{ label = "trial", sql = {{ primary = {{ url = "{url}" }} }} }}')

    def query(self, url):
        return self.step('sql "primary":query("SELECT 1 AS one")', *self.sql_environment(url))

    def test_a_server_that_is_down(self):
        done = self.query("postgres://nobody@127.0.0.1:1/none")
        self.expect(done, code=1, text=["cannot connect to 'primary'", r"127\.0\.0\.1:1", "refused",
                                        "Try it", r"bad\.lua:3"])

    def test_a_wrong_password(self):
        self.lab.ask("DROP ROLE IF EXISTS keyed")
        self.lab.ask("CREATE ROLE keyed LOGIN PASSWORD 'the right one'")
        address = self.lab.env["DATABASE_URL"].split("@", 1)[1]
        done = self.query(f"postgres://keyed:the-wrong-one@{address}")
        self.expect(done, code=1, text=["password authentication failed", "keyed"], absent=["the-wrong-one"])

    def test_a_name_that_does_not_resolve(self):
        done = self.query("postgres://nobody@no-such-host.invalid:5432/none")
        self.expect(done, code=1, text=[r"name 'no-such-host\.invalid' is not known"])

    def test_a_certificate_that_is_not_trusted(self):
        url = self.lab.env["APP_TLS_URL"]
        config = self.environment(f'return {{ http = {{ api = {{ base = "{url}" }} }} }}')
        done = self.step('http "api":get("/health")', *config)
        self.expect(done, code=1, text=["certificate", "Try it"])

    def test_an_sql_error_tells_sqlstate_and_position(self):
        done = self.step('sql "primary":query("SELECT 1 FROM pg_class WHERE nosuch = 1")')
        self.expect(done, code=1, text=["42703", "nosuch", "Try it", r"bad\.lua:3"])

    def test_a_command_that_is_not_there(self):
        done = self.play('step("Run", function() shell.run {"no-such-command", "x"} end)', "-e", "lab",
                         header='playbook { title = "x", uses = { shell = { "no-such-command" } } }\n')
        self.expect(done, code=1, text=["no-such-command", "not found"])


class Foreign(BadInput):
    """What comes from outside can neither fill the memory nor steer the terminal."""

    def test_a_hundred_megabytes_of_output_are_counted_and_cut(self):
        done = self.step('local r = shell.read("head -c 104857600 /dev/zero | tr \'\\\\0\' x")\n'
                         'note("%s %s", #r.stdout <= 2 * 1024 * 1024, r.truncated)')
        self.expect(done, code=0, out=["true true"])

    def test_escape_sequences_in_rows_are_shown_and_not_sent(self):
        done = self.step(r"""show(sql "primary":query("SELECT E'\033[2Jgone\033]0;owned\007' AS text"))""")
        self.expect(done, code=0, out=["gone"])
        self.assertNotIn("\033", done.text)
        self.assertNotIn("\007", done.text)

    def test_bytes_that_are_no_utf8_are_shown_as_bytes(self):
        done = self.step(r"""show({{ text = "\xff\xfe broken \xc3" }})""")
        self.expect(done, code=0, out=["broken"])


if __name__ == "__main__":
    main()
