"""Environments, parameters of every type, secrets and their masking, gates of protected environments."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import HEADER, AuthorTest  # noqa: E402
from harness import main  # noqa: E402

TOKEN = "s3cr3t/tok+en:with=odd&chars"
TYPES = '''playbook { title = "Types", params = {
  text = { type = "string", default = "t" }, count = { type = "integer", default = 1 },
  ratio = { type = "number", default = 0.5 }, on = { type = "boolean", default = false },
  share = { type = "percent", default = 80 }, wait = { type = "duration", default = "5m" },
  room = { type = "size", default = "512mb" }, at = { type = "time", default = "2026-11-21 03:00" },
  span = { type = "window", default = "2026-11-01..2026-11-08" },
  how = { type = "choice", of = { "soft", "hard" }, default = "soft" },
  names = { type = "list", of = "string", default = { "a", "b" } },
  waits = { type = "list", of = "duration", default = { "1s" } },
  file = { type = "path", default = "/tmp/x" }, link = { type = "url", default = "https://example.com/x" },
  key = { type = "secret", optional = true }, db = { type = "sql", default = "primary" },
  api = { type = "http", optional = true }, cache = { type = "redis", optional = true },
} }
step("Show", function(p)
  note("%s|%s|%s|%s|%s|%s|%s", p.text, p.count, p.ratio, p.on, p.share, p.wait, p.room)
  note("%s|%s|%s|%s|%s|%s|%s", p.at, p.span, p.how, p.names, p.waits, p.file, p.link)
  note("%s|%s|%s|%s", p.key, p.db, p.api, p.cache)
  note("%s|%s|%s|%s", p.wait * 2, p.room + 1024, p.wait < "10m", p.span.from < p.at)
end)
'''


class Parameters(AuthorTest):

    def types(self, *pairs):
        words = [word for pair in pairs for word in ("-p", pair)]
        return self.play("", *words, header=TYPES)

    def test_every_type_has_its_default_and_is_read_from_the_command_line(self):
        self.expect(self.types(), code=0, out=[
            r"t\|1\|0\.5\|false\|80\|5m\|512mb", r"2026-11-21 03:00\|2026-11-01\.\.2026-11-08\|soft\|a, b\|1s\|/tmp/x\|https",
            r"–\|primary\|–\|–", r"10m\|524289kb\|true\|true"])
        done = self.types("text=", "count=-7", "ratio=1e3", "on=yes", "share=5%", "wait=1h30m", "room=4kb",
                          "at=2026-01-02T03:04:05Z", "span=last 24h", "how=hard", "names=x,y,z", "waits=1m,2m",
                          "file=./y", "link=http://x/", "api=api", "cache=cache")
        self.expect(done, code=0, out=[r"\n    \|-7\|1000\|true\|5\|1h30m\|4kb\n",
                                       r"2026-01-02 03:04:05\|last 24h\|hard\|x, y, z\|1m, 2m\|\./y\|http://x/",
                                       r"primary\|api\|cache"])

    def test_a_value_may_stand_in_a_variable_of_opsruns_environment(self):
        book = self.write("books/trial.lua", HEADER.replace("uses", 'params = { where = { type = "url" } }, uses')
                          + 'step("Show", function(p) note("it is %s", p.where) end)')
        words = ("play", book, *self.environment('return { params = { where = env "TRIAL_URL" } }'))
        self.expect(self.opsrun(*words, env={"TRIAL_URL": "http://x/y"}), code=0, out=["it is http://x/y"])
        self.expect(self.opsrun(*words), code=4, err=["parameter 'where'", "export TRIAL_URL="])

    def test_an_ill_typed_value_names_parameter_value_and_an_example(self):
        for pair in ("count=1.5", "ratio=x", "on=perhaps", "share=101", "wait=soon", "room=big", "at=never", "span=ever",
                     "how=soggy", "waits=1m,x", "link=nowhere", "key=hunter2", "db=nosuch", "api=nosuch"):
            name, value = pair.split("=")
            done = self.types(pair)
            self.expect(done, code=2, err=[f"'{name}'"], absent=["hunter2"])
            if name != "key":
                self.expect(done, err=[value.split(",")[-1]])
        self.assertEqual(self.run_ids(), [])

    def test_values_come_from_the_command_line_then_the_environment_then_the_default(self):
        header = 'playbook { title = "T", params = { a = { type = "string", default = "default" } } }\n'
        text = 'step("A", function(p) note("a is %s", p.a) end)'
        words = self.environment('return { params = { a = "environment" } }')
        self.expect(self.play(text, header=header), out=["a is default"])
        self.expect(self.play(text, *words, header=header), out=["a is environment"])
        self.expect(self.play(text, *words, "-p", "a=flag", header=header), out=["a is flag"])

    def test_a_missing_parameter_is_named_with_what_to_type(self):
        header = 'playbook { title = "T", params = { a = { type = "string" }, b = { type = "size" } } }\n'
        self.expect(self.play('step("A", function() end)', header=header), code=2,
                    err=["needs parameters: 'a', 'b'", "-p a=… -p b=…"])


class Choosing(AuthorTest):

    TEXT = 'step("A", function() note("hi") end)'

    def test_without_e_it_is_opsrun_env_else_the_only_one_else_a_list(self):
        path = self.write("books/trial.lua", HEADER + self.TEXT)
        self.environment('return { label = "one" }', "one")
        plain = {"OPSRUN_ENV": ""}
        in_room = ("--config", self.room)
        self.expect(self.opsrun("play", path, "--config", self.room, env={"OPSRUN_ENV": "one"}), code=0,
                    out=["environment one"])
        self.environment('return { label = "two" }', "two")
        done = self.opsrun("play", path, *in_room, env=plain)
        self.expect(done, code=2, err=["one", "two"])

    def test_an_environment_may_hold_only_a_label_and_is_pure_data(self):
        self.expect(self.play(self.TEXT, *self.environment('return { label = "staging one" }')), code=0,
                    out=[r"environment trial \(staging one\)"])
        for text, said in (("return { lable = 1 }", "did you mean 'label'"), ("return 5", "returns number"),
                           ("local x = io.open return {}", "'io' is not known here"),
                           ("return { sql = { p = { ulr = 1 } } }", "did you mean 'url'"),
                           ("while true do end", "does not come to an end"), ("return {", "does not load")):
            self.expect(self.play(self.TEXT, *self.environment(text)), code=4, err=[said])

    def test_the_next_command_can_be_typed_as_it_stands(self):
        words = self.lab_environment("protected = false")
        done = self.play('step("A", function() sql "primary":exec("DELETE FROM feature_flags WHERE false") end)', "-n", *words)
        self.expect(done, code=0, out=[rf"next +opsrun play .*trial.lua -e trial --config {self.room}"])


class Protected(AuthorTest):

    def setUp(self):
        super().setUp()
        self.lab.ask("UPDATE feature_flags SET enabled = false WHERE name = 'beta-upload'")
        self.words = self.lab_environment("protected = true", "production")

    CHANGE = '''step("A", function()
  confirm("Switch it on?")
  sql "primary":exec("UPDATE feature_flags SET enabled = true WHERE name = 'beta-upload'")
  sql "primary":exec("UPDATE feature_flags SET kill_switch = false WHERE name = 'beta-upload'")
end)'''

    def test_reading_asks_nothing(self):
        done = self.play('step("A", function() note("%s", sql "primary":value("SELECT 5")) end)', *self.words)
        self.expect(done, code=0, out=["PROTECTED"])

    def test_yes_opens_nothing_here_and_the_name_must_be_given(self):
        self.expect(self.play(self.CHANGE, *self.words, "--yes"), code=5, err=["--answer a=yes"], absent=["--yes opens"])
        done = self.play(self.CHANGE, *self.words, "--yes", "--answer", "a=yes")
        self.expect(done, code=5, err=["--answer environment=production"])
        self.assertFalse(self.flag("beta-upload"))
        wrong = self.play(self.CHANGE, *self.words, "--answer", "a=yes", "--answer", "environment=yes")
        self.expect(wrong, code=5)
        self.assertFalse(self.flag("beta-upload"))
        done = self.play(self.CHANGE, *self.words, "--answer", "a=yes", "--answer", "environment=production")
        self.expect(done, code=0)
        self.assertTrue(self.flag("beta-upload"))

    def test_a_dry_run_needs_no_name(self):
        self.expect(self.play(self.CHANGE, "-n", *self.words), code=0, out=["WOULD"])
        self.assertFalse(self.flag("beta-upload"))

    def test_on_a_terminal_the_name_is_typed_once(self):
        terminal = self.terminal("play", self.write("books/trial.lua", HEADER + self.CHANGE), *self.words)
        terminal.wait_for(r"Switch it on\?")
        terminal.wait_for("yes or no")
        terminal.send("y\n")
        terminal.wait_for("changes the protected environment 'production'")
        terminal.wait_for("type production")
        terminal.send("production\n")
        done = terminal.finish()
        self.expect(done, code=0)
        self.assertTrue(self.flag("beta-upload"))


class Gates(AuthorTest):

    def test_a_refusal_names_the_exact_flag_and_each_gate_has_its_id(self):
        text = ('step("Go", function() confirm("One?") confirm("Two?") confirm { "Three?", id = "third" } '
                'confirm { "Four?", type = "orders" } note("through") end)')
        self.expect(self.play(text), code=5, err=["--answer go=yes", "--yes opens all ordinary gates"])
        self.expect(self.play(text, "--answer", "go=yes"), code=5, err=[r"--answer go\.2=yes"])
        self.expect(self.play(text, "--yes"), code=5, err=[r"--answer go\.3=orders"])
        self.expect(self.play(text, "--yes", "--answer", "go.3=yes"), code=5)
        self.expect(self.play(text, "--yes", "--answer", "go.3=orders"), code=0, out=["through"])
        self.expect(self.play(text, "--yes", "--answer", "go.2=no", "--answer", "go.3=orders"), code=5, absent=["through"])

    def test_manual_work_without_a_terminal(self):
        text = 'step("Call", function() local m = manual { "Call the vendor"%s } note("by %%s: %%s", m.by, m.note) end)'
        self.expect(self.play(text % ""), code=0, out=["open +Call the vendor"])
        needed = text % ", required = true"
        self.expect(self.play(needed, "--yes"), code=5, err=["--answer call=done:NOTE"])
        self.expect(self.play(needed, "--answer", "call=done:they know"), code=0, out=["by .*: they know"])

    def test_an_answer_that_met_no_gate_is_an_error_at_the_end(self):
        done = self.play('step("A", function() note("did it") end)', "--answer", "goo=yes")
        self.expect(done, code=2, out=["did it", "DONE, but an answer met no gate"], err=["'goo' met no gate"])


class Secrets(AuthorTest):

    BODY = '''
note("raw %s", token) note(("x"):rep(3) .. token .. "y")
show({ { value = token } }) show(token)
artifact("leak.txt", "has " .. token)
artifact("leak.json", { token = token })
check("leak " .. token, token, { expect = "other" })
shell.run({ "touch", "/tmp/nowhere/" .. token })'''

    def test_a_secrets_value_is_in_no_output_journal_artifact_or_error(self):
        self.write("token", TOKEN)
        os.chmod(self.path("token"), 0o600)
        app = self.lab.env["APP_URL"]
        words = self.environment(f'''return {{ sql = {{ primary = {{ url = secret.env "DATABASE_URL" }} }},
          http = {{ api = {{ base = "{app}", bearer = secret.file "{self.path('token')}" }} }},
          params = {{ key = secret.file "{self.path('token')}" }} }}''')
        header = HEADER.replace("uses", 'params = { key = { type = "secret" } }, uses')
        body = ('note("object %s", p.key) try(function() http "api":get("/health") end)\n'
                f'local token = sql "primary":value("SELECT $1::text", {{ "{TOKEN[:9]}" .. "{TOKEN[9:]}" }})' + self.BODY)
        for more in ((), ("-n",), ("--json",), ("-vv",)):
            done = self.step(body, *words, *more, header=header)
            self.expect(done, out=["object ‹secret:"])
            self.assertNotIn(TOKEN, done.text)
        forms = [TOKEN.encode(), TOKEN.replace("/", "\\/").encode(),
                 __import__("base64").b64encode(TOKEN.encode()), __import__("urllib.parse").parse.quote(TOKEN, safe="").encode()]
        for place, data in self.everything().items():
            for form in forms:
                self.assertNotIn(form, data, place)

    def test_a_missing_secret_is_named_with_what_to_do(self):
        words = self.environment('return { sql = { primary = { url = secret.env "NO_SUCH_URL" } } }')
        done = self.step('sql "primary":value("SELECT 1")', *words)
        self.expect(done, code=4, err=["NO_SUCH_URL.*not set", "export NO_SUCH_URL="])
        words = self.environment('return { sql = { primary = { url = secret.file "/no/such/file" } } }')
        self.expect(self.step('sql "primary":value("SELECT 1")', *words), code=4, err=["/no/such/file"])

    def test_a_short_secret_is_refused(self):
        words = self.environment('return { http = { api = { base = "http://127.0.0.1:1", bearer = secret.env "SHORT" } } }')
        done = self.step('http "api":get("/")', *words, env={"SHORT": "abc"})
        self.expect(done, code=4, err=["SHORT"], absent=["abc'"])


class Ending(AuthorTest):
    """The header's tell, and what reaches stderr."""

    def test_tell_hears_how_it_ended_and_dry_runs_only_show_it(self):
        heard = self.path("heard")
        words = self.environment(f'return {{ notify = {{ team = {{ {{ command = {{ "tee", "-a", "{heard}" }} }} }} }} }}')
        header = 'playbook { title = "Told", tell = { team = "warning", oncall = "critical" } }\n'
        fine, warns, fails = (f'step("A", function() {body} end)' for body in (
            'note("x")', 'check("disk", 9, { above = { warning = 5 } })', 'fail("it broke")'))
        self.play(fails, "-n", *words, header=header)
        self.play(fine, *words, header=header)
        self.assertFalse(os.path.exists(heard))
        self.expect(self.play(warns, *words, header=header), code=0)
        done = self.play(fails, *words, header=header)
        self.expect(done, code=1, out=["oncall was not told: environment 'trial' has no notify connection 'oncall'"])
        with open(heard, encoding="utf-8") as file:
            first, second = file.read().splitlines()
        self.assertTrue("WARNING  disk 9" in first and '"severity":"warning"' in first, first)
        self.assertTrue("it broke" in second and '"severity":"critical"' in second and "opsrun log" in second, second)

    def test_stderr_alone_says_what_failed_and_stdout_keeps_the_report(self):
        done = self.step('fail("the disk is full")')
        self.assertEqual(done.err, "opsrun: step 'Try', trial.lua:3: the disk is full\n")
        self.expect(done, out=["FAILED.*exit 1", "next +opsrun resume", r"\n +opsrun log"])
        self.assertEqual(self.step('note("fine")').err, "")
        done = self.step('fail("the disk is full")', "--json")
        self.assertEqual([e["code"] for e in self.events(done, "run.end")], [1])

    def test_the_log_tells_the_run_again(self):
        self.step('note("a note") check("c", 5, { unit = "%" }) ' "sql \"primary\":exec(\"DELETE FROM feature_flags WHERE false\")")
        run = self.run_ids()[-1]
        log = self.opsrun("log", run)
        self.expect(log, code=0, out=["step try: Try", "a note", "c 5 %: ok", "changed exec primary: DELETE"])
        self.expect(self.opsrun("runs"), code=0, out=[rf"{run} .*done"])
        self.assertTrue(re.search("no runs?|nothing", self.opsrun("status").out, re.I), self.opsrun("status"))


if __name__ == "__main__":
    main()
