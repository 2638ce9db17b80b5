"""ask and choose: answers with a content."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

ASK = 'note("got %s", ask { "Which region?", options = { "eu", { "us", "United States" } }, default = "eu" })'
TEXT = 'note("got %s", ask { "Who is told?" })'
CHOOSE = """local got = choose("How?", {
  { "restart", "restart it", function() note("restarting") return "r" end },
  { "touch", "touch it", function() shell.run { "touch", p.file } return "t" end },
})
note("chosen %s", got)"""
FILE = 'playbook { title = "Trial", params = { file = { type = "path" } }, uses = { shell = { "touch" } } }\n'


class Ask(AuthorTest):

    def test_without_a_terminal_it_is_refused_and_the_answers_are_named(self):
        self.expect(self.step(ASK), code=5, out=["--answer try=eu\\|us"])

    def test_an_answer_of_the_command_line_is_checked(self):
        self.expect(self.step(ASK, "--answer", "try=us"), code=0, out=["got us"])
        self.expect(self.step(ASK, "--answer", "try=mars"), code=5, out=["which is no answer to it"])

    def test_yes_takes_the_default_and_nothing_else(self):
        self.expect(self.step(ASK, "--yes"), code=0, out=["got eu"])
        self.expect(self.step(TEXT, "--yes"), code=5)

    def test_a_dry_run_takes_the_default(self):
        self.expect(self.step(ASK, "-n"), code=0, out=["WOULD ASK Which region", "got eu"])

    def test_several_may_be_picked(self):
        many = 'note("got %s", ask { "Which?", options = { "a", "b", "c" }, many = true })'
        self.expect(self.step(many, "--answer", "try=a,c"), code=0, out=["got a, c"])

    def test_on_a_terminal_a_number_a_name_or_enter(self):
        path = self.write("ask.lua", f'playbook {{ title = "T" }}\nstep("Try", function()\n{ASK}\nend)\n')
        for typed, got in (("2\n", "us"), ("us\n", "us"), ("\n", "eu")):
            terminal = self.terminal("play", path, "-e", "lab")
            terminal.wait_for(r"which \[eu\]: ")
            terminal.send(typed)
            self.expect(terminal.finish(), code=0, out=[f"got {got}"])

    def test_what_is_not_offered_is_a_no(self):
        path = self.write("ask.lua", f'playbook {{ title = "T" }}\nstep("Try", function()\n{ASK}\nend)\n')
        terminal = self.terminal("play", path, "-e", "lab")
        terminal.wait_for(r"which \[eu\]: ")
        terminal.send("mars\n")
        self.expect(terminal.finish(), code=5)


class Choose(AuthorTest):

    def choose(self, *words):
        return self.step(CHOOSE, *words, "-p", "file=" + self.path("made"), header=FILE)

    def test_the_chosen_way_is_gone_and_no_other(self):
        self.expect(self.choose("--answer", "try=restart"), code=0, out=["restarting", "chosen r"])
        self.assertFalse(os.path.exists(self.path("made")))
        self.expect(self.choose("--answer", "try=touch"), code=0, out=["chosen t"], absent=["restarting"])
        self.assertTrue(os.path.exists(self.path("made")))

    def test_a_dry_run_rehearses_every_way(self):
        self.expect(self.choose("-n"), code=0, out=["if restart", "restarting", "if touch", "WOULD touch"])
        self.assertFalse(os.path.exists(self.path("made")))

    def test_without_a_terminal_it_is_refused(self):
        self.expect(self.choose(), code=5, out=["--answer try=restart\\|touch"])


if __name__ == "__main__":
    main()
