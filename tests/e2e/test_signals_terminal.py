"""Signals and a person's terminal: it is given back as it was, a dropped one ends the run, no
descriptor that is closed or full breaks opsrun."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest, close_all  # noqa: E402
from harness import ROOT, Terminal, descendants, main, wait_until  # noqa: E402

ASK = 'confirm("Strike?") shell.run(mark "struck")'
TYPED = 'confirm { "Strike?", type = "the-name" } shell.run(mark "struck")'
LOOK = 'shell.run(mark "there") sleep "60s"'


def modes(fd):
    """How the terminal is set, without the byte that says a line is pending."""
    return termios.tcgetattr(fd)[:6] + [termios.tcgetattr(fd)[6]]


class OnATerminal(FaultTest):

    def ask(self, body=ASK):
        terminal = self.terminal("play", self.step(body), "-e", "lab")
        terminal.wait_for(r"type the-name.*: " if body == TYPED else r"yes or no \[no\]: ")
        return terminal

    def test_each_signal_at_a_question_ends_it_and_gives_the_terminal_back(self):
        for body in (ASK, TYPED):
            for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
                with self.subTest(signal=number.name, typed=body == TYPED):
                    master, slave = pty.openpty()
                    before = modes(slave)
                    process = subprocess.Popen(
                        [OPSRUN, "play", self.step(body), "-e", "lab"], cwd=ROOT, stdin=slave,
                        stdout=slave, stderr=slave, env=self.environ(), start_new_session=True)
                    seen = self.read_until(master, "no]: " if body == ASK else "stops: ")
                    process.send_signal(number)
                    self.assertEqual(process.wait(timeout=30), code, seen)
                    self.assertEqual(modes(slave), before)
                    os.close(master)
                    os.close(slave)
        self.assertEqual(self.places(), [])

    def read_until(self, fd, text):
        seen = ""
        while text not in seen:
            seen += os.read(fd, 65536).decode(errors="replace")
        return seen

    def test_ctrl_c_typed_at_a_question_is_a_no(self):
        terminal = self.ask()
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130, out=["INTERRUPTED", "stopped by SIGINT"])
        self.assertEqual(self.places(), [])

    def test_ctrl_backslash_gives_the_terminal_back(self):
        terminal = self.ask()
        terminal.send("\x1c")
        self.assertEqual(terminal.finish().code, -signal.SIGQUIT)
        self.assertEqual(self.places(), [])

    def test_stopped_and_continued_at_a_question(self):
        shell = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], self.environ(PS1="shell> "))
        self.addCleanup(shell.close)
        shell.wait_for("shell> ")
        shell.send(f"{OPSRUN} play {self.step(ASK)} -e lab\n")
        shell.wait_for(r"yes or no \[no\]: ")
        shell.send("\x1a")
        shell.wait_for("Stopped")
        shell.wait_for("shell> ")      # typed before it, the output would stand behind it
        shell.send("stty -a | tr ';' '\\n' | grep -o ' echo ' | head -1; echo yes\n")
        shell.wait_for(r"\n echo ")
        shell.wait_for("shell> ")
        shell.send("fg\n")
        shell.wait_for(r"fault\.lua")
        opsrun, = (pid for pid in descendants(shell.pid) if self.stat(pid)[0] == "opsrun")
        self.assertTrue(wait_until(lambda: self.stat(opsrun)[1] == "S"), "it goes on, and waits at its question")
        time.sleep(0.3)      # were it taken as an answer, it would be now
        self.assertEqual(self.places(), [], "what the shell was told is no answer")
        shell.send("yes\n")
        shell.wait_for("DONE")
        shell.wait_for("shell> ")      # until then what is typed is opsrun's: Enter asks what it waits for
        shell.send("exit\n")
        shell.finish()
        self.assertEqual(self.places(), ["struck"])

    def stat(self, pid):
        """A process's name and state."""
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        return name, rest.split()[0]

    def test_a_dropped_terminal_ends_the_run_orderly(self):
        path = self.step('always("tidy", function() shell.run(mark "tidied") end) ' + LOOK)
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            os.execve(OPSRUN, [OPSRUN, "play", path, "-e", "lab"], self.environ())
        self.wait_for_place("there")
        os.close(fd)
        self.assertTrue(wait_until(self.ended, within=30))
        self.assertTrue(wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, within=30))
        self.assertEqual(self.places(), ["there", "tidied"])
        self.assertEqual([r["name"] for r in self.records("signal")], ["SIGHUP"])
        self.assertEqual(self.records("run.end")[0]["code"], 129)

    def ended(self):
        return any(record["type"] == "run.end" for run in self.run_ids() for record in self.journal(run))

    def test_a_terminal_dropped_at_a_question_is_a_no(self):
        terminal = self.ask()
        os.close(terminal.fd)
        terminal.fd = os.open("/dev/null", os.O_RDONLY)
        self.assertTrue(wait_until(self.ended, within=30))
        self.assertEqual(self.places(), [])
        self.assertEqual(self.records("run.end")[0]["code"], 129)

    def undo_question(self):
        terminal = self.terminal("play", self.step(
            'undo("put it back", function() shell.run(mark "back") end)\n'
            'undo("and this", function() shell.run(mark "this") end) ' + LOOK), "-e", "lab")
        self.wait_for_place("there")
        terminal.send("\x03")
        terminal.wait_for("Take back what this run did")
        for line in ("1. and this", "2. put it back", r"yes or no \[no\]: "):
            terminal.wait_for(line)
        return terminal

    def test_after_ctrl_c_the_undo_is_offered(self):
        terminal = self.undo_question()
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=8, out=["TAKEN BACK"])
        self.assertEqual(self.places(), ["there", "this", "back"])

    def test_ctrl_c_at_the_offer_takes_nothing_back_and_says_so(self):
        terminal = self.undo_question()
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130, out=[r"not undone[^\n]*and this[^\n]*\n[^\n]*put it back"])
        self.assertEqual(self.places(), ["there"])

    def test_ctrl_c_ends_a_question_asked_on_the_way_back(self):
        path = self.step('always("tidy", function() confirm("Really?") shell.run(mark "no") end)')
        terminal = self.terminal("play", path, "-e", "lab")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("\x03")
        done = terminal.finish()
        self.assertIn(done.code, (9, 130), done)
        self.assertEqual(self.places(), [])


class Descriptors(FaultTest):
    """Standard descriptors that are closed, full or have no reader."""

    def run_with(self, body='note("hello") check("n", 1) shell.run(mark "struck")', env=None, **options):
        return subprocess.run([OPSRUN, "play", self.step(body), "-e", "lab"], cwd=ROOT,
                              env=self.environ(**(env or {})), timeout=30, check=False, **options)

    def test_a_reader_that_goes_away_ends_nothing(self):
        for close_at in (0, 1, 40):
            process = subprocess.Popen([OPSRUN, "play", self.step(
                'for i = 1, 2000 do note("line %d", i) end shell.run(mark "struck")'), "-e", "lab"],
                cwd=ROOT, env=self.environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            if close_at:
                process.stdout.read(close_at)
            process.stdout.close()
            err = process.stderr.read().decode()
            process.stderr.close()
            self.assertEqual((process.wait(timeout=30), err), (0, ""))
        self.assertEqual(self.places(), ["struck"] * 3)

    def test_a_full_stdout_is_told_once_and_the_run_goes_on(self):
        with open("/dev/full", "wb") as full:
            done = self.run_with(stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.stderr.decode(),
                         "opsrun: cannot write to 'stdout': no space left on device\n")
        self.assertEqual((done.returncode, self.places()), (0, ["struck"]))

    def test_a_full_stderr_is_borne(self):
        with open("/dev/full", "wb") as full:
            done = self.run_with('fail "no"', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=full)
        self.assertEqual(done.returncode, 1)

    def test_closed_stdin_is_no_terminal(self):
        done = self.run_with(ASK, preexec_fn=lambda: os.close(0), capture_output=True)
        self.assertEqual(done.returncode, 5, done)
        self.assertIn(b"--answer try-it=yes", done.stdout)

    def test_all_three_closed(self):
        done = self.run_with(preexec_fn=close_all)
        self.assertEqual((done.returncode, self.places()), (0, ["struck"]))
        journal = self.journal(self.run_ids()[0])
        self.assertEqual(journal[-1]["type"], "run.end", "nothing printed into the journal")
        self.assertEqual(self.run_with(ASK, preexec_fn=close_all).returncode, 5)

    def test_only_one_of_them_a_terminal_asks_nobody(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        for streams in ({"stdin": slave, "stderr": subprocess.PIPE},
                        {"stdin": subprocess.DEVNULL, "stderr": slave}):
            done = self.run_with(ASK, stdout=subprocess.PIPE, **streams)
            self.assertEqual(done.returncode, 5, done)
            self.assertFalse(re.search(rb"\x1b", done.stdout))
        os.close(slave)


if __name__ == "__main__":
    main()
