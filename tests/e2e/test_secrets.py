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


if __name__ == "__main__":
    main()
