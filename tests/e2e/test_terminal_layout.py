"""The playbook in real windows of 40, 80 and 120 columns: nothing is torn at the window's edge."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest  # noqa: E402
from harness import PLAYBOOK, ROOT, main, wait_until  # noqa: E402

PLAY = f"{OPSRUN} play {PLAYBOOK} -e lab -p idle=2s -p watch=1s -p poll=200ms -p pause=100ms"
SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")


class Window(FaultTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = f"opsrun-{os.getpid()}"
        cls.addClassCleanup(subprocess.run, ["tmux", "-L", cls.socket, "kill-server"],
                            stderr=subprocess.DEVNULL, check=False)

    def setUp(self):
        super().setUp()
        self.lab.break_it("db-exhaustion")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-L", self.socket, *words], check=True, capture_output=True,
                              text=True).stdout

    def open(self, columns, command):
        """A window of 24 lines that stays when the command is over."""
        self.window = f"w{columns}"
        file = os.path.join(self.room, "run.sh")
        with open(file, "w", encoding="utf-8") as script:
            for name, value in self.environ(LANG="C.UTF-8", TERM="screen-256color").items():
                script.write(f"export {name}='{value}'\n")
            script.write(f"cd {ROOT}\nclear\n{command}\necho ended with $?\nexec sleep 600\n")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", self.window, "-x", str(columns), "-y", "24",
                  "sh", file)
        self.addCleanup(self.tmux, "kill-session", "-t", self.window)

    def screen(self, *options):
        """All lines with their history."""
        return self.tmux("capture-pane", "-p", "-S", "-", *options, "-t", self.window)

    def wait_for(self, pattern):
        self.assertTrue(wait_until(lambda: re.search(pattern, self.screen("-J")), within=30),
                        f"'{pattern}' never came\n{self.screen()}")

    def expect_whole(self, columns):
        """No line was torn at the edge, but one word longer than the window; no status line is left."""
        for line in self.screen("-J").splitlines():
            if len(line.rstrip()) > columns and not line.strip().startswith("saved "):
                words = [word for word in line.split() if len(word) > columns - 20]
                self.assertTrue(words, f"torn at {columns} columns: {line!r}\n{self.screen()}")
        self.assertIsNone(SPINNER.search(self.screen()), self.screen())

    def test_dry(self):
        for columns in (120, 80, 40):
            with self.subTest(columns):
                self.open(columns, PLAY + " -n -p pool=api-container")
                self.wait_for("ended with")
                self.expect_whole(columns)
                text = " ".join(self.screen("-J").split())
                self.assertIn("ended with 0", text)
                for part in ("DRY RUN: reads are real", "WOULD ASK", "WOULD terminate 20 sessions",
                             "UNDETERMINED connections used", "DRY RUN DONE, nothing was changed"):
                    self.assertIn(part, text)

    def test_live_with_the_whole_list_before_the_question(self):
        for columns in (120, 80, 40):
            with self.subTest(columns):
                self.lab.mend()
                self.lab.break_it("db-exhaustion")
                silent = self.lab.sessions("idle", "idle in transaction")
                self.open(columns, PLAY)
                self.wait_for(r"yes or no \[no\]: $|yes or no \[no\]:\s*$")
                screen = self.screen("-J")
                before = screen[:screen.index("? Terminate")]
                missing = [pid for pid, _ in silent if not re.search(rf"(?m)^ +{pid} ", before)]
                self.assertEqual(missing, [], screen)
                self.assertRegex(" ".join(screen.split()), "Terminate 61 sessions idle longer than 2s on primary\\?")
                self.assertRegex(screen, "environment lab")
                self.expect_whole(columns)
                self.tmux("send-keys", "-t", self.window, "y", "Enter")
                self.wait_for("Open a ticket")
                self.wait_for(r"done\?  yes or no \[no\]:\s*$")
                self.tmux("send-keys", "-t", self.window, "Enter")
                self.wait_for("ended with")
                self.expect_whole(columns)
                text = " ".join(self.screen("-J").split())
                self.assertIn("ended with 0", text)
                self.assertIn("61 of 61 sessions ended", text)


if __name__ == "__main__":
    main()
