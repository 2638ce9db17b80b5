"""What the README shows is so."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, main  # noqa: E402
from author import AuthorTest  # noqa: E402


class Readme(AuthorTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            cls.page = file.read()

    def test_its_playbook_has_twenty_lines_and_plays(self):
        text = re.search(r"```lua\n(.*?)```", self.page, re.S).group(1)
        self.assertLessEqual(text.count("\n"), 20)
        self.lab.break_it("db-exhaustion")
        path = self.write("free-pool.lua", text)
        self.expect(self.opsrun("check", path), code=0)
        self.expect(self.opsrun("play", path, "-e", "lab", "-n", "-p", "idle=1s"), code=0, out=["WOULD terminate 20 sessions"])
        done = self.opsrun("play", path, "-e", "lab", "-p", "idle=1s", "--yes")
        self.expect(done, code=0, out=["OK +connections used"])
        self.lab.mend()

    def test_every_command_it_names_has_a_help_page(self):
        names = set(re.findall(r"`opsrun (\w+)", self.page)) | {"status", "log"}
        self.assertGreater(len(names), 6)
        for name in names:
            self.expect(self.opsrun("help", name), code=0, out=[f"usage: opsrun {name}"])

    def test_every_file_it_links_to_is_there(self):
        for target in re.findall(r"\]\(([^)#]+)", self.page):
            self.assertTrue(os.path.exists(os.path.join(ROOT, target)), target)

    def test_its_exit_codes_are_those_of_the_program(self):
        line = re.search(r"Exit codes: (.*?)\n\n", self.page, re.S).group(1)
        known = self.opsrun("help", "exit-codes").out
        for code in re.findall(r"\b\d+\b", line):
            self.assertRegex(known, rf"(?m)^ *{code}\b")


if __name__ == "__main__":
    main()
