"""Where secrets come from: commands, people, and the run itself; and that they stay where they belong."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main  # noqa: E402

TOKEN = "keeper-of-9f8e7d6c5b4a"
ASK = 'step("Ask", function() show("said " .. http "api":get("/health").status) end)\n'


class Secrets(AuthorTest):

    def api(self, bearer):
        """An environment whose one connection has this bearer token."""
        return self.environment(f'return {{ http = {{ api = {{ base = env "APP_URL", bearer = {bearer} }},'
                                f' other = {{ base = env "APP_URL", bearer = {bearer} }} }} }}')

    def keeper(self, text):
        """A command that keeps secrets; what it did is in keeper.log."""
        path = self.write("keeper", f'#!/bin/sh\necho called >>{self.path("keeper.log")}\n{text}\n')
        os.chmod(path, 0o700)
        return path

    def calls(self):
        try:
            with open(self.path("keeper.log"), encoding="ascii") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def bearers(self):
        """What came in as Authorization at the lab's application since the test began."""
        import json
        import urllib.request
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/requests", timeout=10) as answer:
            return [r["headers"].get("Authorization") for r in json.load(answer) if r["path"] == "/health"][self.seen:]

    def setUp(self):
        super().setUp()
        self.seen = 0
        self.seen = len(self.bearers())


class Commands(Secrets):

    def test_what_the_command_prints_is_the_secret_and_it_is_run_once_when_first_needed(self):
        keeper = self.keeper(f'printf "%s\\n" "{TOKEN}"')
        words = self.api(f'secret.command {{ "{keeper}", "show", "api" }}')
        self.expect(self.play('step("A", function() note("no connection is used") end)', *words), code=0)
        self.assertEqual(self.calls(), 0)
        both = ('step("Ask", function() parallel { { "a", function() return http "api":get("/health").status end },'
                ' { "b", function() return http "other":get("/health").status end } } end)\n' + ASK.replace("Ask", "Again"))
        done = self.play(both, *words, "-vv")
        self.expect(done, code=0, out=["said 200"], absent=[TOKEN])
        self.assertEqual(self.calls(), 1)
        self.assertEqual(self.bearers(), [f"Bearer {TOKEN}"] * 3)
        for place, data in self.everything().items():
            self.assertNotIn(TOKEN.encode(), data, place)

    def test_a_command_that_fails_is_named_and_never_quoted(self):
        for text, said in (("echo leaked-output; echo leaked-error >&2; exit 3", "exited with 3"), ("true", "printed nothing"),
                           ("printf short", "fewer than 8 bytes"), ("kill -9 $$", "exited with 137")):
            keeper = self.keeper(text)
            done = self.play(ASK, *self.api(f'secret.command {{ "{keeper}" }}'))
            self.expect(done, code=4, err=["http connection 'api'.*" + said, "run it by hand: "], absent=["leaked"])
        done = self.play(ASK, *self.api('secret.command { "no-such-keeper" }'))
        self.expect(done, code=4, err=["no-such-keeper.*not found"])
        self.assertEqual(self.bearers(), [])
        for place, data in self.everything().items():
            self.assertNotIn(b"leaked", data, place)

    def test_a_command_that_does_not_end_is_ended(self):
        keeper = self.keeper("sleep 600")
        done = self.play(ASK, *self.api(f'secret.command {{ "{keeper}", timeout = "300ms" }}'))
        self.expect(done, code=4, err=["did not end within 0.3 s", "timeout = "])
        self.assertLess(done.seconds, 6)

    def test_it_gets_the_short_environment_the_variables_named_and_no_terminal(self):
        keeper = self.keeper(f'env >{self.path("env")}; tty >{self.path("tty")}; printf "%s" "$KEEPER_TOKEN"')
        words = self.api(f'secret.command {{ "{keeper}", env = {{ "KEEPER_TOKEN" }} }}')
        self.expect(self.play(ASK, *words, env={"KEEPER_TOKEN": TOKEN, "OTHER_TOKEN": "x" * 20}), code=0)
        with open(self.path("env"), encoding="ascii") as file:
            names = {line.split("=")[0] for line in file} - {"PWD", "SHLVL", "_"}
        self.assertLessEqual(names, {"PATH", "HOME", "LANG", "TERM", "USER", "KEEPER_TOKEN"})
        with open(self.path("tty"), encoding="ascii") as file:
            self.assertEqual(file.read(), "not a tty\n")

    def test_several_lines_stay_several_lines(self):
        keeper = self.keeper('printf "first-line-of-it\\nsecond-line-of-it\\n\\n"')
        words = self.environment(f'return {{ params = {{ key = secret.command {{ "{keeper}" }} }} }}')
        text = ('step("Hand it over", function(p) shell.run({ "sh", "-c", "cat >$0", "%s" }, { stdin = p.key }) end)'
                % self.path("got"))
        header = 'playbook { title = "T", params = { key = { type = "secret" } }, uses = { shell = { "sh" } } }\n'
        self.expect(self.play(text, *words, header=header), code=0)
        with open(self.path("got"), encoding="ascii") as file:
            self.assertEqual(file.read(), "first-line-of-it\nsecond-line-of-it\n")

    def test_what_only_shows_runs_nothing(self):
        words = self.environment(f'return {{ params = {{ key = secret.command {{ "{self.keeper("echo " + TOKEN)}" }},'
                                 ' pin = secret.prompt "The pin" } }')
        header = 'playbook { title = "T", params = { key = { type = "secret" }, pin = { type = "secret" } } }\n'
        done = self.play(ASK, *words, header=header, command="params")
        self.expect(done, code=0, out=["key +‹secret:.*keeper›", "pin +‹secret:The pin›"])
        for command in ("check", "show"):
            self.play(ASK, *words, header=header, command=command)
        self.assertEqual(self.calls(), 0)

    def test_misuse_names_the_line(self):
        for given, said in (('"pass"', "expected a list of words"), ("{}", "expected a list of words"),
                            ("{ 5 }", "word 1 is no text"), ('{ "x", timeout = "soon" }', "'soon' is no duration"),
                            ('{ "x", timeout = "2h" }', "up to 10m"), ('{ "x", env = { "A B" } }', "'A B' is no name")):
            self.expect(self.play(ASK, *self.api(f"secret.command({given})")), code=4, err=[said, r"trial\.lua:1"])


class Prompts(Secrets):

    def ask(self, text, *words):
        return self.terminal("play", self.write("books/trial.lua", 'playbook { title = "Trial" }\n' + text), *words)

    def test_it_is_asked_once_without_an_echo(self):
        both = ('step("Ask", function() parallel { { "a", function() return http "api":get("/health").status end },'
                ' { "b", function() return http "other":get("/health").status end } } end)\n')
        terminal = self.ask(both + ASK.replace("Ask", "Again"), *self.api('secret.prompt "Token of the application"'))
        terminal.wait_for(r"\? Token of the application")
        terminal.wait_for("what you type is not shown: ")
        terminal.send(TOKEN + "\n")
        done = terminal.finish()
        self.expect(done, code=0, out=["said 200"], absent=[TOKEN])
        self.assertEqual(done.out.count("? Token of the application"), 1)
        self.assertEqual(self.bearers(), [f"Bearer {TOKEN}"] * 3)
        for place, data in self.everything().items():
            self.assertNotIn(TOKEN.encode(), data, place)

    def test_what_cannot_be_masked_is_asked_for_again_three_times_at_most(self):
        terminal = self.ask(ASK, *self.api('secret.prompt "Token"'))
        for typed in ("short", ""):
            terminal.wait_for("not shown: ")
            terminal.send(typed + "\n")
        terminal.wait_for("is empty")
        terminal.wait_for("not shown: ")
        terminal.send(TOKEN + "\n")
        self.expect(terminal.finish(), code=0, out=["fewer than 8 bytes", "said 200"])
        terminal = self.ask(ASK, *self.api('secret.prompt "Token"'))
        for _ in range(3):
            terminal.wait_for("not shown: ")
            terminal.send("short\n")
        self.expect(terminal.finish(), code=4, out=["fewer than 8 bytes"])

    def test_off_a_terminal_it_says_what_to_do(self):
        words = self.api('secret.prompt "Token"')
        self.expect(self.play(ASK, *words), code=4,
                    err=["http connection 'api': 'Token' is asked for on a terminal, and there is none", "secret.env, secret.file"])
        for flag in ("--no-input", "--json"):
            terminal = self.ask(ASK, *words, flag)
            self.assertNotIn("not shown: ", terminal.finish().out)
            self.assertEqual(terminal.code, 4)

    def test_an_end_of_input_and_a_ctrl_c_are_no_secret(self):
        terminal = self.ask(ASK, *self.api('secret.prompt "Token"'))
        terminal.wait_for("not shown: ")
        terminal.send("\x04")
        self.expect(terminal.finish(), code=4, out=["'Token' was not typed"])
        terminal = self.ask(ASK, *self.api('secret.prompt "Token"'))
        terminal.wait_for("not shown: ")
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130)
        self.assertEqual(self.bearers(), [])

    def test_a_ctrl_c_ends_the_question_for_a_parameter_too(self):
        words = self.environment('return { params = { key = secret.prompt "The key" } }')
        path = self.write("books/trial.lua", 'playbook { title = "T", params = { key = { type = "secret" } } }\n' + ASK)
        terminal = self.terminal("play", path, *words)
        terminal.wait_for("not shown: ")
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130)
        self.assertEqual(self.run_ids(), [])

    def test_a_gate_and_a_secret_wait_for_each_other(self):
        text = ('step("Both", function() parallel { { "a", function() return http "api":get("/health").status end },'
                ' { "b", function() confirm "Go on?" end } } note "went on" end)')
        terminal = self.ask(text, *self.api('secret.prompt "Token"'))
        terminal.wait_for("not shown: ")
        self.assertNotIn("Go on", terminal.seen)
        terminal.send(TOKEN + "\n")
        terminal.wait_for("yes or no")
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=0, out=["went on"])


class Made(Secrets):
    """secret.new: masked from its birth, into sinks only, sealed."""

    def made(self, body, *words):
        header = 'playbook { title = "T", uses = { shell = { "sh", "env" }, files = { "%s" }, http = { "%s" } } }\n' % (
            self.room, self.lab.env["APP_URL"])
        return self.play('step("Make", function()\n' + body + "\nend)\n", *words, header=header)

    def handed(self):
        with open(self.path("got"), encoding="ascii") as file:
            return file.read()

    HAND = 'shell.run({ "sh", "-c", "cat >$0", "%s" }, { stdin = key })'

    def test_it_goes_into_the_sinks_for_secrets_and_is_nowhere_else(self):
        done = self.made('local key = secret.new { name = "SECRET_KEY", bytes = 32 }\n' + self.HAND % self.path("got") + f"""
            shell.run({{ "sh", "-c", 'printf %s "$KEY" >"$0"', "{self.path('env')}" }}, {{ env = {{ KEY = key }} }})
            files.write("{self.path('dotenv')}", key)
            http.get("{self.lab.env['APP_URL']}/health", {{ headers = {{ Authorization = key }} }})
            note("made %s", key) show(files.read("{self.path('dotenv')}"))
            show(shell.read({{ "base64", "-w0" }}, {{ stdin = files.read("{self.path('env')}") }}).text)""", "-vv")
        self.expect(done, code=0, out=["made ‹secret:SECRET_KEY›", "new secret SECRET_KEY"])
        value = self.handed()
        self.assertRegex(value, "^[0-9a-f]{64}$")
        for name in ("env", "dotenv"):
            with open(self.path(name), encoding="ascii") as file:
                self.assertEqual(file.read(), value)
        self.assertEqual(self.bearers(), [value])
        self.assertNotIn(value, done.text)
        for place, data in self.everything().items():
            self.assertNotIn(value.encode(), data, place)
            self.assertNotIn(bytes.fromhex(value), data, place)

    def test_each_is_another_one_in_the_form_asked_for(self):
        self.expect(self.made('for _ = 1, 2 do local key = secret.new { bytes = 33, form = "base64url" }\n'
                              + 'shell.run({ "sh", "-c", "cat >>$0; echo >>$0", "%s" }, { stdin = key }) end' % self.path("got")), code=0)
        first, second = self.handed().split()
        self.assertNotEqual(first, second)
        for value in (first, second):
            self.assertRegex(value, "^[A-Za-z0-9_-]{44}$")

    def test_it_is_refused_where_it_would_be_read(self):
        for body, code, said in (
                ('shell.run { "sh", "-c", "true", key }', 5, "word 4 is a secret"),
                ('note("x" .. key)', 1, "cannot be joined"),
                ('http.post("%s/hooks/team", { json = { a = { key } } })', 5, "a body is no place for secrets"),
                ('http.post("%s/hooks/team", { form = { a = key } })', 5, "a body is no place for secrets"),
                ('http.get("%s/health", { query = { key = key } })', 5, "cannot stand in a query")):
            if "%s" in body:
                body = body % self.lab.env["APP_URL"]
            done = self.made('local key = secret.new { name = "KEY" }\n' + body)
            self.expect(done, code=code, err=[said])

    def test_to_says_where_it_may_go(self):
        new = 'local key = secret.new { name = "KEY", to = "stdin" }\n'
        self.expect(self.made(new + self.HAND % self.path("got")), code=0)
        for body in ('shell.run({ "env" }, { env = { KEY = key } })', f'files.write("{self.path("x")}", key)',
                     f'http.get("{self.lab.env["APP_URL"]}/health", {{ headers = {{ ["X-Key"] = key }} }})',
                     'sql "primary":query("SELECT length($1::text)", { key })', 'redis "cache":set("key", key)'):
            self.expect(self.made(new + body), code=5, err=["‹secret:KEY› is not for '.*made for 'stdin'"])
        self.assertFalse(os.path.exists(self.path("x")))

    def test_a_dry_run_makes_one_and_hands_it_to_nobody(self):
        self.expect(self.made("local key = secret.new { name = 'KEY' }\n" + self.HAND % self.path("got"), "-n"), code=0,
                    out=["stdin: ‹secret:KEY›"])
        self.assertFalse(os.path.exists(self.path("got")))

    def test_the_journal_names_the_sealed_one_and_the_key_lies_outside_the_run(self):
        self.expect(self.made("local key = secret.new { name = 'KEY' }\n" + self.HAND % self.path("got")), code=0)
        end = next(r for r in self.last("effect.end") if r["kind"] == "secret.new")
        self.assertEqual(end["value"]["name"], "KEY")
        run = os.path.join(self.home, "runs", self.run_ids()[-1])
        with open(os.path.join(run, "blobs", end["value"]["sealed"]), "rb") as file:
            self.assertEqual(file.read(8), b"OPSEAL1\n")
        key = os.path.join(self.home, "seal.key")
        self.assertEqual((os.stat(key).st_size, os.stat(key).st_mode & 0o777), (32, 0o600))

    def test_what_cannot_be_sealed_is_given_to_nobody(self):
        with open(os.path.join(self.home, "seal.key"), "wb") as file:
            file.write(b"x" * 32)
        os.chmod(file.name, 0o644)
        body = "local key = secret.new { name = 'KEY' }\n" + self.HAND % self.path("got")
        self.expect(self.made(body), code=1, err=["cannot be sealed: others may read '.*seal.key'"])
        os.chmod(file.name, 0o600)
        os.truncate(file.name, 31)
        self.expect(self.made(body), code=1, err=["is no key of opsrun"])
        self.assertFalse(os.path.exists(self.path("got")))

    def test_misuse_is_told(self):
        for given, said in (("{ bites = 5 }", "did you mean 'bytes'"), ("{ bytes = 8 }", "expected 16 to 1024"),
                            ('{ form = "hexx" }', "'hexx' is none"), ('{ to = "argv" }', "'argv' is no sink"),
                            ('{ to = {} }', "empty list"), ('{ name = "a/b" }', "name: expected letters")):
            self.expect(self.made(f"secret.new {given}"), code=1, err=["secret.new: ", said, r"trial\.lua:3"])


if __name__ == "__main__":
    main()
