"""./dev game-day: each of its days can be won, it tells what was done, and whatever happens nothing of it stays."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, Terminal, alive, descendants, main, wait_until  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
import game_day  # noqa: E402

DEV = os.path.join(ROOT, "dev")


class GameDay(unittest.TestCase):

    def setUp(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-test-day-")
        os.chmod(self.room, 0o711)
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.env = {**os.environ, "OPSRUN_BIN": OPSRUN, "TMPDIR": self.room, "OPSRUN_LAB_SETTLE": "0", "TERM": "dumb"}

    def day(self, *words):
        return subprocess.run([DEV, "game-day", *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def at_a_terminal(self, *words):
        terminal = Terminal([DEV, "game-day", *words], self.env)
        self.addCleanup(terminal.close)
        return terminal

    def nothing_stays(self, started):
        self.assertEqual(wait_until(lambda: not alive(started)) or alive(started), True, "no process is left")
        self.assertEqual(os.listdir(self.room), [])


class Checked(GameDay):

    def test_each_day_breaks_something_that_its_playbook_mends(self):
        for name, day in game_day.DAYS.items():
            with self.subTest(name):
                done = self.day("--check", name)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn(day.page[0], done.stdout)
                self.assertRegex(done.stdout, rf"Well \d+m?\d*s after the page\n.*page\n.*{day.answer[0]}  \d+ changes?, exit [01]")
                self.assertEqual(os.listdir(self.room), [])

    def test_without_a_terminal_it_says_so_and_breaks_nothing(self):
        done = self.day("app-down")
        self.assertEqual(done.returncode, 2)
        self.assertIn("needs a person at a terminal; '--check NAME'", done.stdout)
        for words in ((), ("flood",), ("--check",)):
            self.assertEqual(self.day(*words).returncode, 2)
        self.assertEqual(os.listdir(self.room), [])

    def test_its_page_tells_of_each_day(self):
        with open(os.path.join(ROOT, "docs", "GAME-DAY.md"), encoding="utf-8") as file:
            text = file.read()
        for name, day in game_day.DAYS.items():
            self.assertIn(f"`{name}`", text)
            self.assertIn(day.page[0].split(None, 1)[1], text)


class AtATerminal(GameDay):

    def test_the_person_repairs_it_and_hears_how_long_it_took_and_what_was_done(self):
        terminal = self.at_a_terminal("app-down")
        for text in ("PAGE ", "/health does not answer", "game-day \\S "):
            terminal.wait_for(text)
        started = descendants(terminal.pid)
        terminal.send("opsrun play incident/service-outage.lua -p calm=300ms -p poll=100ms\n")
        terminal.wait_for(r"which \[\w+\]: ")      # another test's full disk may be what the playbook takes for the cause
        terminal.send("application\n")
        terminal.wait_for("Start app")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("y\n")
        for text in ("DONE.* +Complete service outage", "game-day \\S "):
            terminal.wait_for(text)
        terminal.mark = 0                        # the watch says so when it sees it, also while a run goes on
        terminal.wait_for("The lab is well again, .*after the page")
        terminal.send("exit\n")
        done = terminal.finish()
        self.assertEqual(done.code, 0, done)
        self.assertRegex(done.out, r"Well \d+m?\d*s after the page(?s:.)*service-outage.lua  1 change, exit [01]\s+start app")
        self.nothing_stays(started)

    def test_who_leaves_before_it_is_well_is_told_so_and_leaves_nothing_behind(self):
        terminal = self.at_a_terminal("app-down")
        terminal.wait_for("game-day \\S ")
        terminal.send("setsid sleep 1000 & sleep 1001 &\n")
        self.assertTrue(wait_until(lambda: sum(b"sleep" in command(pid) for pid in descendants(terminal.pid)) == 2))
        started = descendants(terminal.pid)
        terminal.send("exit\n")
        done = terminal.finish()
        self.assertEqual(done.code, 1, done)
        self.assertRegex(done.out, "Not well, .* after the page: .*refused(?s:.)*nothing was played with opsrun")
        self.nothing_stays(started)

    def test_control_c_and_a_signal_leave_nothing_running(self):
        terminal = self.at_a_terminal("app-down")
        terminal.wait_for("a private lab comes up")
        self.assertTrue(wait_until(lambda: len(descendants(terminal.pid)) > 0))
        terminal.send("\x03")
        done = terminal.finish()
        self.assertEqual(done.code, 130, done)
        self.assertEqual(os.listdir(self.room), [])
        terminal = self.at_a_terminal("app-down")
        terminal.wait_for("game-day \\S ")
        terminal.send("sleep 1000\n")
        self.assertTrue(wait_until(lambda: any(b"sleep" in command(pid) for pid in descendants(terminal.pid))))
        terminal.send("\x03")                    # it is the shell's, and ends what runs in it
        terminal.wait_for("game-day \\S ")
        self.assertFalse(any(b"sleep" in command(pid) for pid in descendants(terminal.pid)))
        started = descendants(terminal.pid)
        os.kill(terminal.pid, 15)
        self.assertEqual(terminal.finish().code, 143)
        self.nothing_stays(started)


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
